package train

import (
	"context"
	"errors"
	"fmt"
	"math"

	"github.com/bdia-go/bdia/backend"
	"github.com/bdia-go/bdia/checkpoint"
)

// PrecisionError is the error of a run that is to go on in another precision of matrix products than its latest steps
// were done in. It can, with other bits, if that is asked for: see Run.NewPrecision.
type PrecisionError struct {
	Dir     string // of the run
	Was, Is backend.Precision
}

// Error names both precisions.
func (e *PrecisionError) Error() string {
	return fmt.Sprintf("train: %s was trained in %v, and its settings say %v; put engine.precision back, or ask for the change", e.Dir, e.Was, e.Is)
}

// precisionName is the precision of c in a course: empty for float32, as earlier versions wrote.
func precisionName(c Common) string {
	if c.Engine.Precision == backend.Float32 {
		return ""
	}
	return c.Engine.Precision.String()
}

// trainedIn is the precision of the latest step of a state.
func trainedIn(st checkpoint.State) (p backend.Precision, err error) {
	c := courseAt(st, st.Step)
	if c == nil || c.Precision == "" {
		return backend.Float32, nil
	}
	err = p.UnmarshalText([]byte(c.Precision))
	return p, err
}

// samePrecision fails if a run with state st would go on with the settings c in another precision than before, and
// nobody has asked for it: neither now, nor when the program wrote these settings.
func (r *Run) samePrecision(st checkpoint.State, c Common) error {
	was, err := trainedIn(st)
	if err != nil || r.NewPrecision || st.Step == 0 || was == c.Engine.Precision {
		return err
	}
	if c.Engine.Precision == r.Common().Engine.Precision && r.asWritten(configFile) {
		return nil
	}
	return &PrecisionError{r.Dir, was, c.Engine.Precision}
}

// adopts reports that bdia.yaml was edited to a precision that is asked for too: it is written, so that nobody need
// ask again.
func (r *Run) adopts() bool {
	was, err := trainedIn(r.State)
	return err == nil && r.NewPrecision && r.State.Step > 0 && was != r.Common().Engine.Precision && !r.asWritten(configFile)
}

// compareFloat32 measures the latest checkpoint of a run that has ended, in another precision, with float32 products,
// as the last evaluation has measured it: the difference is the price of the precision at inference. It closes the
// run's device first. What was not measured is Unmeasured.
func (l *loop) compareFloat32(ctx context.Context, free func()) (Score, error) {
	e := l.Common().Engine
	if e.Precision == backend.Float32 || l.Dir == "" || l.sum.Interrupted || l.saved != l.State.Step || math.IsNaN(l.sum.LastVal.Loss) {
		return Unmeasured, nil
	}
	free()
	e.Precision = backend.Float32
	score, err := l.measureOn(ctx, e)
	var short *backend.MemoryError
	switch {
	case ctx.Err() != nil && errors.Is(err, ctx.Err()):
		return Unmeasured, nil
	case errors.As(err, &short):
		l.warn("float32", fmt.Errorf("the loss of float32 products is not measured: %w", err))
		return Unmeasured, nil
	}
	return score, err
}

// measureOn evaluates the latest checkpoint on a device of its own.
func (l *loop) measureOn(ctx context.Context, engine backend.Options) (Score, error) {
	var learner Learner
	be, err := backend.Fit(engine, func(be backend.Backend) (err error) {
		learner, err = l.learner(be)
		return err
	}, func() error { return rehearse(learner) })
	if err != nil {
		return Unmeasured, err
	}
	defer be.Close()
	e, ok := ability[Evaluator](learner)
	if !ok {
		return Unmeasured, nil
	}
	if err := folderOf(be, learner).ReadModel(l.Dir); err != nil {
		return Unmeasured, err
	}
	score, ok, err := e.Evaluate(ctx, false)
	if !ok || err != nil {
		return Unmeasured, err
	}
	return score, nil
}
