package train

import (
	"context"
	"errors"
	"fmt"
	"math"

	"github.com/bdia-go/bdia"
	"github.com/bdia-go/bdia/backend"
	"github.com/bdia-go/bdia/backend/cpu"
	"github.com/bdia-go/bdia/backend/plan"
	"github.com/bdia-go/bdia/model"
)

// A model that was trained elsewhere has no grid, and its residual stream can have
// outliers of thousands. Calibration looks for the finest grid whose exact range
// holds it, with headroom for what training adds.

const (
	calibrationSteps = 4 // batches that are looked at
	headroom         = 4 // times what they reach must be in range
)

// ErrNoGrid is wrapped by the error of a residual stream that no grid holds.
var ErrNoGrid = errors.New("no grid holds the residual stream")

// Calibration is what a language model's residual stream does on the first training
// batches of a run, before it learns.
type Calibration struct {
	Grid      bdia.Grid // the finest that serves
	MaxAbs    float64   // largest |x| in training, with its random gamma, on that grid
	Limit     float64   // below which the grid is exact
	Losses    int       // of the batches: tokens that are learned
	FloatLoss float64   // mean loss (nats) of the ordinary transformer in float32
	GridLoss  float64   // the same with its states on the grid
}

// calibrated is a learner whose batches can be looked at.
type calibrated interface {
	learner
	// sample returns the batch of a step, and how many losses it has.
	sample(step int) (model.Batch, int, error)
	gpt() *model.GPT
}

func (l *language) gpt() *model.GPT { return l.GPT }

func (l *language) sample(step int) (model.Batch, int, error) {
	b := l.first(l.cfg.Loop.SamplesAtOnce())
	return b, len(b.Targets), l.batches.Batch(step, 0, b.Size, b.Inputs, b.Targets)
}

func (c *completion) sample(step int) (model.Batch, int, error) {
	err := c.prepare(step)
	return c.joined.Batch, c.joined.losses, err
}

// Calibrate measures the run's model, which has not learned yet, on the grid of its
// configuration and on coarser ones until one serves. It fails with ErrNoGrid where
// none does. The configuration stays as it is; see Reconfigure.
func (r *Run) Calibrate(ctx context.Context) (Calibration, error) {
	planner := plan.New(cpu.ScratchBytes(r.Config.Engine.Threads))
	if _, err := r.calibrate(ctx, planner, false); err != nil {
		return Calibration{}, err
	}
	be, err := NewCPU(r.Config, planner.Peak())
	if err != nil {
		return Calibration{}, err
	}
	defer be.Close()
	return r.calibrate(ctx, be, true)
}

func (r *Run) calibrate(ctx context.Context, be backend.Backend, load bool) (c Calibration, err error) {
	learner, err := r.samples.learner(be, r.Config)
	if err != nil {
		return c, err
	}
	l, ok := learner.(calibrated)
	if !ok || r.Config.Method.Grid == bdia.NoGrid {
		return c, fmt.Errorf("train: %w: calibration is for language models on a grid", ErrCombination)
	}
	if load {
		if err := l.start(r.Config.Loop.Seed); err != nil {
			return c, err
		}
	}
	for c.Grid = r.Config.Method.Grid; ; c.Grid-- {
		c.Limit = c.Grid.Limit()
		c.MaxAbs, err = r.reach(ctx, l, c.Grid)
		if err == nil && headroom*c.MaxAbs <= c.Limit {
			break
		}
		if err != nil && !errors.Is(err, bdia.ErrRange) {
			return c, err
		}
		if c.Grid == 0 {
			return c, gridless(r.Config.Tune.From, err)
		}
	}
	var onGrid, inFloat float64
	for step := 1; step <= calibrationSteps; step++ {
		b, losses, err := l.sample(step)
		if err != nil {
			return c, err
		}
		if err := firstOf(ctx.Err(), l.gpt().Loss(b, c.Grid, &onGrid), l.gpt().Loss(b, bdia.NoGrid, &inFloat)); err != nil {
			return c, err
		}
		c.Losses += losses
	}
	c.GridLoss, c.FloatLoss = onGrid/float64(c.Losses), inFloat/float64(c.Losses)
	return c, nil
}

// gridless is the error of the model in dir, whose states have failed on the coarsest
// grid: with err, where it is not for the headroom alone.
func gridless(dir string, err error) error {
	var out *bdia.RangeError
	if errors.As(err, &out) && (math.IsNaN(out.Value) || math.IsInf(out.Value, 0)) {
		return fmt.Errorf("train: %w: state x_%d of %s is %v, on every grid and without one; its weights are damaged, or were saved after training diverged: use others",
			ErrNoGrid, out.Block, dir, out.Value)
	}
	return fmt.Errorf("train: %w: the states of %s reach beyond %g, a %dth of the coarsest grid's range; train without one: --memory recompute --gamma 0 --grid none",
		ErrNoGrid, dir, bdia.Grid(0).Limit()/headroom, headroom)
}

// reach returns the largest |x| of the first steps' forward passes on a grid.
func (r *Run) reach(ctx context.Context, l calibrated, grid bdia.Grid) (most float64, err error) {
	method := r.Config.Method
	method.Grid = grid
	m, err := l.gpt().WithOptions(method)
	if err != nil {
		return 0, err
	}
	for step := 1; step <= calibrationSteps; step++ {
		b, _, err := l.sample(step)
		if err == nil {
			err = ctx.Err()
		}
		if err != nil {
			return 0, err
		}
		largest, err := m.Reach(b, backend.Pass{Train: true, Seed: r.Config.Loop.Seed, Step: step})
		if err != nil {
			return 0, err
		}
		most = max(most, largest)
	}
	return most, nil
}
