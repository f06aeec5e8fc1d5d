// Package tune is fine-tuning: the task in which a trained language model learns to complete prompts, and, for package
// train/text too, the settings and the model of a run that starts from a trained one.
package tune

import (
	"fmt"
	"slices"
	"strconv"
	"unicode/utf8"

	"github.com/bdia-go/bdia"
	"github.com/bdia-go/bdia/convert"
	"github.com/bdia-go/bdia/hub"
	"github.com/bdia-go/bdia/model"
	"github.com/bdia-go/bdia/tokenizer"
	"github.com/bdia-go/bdia/train"
)

// Settings say which trained language model a run starts from, and what of it learns.
type Settings struct {
	From     string           `yaml:"from"`           // folder of a language model of Hugging Face or of a run; empty: initial weights are drawn
	Base     string           `yaml:"base"`           // fingerprint of the weights there, by Prepare; empty: they are not checked
	Window   int              `yaml:"window"`         // most tokens of a sample; 0: the model's context
	Freeze   int              `yaml:"freeze"`         // first blocks that do not learn; above 0, tokens and positions do not either
	LoRA     model.LoRAConfig `yaml:"lora"`           // adapters that learn instead of the weights; rank 0: none
	Grown    int              `yaml:"grown,omitzero"` // tokens that the model has more than the one there: new characters
	AutoGrid bool             `yaml:"auto_grid"`      // before its first step a run takes the finest grid that serves the model instead of the method's

	// BaseWeights is the type of the model's matrices there, if it is bf16: beside adapters they are held so, exactly.
	BaseWeights model.WeightType `yaml:"base_weights,omitzero"`

	// For prompts and completions.
	Separator    Separator `yaml:"separator"`              // follows every prompt
	LossOnPrompt bool      `yaml:"loss_on_prompt"`         // prompts are learned too, not only their completions
	ChatTemplate bool      `yaml:"chat_template,omitzero"` // the model's own template writes them, in place of the separator
}

// Separator is the text between a prompt and its completion.
type Separator string

// String is s in quotation marks.
func (s Separator) String() string { return strconv.Quote(string(s)) }

// MarshalYAML writes s in quotation marks: as YAML's library writes a lone line break, it reads nothing.
func (s Separator) MarshalYAML() ([]byte, error) { return []byte(s.String()), nil }

// DefaultSettings tune all weights, on a grid that holds them.
func DefaultSettings() Settings {
	lora := model.DefaultLoRA()
	lora.Rank = 0
	return Settings{LoRA: lora, AutoGrid: true, Separator: "\n"}
}

// DefaultMethod is the method of a trained model that learns on. Its gamma is ±1/8 at first, for the model was never
// averaged, and doubles twice, to ±1/2: each takes a third of the run, and of train.RampPasses passes over the data at
// least. So a model is regularised more when it has seen its data often (docs/results.md has the measurements).
func DefaultMethod() bdia.Options {
	o := bdia.DefaultOptions()
	o.Ramp = bdia.Ramp{From: 0.125, Steps: train.Auto}
	return o
}

var (
	// ErrUntrained is the error of frozen blocks or adapters in a run that begins with initial weights.
	ErrUntrained = fmt.Errorf("train: %w: frozen blocks or adapters, and a model that has learned nothing yet; name a trained one to start from", train.ErrCombination)
	// ErrNewTokens is the error of frozen blocks or adapters in a run that has new tokens to learn.
	ErrNewTokens = fmt.Errorf("train: %w: frozen blocks or adapters, and new tokens, which the embedding has to learn; train all weights", train.ErrCombination)
	// ErrBaseWeights is the error of adapters beside weights that BF16 would round.
	ErrBaseWeights = fmt.Errorf("train: %w: adapters, and weights in BF16, which would round the ones of the model that they are beside; "+
		"it is held as its files have it, so leave the type out", train.ErrCombination)
	// ErrAveraged is the error of adapters in a run that averages weights.
	ErrAveraged = fmt.Errorf("train: %w: an average of weights, and adapters; leave out the average", train.ErrCombination)
)

// Validate reports the first thing wrong with what the language model m starts from, in a run with the loop l.
func (t Settings) Validate(m model.GPTConfig, l train.LoopConfig) error {
	switch {
	case t.Window < 0 || t.Window > m.Context:
		return fmt.Errorf("train: samples of %d tokens; the model has a context of %d: give a window of 1 to %[2]d, or 0 for the context", t.Window, m.Context)
	case t.Grown < 0 || t.Grown >= m.Vocab:
		return fmt.Errorf("train: the model of %d tokens has %d more than the one that it started from", m.Vocab, t.Grown)
	case t.Grown > 0 && !t.LearnsTokens():
		return ErrNewTokens
	case t.Freeze < 0 || t.Freeze > m.Layers:
		return fmt.Errorf("train: %d frozen blocks; the model has %d", t.Freeze, m.Layers)
	case t.From == "" && (t.Freeze > 0 || t.LoRA.Rank > 0):
		return ErrUntrained
	case !utf8.ValidString(string(t.Separator)): // which bdia.yaml cannot hold
		return fmt.Errorf("train: the separator %s is not UTF-8", t.Separator)
	case t.LoRA.Rank == 0:
		return nil
	case l.EMA > 0:
		return ErrAveraged
	case m.Weights == model.WeightsBF16 && t.BaseWeights != model.WeightsBF16:
		return ErrBaseWeights
	}
	return t.LoRA.ValidateFor(m, t.Freeze)
}

// LearnsTokens reports whether the rows of tokens learn, as they do unless blocks are frozen or adapters learn instead.
func (t Settings) LearnsTokens() bool { return t.Freeze == 0 && t.LoRA.Rank == 0 }

// SampleLength is the most tokens of a sample of text for the model m.
func (t Settings) SampleLength(m model.GPTConfig) int {
	if t.Window > 0 {
		return t.Window
	}
	return m.Context
}

// Retarget names the layers with adapters of family to, if they are those that adapters of family from have unless
// others are named.
func (t *Settings) Retarget(from, to model.Family) {
	if slices.Equal(t.LoRA.Targets, model.DefaultTargets(from)) {
		t.LoRA.Targets = model.DefaultTargets(to)
	}
}

// DefaultWindow is the most tokens of a sample of a family's model, unless others are asked for. Its context can be a
// hundred thousand tokens.
const DefaultWindow = 2048

// StartFrom makes m the model of the folder dir: of Hugging Face, of a run, or its best. Dropout is what m has. If the
// model has a chat template, it writes prompts and completions. A folder with adapters beside another model is
// hub.ErrAdapters.
func (t *Settings) StartFrom(dir string, m *model.GPTConfig) error {
	f, err := hub.Open(dir, hub.Options{Kind: convert.GPT, WithoutText: true})
	if err != nil {
		return err
	}
	if f.Adapter != "" {
		return fmt.Errorf("train: %s %w, beside another model: %w; merge them first", dir, hub.ErrAdapters, convert.ErrUnsupported)
	}
	of := f.GPTInfo.Config
	t.Retarget(m.Family, of.Family)
	if t.Window == 0 && of.Family != model.GPT2 && of.Context > DefaultWindow {
		t.Window = DefaultWindow
	}
	of.EmbeddingDropout, of.AttentionDropout, of.ResidualDropout = m.EmbeddingDropout, m.AttentionDropout, m.ResidualDropout
	of.Weights = m.Weights
	*m, t.From = of, f.Dir
	if t.BaseWeights, err = f.WeightType(); err != nil {
		return err
	}
	plain := f.Separator != nil // a run that left the template aside
	t.ChatTemplate = !plain && f.Tokenizer != nil && tokenizer.ChatTemplate(f.Tokenizer) != ""
	return nil
}

// SaveOrigin writes into dir what the model that the run started from says to other programs.
func (t Settings) SaveOrigin(dir string) error {
	if t.From == "" {
		return nil
	}
	return hub.SaveOrigin(t.From, dir)
}

// Fixed is t without what may change when a run goes on.
func (t Settings) Fixed() Settings {
	t.AutoGrid = false
	return t
}

// Belongs reports a tokenizer, in dir, that is not the one of model m. A model that has learned elsewhere may have more
// tokens than its tokenizer.
func (t Settings) Belongs(tok tokenizer.Tokenizer, m model.GPTConfig, dir string) error {
	if n := tok.VocabSize(); n > m.Vocab || n < m.Vocab && t.From == "" {
		return fmt.Errorf("train: %s: the tokenizer has %d tokens, the model %d; %w", dir, n, m.Vocab, hub.ErrMismatch)
	}
	return nil
}

// Held is the type in which a run holds the matrices of the model m: BaseWeights beside adapters.
func (t Settings) Held(m model.GPTConfig) model.WeightType {
	if t.LoRA.Rank > 0 {
		return t.BaseWeights
	}
	return m.Weights
}

// apply freezes what of m does not learn, and adds the adapters.
func (t Settings) apply(m *model.GPT) error {
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
