package train

import (
	"context"
	"errors"
	"fmt"
	"math"

	"github.com/bdia-go/bdia"
	"github.com/bdia-go/bdia/backend"
	"github.com/bdia-go/bdia/model"
)

// A model that was trained elsewhere has no grid, and its residual stream can have
// outliers of thousands. Calibration looks for the finest grid whose exact range
// holds it, with headroom for what training adds.

const (
	calibrationSteps  = 4   // batches that are looked at
	calibrationTokens = 128 // at a time: so soon it ends when it is told to
	headroom          = 4   // times what they reach must be in range
)

var (
	// ErrNoGrid is wrapped by the error of a residual stream that no grid holds.
	ErrNoGrid = errors.New("no grid holds the residual stream")
	// ErrGrid is wrapped by that of one which the run's own grid does not hold.
	ErrGrid = errors.New("the grid does not hold the residual stream")
)

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
	Learner
	Initialiser
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

// notes are what a user should know of it.
func (c Calibration) notes() []string {
	d := c.GridLoss - c.FloatLoss
	notes := []string{
		fmt.Sprintf("Activations reach %.4g; grid of %s bits, exact below %.0f", c.MaxAbs, c.Grid, c.Limit),
		fmt.Sprintf("Loss before training: %.4f on the grid, %.4f in float32 (%+.2g), of %d tokens", c.GridLoss, c.FloatLoss, d, c.Losses),
	}
	if math.Abs(d) > 0.01*c.FloatLoss {
		notes = append(notes, fmt.Sprintf("The grid changes the loss by %.2g%%: training has to make up for it; without a grid, use --memory recompute --gamma 0 --grid none",
			100*d/c.FloatLoss))
	}
	return notes
}

// fitGrid measures the model that a run starts from before its first step, whoever
// trains it, and gives the run the grid that serves, if it may be another one. There
// is nothing to measure without a grid, and of a model that has learned nothing.
func (r *Run) fitGrid(ctx context.Context, obs Observer) (*Calibration, error) {
	t, wanted := r.Config.Tune, r.Config.Method.Grid
	if r.State.Step > 0 || t.From == "" || wanted == bdia.NoGrid {
		return nil, nil
	}
	c, err := r.calibrate(ctx, obs.Preparing)
	if err != nil {
		return nil, err
	}
	if c.Grid != wanted {
		if !t.AutoGrid {
			return nil, fmt.Errorf("train: %w: that of %s bits is exact below %.0f only, and activations reach %.4g; use --grid %s",
				ErrGrid, wanted, wanted.Limit(), c.MaxAbs, c.Grid)
		}
		r.Config.Method.Grid = c.Grid
		if err := r.saveConfig(); err != nil {
			return nil, err
		}
	}
	for _, note := range c.notes() {
		obs.Note(note)
	}
	return &c, nil
}

// calibrate measures the run's model, which has not learned yet, on the grid of its
// configuration and on coarser ones until one serves. It fails with ErrNoGrid where
// none does.
func (r *Run) calibrate(ctx context.Context, progress func(what string, done, total int64)) (Calibration, error) {
	progress(measuring, 0, 1)
	planner, err := backend.NewPlan(r.Config.Engine)
	if err != nil {
		return Calibration{}, err
	}
	if _, err := r.survey(&passes{ctx, func(string, int64, int64) {}, 0, 0}, planner, false); err != nil {
		return Calibration{}, err
	}
	be, err := backend.Open(r.Config.Engine, planner.Peak().Total)
	if err != nil {
		return Calibration{}, err
	}
	defer be.Close()
	return r.survey(&passes{ctx, progress, 0, 0}, be, true)
}

// passes counts the forward passes of a calibration, in percent of one.
type passes struct {
	ctx         context.Context
	progress    func(what string, done, total int64)
	done, total int64
}

const (
	measuring = "measuring activations"
	onePass   = 100
)

// run has f run the samples of b, some at a time, the first of which has a number. The
// bits are those of all at once.
func (p *passes) run(b model.Batch, f func(some model.Batch, first int) error) error {
	T := len(b.Inputs) / b.Size
	n := max(1, calibrationTokens/T)
	for first := 0; first < b.Size; first += n {
		p.progress(measuring, p.done+int64(onePass*first/b.Size), p.total)
		if err := p.ctx.Err(); err != nil {
			return err
		}
		last := min(first+n, b.Size)
		if err := f(model.Batch{Size: last - first, Inputs: b.Inputs[first*T : last*T], Targets: b.Targets[first*T : last*T]}, first); err != nil {
			return err
		}
	}
	p.done += onePass
	return nil
}

// survey is calibrate on be; without load, of what memory it takes.
func (r *Run) survey(p *passes, be backend.Backend, load bool) (c Calibration, err error) {
	learner, err := r.samples.Learner(be, r.Config)
	if err != nil {
		return c, err
	}
	l := learner.(calibrated) // as all language models
	if load {
		if err := l.Initialise(r.Config.Loop.Seed); err != nil {
			return c, err
		}
	}
	for c.Grid = r.Config.Method.Grid; ; c.Grid-- {
		c.Limit = c.Grid.Limit()
		p.total = p.done + 3*calibrationSteps*onePass
		c.MaxAbs, err = r.reach(p, l, c.Grid)
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
		for _, way := range []struct {
			grid bdia.Grid
			sum  *float64
		}{{c.Grid, &onGrid}, {bdia.NoGrid, &inFloat}} {
			if err := p.run(b, func(some model.Batch, _ int) error {
				losses, err := l.gpt().Loss(some, way.grid)
				*way.sum = model.AddLosses(*way.sum, losses)
				return err
			}); err != nil {
				return c, err
			}
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
	return fmt.Errorf("train: %w: the states of %s reach beyond %.0f, 1/%d of the coarsest grid's range; train without one: --memory recompute --gamma 0 --grid none",
		ErrNoGrid, dir, bdia.Grid(0).Limit()/headroom, headroom)
}

// reach returns the largest |x| of the first steps' forward passes on a grid, or one
// that is too large for it.
func (r *Run) reach(p *passes, l calibrated, grid bdia.Grid) (most float64, err error) {
	method := r.Config.Method
	method.Grid = grid
	m, err := l.gpt().WithOptions(method)
	if err != nil {
		return 0, err
	}
	for step := 1; step <= calibrationSteps && headroom*most <= grid.Limit(); step++ {
		b, _, err := l.sample(step)
		if err != nil {
			return 0, err
		}
		if err := p.run(b, func(some model.Batch, first int) error {
			largest, err := m.Reach(some, backend.Pass{Train: true, Seed: r.Config.Loop.Seed, Step: step, Sample: first})
			most = max(most, largest)
			return err
		}); err != nil {
			return 0, err
		}
	}
	return most, nil
}
