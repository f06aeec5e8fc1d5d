package main

import (
	"context"
	"fmt"
	"io"

	"github.com/bdia-go/bdia"
	"github.com/bdia-go/bdia/cmd/bdia/internal/cli"
	"github.com/bdia-go/bdia/convert"
	datapairs "github.com/bdia-go/bdia/data/pairs"
	"github.com/bdia-go/bdia/eval"
	"github.com/bdia-go/bdia/hub"
	"github.com/bdia-go/bdia/model"
	"github.com/bdia-go/bdia/train"
	"github.com/bdia-go/bdia/train/tune"
)

// pairReport is the result of an evaluation of pairs.
type pairReport struct {
	Split  string `json:"split"`
	Tokens int    `json:"tokens"` // of targets, ends included
	precisionReport
	eval.Losses
}

func (e *pairReport) loss() float64 { return e.Loss }

func (e *pairReport) print(w io.Writer) {
	name := map[string]string{"val": "Validation", "train": "Training", "test": "Test"}[e.Split]
	fmt.Fprintf(w, "%s pairs, %s target tokens:\n", name, cli.Count(int64(e.Tokens)))
	fmt.Fprintf(w, "  loss           %.4f nats a token (%s)\n", e.Loss, e.on(e.Grid))
	fmt.Fprintf(w, "  perplexity     %.3f\n", e.Perplexity)
	plain, short := e.plain()
	fmt.Fprintf(w, "  %-14s %.4f nats a token (grid - %s: %+.2g)\n", plain, e.FloatLoss, short, e.GridMinFloat)
	e.printGap(w)
}

// part returns the batches of the part that o names.
func (o evalOptions) part(of func(datapairs.Part) (*datapairs.Sequential, error)) (*datapairs.Sequential, error) {
	part := map[string]datapairs.Part{"train": datapairs.Train, "val": datapairs.Val, "test": datapairs.Test}[o.split]
	set, err := of(part)
	if err == nil && set == nil {
		err = cli.Usage(fmt.Errorf("this run holds no pairs out for %v; use --split train", part))
	}
	return set, err
}

// report is the losses that measure returns, on grid and in float32.
func (o evalOptions) report(grid bdia.Grid, measure func(bdia.Grid) (float64, int, error)) (printer, error) {
	onGrid, tokens, err := measure(grid)
	if err != nil {
		return nil, err
	}
	inFloat, _, err := measure(bdia.NoGrid)
	return &pairReport{o.split, tokens, precisionReport{}, eval.NewLosses(grid, onGrid, inFloat)}, err
}

func (v translationView) evaluates() []string { return []string{"test"} }

// evaluate measures the model of r on a part of its pairs.
func (v translationView) evaluate(ctx context.Context, r *train.Run, o evalOptions, _ *cli.Progress) (printer, error) {
	set, err := o.part(v.Part)
	if err != nil {
		return nil, err
	}
	f, err := openFolder(o.weights, hub.Options{Kind: convert.Seq2Seq})
	if err != nil {
		return nil, err
	}
	f.Seq2SeqInfo.Config = v.Settings.Seq2Seq
	buf := datapairs.NewBatch(set.Capacity())
	measure := func(m *model.Seq2Seq, grid bdia.Grid) (float64, int, error) {
		return eval.Translations(ctx, m, set, o.samples, buf, grid)
	}
	m, err := f.Seq2Seq(o.engine.of(f), func(m *model.Seq2Seq) error { _, _, err := measure(m, f.Grid); return err })
	if err != nil {
		return nil, err
	}
	defer m.Close()
	return o.report(f.Grid, func(grid bdia.Grid) (float64, int, error) { return measure(m.Seq2Seq, grid) })
}

func (v tuneView) evaluates() []string { return []string{"test"} }

// evaluate measures the model of r on the completions of a part.
func (v tuneView) evaluate(ctx context.Context, r *train.Run, o evalOptions, _ *cli.Progress) (printer, error) {
	set, err := o.part(v.Part)
	if err != nil {
		return nil, err
	}
	c := v.Settings
	measure := func(m *model.GPT, grid bdia.Grid) (float64, int, error) {
		return tune.Loss(ctx, m, set, o.samples, c.Tune.LossOnPrompt, grid)
	}
	l, err := loadRun(c.Model, o.engine, o.weights, o.lora, func(m *model.GPT) error { _, _, err := measure(m, c.Method.Grid); return err })
	if err != nil {
		return nil, err
	}
	defer l.be.Close()
	return o.report(c.Method.Grid, func(grid bdia.Grid) (float64, int, error) { return measure(l.model, grid) })
}
