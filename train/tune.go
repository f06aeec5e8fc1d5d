package train

import (
	"errors"
	"fmt"
	"io"
	"os"
	"strconv"
	"unicode/utf8"

	"github.com/bdia-go/bdia/convert"
	"github.com/bdia-go/bdia/data/pairs"
	"github.com/bdia-go/bdia/hub"
	"github.com/bdia-go/bdia/model"
)

// TuneConfig says which trained language model a run starts from, and what of it
// learns.
type TuneConfig struct {
	From     string           `yaml:"from"`      // folder of a GPT-2 of Hugging Face or of a run; empty: initial weights are drawn
	Base     string           `yaml:"base"`      // fingerprint of the weights there, by Create; empty: they are not checked
	Window   int              `yaml:"window"`    // most tokens of a sample; 0: the model's context
	Freeze   int              `yaml:"freeze"`    // first blocks that do not learn; above 0, tokens and positions do not either
	LoRA     model.LoRAConfig `yaml:"lora"`      // adapters that learn instead of the weights; rank 0: none
	AutoGrid bool             `yaml:"auto_grid"` // before its first step a run takes a coarser grid than the method's where the model needs one

	// Of TaskCompletion.
	Separator    Separator `yaml:"separator"`      // follows every prompt
	LossOnPrompt bool      `yaml:"loss_on_prompt"` // prompts are learned too, not only their completions
}

// Separator is the text between a prompt and its completion.
type Separator string

// String is s in quotation marks.
func (s Separator) String() string { return strconv.Quote(string(s)) }

// MarshalYAML writes s in quotation marks: as YAML's library writes a lone line
// break, it reads nothing.
func (s Separator) MarshalYAML() ([]byte, error) { return []byte(s.String()), nil }

// DefaultCompletionConfig returns the settings of a run of TaskCompletion that names
// nothing but its data and the model to start from: fine-tuning of all weights, with
// a lower learning rate than that of a model that has learned nothing.
func DefaultCompletionConfig() Config {
	c := DefaultConfig()
	c.Task, c.Data = TaskCompletion, DataConfig{}
	c.Pairs = PairConfig{Split: pairs.Split{Val: 0.02, Seed: 1}, OnBad: pairs.Skip, OnLong: pairs.Skip, BatchTokens: 4096, Epochs: 3}
	c.Tune = DefaultTune()
	c.Schedule.LR, c.Schedule.Warmup = 1e-4, 50
	c.Loop.Batch, c.Loop.EvalEvery, c.Loop.EvalSamples = 0, 0, 0
	return c
}

// DefaultTune returns what is tuned unless told otherwise: all weights, on a grid that
// holds them.
func DefaultTune() TuneConfig {
	lora := model.DefaultLoRA()
	lora.Rank = 0
	return TuneConfig{LoRA: lora, AutoGrid: true, Separator: "\n"}
}

// validateTune reports the first thing wrong with what a language model starts from.
func (c Config) validateTune() error {
	t := c.Tune
	switch {
	case t.Window < 0 || t.Window > c.Model.Context:
		return fmt.Errorf("train: samples of %d tokens; the model has a context of %d", t.Window, c.Model.Context)
	case t.Freeze < 0 || t.Freeze > c.Model.Layers:
		return fmt.Errorf("train: %d frozen blocks; the model has %d", t.Freeze, c.Model.Layers)
	case t.From == "" && (t.Freeze > 0 || t.LoRA.Rank > 0):
		return fmt.Errorf("train: %w: frozen blocks or adapters, and a model that has learned nothing yet; name a trained one with --from", ErrCombination)
	case !utf8.ValidString(string(t.Separator)): // which bdia.yaml cannot hold
		return fmt.Errorf("train: the separator %s is not UTF-8", t.Separator)
	case t.LoRA.Rank == 0:
		return nil
	case c.Loop.EMA > 0:
		return fmt.Errorf("train: %w: an average of weights, and adapters; leave out --ema", ErrCombination)
	}
	return t.LoRA.ValidateFor(c.Model, t.Freeze)
}

// Window is the most tokens of a sample of text.
func (c Config) Window() int {
	if c.Tune.Window > 0 {
		return c.Tune.Window
	}
	return c.Model.Context
}

// StartFrom makes c's model, which is a GPT, that of the folder dir: of Hugging Face,
// of a run, or its best. Its text is read with the tokenizer there. Dropout is what c
// has.
func (c *Config) StartFrom(dir string) error {
	f, err := hub.Open(dir, hub.Options{Kind: convert.GPT2, WithoutText: true})
	if err != nil {
		return err
	}
	if f.Adapter != "" {
		return fmt.Errorf("train: %s: %w: it has adapters beside another model; merge them first with bdia export --format hf", dir, convert.ErrUnsupported)
	}
	m := f.GPTInfo.Config
	m.EmbeddingDropout, m.AttentionDropout, m.ResidualDropout = c.Model.EmbeddingDropout, c.Model.AttentionDropout, c.Model.ResidualDropout
	c.Model, c.Tune.From = m, dir
	if c.Task == TaskText {
		c.Data.Tokenizer = dir
	}
	return nil
}

// apply freezes what of m does not learn, and adds the adapters.
func (t TuneConfig) apply(m *model.GPT) error {
	if t.Freeze > 0 {
		if err := m.Freeze(t.Freeze); err != nil {
			return err
		}
	}
	if t.LoRA.Rank > 0 {
		return m.AddLoRA(t.LoRA)
	}
	return nil
}

// readBase fills the model with the weights that the run started from.
func (l *language) readBase() error {
	t := l.cfg.Tune
	err := hub.CheckBase(t.From, t.Base)
	if err == nil {
		err = hub.ReadWeights(t.From, l.ReadWeights)
	}
	if errors.Is(err, os.ErrNotExist) {
		return fmt.Errorf("train: the model that this run started from is not there any more; put it back, or name its folder in %s, as tune.from: %w", configFile, err)
	}
	return err
}

// ReadModel fills the model from the folder dir of a run: all weights, or the
// adapters, and then the weights of the model that the run started from.
func (l *language) ReadModel(dir string) error {
	if l.LoRA.Rank == 0 {
		return hub.ReadWeights(dir, l.ReadWeights)
	}
	if err := l.readBase(); err != nil {
		return err
	}
	return convert.LoadAdapter(l.be, l.GPT, dir)
}

// Files are the files of the model folder: with adapters, PEFT's.
func (l *language) Files() []File {
	config := File{modelConfig, nil, l.writeConfig}
	if l.LoRA.Rank == 0 {
		return []File{config, {weightsFile, l.Params(), l.WriteWeights}}
	}
	return []File{config,
		{convert.AdapterConfigFile, nil, func(w io.Writer) error { return convert.WriteAdapterConfig(w, l.GPT, l.cfg.Tune.From) }},
		{convert.AdapterFile, l.Adapters(), func(w io.Writer) error { return convert.WriteAdapter(w, l.be, l.GPT) }}}
}
