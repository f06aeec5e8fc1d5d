package train

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/bdia-go/bdia/backend"
	"github.com/bdia-go/bdia/checkpoint"
	"github.com/bdia-go/bdia/metric"
)

// Summary is what a run comes to.
type Summary struct {
	Steps       int   // done, in all
	FirstVal    Score // on held-out samples, before the first step of this process
	LastVal     Score
	LastTrain   Score // on training samples, without gamma and dropout
	BestVal     Score
	BestStep    int
	Interrupted bool // by the context
	Stopped     bool // early, since validation no longer improved
	Seconds     float64
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
func (r *Run) Train(ctx context.Context, obs Observer) (Summary, error) {
	if obs == nil {
		obs = Quiet{}
	}
	if r.Dir != "" {
		unlock, err := checkpoint.Lock(r.Dir)
		if err != nil {
			return Summary{}, err
		}
		defer unlock()
		if err := checkpoint.Recover(r.Dir); err != nil {
			return Summary{}, err
		}
	}
	if err := r.Task.Open(ctx, obs.Preparing); err != nil {
		return Summary{}, err
	}
	l := &loop{Run: r, obs: obs, sum: Summary{LastVal: Unmeasured, FirstVal: Unmeasured, LastTrain: Unmeasured, BestVal: bestScore(r.State)}}
	var err error
	if l.sum.Calibration, err = r.fit(ctx, obs); err != nil {
		if ctx.Err() != nil && errors.Is(err, ctx.Err()) {
			l.sum.Interrupted, err = true, nil
		}
		return l.sum, err
	}
	planned, err := r.Plan()
	if err != nil {
		return Summary{}, err
	}
	l.sum.Planned = planned
	be, err := backend.Open(r.Common().Engine, planned.Total)
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
	err = l.run(ctx)
	if err == nil && l.figureDue {
		err = l.figure()
	}
	if l.metrics != nil {
		err = cmp.Or(err, l.metrics.Close())
	}
	l.sum.Steps, l.sum.BestVal, l.sum.BestStep = r.State.Step, bestScore(r.State), r.State.BestStep
	l.sum.Peak = be.Peak()
	l.sum.Seconds = time.Since(l.started).Seconds()
	return l.sum, err
}

// fit lets the task measure its model before the first step, and saves what it changed.
func (r *Run) fit(ctx context.Context, obs Observer) (*Calibration, error) {
	f, ok := r.Task.(Fitter)
	if !ok {
		return nil, nil
	}
	c, changed, err := f.Fit(ctx, r.State, obs)
	if err == nil && changed {
		err = r.saveConfig()
	}
	return c, err
}

// openRecords continues the records of a run in a folder.
func (l *loop) openRecords() (err error) {
	if l.Dir == "" {
		return nil
	}
	last := l.State.Step
	if last == 0 {
		last = -1 // start the records afresh
	}
	var again func([]metric.Field) bool
	if l.State.EvalDue {
		again = ofEvaluation
	}
	l.metrics, err = metric.OpenRun(l.Dir, last, again, l.Common().Loop.TensorBoard)
	return err
}

// keep records fields.
func (l *loop) keep(step int, fields []metric.Field) error {
	if l.metrics == nil {
		return nil
	}
	return l.metrics.Record(step, fields...)
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
		l.sum.Stopped = c.Patience > 0 && st.BadEvals >= c.Patience && !last
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

func every(step, n int) bool { return n > 0 && step%n == 0 }

// intact says in an error where the run can go on.
func (l *loop) intact() string {
	if l.saved == 0 {
		return ""
	}
	return fmt.Sprintf(" (the checkpoint of step %d in %s is intact)", l.saved, l.Dir)
}

// first evaluates the model as it is before this process changes it.
func (l *loop) first(ctx context.Context) error {
	if l.State.EvalDue {
		err := l.after(ctx, l.State.Step)
		l.sum.FirstVal = l.sum.LastVal
		return err
	}
	val, ok, err := l.s.evaluate(ctx, false)
	if l.broken(ctx, err) {
		return nil
	}
	if err != nil || !ok {
		return err
	}
	l.sum.FirstVal, l.sum.LastVal = val, val
	if l.State.Step > 0 {
		return nil
	}
	if l.s.options.Baseline { // the best has to be better than what was there
		l.rank(val, 0)
	}
	l.obs.Evaluated(0, val, Unmeasured, false)
	return l.keep(0, recordOf(l.s.Learner, "val/", val))
}

// record keeps the step's numbers, averaged over LogEvery steps.
func (l *loop) record(step int, r StepResult) error {
	w := &l.window
	w.steps++
	w.losses += r.Loss
	w.units += r.Losses
	l.sum.MaxAbs = max(l.sum.MaxAbs, r.MaxAbs)
	rate := float64(w.units) / time.Since(w.since).Seconds()
	l.State.Elapsed = l.before + time.Since(l.started).Seconds()
	l.obs.Step(step, r, rate)
	if !every(step, max(l.Common().Loop.LogEvery, 1)) {
		return nil
	}
	fields := []metric.Field{{Name: "train/loss", Value: w.losses / float64(w.steps)}, {Name: "lr", Value: r.LR}, {Name: Unit(l.s.Learner) + "_per_second", Value: rate}}
	if l.Common().Loop.Clip > 0 {
		fields = append(fields, metric.Field{Name: "grad_norm", Value: r.GradNorm})
	}
	if r.MaxAbs > 0 {
		fields = append(fields, metric.Field{Name: "max_abs", Value: r.MaxAbs})
	}
	w.steps, w.losses, w.units, w.since = 0, 0, 0, time.Now()
	return l.keep(step, fields)
}

// evaluate measures the model and reports whether it is the best yet.
func (l *loop) evaluate(ctx context.Context, step int) (best bool, err error) {
	paused := time.Now()
	defer func() { l.window.since = l.window.since.Add(time.Since(paused)) }()
	var fields []metric.Field
	train, ok, err := l.s.evaluate(ctx, true)
	if err != nil {
		return false, err
	}
	if ok {
		fields = append(fields, recordOf(l.s.Learner, "train/eval_", train)...)
	}
	val, ok, err := l.s.evaluate(ctx, false)
	if err != nil {
		return false, err
	}
	l.sum.LastTrain = train
	if ok {
		l.sum.LastVal = val
		if best = l.rank(val, step); !best {
			l.State.BadEvals++
		}
		fields = append(fields, recordOf(l.s.Learner, "val/", val)...)
	}
	if len(fields) == 0 {
		return false, nil
	}
	l.obs.Evaluated(step, val, train, best)
	return best, l.keep(step, fields)
}

// rank notes val if it is the best score yet.
func (l *loop) rank(val Score, step int) (best bool) {
	if best = val.better(l.State); best {
		l.State.BestLoss, l.State.BestAccuracy, l.State.BestStep, l.State.BadEvals = val.Loss, val.Accuracy, step, 0
	}
	return best
}

// ofEvaluation tells the record of an evaluation from that of a step.
func ofEvaluation(fields []metric.Field) bool {
	return !slices.ContainsFunc(fields, func(f metric.Field) bool { return f.Name == "train/loss" })
}

// bestScore is the best score that st remembers.
func bestScore(st checkpoint.State) Score {
	return Score{Loss: st.BestLoss, Accuracy: st.BestAccuracy}
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

// figure draws what the run has measured. That takes longer with every record, so the
// next time is put off until this one is a small share of the run.
func (l *loop) figure() error {
	began := time.Now()
	defer func() { l.figureDue, l.nextFigure = false, time.Now().Add(20*time.Since(began)) }()
	return l.Figure(l.Dir)
}
