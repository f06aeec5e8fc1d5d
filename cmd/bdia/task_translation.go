package main

import (
	"errors"
	"fmt"
	"io"

	"github.com/bdia-go/bdia/cmd/bdia/internal/cli"
	datapairs "github.com/bdia-go/bdia/data/pairs"
	"github.com/bdia-go/bdia/model"
	"github.com/bdia-go/bdia/train"
	"github.com/bdia-go/bdia/train/pairs"
)

// translationView is an encoder-decoder that learns sentences and their translations.
type translationView struct{ *pairs.Task }

func (v translationView) words() words {
	return words{command: "bdia train translation", prefix: "seq2seq", unit: "tokens", measure: "loss", batch: "Most tokens of a batch", size: "--batch-tokens", length: "--epochs",
		try: []string{"bdia eval RUN PART", "bdia translate RUN SENTENCE"}}
}

func (v translationView) flags() []group {
	return append(translationGroups(&v.Settings), translationSizes(&v.Settings)...)
}

func (v translationView) sizes() []group { return translationSizes(&v.Settings) }

func (v translationView) expand(o overrides) error {
	for _, name := range []string{"source", "target"} {
		if o.has(name) && o.has("data") {
			return cli.Usage(fmt.Errorf("--data is a table of both sides, and --%s a file of one; give --data, or --source and --target", name))
		}
	}
	c := &v.Settings
	if name := o["source"]; name != "" && c.Pairs.Target == "" && !o.has("target") && !o.has("format") && oneSide(name) {
		return cli.Usage(fmt.Errorf("--source %s is one side of the translations; name the other with --target, or a table of both with --data", name))
	}
	if dir, ok := o["from"]; ok {
		if err := o.ofNewModel("preset", "layers", "heads", "width", "context", "mlp", "gelu", "untied", "no-bias", "shared", "sinusoidal", "separate"); err != nil {
			return err
		}
		if err := c.StartFrom(dir); err != nil {
			return err
		}
	}
	if name := o["data"]; name != "" && !o.has("format") && c.Pairs.Format == "" && oneSide(name) {
		return cli.Usage(fmt.Errorf("--data %s is plain text, not a table (.csv, .tsv) or JSON (.jsonl, .json); name files of lines with --source and --target, or say what it is with --format", name))
	}
	m := &c.Seq2Seq
	if err := expandPreset(o, v.Name(), m, model.Seq2SeqPreset); err != nil {
		return err
	}
	if o.has("steps") {
		c.Pairs.Epochs = 0
	}
	return o.dropout(&m.EmbeddingDropout, &m.AttentionDropout, &m.ResidualDropout)
}

// oneSide reports a file of text: one side of pairs at most.
func oneSide(name string) bool {
	kind, err := datapairs.Sniff(name)
	return err == nil && kind == datapairs.KindText
}

func (v translationView) needData() error {
	if v.Settings.Pairs.Source != "" {
		return nil
	}
	return cli.Usage(errors.New("no translations to train on; name parallel files with --source and --target, or a table with --data"))
}

func (v translationView) paths() []*string {
	d := &v.Settings.Pairs
	return []*string{&d.Source, &d.Target, &d.ValSource, &d.ValTarget, &v.Settings.From.Dir}
}

func (v translationView) model() string {
	m := v.Settings.Seq2Seq
	return fmt.Sprintf("Encoder-decoder of %d+%d blocks, width %d, %d heads, up to %d and %d positions, vocabulary %d",
		m.EncoderLayers, m.DecoderLayers, m.Width, m.Heads, m.SourceContext, m.TargetContext, m.TargetVocab)
}

func (v translationView) batch() string {
	return pairBatch(v.Settings.Pairs, v.Settings.Loop, " of both languages")
}

// pairBatch says how large a batch of pairs is at most.
func pairBatch(d pairs.DataConfig, l train.LoopConfig, of string) string {
	text := fmt.Sprintf("up to %s tokens%s", cli.Count(int64(d.BatchTokens)), of)
	if l.Batch > 0 {
		text += fmt.Sprintf(" and %s pairs", cli.Count(int64(l.Batch)))
	}
	return text
}

func (v translationView) printScores(w io.Writer, sum train.Summary) { printLosses(w, sum) }
func (v translationView) printNotes(io.Writer)                       {}
func (v translationView) addJSON(j map[string]any, _ train.Summary)  { addPairs(j, &v.Sets) }
