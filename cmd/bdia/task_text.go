package main

import (
	"errors"
	"fmt"
	"io"

	"github.com/bdia-go/bdia/cmd/bdia/internal/cli"
	"github.com/bdia-go/bdia/model"
	"github.com/bdia-go/bdia/tokenizer"
	"github.com/bdia-go/bdia/train"
	"github.com/bdia-go/bdia/train/text"
	"github.com/bdia-go/bdia/train/tune"
)

// textView is a language model that learns text.
type textView struct{ *text.Task }

func (v textView) words() words {
	w := words{command: "bdia train text", prefix: "gpt", unit: "tokens", measure: "loss", batch: "Largest batch", size: "--batch", length: "--steps", try: []string{"bdia generate RUN"}}
	if v.Settings.Tune.From != "" {
		w.command, w.prefix = "bdia finetune", "tuned"
	}
	return w
}

func (v textView) flags() []group {
	c := &v.Settings
	return append(append(tunedTextGroups(c), textGroups(c)...), textSizes(c)...)
}

func (v textView) sizes() []group { return textSizes(&v.Settings) }

func (v textView) expand(o overrides) error {
	c := &v.Settings
	if dir, ok := o["from"]; ok {
		if err := o.ofNewModel("preset", "layers", "heads", "width", "context", "mlp", "gelu", "untied", "no-bias"); err != nil {
			return err
		}
		if err := c.StartFrom(dir); err != nil {
			return err
		}
	}
	m := &c.Model
	was := m.Family
	if err := expandPreset(o, v.Name(), m, model.GPTPreset); err != nil {
		return err
	}
	c.Tune.Retarget(was, m.Family)
	if o.has("steps") {
		c.Data.Epochs = 0
	}
	if size, ok := o["bpe-vocab"]; ok && size != autoWord && c.Data.Tokenizer == text.AutoTokenizer {
		c.Data.Tokenizer = tokenizer.KindBPE // which --tokenizer may change
	}
	return o.dropout(&m.EmbeddingDropout, &m.AttentionDropout, &m.ResidualDropout)
}

func (v textView) needData() error {
	if v.Settings.Data.Path != "" {
		return nil
	}
	return cli.Usage(errors.New("no text to train on; name a file or folder with --data"))
}

func (v textView) paths() []*string { return []*string{&v.Settings.Tune.From} }

func (v textView) model() string { return gptText(v.Settings.Model, v.Settings.Tune) }

// gptText describes a language model in a run with the settings t.
func gptText(m model.GPTConfig, t tune.Settings) string {
	kind := "GPT"
	if m.Family != model.GPT2 {
		kind = m.Family.String()
	}
	text := fmt.Sprintf("%s of %d blocks, width %d, %d heads, context %d, vocabulary %d", kind, m.Layers, m.Width, m.Heads, m.Context, m.Vocab)
	if t.Held(m) == model.WeightsBF16 {
		text += ", weights in BF16"
	}
	return text
}

func (v textView) batch() string {
	return cli.Count(int64(v.Settings.Loop.Batch*v.Settings.SampleLength())) + " tokens"
}

func (v textView) printScores(w io.Writer, sum train.Summary) { printLosses(w, sum) }
func (v textView) autoGrid() bool                             { return v.Settings.Tune.AutoGrid }
func (v textView) printNotes(io.Writer)                       {}

func (v textView) addJSON(j map[string]any, sum train.Summary) {
	if v.Settings.Tune.From != "" {
		j["calibration"] = calibrationJSON(sum.Calibration)
	}
}
