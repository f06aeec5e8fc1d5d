package tune

import (
	"context"
	"errors"
	"fmt"
	"math"

	"github.com/bdia-go/bdia"
	"github.com/bdia-go/bdia/backend"
	"github.com/bdia-go/bdia/checkpoint"
	"github.com/bdia-go/bdia/model"
	"github.com/bdia-go/bdia/train"
)

// A model that was trained elsewhere has no grid, and its residual stream can have outliers of thousands. Calibration
// looks for the finest grid with an exact range that holds it, with room for what training adds.

const (
	calibrationSteps  = 4   // batches that are looked at
	calibrationTokens = 128 // at a time: so soon it ends when it is told to
	// finest is the finest grid that is chosen. Half its unit is a thirty-thousandth of the smallest embeddings that
	// are known (rms 0.016), and a range of 1024 is left.
	finest bdia.Grid = 20
)

// room is how many times what states reach must be in range: as much as the averaged walk can grow, and at least twice.
// (States were measured with random gammas of the largest size, which grow them already; one pattern of signs may do
// more.)
func room(method bdia.Options) float64 {
	return max(2, method.Gamma.Growth())
}

var (
	// ErrNoGrid is wrapped by the error of a residual stream that no grid holds.
	ErrNoGrid = errors.New("no grid holds the residual stream")
	// ErrGrid is wrapped by the error of a residual stream that the run's own grid does not hold.
	ErrGrid = errors.New("the grid does not hold the residual stream")
)

// GridError is the error of a grid that does not hold the residual stream, though a coarser one does (ErrGrid).
type GridError struct {
	Grid, Fits bdia.Grid // the run's, and the finest that serves
	MaxAbs     float64   // largest |x| of the residual stream
	Needs      float64   // the range that MaxAbs takes, with room to grow
}

// Error names both grids.
func (e *GridError) Error() string {
	return fmt.Sprintf("train: %v: with %s bits it is exact below %.0f only, and activations reach %.4g, with room to grow %.4g; a grid of %s bits holds them",
		ErrGrid, e.Grid, e.Grid.Limit(), e.MaxAbs, e.Needs, e.Fits)
}

// Unwrap makes errors.Is(err, ErrGrid) true.
func (e *GridError) Unwrap() error { return ErrGrid }

// Calibrated is a learner of a language model with batches that can be looked at.
type Calibrated interface {
	train.Learner
	train.Initialiser
	// StepBatch returns the batch of a step, and how many losses it has.
	StepBatch(step int) (model.Batch, int, error)
	// Model is the language model.
	Model() *model.GPT
}

// notes are what a user should know of a calibration for a run with a method.
func notes(c *train.Calibration, method bdia.Options) []string {
	d := c.GridLoss - c.FloatLoss
	notes := []string{
		fmt.Sprintf("Activations reach %.4g; grid of %s bits, exact below %.0f", c.MaxAbs, c.Grid, c.Limit),
		fmt.Sprintf("Loss before training: %.4f on the grid, %.4f in float32 (%+.2g), of %d tokens", c.GridLoss, c.FloatLoss, d, c.Losses),
	}
	if math.Abs(d) > 0.01*c.FloatLoss {
		notes = append(notes, fmt.Sprintf("The grid changes the loss by %.2g%%: training has to make up for it, or do without a grid, with activations recomputed",
			100*d/c.FloatLoss))
	}
	if method.Gamma != 0 {
		d := c.TrainLoss - c.GridLoss
		text := fmt.Sprintf("Loss of the first batches in training, with gamma ±%s: %.4f (%+.2g)", method.GammaText(), c.TrainLoss, d)
		if d > 0.1*c.GridLoss {
			text += "; a smaller gamma spoils the model less"
		}
		notes = append(notes, text)
	}
	return notes
}

// Fit measures the model that a run of t starts from before its first step, and gives the run the grid that serves, if
// it may be another one (GridError, ErrNoGrid). There is nothing to measure without a grid, and of a model that has
// learned nothing. It reports whether it changed the grid.
func Fit(ctx context.Context, t train.Task, s Settings, st checkpoint.State, obs train.Observer) (*train.Calibration, bool, error) {
	method := &t.Common().Method
	wanted := method.Grid
	if st.Step > 0 || s.From == "" || wanted == bdia.NoGrid {
		return nil, false, nil
	}
	c, err := calibrate(ctx, t, s, obs.Preparing)
	if err != nil {
		return nil, false, err
	}
	if c.Grid != wanted && !s.AutoGrid {
		return nil, false, &GridError{wanted, c.Grid, c.MaxAbs, room(*method) * c.MaxAbs}
	}
	method.Grid = c.Grid
	for _, note := range notes(&c, *method) {
		obs.Note(note)
	}
	return &c, c.Grid != wanted, nil
}

// calibrate measures the task's model, which has not learned yet, on the grid of its settings and on coarser ones until
// one serves; if the grid may be chosen, then on the finest that may serve. It fails with ErrNoGrid if none does.
func calibrate(ctx context.Context, t train.Task, s Settings, progress train.Progress) (train.Calibration, error) {
	progress(measuring, 0, 1)
	engine := t.Common().Engine
	planner, err := backend.NewPlan(engine)
	if err != nil {
		return train.Calibration{}, err
	}
	if _, err := survey(&passes{ctx, func(string, int64, int64) {}, 0, 0}, t, s, planner, false); err != nil {
		return train.Calibration{}, err
	}
	be, err := backend.Open(engine, planner.Peak().Total)
	if err != nil {
		return train.Calibration{}, err
	}
	defer be.Close()
	return survey(&passes{ctx, progress, 0, 0}, t, s, be, true)
}

// passes counts the forward passes of a calibration, in percent of one.
type passes struct {
	ctx         context.Context
	progress    train.Progress
	done, total int64
}

const (
	measuring = "measuring activations"
	onePass   = 100
)

// run has f run the samples of b, some at a time, the first of which has a number. The
// bits are the same as of all at once.
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
func survey(p *passes, t train.Task, s Settings, be backend.Backend, load bool) (c train.Calibration, err error) {
	learner, err := t.Learner(be)
	if err != nil {
		return c, err
	}
	l := learner.(Calibrated) // as all language models
	common := *t.Common()
	if load {
		if err := l.Initialise(common.Loop.Seed); err != nil {
			return c, err
		}
	}
	from := common.Method.Grid
	if s.AutoGrid {
		from = min(from, finest)
	}
	if err := coarsen(&c, p, l, common, s.From, from); err != nil {
		return c, err
	}
	if fits := finestFor(room(common.Method) * c.MaxAbs); s.AutoGrid && fits > c.Grid {
		if err := coarsen(&c, p, l, common, s.From, fits); err != nil {
			return c, err
		}
	}
	common.Method.Grid = c.Grid
	m, err := l.Model().WithOptions(common.Method)
	if err != nil {
		return c, err
	}
	ways := []struct {
		sum  *float64
		loss func(b model.Batch, pass backend.Pass) ([]float32, error)
	}{
		{&c.GridLoss, func(b model.Batch, _ backend.Pass) ([]float32, error) { return m.Loss(b, c.Grid) }},
		{&c.FloatLoss, func(b model.Batch, _ backend.Pass) ([]float32, error) { return m.Loss(b, bdia.NoGrid) }},
		{&c.TrainLoss, m.TrainLoss},
	}
	for step := 1; step <= calibrationSteps; step++ {
		b, losses, err := l.StepBatch(step)
		if err != nil {
			return c, err
		}
		for _, way := range ways {
			if err := p.run(b, func(some model.Batch, first int) error {
				losses, err := way.loss(some, backend.Pass{Train: true, Seed: common.Loop.Seed, Step: step, Sample: first})
				*way.sum = model.AddLosses(*way.sum, losses)
				return err
			}); err != nil {
				return c, err
			}
		}
		c.Losses += losses
	}
	for _, way := range ways {
		*way.sum /= float64(c.Losses)
	}
	return c, nil
}

// coarsen sets the grid of c, and what states reach on it, to the first one that serves from the given one down. It
// fails with ErrNoGrid if none does.
func coarsen(c *train.Calibration, p *passes, l Calibrated, common train.Common, dir string, from bdia.Grid) (err error) {
	for c.Grid = from; ; c.Grid-- {
		c.Limit = c.Grid.Limit()
		p.total = p.done + 4*calibrationSteps*onePass
		c.MaxAbs, err = reach(p, l, common, c.Grid)
		if err == nil && room(common.Method)*c.MaxAbs <= c.Limit {
			return nil
		}
		if err != nil && !errors.Is(err, bdia.ErrRange) {
			return err
		}
		if c.Grid == 0 {
			return gridless(dir, room(common.Method), err)
		}
	}
}

// finestFor returns the finest grid with a magnitude in its range.
func finestFor(most float64) bdia.Grid {
	g := finest
	for g > 0 && most > g.Limit() {
		g--
	}
	return g
}

// gridless is the error of the model in dir when its states fail on the coarsest grid, with err, or
// for lack of room alone, when err is nil.
func gridless(dir string, room float64, err error) error {
	var out *bdia.RangeError
	if errors.As(err, &out) && (math.IsNaN(out.Value) || math.IsInf(out.Value, 0)) {
		return fmt.Errorf("train: %w: state x_%d of %s is %v, on every grid and without one; its weights are damaged, or were saved after training diverged: use others",
			ErrNoGrid, out.Block, dir, out.Value)
	}
	return fmt.Errorf("train: %w: the states of %s reach beyond %.0f, and with room for %.3g times as much that is the coarsest grid's range; train without one, with activations recomputed",
		ErrNoGrid, dir, bdia.Grid(0).Limit()/room, room)
}

// reach returns the largest |x| of the first steps' forward passes on a grid, or one
// that is too large for it.
func reach(p *passes, l Calibrated, common train.Common, grid bdia.Grid) (most float64, err error) {
	method := common.Method
	method.Grid, method.Ramp = grid, bdia.Ramp{} // states are largest with the largest gamma
	m, err := l.Model().WithOptions(method)
	if err != nil {
		return 0, err
	}
	for step := 1; step <= calibrationSteps && room(method)*most <= grid.Limit(); step++ {
		b, _, err := l.StepBatch(step)
		if err != nil {
			return 0, err
		}
		if err := p.run(b, func(some model.Batch, first int) error {
			largest, err := m.Reach(some, backend.Pass{Train: true, Seed: common.Loop.Seed, Step: step, Sample: first})
			most = max(most, largest)
			return err
		}); err != nil {
			return 0, err
		}
	}
	return most, nil
}
