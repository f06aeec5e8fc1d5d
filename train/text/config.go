package text

import (
	"cmp"
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"strings"

	"github.com/bdia-go/bdia"
	"github.com/bdia-go/bdia/model"
	"github.com/bdia-go/bdia/optim"
	"github.com/bdia-go/bdia/tokenizer"
	"github.com/bdia-go/bdia/train"
	"github.com/bdia-go/bdia/train/tune"
)

// Config are the settings of a run: a language model learns text.
type Config struct {
	Data         DataConfig      `yaml:"data,omitzero"`
	Model        model.GPTConfig `yaml:"model,omitzero"`
	Tune         tune.Settings   `yaml:"tune,omitzero"` // what it starts from; zero: from nothing
	train.Common `yaml:",inline"`
}

// Default returns the settings of a run that names nothing but its data, trained as the paper does. The tokenizer, the
// sizes of the model, the batch, the rate and the length of the run are open (see train.Assumer): Prepare chooses them
// from the text.
func Default() Config {
	o, _ := optim.Default("adamw")
	c := Config{
		Data: DataConfig{Tokenizer: AutoTokenizer, ValFraction: 0.1},
		Common: train.Common{Method: bdia.DefaultOptions(), Optimizer: o, Schedule: optim.Schedule{Kind: "cosine", Final: 0.1},
			Loop: train.LoopConfig{Update: train.WhenAuto, Seed: 1, EvalSamples: 256, SampleTokens: 200, LogEvery: 10, CheckEvery: train.DefaultCheckEvery, TensorBoard: true, Keep: 2}},
	}
	c.OpenLoop()
	return c
}

// DefaultTuned returns the settings of a run that names nothing but its data and the model to start from: fine-tuning
// of all weights.
func DefaultTuned() Config {
	c := Default()
	c.Tune, c.Method = tune.DefaultSettings(), tune.DefaultMethod()
	c.Tune.Separator = ""
	return c
}

// Validate returns an error for the first invalid setting or combination.
// Open ones are taken as they are without data.
func (c Config) Validate() error {
	c.Assume()
	if err := c.Loop.HasBatch(); err != nil {
		return err
	}
	if err := cmp.Or(c.Model.Validate(), c.Data.Validate(), c.Method.Validate(), c.Tune.Validate(c.Model, c.Loop), c.Common.Validate(), c.Fits(c.Model.Fits)); err != nil {
		return err
	}
	return c.Loop.AtOnce(train.MaxTokens / c.SampleLength())
}

// SampleLength is the tokens of a sample.
func (c Config) SampleLength() int { return c.Tune.SampleLength(c.Model) }

// StartFrom makes the model the one of the folder dir, and reads the text with the tokenizer there (see
// tune.Settings.StartFrom).
func (c *Config) StartFrom(dir string) error {
	if c.Tune.LoRA.Alpha == 0 { // settings of a run from nothing
		tuned := DefaultTuned()
		c.Tune = tuned.Tune
		if c.Method == bdia.DefaultOptions() {
			c.Method = tuned.Method
		}
	}
	err := c.Tune.StartFrom(dir, &c.Model)
	c.Tune.ChatTemplate = false // of conversations
	if err != nil {
		return err
	}
	if dir = c.Tune.From; !filepath.IsAbs(dir) {
		dir = "." + string(filepath.Separator) + dir // a folder, whatever its name: bpe is a kind too
	}
	c.Data.Tokenizer = dir
	return nil
}

// DataConfig says which text is trained on.
type DataConfig struct {
	Path        string     `yaml:"path"`              // file or folder of text; "go" is the Go source of this machine
	More        []string   `yaml:"more,omitzero"`     // files and folders of text that follows, in this order
	Extensions  Extensions `yaml:"extensions"`        // endings to take of a folder; empty takes all text
	Tokenizer   string     `yaml:"tokenizer"`         // char, bpe, auto, or a folder with tokenizer files
	BPEVocab    int        `yaml:"bpe_vocab"`         // vocabulary of a bpe tokenizer trained on the data; 0: open
	Special     bool       `yaml:"special_tokens"`    // the spelling of a special token in the text stands for it
	MaxBytes    int64      `yaml:"max_bytes"`         // use so many bytes of the text; 0 all
	ValFraction float64    `yaml:"val_fraction"`      // share of the tokens held out for validation, unless there is Val
	Epochs      float64    `yaml:"epochs,omitzero"`   // passes over the text, which set the schedule's steps; 0: these count
	Val         string     `yaml:"val,omitzero"`      // file or folder of validation text
	Split       string     `yaml:"split,omitzero"`    // empty: documents, or blocks of few, are held out; SplitEnd: the end
	TextKey     string     `yaml:"text_key,omitzero"` // key or column of the text in JSON or a table; empty: a known one
	AsText      bool       `yaml:"as_text,omitzero"`  // JSON and tables are read as they are
	OnBad       string     `yaml:"on_bad,omitzero"`   // text that is not UTF-8: SkipBad leaves it out; empty or FatalBad: an error

	OnUnknown string `yaml:"on_unknown,omitzero"` // characters that the tokenizer of a folder lacks: see ExtendUnknown
}

// Values of DataConfig.Split and OnBad.
const (
	SplitEnd = "end"
	SkipBad  = "skip"
	FatalBad = "fatal"
)

// Validate returns an error for the first invalid setting.
func (d DataConfig) Validate() error {
	switch {
	case !(d.ValFraction >= 0 && d.ValFraction < 1):
		return fmt.Errorf("train: validation fraction is %v; it must be at least 0 and below 1", d.ValFraction)
	case !(d.Epochs >= 0 && d.Epochs <= 1e6):
		return fmt.Errorf("train: %v epochs; give a number up to 1e6, or 0 to count steps", d.Epochs)
	case len(d.More) > 0 && (d.Path == "" || slices.Contains(d.More, "")):
		return errors.New("train: one of the texts has no name; give a file or folder")
	case d.MaxBytes < 0:
		return fmt.Errorf("train: %d bytes of text; give a positive number, or 0 for all", d.MaxBytes)
	}
	switch {
	case d.Split != "" && d.Split != SplitEnd:
		return fmt.Errorf("train: text is split by %q; use %s, or leave it out", d.Split, SplitEnd)
	case d.OnBad != "" && d.OnBad != SkipBad && d.OnBad != FatalBad:
		return fmt.Errorf("train: cannot treat bad text by %q; use %s or %s", d.OnBad, SkipBad, FatalBad)
	}
	if !slices.Contains([]string{"", ExtendUnknown, SkipUnknown, FatalUnknown}, d.OnUnknown) {
		return fmt.Errorf("train: cannot treat unknown characters by %q; use %s, %s or %s", d.OnUnknown, ExtendUnknown, SkipUnknown, FatalUnknown)
	}
	return tokenizer.CheckChoice(d.Tokenizer, d.BPEVocab)
}

// Extensions are endings of file names, for example {".go", ".md"}. In YAML and as the value of a flag they are a text
// with commas, such as .go,.md.
type Extensions []string

// String joins the endings with commas.
func (e Extensions) String() string { return strings.Join(e, ",") }

// Set reads a text with commas. It does not fail.
func (e *Extensions) Set(text string) error {
	*e = nil
	if text == "" {
		return nil
	}
	for _, ending := range strings.Split(text, ",") {
		if ending = strings.TrimSpace(ending); ending != "" && !strings.HasPrefix(ending, ".") {
			ending = "." + ending // txt is .txt
		}
		*e = append(*e, ending)
	}
	return nil
}

// Type names the value in a command's help.
func (e *Extensions) Type() string { return "endings" }

// MarshalYAML returns the text with commas.
func (e Extensions) MarshalYAML() (any, error) { return e.String(), nil }

// UnmarshalYAML takes the text with commas, or a list.
func (e *Extensions) UnmarshalYAML(read func(any) error) error {
	var text string
	err := read(&text)
	if err == nil {
		return e.Set(text)
	}
	if list := []string(nil); read(&list) == nil {
		*e = slices.Clip(list)
		return nil
	}
	return err
}
