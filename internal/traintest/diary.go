package traintest

import (
	"fmt"
	"math"

	"github.com/bdia-go/bdia/backend"
	"github.com/bdia-go/bdia/train"
)

// Diary is an Observer that writes everything down.
type Diary struct {
	Lines    []string
	Samples  []string
	Losses   []float64
	Warnings []string
	Rescues  []train.Rescue
	Vals     map[int]float64
	Best     int // step of the best evaluation
	Memory   backend.Usage
	Hook     func(step int)
}

func (d *Diary) note(format string, args ...any) {
	d.Lines = append(d.Lines, fmt.Sprintf(format, args...))
}

// Preparing writes nothing.
func (d *Diary) Preparing(string, int64, int64) {}

// Note writes the note.
func (d *Diary) Note(text string) { d.note("note: %s", text) }

// Start writes the first and the last step.
func (d *Diary) Start(first, last int, u backend.Usage) {
	d.Memory = u
	d.Vals = map[int]float64{}
	d.note("start %d-%d", first, last)
}

// Step keeps the loss.
func (d *Diary) Step(step int, r train.StepResult, _ float64) {
	d.Losses = append(d.Losses, r.Loss)
	d.note("step %d", step)
	if d.Hook != nil {
		d.Hook(step)
	}
}

// Evaluated keeps the validation loss.
func (d *Diary) Evaluated(step int, val, train train.Score, best bool) {
	d.Vals[step] = val.Loss
	if best {
		d.Best = step
	}
	d.note("eval %d train=%v", step, !math.IsNaN(train.Loss))
}

// Saved writes the step.
func (d *Diary) Saved(step int, _ string) { d.note("save %d", step) }

// Warn keeps the warning.
func (d *Diary) Warn(text string) { d.Warnings = append(d.Warnings, text) }

// Rescued keeps what was done about a step that diverged.
func (d *Diary) Rescued(r train.Rescue) { d.Rescues = append(d.Rescues, r) }

// Sampled keeps the text.
func (d *Diary) Sampled(step int, text string) {
	d.Samples = append(d.Samples, text)
	d.note("sample %d", step)
}
