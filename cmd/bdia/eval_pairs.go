package main

import (
	"context"
	"fmt"
	"io"

	"github.com/bdia-go/bdia"
	"github.com/bdia-go/bdia/backend"
	"github.com/bdia-go/bdia/backend/cpu"
	"github.com/bdia-go/bdia/backend/plan"
	"github.com/bdia-go/bdia/cmd/bdia/internal/cli"
	"github.com/bdia-go/bdia/data/pairs"
	"github.com/bdia-go/bdia/metric"
	"github.com/bdia-go/bdia/model"
	"github.com/bdia-go/bdia/train"
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
func evaluatePairs(ctx context.Context, r *train.Run, o evalOptions) (*pairReport, error) {
	part := map[string]pairs.Part{"train": pairs.Train, "val": pairs.Val, "test": pairs.Test}[o.split]
	set, err := r.Pairs.Sequential(r.Config, part)
	if err != nil {
		return nil, err
	}
	if set == nil {
		return nil, cli.Usage(fmt.Errorf("this run holds no pairs out for %v; use --split train", part))
	}
	cfg, grid, room := r.Config.Seq2Seq, r.Config.Method.Grid, pairs.NewBatch(set.Room())
	measure := func(be backend.Backend, load bool, grids ...bdia.Grid) (losses []float64, targets int, err error) {
		m, err := model.NewSeq2Seq(be, cfg, bdia.Options{Memory: bdia.Store, Grid: grid})
		if err == nil && load {
			err = train.LoadSeq2Seq(be, m, o.dir(r))
		}
		if err != nil {
			return nil, 0, err
		}
		for _, g := range grids {
			loss, n, err := train.MeanLoss(ctx, m, set, o.samples, room, g)
			if err != nil {
				return nil, 0, err
			}
			losses, targets = append(losses, loss), n
		}
		return losses, targets, nil
	}
	planner := plan.New(cpu.ScratchBytes(o.engine.Threads))
	if _, _, err := measure(planner, false, grid); err != nil {
		return nil, err
	}
	peak := planner.Peak()
	if err := plausible(o.dir(r), peak.ByComponent[backend.Weights]); err != nil {
		return nil, err
	}
	be, err := cpu.New(cpu.Options{Threads: o.engine.Threads, ISA: o.engine.ISA, ArenaBytes: peak.Total})
	if err != nil {
		return nil, err
	}
	defer be.Close()
	losses, targets, err := measure(be, true, grid, bdia.NoGrid)
	if err != nil {
		return nil, err
	}
	return &pairReport{Split: o.split, Tokens: targets, Loss: losses[0], Perplexity: metric.Perplexity(losses[0]), FloatLoss: losses[1],
		Grid: grid.String(), GridMinFloat: losses[0] - losses[1]}, nil
}

func (e *pairReport) print(w io.Writer) {
	name := map[string]string{"val": "Validation", "train": "Training", "test": "Test"}[e.Split]
	fmt.Fprintf(w, "%s pairs, %s target tokens:\n", name, cli.Count(int64(e.Tokens)))
	fmt.Fprintf(w, "  loss           %.4f nats a token (grid %s)\n", e.Loss, e.Grid)
	fmt.Fprintf(w, "  perplexity     %.3f\n", e.Perplexity)
	fmt.Fprintf(w, "  in float32     %.4f nats a token (grid - float32: %+.2g)\n", e.FloatLoss, e.GridMinFloat)
}
