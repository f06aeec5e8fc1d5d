package train

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"math"
	"path/filepath"
	"slices"
	"strings"

	"github.com/bdia-go/bdia"
	"github.com/bdia-go/bdia/checkpoint"
	"github.com/bdia-go/bdia/model"
)

// OnDivergence says what a run does when a step diverges: its loss, a state or a gradient is not finite, or a state is
// beyond the range of the grid. That is found before the step changes parameters.
type OnDivergence string

const (
	// StopDiverged ends the run with an error. It is the default.
	StopDiverged OnDivergence = "stop"
	// SkipDiverged leaves the step out: no parameter changes, and the next step comes. After MaxSkips steps in a row the
	// run ends with the error. Where a step cannot be left out any more, the run goes back as with RewindDiverged: after
	// updates in the reverse walk have begun, and after an evaluation.
	SkipDiverged OnDivergence = "skip"
	// RewindDiverged goes back to the latest planned checkpoint, or to the beginning, and on from there at half the
	// learning rate, at most MaxRewinds times. The step right after that checkpoint would diverge again, whatever the
	// rate, so it is left out.
	RewindDiverged OnDivergence = "rewind"
)

// stops reports whether the run ends, as it does by default.
func (o OnDivergence) stops() bool { return o == "" || o == StopDiverged }

// Bounds of what a run does about divergence.
const (
	MaxSkips   = 5  // in a row
	MaxRewinds = 10 // in all
)

// Rescue is what a run did about a step that diverged.
type Rescue struct {
	Step    int          // that diverged
	Action  OnDivergence // SkipDiverged or RewindDiverged
	To      int          // step of the checkpoint that the run went back to
	Skipped int          // steps left out so far
	Rewinds int          // so far; each halves the learning rate
	Err     error        // why
}

// stepError is the error of a step.
type stepError struct {
	step   int
	result StepResult
	error
}

func (e *stepError) Unwrap() error { return e.error }

// slower is the factor of the learning rate of a run that went back so many times.
func slower(rewinds int) float64 { return math.Ldexp(1, -rewinds) }

// diverged reports whether err says that numbers left their range.
func diverged(err error) bool {
	return errors.Is(err, model.ErrDiverged) || errors.Is(err, bdia.ErrRange)
}

// rescue goes on after a step that failed with err because it diverged, if the settings say so. Otherwise it returns
// err, and where the run can go on.
func (l *loop) rescue(ctx context.Context, err error) error {
	for err != nil {
		if diverged(err) { // an evaluation too
			err = cmp.Or(l.s.sound(), err)
		}
		mode, st := l.Common().Loop.OnDivergence, &l.State
		if !diverged(err) || mode.stops() {
			return l.located(err)
		}
		var failed *stepError
		fresh := errors.As(err, &failed) && failed.step == st.Step+1 // a step, and nothing that follows one
		again := fresh && failed.step == st.Planned+1                // with the checkpoint's weights: it would diverge again
		leave := fresh && (mode == SkipDiverged || again)
		back := !leave || l.s.Changed()
		switch {
		case back && st.Rewinds >= MaxRewinds:
			return fmt.Errorf("the run went back %d times: %w", MaxRewinds, l.located(err))
		case leave && (again || !back) && st.SkippedInRow >= MaxSkips:
			return fmt.Errorf("%d steps in a row were left out: %w", MaxSkips, l.located(err))
		}
		var next error
		if back {
			next = l.rewind(ctx, err)
		}
		if next == nil && (again || !back) {
			next = l.skip(ctx, failed)
		}
		err = next
	}
	return nil
}

// located adds to err where the run can go on, if it does not say so.
func (l *loop) located(err error) error {
	if err == nil || strings.HasSuffix(err.Error(), l.intact(err)) {
		return err
	}
	return fmt.Errorf("%w%s", err, l.intact(err))
}

// skip leaves a step out. It counts as done.
func (l *loop) skip(ctx context.Context, failed *stepError) error {
	st := &l.State
	st.Step, st.Skipped, st.SkippedInRow = failed.step, st.Skipped+1, st.SkippedInRow+1
	l.tellRescue(Rescue{Step: failed.step, Action: SkipDiverged, Err: failed})
	l.clock()
	if err := l.recordWindow(failed.step, StepResult{LR: failed.result.LR}, rate(l.window.units, l.since(l.window.since))); err != nil {
		return err
	}
	return l.finish(ctx, failed.step)
}

// rewind goes back to the latest planned checkpoint at half the learning rate. It counts what happened; everything else
// is as if the steps since had not been.
func (l *loop) rewind(ctx context.Context, why error) error {
	was := l.State
	from := *l.Run
	st := firstState(*l.Common())
	var err error
	if from.Dir, err = l.plannedDir(); err == nil && from.Dir != "" {
		st, err = readState(from.Dir, *l.Common())
	}
	if err != nil {
		return fmt.Errorf("train: going back after %v: %w", why, err) // no divergence, after which it would try again
	}
	from.State = st
	if err := from.refill(l.s); err != nil {
		return fmt.Errorf("train: going back to step %d after %v: %w", st.Step, why, err)
	}
	l.s.start()
	st.Elapsed, st.Skipped, st.Rewinds = was.Elapsed, was.Skipped, was.Rewinds+1
	l.State = st
	l.keepCourse()
	l.s.slower = slower(st.Rewinds)
	l.sum.Stopped = false
	l.tellRescue(Rescue{Step: failedStep(why, was.Step), Action: RewindDiverged, To: st.Step, Err: why})
	if err := errors.Join(l.closeRecords(), l.openRecords()); err != nil {
		l.warn("records", err)
	}
	if st.Step == 0 {
		return l.first(ctx)
	}
	return nil
}

// failedStep is the step that err is of, or the latest.
func failedStep(err error, latest int) int {
	var failed *stepError
	if errors.As(err, &failed) {
		return failed.step
	}
	return latest
}

// plannedDir is the folder of the latest planned checkpoint: the run's, or one of its older checkpoints if the run was
// interrupted since. Empty: it is the beginning. It fails if the checkpoint is gone.
func (l *loop) plannedDir() (string, error) {
	planned := l.State.Planned
	switch {
	case l.Dir == "" || planned == 0:
		return "", nil
	case l.saved == planned:
		return l.Dir, nil
	}
	steps, err := checkpoint.Kept(l.Dir)
	if err != nil {
		return "", err
	}
	if !slices.Contains(steps, planned) {
		return "", fmt.Errorf("the checkpoint of step %d is not in %s any more", planned, filepath.Join(l.Dir, checkpoint.KeptDir))
	}
	return filepath.Join(l.Dir, filepath.FromSlash(checkpoint.KeptName(planned))), nil
}

// refill brings the weights and the optimiser of s to what the run has.
func (r *Run) refill(s *Session) error {
	if r.State.Step > 0 {
		return r.load(s)
	}
	for _, m := range s.Optimizer.Moments() {
		s.be.Zero(m.Value)
	}
	return s.Init()
}

// tellRescue lets an Observer that hears it hear how the run goes on.
func (l *loop) tellRescue(r Rescue) {
	r.Skipped, r.Rewinds = l.State.Skipped, l.State.Rewinds
	if o, ok := l.obs.(Rescued); ok {
		o.Rescued(r)
	}
}
