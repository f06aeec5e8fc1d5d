package main

import (
	"context"
	"fmt"
	"io"

	"github.com/bdia-go/bdia"
	"github.com/bdia-go/bdia/cmd/bdia/internal/cli"
	"github.com/bdia-go/bdia/convert"
	"github.com/bdia-go/bdia/data/pairs"
	"github.com/bdia-go/bdia/eval"
	"github.com/bdia-go/bdia/hub"
	"github.com/bdia-go/bdia/metric"
	"github.com/bdia-go/bdia/model"
)

// pairReport is the result of an evaluation of translations.
type pairReport struct {
	Split        string  `json:"split"`
	Tokens       int     `json:"tokens"` // of targets, ends included
	Loss         float64 `json:"loss"`   // nats a token, states on the run's grid
	Perplexity   float64 `json:"perplexity"`
	FloatLoss    float64 `json:"float_loss"` // states in plain float32
	Grid         string  `json:"grid"`
	GridMinFloat float64 `json:"grid_minus_float"`
}

// evaluatePairs measures r's model on a grid and in float32.
func evaluatePairs(ctx context.Context, r *oneRun, o evalOptions) (*pairReport, error) {
	part := map[string]pairs.Part{"train": pairs.Train, "val": pairs.Val, "test": pairs.Test}[o.split]
	set, err := r.Pairs.Sequential(r.Config.Pairs, part)
	if err != nil {
		return nil, err
	}
	if set == nil {
		return nil, cli.Usage(fmt.Errorf("this run holds no pairs out for %v; use --split train", part))
	}
	f, err := openFolder(o.dir(r), hub.Options{Kind: convert.Seq2Seq})
	if err != nil {
		return nil, err
	}
	f.Seq2SeqInfo.Config = r.Config.Seq2Seq
	grid, room, targets := f.Grid, pairs.NewBatch(set.Capacity()), 0
	measure := func(m *model.Seq2Seq, grid bdia.Grid) (loss float64, err error) {
		loss, targets, err = eval.Translations(ctx, m, set, o.samples, room, grid)
		return loss, err
	}
	m, err := f.Seq2Seq(o.engine, func(m *model.Seq2Seq) error { _, err := measure(m, grid); return err })
	if err != nil {
		return nil, err
	}
	defer m.Close()
	onGrid, err := measure(m.Seq2Seq, grid)
	if err != nil {
		return nil, err
	}
	inFloat, err := measure(m.Seq2Seq, bdia.NoGrid)
	if err != nil {
		return nil, err
	}
	return &pairReport{Split: o.split, Tokens: targets, Loss: onGrid, Perplexity: metric.Perplexity(onGrid), FloatLoss: inFloat,
		Grid: grid.String(), GridMinFloat: onGrid - inFloat}, nil
}

func (e *pairReport) print(w io.Writer) {
	name := map[string]string{"val": "Validation", "train": "Training", "test": "Test"}[e.Split]
	fmt.Fprintf(w, "%s pairs, %s target tokens:\n", name, cli.Count(int64(e.Tokens)))
	fmt.Fprintf(w, "  loss           %.4f nats a token (grid %s)\n", e.Loss, e.Grid)
	fmt.Fprintf(w, "  perplexity     %.3f\n", e.Perplexity)
	fmt.Fprintf(w, "  in float32     %.4f nats a token (grid - float32: %+.2g)\n", e.FloatLoss, e.GridMinFloat)
}
