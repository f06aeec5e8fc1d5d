package tune

import (
	"errors"
	"fmt"
	"io"
	"os"

	"github.com/bdia-go/bdia"
	"github.com/bdia-go/bdia/backend"
	"github.com/bdia-go/bdia/convert"
	"github.com/bdia-go/bdia/format/safetensors"
	"github.com/bdia-go/bdia/hub"
	"github.com/bdia-go/bdia/metric"
	"github.com/bdia-go/bdia/model"
	"github.com/bdia-go/bdia/tensor"
	"github.com/bdia-go/bdia/train"
)

// GPT is a language model in training, and how it begins and is stored: what learners of text and of completions have
// in common.
type GPT struct {
	*model.GPT
	Backend  backend.Backend
	Settings Settings
	End      *int32 // the token that ends a text; nil: there is none
}

// NewGPT allocates the language model that a run of the settings t trains.
func NewGPT(be backend.Backend, c model.GPTConfig, method bdia.Options, t Settings) (*GPT, error) {
	c.Weights = t.Held(c)
	m, err := model.NewGPT(be, c, method)
	if err == nil {
		err = t.apply(m)
	}
	if err != nil {
		return nil, err
	}
	return &GPT{GPT: m, Backend: be, Settings: t}, nil
}

// Initialise draws initial weights, or loads those that the run starts from.
func (g *GPT) Initialise(seed uint64) error {
	g.InitLoRA(seed)
	if g.Settings.From == "" {
		g.Init(seed)
		return nil
	}
	return g.readBase()
}

// Forget lets the model begin with weights that are drawn, whatever it would start from: to be timed.
func (g *GPT) Forget() { g.Settings.From = "" }

// Notes say where the model comes from and what of it learns.
func (g *GPT) Notes() []string {
	if g.Settings.From == "" {
		return nil
	}
	notes := append([]string{"Starting from " + g.Settings.From}, g.rounded()...)
	if learned, all := tensor.Elements(g.Trainable()), tensor.Elements(g.Params()); learned != all {
		notes = append(notes, fmt.Sprintf("Learned are %d numbers beside the model's %d (%.2g%%)", learned, all, 100*float64(learned)/float64(all)))
	}
	return notes
}

// rounded says what of the weights does not fit into memory as it is in their files.
func (g *GPT) rounded() (notes []string) {
	w, err := convert.OpenWeights(g.Settings.From)
	if err != nil {
		return nil // which reading them says
	}
	defer w.Close()
	of := convert.FormOf(w).OfTokens(g.Config)
	switch {
	case g.Config.Weights == model.WeightsBF16 && !convert.InBF16(w):
		return []string{fmt.Sprintf("The model's weights are %v, and are rounded to BF16 at the start", of)}
	case g.LoRA.Rank > 0 && of == safetensors.F16:
		return []string{"The model's weights are F16, which BF16 does not hold exactly: they are held in float32, in twice the memory"}
	}
	return nil
}

// Record records the loss and the perplexity.
func (g *GPT) Record(prefix string, s train.Score) []metric.Field {
	return train.TokenFields(prefix, s)
}

// Unit is tokens.
func (g *GPT) Unit() string { return "tokens" }

// readBase fills the model with the weights that the run started from. Rows of new tokens are made of the old ones (see
// convert.Grow).
func (g *GPT) readBase() error {
	t := g.Settings
	err := hub.CheckBase(t.From, t.Base, "tune.base")
	if err == nil {
		err = hub.ReadWeights(t.From, func(f convert.Tensors) error {
			if t.Grown > 0 {
				f = convert.Grow(f, g.Config.Vocab)
			}
			return g.ReadWeights(f)
		})
	}
	if errors.Is(err, os.ErrNotExist) {
		return fmt.Errorf("train: the model that this run started from is not there any more; put it back, or name its folder in %s, as tune.from: %w", hub.RunFile, err)
	}
	return err
}

// ReadModel fills the model from the folder dir of a run: all weights, or the adapters, and then the weights of the
// model that the run started from.
func (g *GPT) ReadModel(dir string) error {
	if g.LoRA.Rank == 0 {
		return hub.ReadWeights(dir, g.ReadWeights)
	}
	if err := g.readBase(); err != nil {
		return err
	}
	return convert.LoadAdapter(g.Backend, g.GPT, dir)
}

// Files are the files of the model folder: with adapters, PEFT's.
func (g *GPT) Files() []train.File {
	whole := train.GPTFolder(g.Backend, g.GPT, g.End).Files() // config.json and all weights
	if g.LoRA.Rank == 0 {
		return whole
	}
	return []train.File{whole[0],
		{Name: convert.AdapterConfigFile, Write: func(w io.Writer) error { return convert.WriteAdapterConfig(w, g.GPT, g.Settings.From) }},
		{Name: convert.AdapterFile, Params: g.Adapters(), Write: func(w io.Writer) error { return convert.WriteAdapter(w, g.Backend, g.GPT) }}}
}

// WriteWeights and ReadWeights move the weights without adapters.
func (g *GPT) WriteWeights(w io.Writer) error      { return convert.WriteGPT(w, g.Backend, g.GPT) }
func (g *GPT) ReadWeights(f convert.Tensors) error { return convert.ReadGPT(g.Backend, g.GPT, f) }
