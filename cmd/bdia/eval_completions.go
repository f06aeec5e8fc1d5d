package main

import (
	"context"
	"fmt"

	"github.com/bdia-go/bdia"
	"github.com/bdia-go/bdia/cmd/bdia/internal/cli"
	"github.com/bdia-go/bdia/data/pairs"
	"github.com/bdia-go/bdia/metric"
	"github.com/bdia-go/bdia/model"
	"github.com/bdia-go/bdia/train/tune"
)

// evaluateCompletions measures r's model on the completions of a part, on a grid and
// in float32.
func evaluateCompletions(ctx context.Context, r *oneRun, o evalOptions) (*pairReport, error) {
	part := map[string]pairs.Part{"train": pairs.Train, "val": pairs.Val, "test": pairs.Test}[o.split]
	set, err := r.Pairs.Sequential(r.Config.Pairs, part)
	if err != nil {
		return nil, err
	}
	if set == nil {
		return nil, cli.Usage(fmt.Errorf("this run holds no pairs out for %v; use --split train", part))
	}
	r.Config.Engine, r.Config.Loop.EvalSamples = o.engine, o.samples
	grid, losses := r.Config.Method.Grid, 0
	measure := func(m *model.GPT, grid bdia.Grid) (loss float64, err error) {
		loss, losses, err = tune.Loss(ctx, m, set, r.Config.Loop.EvalSamples, r.Config.Tune.LossOnPrompt, grid)
		return loss, err
	}
	l, err := loadRun(r, o.dir(r), o.lora, func(m *model.GPT) error {
		_, err := measure(m, grid)
		return err
	})
	if err != nil {
		return nil, err
	}
	defer l.be.Close()
	onGrid, err := measure(l.model, grid)
	if err != nil {
		return nil, err
	}
	inFloat, err := measure(l.model, bdia.NoGrid)
	return &pairReport{Split: o.split, Tokens: losses, Loss: onGrid, Perplexity: metric.Perplexity(onGrid), FloatLoss: inFloat,
		Grid: grid.String(), GridMinFloat: onGrid - inFloat}, err
}
