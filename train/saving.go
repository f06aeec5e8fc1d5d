package train

import (
	"context"
	"fmt"
	"time"
)

// How long a run is patient with a disk that refuses a checkpoint.
const (
	// RetryEvery is the time between two tries. Between them training goes on, and the next try saves its newest state.
	RetryEvery = 30 * time.Second
	// SaveWait is how long the end of a run, or of a process that was told to stop, goes on trying. Then Train fails.
	SaveWait = 10 * time.Minute

	tellEvery = time.Minute // that a checkpoint is overdue
)

// save is a checkpoint to make.
type save struct {
	step    int
	best    bool // with the weights in best/
	planned bool // the settings ask for it
	last    bool // nothing is trained after it
}

// postponed is a checkpoint that the disk has refused.
type postponed struct {
	due  bool
	next time.Time // of the next try
	told time.Time // when the user was told
	last bool      // and that training is over
}

// saveAt writes a checkpoint and brings the run's figure up to date. If the disk refuses it for a reason that may pass,
// training goes on; after the last step there is nothing to go on with, and saveAt waits.
func (l *loop) saveAt(ctx context.Context, w save) error {
	if err := l.s.Finite(w.step); err != nil {
		return &stepError{w.step, StepResult{}, err}
	}
	l.clock()
	if l.Dir == "" {
		return nil
	}
	began, enough := l.now(), false
	for {
		err := l.write(w)
		if err == nil {
			break
		}
		if !passing(err) || enough || w.last && l.since(began) >= SaveWait {
			return fmt.Errorf("%w%s", err, l.intact(err))
		}
		l.postpone(w, err)
		if !w.last {
			l.forgetBest(w)
			return nil
		}
		enough = !l.wait(ctx)
	}
	l.figureDue = l.Figure != nil
	if l.figureDue && !l.now().Before(l.nextFigure) {
		l.figure()
	}
	return nil
}

// wait waits for the next try at a last checkpoint. It returns false if a user who has not stopped the run yet does so
// meanwhile.
func (l *loop) wait(ctx context.Context) bool {
	if ctx.Err() != nil { // who stops the run wants it saved
		l.watch.Wait(context.WithoutCancel(ctx), RetryEvery)
		return true
	}
	l.watch.Wait(ctx, RetryEvery)
	return ctx.Err() == nil
}

// write writes a checkpoint.
func (l *loop) write(w save) error {
	st := &l.State
	if err := l.syncRecords(); err != nil {
		return err
	}
	planned := st.Planned
	if w.planned {
		st.Planned = w.step
	}
	if err := l.Run.save(l.s, w.best); err != nil {
		st.Planned = planned
		return err
	}
	if l.overdue.due {
		l.say(fmt.Sprintf("the checkpoint of step %d is saved", w.step))
	}
	l.saved, l.savedAt, l.overdue = w.step, l.now(), postponed{}
	l.kept = *st
	l.obs.Saved(w.step, l.Dir)
	return nil
}

// forgetBest takes back that an evaluation was the best: its weights are not kept, and training changes them.
func (l *loop) forgetBest(w save) {
	if w.best {
		st := &l.State
		st.BestLoss, st.BestAccuracy, st.BestStep = l.kept.BestLoss, l.kept.BestAccuracy, l.kept.BestStep
	}
}

// postpone notes that a checkpoint failed, and tells so once a minute at most, and when training ends.
func (l *loop) postpone(w save, err error) {
	p := &l.overdue
	if p.told.IsZero() || l.since(p.told) >= tellEvery || w.last && !p.last {
		what := "training goes on, and the next try is in " + RetryEvery.String()
		if w.last {
			what = fmt.Sprintf("tried again every %v, for %v", RetryEvery, SaveWait)
		}
		text := fmt.Sprintf("the checkpoint of step %d is not saved: %v: %s%s", w.step, err, what, l.intact(err))
		if !l.warned["checkpoint"] {
			l.warned["checkpoint"] = true
			l.sum.Warnings = append(l.sum.Warnings, text)
		}
		l.say(text)
		p.told, p.last = l.now(), w.last
	}
	p.due, p.next = true, l.now().Add(RetryEvery)
}

// catchUp tries again to save, if a checkpoint is overdue.
func (l *loop) catchUp(ctx context.Context) error {
	if !l.overdue.due || l.now().Before(l.overdue.next) || l.sum.Interrupted || l.sum.Stopped {
		return nil
	}
	return l.saveAt(ctx, save{step: l.State.Step})
}
