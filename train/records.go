package train

import (
	"slices"
	"time"

	"github.com/bdia-go/bdia/metric"
)

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

// record keeps the step's numbers, averaged over LogEvery steps.
func (l *loop) record(step int, r StepResult) error {
	w := &l.window
	w.steps++
	w.losses += r.Loss
	w.units += r.Losses
	l.sum.MaxAbs = max(l.sum.MaxAbs, r.MaxAbs)
	rate := float64(w.units) / time.Since(w.since).Seconds()
	l.clock()
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

// ofEvaluation tells the record of an evaluation from the record of a step.
func ofEvaluation(fields []metric.Field) bool {
	return !slices.ContainsFunc(fields, func(f metric.Field) bool { return f.Name == "train/loss" })
}

// figure draws what the run has measured. That takes longer with every record, so the
// next time is put off until this one is a small share of the run.
func (l *loop) figure() error {
	began := time.Now()
	defer func() { l.figureDue, l.nextFigure = false, time.Now().Add(20*time.Since(began)) }()
	return l.Figure(l.Dir)
}
