package train

import (
	"cmp"
	"context"
	"errors"
	"fmt"
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
	BestVal     Score
	BestStep    int
	Interrupted bool    // by the context
	Stopped     bool    // early, since validation no longer improved
	Seconds     float64 // of this process: steps, evaluations and checkpoints
	Elapsed     float64 // seconds of the whole run, of all processes, to its latest step, evaluation or checkpoint
	Planned     backend.Usage
	Peak        backend.Usage // of the real arena
	MaxAbs      float64       // largest |x| of the residual stream
	Calibration *Calibration  // of a run that this process has begun, from a trained model and on a grid; else nil
}

// loop is one process's share of a run.
type loop struct {
	*Run
	s       *Session
	be      backend.Backend
	obs     Observer
	metrics *metric.Run
	sum     Summary
	started time.Time
	before  float64 // seconds trained by earlier processes
	saved   int     // step of the latest checkpoint; 0: there is none

	figureDue  bool // there are records that the figure does not show
	nextFigure time.Time
	window     struct {
		steps  int
		losses float64
		units  int // tokens or images
		since  time.Time
	}
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
	defer planned(&err)
	if err := r.Task.Open(ctx, obs.Preparing); err != nil {
		return Summary{}, err
	}
	st := r.State
	l := &loop{Run: r, obs: obs, sum: Summary{Steps: st.Step, Before: st.Step, Saved: st.Step, Elapsed: st.Elapsed,
		LastVal: Unmeasured, FirstVal: Unmeasured, LastTrain: Unmeasured, BestVal: bestScore(st), BestStep: st.BestStep}}
	if l.sum.Calibration, err = r.fit(ctx, obs); err != nil {
		if ctx.Err() != nil && errors.Is(err, ctx.Err()) {
			l.sum.Interrupted, err = true, nil
		}
		return l.sum, err
	}
	if l.sum.Planned, err = r.Plan(); err != nil {
		return Summary{}, err
	}
	if err := l.tell(ctx); err != nil {
		l.sum.Interrupted = true
		return l.sum, nil
	}
	be, err := backend.Open(r.Common().Engine, l.sum.Planned.Total)
	if err != nil {
		return l.sum, err
	}
	defer be.Close()
	l.be = be
	learner, err := r.learner(be)
	if err != nil {
		return l.sum, err
	}
	if l.s, err = NewSession(be, learner, r.options()); err != nil {
		return l.sum, err
	}
	if err := r.load(l.s); err != nil {
		return l.sum, err
	}
	if err := l.openRecords(); err != nil {
		return l.sum, err
	}
	if l.metrics != nil {
		defer func() { err = cmp.Or(err, l.metrics.Close()) }()
	}
	err = l.run(ctx)
	if err == nil && l.figureDue {
		err = l.figure()
	}
	l.sum.Steps, l.sum.BestVal, l.sum.BestStep = r.State.Step, bestScore(r.State), r.State.BestStep
	l.sum.Peak, l.sum.Saved = be.Peak(), l.saved
	l.sum.Seconds, l.sum.Elapsed = time.Since(l.started).Seconds(), r.State.Elapsed
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

// begin locks the folder of the run and takes the state from it: another process may have trained since the run was
// opened, or an earlier Train failed after its latest checkpoint. A run without a folder begins at the beginning.
func (r *Run) begin() (unlock func(), err error) {
	if r.Dir == "" {
		r.State = firstState(*r.Common())
		return func() {}, nil
	}
	if unlock, err = checkpoint.Lock(r.Dir); err != nil {
		return nil, err
	}
	if err = cmp.Or(checkpoint.Recover(r.Dir), lost(r.Dir)); err == nil {
		r.State, err = readState(r.Dir, *r.Common())
	}
	if err != nil {
		unlock()
		return nil, err
	}
	return unlock, nil
}

// fit lets the task measure its model before the first step, and saves what it changed.
func (r *Run) fit(ctx context.Context, obs Observer) (*Calibration, error) {
	f, ok := r.Task.(Fitter)
	if !ok {
		return nil, nil
	}
	c, changed, err := f.Fit(ctx, r.State, obs)
	if err == nil && changed {
		err = saveConfig(r.Dir, r.Task)
	}
	return c, err
}

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
	l.started, l.before = time.Now(), st.Elapsed
	l.obs.Start(st.Step+1, l.Common().Schedule.Steps, l.sum.Planned)
	l.saved = st.Step
	if err := l.first(ctx); err != nil {
		return err
	}
	l.window.since = time.Now()
	l.sum.Stopped = l.StoppedEarly()
	for step := st.Step + 1; step <= l.Common().Schedule.Steps && !l.sum.Stopped && !l.sum.Interrupted; step++ {
		if ctx.Err() != nil {
			l.sum.Interrupted = true
			break
		}
		r, err := l.s.Step(step)
		if err != nil {
			return fmt.Errorf("%w%s", err, l.intact())
		}
		st.Step, st.Tokens = step, st.Tokens+int64(r.Losses)
		if err := l.record(step, r); err != nil {
			return err
		}
		st.EvalDue = step == l.Common().Schedule.Steps || every(step, l.Common().Loop.EvalEvery)
		if err := l.after(ctx, step); err != nil {
			return err
		}
	}
	if l.sum.Interrupted && st.Step > l.saved {
		return l.saveAt(st.Step, false)
	}
	return nil
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
			return fmt.Errorf("%w%s", err, l.intact())
		}
		st.EvalDue = false
		l.sum.Stopped = l.StoppedEarly()
	}
	if every(step, c.SampleEvery) {
		if err := l.sample(step); err != nil {
			return err
		}
	}
	if best || last || l.sum.Stopped || every(step, c.SaveEvery) || c.SaveEvery == 0 && every(step, c.EvalEvery) {
		return l.saveAt(step, best)
	}
	return nil
}

// broken notes that the run is interrupted where err is ctx's end.
func (l *loop) broken(ctx context.Context, err error) bool {
	l.sum.Interrupted = err != nil && errors.Is(err, ctx.Err())
	return l.sum.Interrupted
}

// clock brings the time of the run up to date.
func (l *loop) clock() { l.State.Elapsed = l.before + time.Since(l.started).Seconds() }

func every(step, n int) bool { return n > 0 && step%n == 0 }

// intact says in an error where the run can go on.
func (l *loop) intact() string {
	if l.saved == 0 {
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

// saveAt writes a checkpoint and brings the run's figure up to date.
func (l *loop) saveAt(step int, best bool) error {
	if err := l.s.Finite(step); err != nil {
		return fmt.Errorf("%w%s", err, l.intact())
	}
	l.clock()
	if l.Dir == "" {
		return nil
	}
	if err := l.Run.save(l.s, best); err != nil {
		return err
	}
	l.saved = step
	l.obs.Saved(step, l.Dir)
	l.figureDue = l.Figure != nil
	if !l.figureDue || time.Now().Before(l.nextFigure) {
		return nil
	}
	return l.figure()
}
