package main

import (
	"errors"
	"io"

	"github.com/spf13/pflag"

	"github.com/bdia-go/bdia/cmd/bdia/internal/cli"
	"github.com/bdia-go/bdia/model"
	"github.com/bdia-go/bdia/train"
	"github.com/bdia-go/bdia/train/tune"
)

// tuneView is a trained language model that learns prompts and completions.
type tuneView struct{ *tune.Task }

func (v tuneView) words() words {
	return words{command: "bdia finetune", prefix: "tuned", unit: "tokens", measure: "loss", batch: "Most tokens of a batch", size: "--batch-tokens", length: "--epochs",
		try: []string{"bdia eval RUN PART", "bdia generate RUN --prompt TEXT"}}
}

func (v tuneView) flags() []group {
	c := &v.Settings
	return append(completionGroups(c), v.sizes()...)
}

// sizes are the flags of a language model with batches of so many tokens.
func (v tuneView) sizes() []group {
	c := &v.Settings
	return sizeGroups(&c.Common, func(f *pflag.FlagSet) { gptFlags(f, &c.Model) },
		func(f *pflag.FlagSet) { batchTokensFlag(f, &c.Pairs); batchFlag(f, &c.Loop) }, func(f *pflag.FlagSet) { moreGPTFlags(f, &c.Model) })
}

func (v tuneView) expand(o overrides) error {
	c := &v.Settings
	if dir, ok := o["from"]; ok {
		if err := c.StartFrom(dir); err != nil {
			return err
		}
	}
	if o.has("separator") {
		c.Tune.ChatTemplate = false
	}
	m := &c.Model
	if err := expandPreset(o, textKind, m, model.GPTPreset); err != nil {
		return err
	}
	if o.has("steps") {
		c.Pairs.Epochs = 0
	}
	return o.dropout(&m.EmbeddingDropout, &m.AttentionDropout, &m.ResidualDropout)
}

func (v tuneView) needData() error {
	if v.Settings.Pairs.Source != "" {
		return nil
	}
	return cli.Usage(errors.New("nothing to learn; name a text or pairs with --data, or --prompts and --completions"))
}

func (v tuneView) paths() []*string {
	d := &v.Settings.Pairs
	return []*string{&d.Source, &d.Target, &d.ValSource, &d.ValTarget, &v.Settings.Tune.From}
}

func (v tuneView) model() string { return gptText(v.Settings.Model, v.Settings.Tune) }

func (v tuneView) batch() string { return pairBatch(v.Settings.Pairs, v.Settings.Loop, "") }

func (v tuneView) printScores(w io.Writer, sum train.Summary) { printLosses(w, sum) }
func (v tuneView) autoGrid() bool                             { return v.Settings.Tune.AutoGrid }
func (v tuneView) printNotes(io.Writer)                       {}

func (v tuneView) addJSON(j map[string]any, sum train.Summary) {
	addPairs(j, &v.Sets)
	j["calibration"] = calibrationJSON(sum.Calibration)
}

// calibrationJSON is m for machines; null without one.
func calibrationJSON(m *train.Calibration) any {
	if m == nil {
		return nil
	}
	return map[string]any{"grid": m.Grid.String(), "max_abs": m.MaxAbs, "limit": m.Limit, "losses": m.Losses,
		"grid_loss": cli.Number(m.GridLoss), "float_loss": cli.Number(m.FloatLoss), "train_loss": cli.Number(m.TrainLoss)}
}
