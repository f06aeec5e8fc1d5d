package train

import (
	"context"
	"errors"
	"fmt"

	"github.com/bdia-go/bdia/checkpoint"
)

// run is the loop: steps, and what happens between them.
func (l *loop) run(ctx context.Context) error {
	st := &l.State
	if st.Step == 0 {
		for _, n := range abilities[Noter](l.s.Learner) {
			for _, note := range n.Notes() {
				l.obs.Note(note)
			}
		}
	}
	l.savedAt = l.now()
	l.obs.Start(st.Step+1, l.Common().Schedule.Steps, l.sum.Planned)
	if err := l.rescue(ctx, l.first(ctx)); err != nil {
		return err
	}
	if l.window.since = l.now(); !l.overdue.due {
		l.kept = *st // with how a trained model scored before
	}
	l.s.SetStop(ctx.Err)
	l.sum.Stopped = l.StoppedEarly()
	for st.Step < l.Common().Schedule.Steps && !l.sum.Stopped && !l.sum.Interrupted {
		if ctx.Err() != nil {
			l.sum.Interrupted = true
			break
		}
		if err := l.rescue(ctx, l.step(ctx, st.Step+1)); err != nil {
			return err
		}
	}
	if l.sum.Interrupted && (st.Step > l.saved || st.Step > 0 && st.Rewinds != l.kept.Rewinds) {
		return l.located(l.saveAt(ctx, save{step: st.Step, last: true}))
	}
	return nil
}

// step does a step and what follows it. A step that ctx breaks off leaves no trace. None is done on data that are known
// to be damaged.
func (l *loop) step(ctx context.Context, step int) error {
	if err := l.polluted(); err != nil {
		return err
	}
	st := &l.State
	r, err := l.s.Step(step)
	if l.broken(ctx, err) {
		return nil
	}
	if err != nil {
		return &stepError{step, r, err}
	}
	st.Step, st.Tokens, st.SkippedInRow = step, st.Tokens+int64(r.Losses), 0
	if err := l.record(step, r); err != nil {
		return err
	}
	return l.finish(ctx, step)
}

// finish does what follows a step that was done or left out.
func (l *loop) finish(ctx context.Context, step int) error {
	l.State.EvalDue = step == l.Common().Schedule.Steps || every(step, l.Common().Loop.EvalEvery)
	if err := l.after(ctx, step); err != nil {
		return err
	}
	return l.catchUp(ctx)
}

// after does what follows a step: it evaluates, samples and saves. An evaluation
// that ctx breaks off leaves no trace but EvalDue, by which the process that goes on
// begins here.
func (l *loop) after(ctx context.Context, step int) error {
	c, st := l.Common().Loop, &l.State
	last, best := step == l.Common().Schedule.Steps, false
	if st.EvalDue {
		var err error
		best, err = l.evaluate(ctx, step)
		if l.broken(ctx, err) {
			return nil
		}
		if err != nil {
			return err
		}
		st.EvalDue = false
		l.sum.Stopped = l.StoppedEarly()
	}
	if every(step, c.SampleEvery) {
		if err := l.sample(step); err != nil {
			return err
		}
	}
	atEvaluations := c.SaveEvery == 0 && c.SaveInterval == 0
	planned := best || last || l.sum.Stopped || every(step, c.SaveEvery) || atEvaluations && every(step, c.EvalEvery)
	if planned || l.timed() {
		return l.saveAt(ctx, save{step: step, best: best, planned: planned, last: last || l.sum.Stopped})
	}
	return nil
}

// timed reports that the latest checkpoint is as old as the settings allow. One that the disk refuses is left to
// catchUp.
func (l *loop) timed() bool {
	every := l.Common().Loop.SaveInterval
	return every > 0 && !l.overdue.due && l.since(l.savedAt) >= every
}

// broken notes that the run is interrupted where err is ctx's end.
func (l *loop) broken(ctx context.Context, err error) bool {
	l.sum.Interrupted = err != nil && errors.Is(err, ctx.Err())
	return l.sum.Interrupted
}

func every(step, n int) bool { return n > 0 && step%n == 0 }

// intact says beside err where the run can go on. It does not know if the folder has moved or another process wrote
// there.
func (l *loop) intact(err error) string {
	var moved *checkpoint.MovedError
	if l.saved == 0 || errors.As(err, &moved) || errors.Is(err, checkpoint.ErrOther) {
		return ""
	}
	return fmt.Sprintf(" (the checkpoint of step %d in %s is intact)", l.saved, l.Dir)
}

// sample lets the model write something.
func (l *loop) sample(step int) error {
	s, ok := ability[Sampler](l.s.Learner)
	if !ok {
		return nil
	}
	text, err := s.Sample()
	if err == nil {
		l.obs.Sampled(step, text)
	}
	return err
}
