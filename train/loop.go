package train

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/bdia-go/bdia/backend"
	"github.com/bdia-go/bdia/checkpoint"
	"github.com/bdia-go/bdia/metric"
)

// Summary is what a run comes to.
type Summary struct {
	Steps       int   // done, in all
	Before      int   // of them, done by earlier processes
	Saved       int   // step of the latest checkpoint; 0: there is none
	FirstVal    Score // on held-out samples, before the first step of this process
	LastVal     Score
	LastTrain   Score // on training samples, without gamma and dropout
	Float32Val  Score // as LastVal, with float32 products: of a run that has ended, in another precision
	BestVal     Score
	BestStep    int
	Interrupted bool     // by the context
	Skipped     int      // steps that were left out since they diverged, by all processes
	Rewinds     int      // how often the run went back to a checkpoint since it diverged
	Warnings    []string // what went wrong beside the training, once for each kind: a figure that could not be written, say
	Stopped     bool     // early, since validation no longer improved
	Seconds     float64  // of this process: steps, evaluations and checkpoints
	Elapsed     float64  // seconds of the whole run, of all processes, to its latest step, evaluation or checkpoint
	Planned     backend.Usage
	Peak        backend.Usage // of the real arena
	Host        Host          // beside it, about
	MaxAbs      float64       // largest |x| of the residual stream
	Calibration *Calibration  // of a run that this process has begun, from a trained model and on a grid; else nil
}

// loop is one process's share of a run.
type loop struct {
	*Run
	s       *Session
	obs     Observer
	watch   Clock
	metrics *metric.Run
	sum     Summary
	warned  map[string]bool // kinds of warnings
	started time.Time
	before  float64   // seconds trained by earlier processes
	saved   int       // step of the latest checkpoint; 0: there is none
	savedAt time.Time // when this process saved it, or began
	overdue postponed
	kept    checkpoint.State // as the latest checkpoint has it, or the beginning

	figureDue  bool // there are records that the figure does not show
	nextFigure time.Time
	window     openWindow
}

// Train runs the remaining steps of r. A run that starts from a trained model is put
// on a grid that holds it first (ErrGrid, ErrNoGrid). When ctx is done Train saves and
// returns with Interrupted set. On an error the run's latest checkpoint stays as it was.
func (r *Run) Train(ctx context.Context, obs Observer) (sum Summary, err error) {
	if ctx == nil {
		panic("train: Train without a context; give it context.Background()")
	}
	if obs == nil {
		obs = Quiet{}
	}
	unlock, err := r.begin()
	if err != nil {
		return Summary{}, err
	}
	defer unlock()
	r.tell(obs)
	defer planned(&err)
	if err := r.Task.Open(ctx, obs.Preparing); err != nil {
		return Summary{}, err
	}
	st := r.State
	l := &loop{Run: r, obs: obs, watch: realClock{}, warned: map[string]bool{}, sum: Summary{Steps: st.Step, Before: st.Step, Saved: st.Step, Elapsed: st.Elapsed,
		LastVal: Unmeasured, FirstVal: Unmeasured, LastTrain: Unmeasured, Float32Val: Unmeasured, BestVal: bestScore(st), BestStep: st.BestStep}}
	if r.Clock != nil {
		l.watch = r.Clock
	}
	if l.sum.Calibration, err = r.fit(ctx, obs); err != nil {
		if ctx.Err() != nil && errors.Is(err, ctx.Err()) {
			l.sum.Interrupted, err = true, nil
		}
		return l.sum, err
	}
	if l.sum.Planned, err = r.room(); err != nil {
		return Summary{}, err
	}
	if err := l.tell(ctx); err != nil {
		l.sum.Interrupted = true
		return l.sum, nil
	}
	s, be, err := r.session(l.sum.Planned, r.options())
	if err != nil {
		return l.sum, err
	}
	free := sync.OnceFunc(be.Close)
	defer free()
	l.s = s
	if err := r.load(l.s); err != nil {
		return l.sum, err
	}
	l.s.start()
	r.keepCourse()
	if st.Planned == 0 && st.Records == nil { // an earlier version's
		r.State.Planned = st.Step
	}
	l.s.slower = slower(st.Rewinds)
	l.started, l.before, l.saved, l.kept = l.now(), st.Elapsed, st.Step, st
	if err := l.openRecords(); err != nil {
		return l.sum, err
	}
	err = l.run(ctx)
	if err == nil && l.figureDue {
		l.figure()
	}
	err = cmp.Or(err, l.closeRecords())
	l.sum.Steps, l.sum.BestVal, l.sum.BestStep = r.State.Step, bestScore(r.State), r.State.BestStep
	l.sum.Skipped, l.sum.Rewinds = r.State.Skipped, r.State.Rewinds
	l.sum.Peak, l.sum.Host, l.sum.Saved = be.Peak(), HostOf(r.Task), l.saved
	l.sum.Seconds, l.sum.Elapsed = l.since(l.started).Seconds(), r.State.Elapsed
	if err == nil {
		l.sum.Float32Val, err = l.compareFloat32(ctx, free)
	}
	return l.sum, err
}

// planned makes an error of a run that needs more memory than its plan: a source's batch is larger than the planned
// one, or a function builds another Learner on the device.
func planned(err *error) {
	switch full := recover().(type) {
	case nil:
	case *backend.ArenaError:
		*err = fmt.Errorf("train: a step or an evaluation takes more memory than its plan: %w; let the source implement Planner if its batches differ, and build the same Learner on every backend", full)
	default:
		panic(full)
	}
}

// fit lets the task measure its model before the first step, and saves what it changed.
func (r *Run) fit(ctx context.Context, obs Observer) (*Calibration, error) {
	f, ok := r.Task.(Fitter)
	if !ok {
		return nil, nil
	}
	c, changed, err := f.Fit(ctx, r.State, obs)
	if err == nil && changed {
		err = r.saveConfig(r.Task, r.held.Save)
	}
	return c, err
}
