package train

import (
	"errors"
	"slices"
	"time"

	"github.com/bdia-go/bdia/backend"
	"github.com/bdia-go/bdia/checkpoint"
	"github.com/bdia-go/bdia/metric"
)

// openRecords begins the records of a run in a folder, or goes on with them after its state.
func (l *loop) openRecords() (err error) {
	l.window.Window, l.window.units, l.window.since = l.State.Window, 0, l.now()
	if l.Dir == "" {
		return nil
	}
	from := metric.Start{After: l.State.Step, Marks: l.State.Records, TensorBoard: l.Common().Loop.TensorBoard, Certificates: l.Common().Loop.Certificate, Now: l.now}
	if l.State.Step == 0 {
		from.After = -1 // start the records afresh
	}
	if l.State.EvalDue {
		from.Again = ofEvaluation
	}
	if l.metrics, err = metric.OpenRun(l.Dir, from); err != nil {
		return err
	}
	for _, note := range l.metrics.Notes {
		l.warn(note, errors.New(note))
	}
	return nil
}

// syncRecords makes the records durable before a checkpoint counts on them, and notes in the state how far they are.
func (l *loop) syncRecords() error {
	if l.metrics == nil {
		return nil
	}
	err := l.tolerate(l.metrics.Sync())
	l.State.Window, l.State.Records = l.window.Window, l.metrics.Marks()
	return err
}

// closeRecords closes the records.
func (l *loop) closeRecords() error {
	if l.metrics == nil {
		return nil
	}
	err := l.tolerate(l.metrics.Close())
	l.metrics = nil
	return err
}

// keep records fields.
func (l *loop) keep(step int, fields []metric.Field) error {
	if l.metrics == nil {
		return nil
	}
	return l.tolerate(l.metrics.Record(step, fields...))
}

// tolerate makes the error of a disk a warning: records wait for it, and training goes on.
func (l *loop) tolerate(err error) error {
	var refused *metric.WriteError
	if !errors.As(err, &refused) {
		return err
	}
	l.warn("records in "+refused.File, err)
	return nil
}

// record keeps the step's numbers, averaged over LogEvery steps.
func (l *loop) record(step int, r StepResult) error {
	w := &l.window
	w.Steps++
	w.Losses += r.Loss
	w.units += r.Losses
	l.sum.MaxAbs = max(l.sum.MaxAbs, r.MaxAbs)
	speed := rate(w.units, l.since(w.since))
	l.clock()
	l.obs.Step(step, r, speed)
	if err := l.certify(); err != nil {
		return err
	}
	return l.recordWindow(step, r, speed)
}

// certify records the certificate of the latest step.
func (l *loop) certify() error {
	c := l.s.Certificate()
	if c == nil || l.metrics == nil {
		return nil
	}
	return l.tolerate(l.metrics.Certify(c))
}

// recordWindow records the window that ends at step, if one does.
func (l *loop) recordWindow(step int, r StepResult, speed float64) error {
	w := &l.window
	if !every(step, max(l.Common().Loop.LogEvery, 1)) {
		return nil
	}
	fields := []metric.Field{{Name: "lr", Value: r.LR}}
	if w.Steps > 0 { // else all of them were left out
		fields = []metric.Field{{Name: "train/loss", Value: w.Losses / float64(w.Steps)}, fields[0], {Name: Unit(l.s.Learner) + "_per_second", Value: speed}}
	}
	if l.Common().Loop.Clip > 0 && l.State.SkippedInRow == 0 {
		fields = append(fields, metric.Field{Name: "grad_norm", Value: r.GradNorm})
	}
	if r.MaxAbs > 0 {
		fields = append(fields, metric.Field{Name: "max_abs", Value: r.MaxAbs})
	}
	if n := l.State.Skipped; n > 0 {
		fields = append(fields, metric.Field{Name: "skipped_steps", Value: float64(n)})
	}
	if n := l.State.Rewinds; n > 0 {
		fields = append(fields, metric.Field{Name: "rewinds", Value: float64(n)})
	}
	if p := l.Common().Engine.Precision; p != backend.Float32 {
		fields = append(fields, metric.Field{Name: "operand_bits", Value: 16})
	}
	w.Steps, w.Losses, w.units, w.since = 0, 0, 0, l.now()
	return l.keep(step, fields)
}

// ofEvaluation tells the record of an evaluation from the record of a step.
func ofEvaluation(fields []metric.Field) bool {
	return !slices.ContainsFunc(fields, func(f metric.Field) bool { return f.Name == "lr" || f.Name == "train/loss" })
}

// figure draws what the run has measured. That takes longer with every record, so the
// next time is put off until this one is a small share of the run.
func (l *loop) figure() {
	began := l.now()
	if err := l.Figure(l.Dir); err != nil {
		l.warn("figure", err)
	}
	l.figureDue, l.nextFigure = false, l.now().Add(20*l.since(began))
}

// warn tells of what goes wrong beside the training, once for each kind.
func (l *loop) warn(kind string, err error) {
	if l.warned[kind] {
		return
	}
	l.warned[kind] = true
	l.sum.Warnings = append(l.sum.Warnings, err.Error())
	l.say(err.Error())
}

// say lets an Observer that hears warnings hear one.
func (l *loop) say(text string) {
	if w, ok := l.obs.(Warner); ok {
		w.Warn(text)
	}
}

// openWindow is the window that the next record is the mean of.
type openWindow struct {
	checkpoint.Window
	units int // tokens or images, of this process
	since time.Time
}
