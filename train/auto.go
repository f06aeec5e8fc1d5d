package train

import (
	"fmt"
	"math"
	"reflect"
	"strconv"
)

// Auto is the value of a setting that a run chooses from its data (see Assumer). Settings of which 0 means nothing else
// are open at 0: the learning rate, the steps, the batch, the sizes of a model.
const Auto = -1

// Assumer is the settings of a task of which some may be open: Prepare chooses them from the data. Default settings are
// open wherever the data can decide.
type Assumer interface {
	// Assume gives every open setting the value that it has while the data are unknown: to plan and to time.
	Assume()
}

// Assume closes the open settings of t, as far as it has any, without data. It changes nothing that was set.
func Assume(t Task) {
	if a, ok := t.Config().(Assumer); ok {
		a.Assume()
	}
}

// OpenError is the error of a setting that is open where all have to be settled: in a run that has begun.
type OpenError struct {
	Setting string // section and key, for example "schedule.lr"
}

// Error names the setting.
func (e *OpenError) Error() string {
	return fmt.Sprintf("%s is not settled; give it a value: only a run that begins can choose it", e.Setting)
}

// Settled reports the first open setting of t (OpenError), if any.
func Settled(t Task) error {
	if _, ok := t.Config().(Assumer); !ok {
		return nil
	}
	is := reflect.ValueOf(t.Config()).Elem()
	closed := reflect.New(is.Type())
	closed.Elem().Set(is)
	closed.Interface().(Assumer).Assume()
	if open := differences(is, closed.Elem(), "", true); len(open) > 0 {
		return &OpenError{open[0].Setting}
	}
	return nil
}

// Choice is what a task chooses for the open settings of its Common.
type Choice struct {
	LR        float64
	Steps     int
	Warmup    float64 // share of the steps
	Clip      float64
	EvalEvery int // steps
	Patience  int
	Pass      int // steps of a pass over the data
}

// RampPasses is how many passes over the data a ramp of gamma takes at least, if its length is open at Auto.
const RampPasses = 12

// OpenLoop leaves every setting of c open that a run can choose from its data: rate, steps and warm-up, clipping,
// evaluations and patience.
func (c *Common) OpenLoop() {
	c.Schedule.LR, c.Schedule.Steps, c.Schedule.Warmup = 0, 0, Auto
	c.Loop.Clip, c.Loop.EvalEvery, c.Loop.Patience = Auto, Auto, Auto
}

// Choose gives the open settings of c their values. A run that updates in the reverse walk is not clipped. A ramp of
// gamma takes the whole run if its steps are open at 0, and RampPasses at least if they are open at Auto.
func (c *Common) Choose(d Choice) {
	s, l := &c.Schedule, &c.Loop
	open(&s.LR, 0, d.LR)
	open(&s.Steps, 0, max(1, d.Steps))
	open(&s.Warmup, Auto, int(math.Round(d.Warmup*float64(s.Steps))))
	if r := &c.Method.Ramp; r.From != 0 {
		open(&r.Steps, 0, s.Steps)
		open(&r.Steps, Auto, max(s.Steps, RampPasses*d.Pass))
	}
	if l.Update == WhenNow {
		d.Clip = 0
	}
	open(&l.Clip, float64(Auto), d.Clip)
	open(&l.EvalEvery, Auto, d.EvalEvery)
	open(&l.Patience, Auto, d.Patience)
}

// open gives a setting a value if it has the one that means open.
func open[T comparable](setting *T, at, value T) {
	if *setting == at {
		*setting = value
	}
}

// Fill gives a setting a value if it is open at zero.
func Fill[T comparable](setting *T, value T) {
	var zero T
	open(setting, zero, value)
}

// Evaluations returns the steps between evaluations of a run of so many steps, so that there are about n.
func Evaluations(steps, n int) int { return max(1, (steps+n/2)/n) }

// Readable rounds x to two digits, so that a chosen setting is easy to read and to repeat.
func Readable(x float64) float64 {
	r, err := strconv.ParseFloat(strconv.FormatFloat(x, 'e', 1, 64), 64)
	if err != nil {
		return x
	}
	return r
}

// FitBatch returns the largest batch that micro-batches of the given size (0: any) divide: of at most n samples, and of
// one micro-batch at least.
func FitBatch(n, micro int) int {
	if micro <= 0 {
		return max(1, n)
	}
	return max(1, n/micro) * micro
}
