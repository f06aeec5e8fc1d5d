package train

import "github.com/bdia-go/bdia/backend"

// Observer hears what happens in a run, on the goroutine that trains. Embed Quiet and write the methods that you need;
// a nil Observer hears nothing.
type Observer interface {
	// Preparing tells how far the work before the first step is.
	Preparing(what string, done, total int64)
	// Note comes before Start with what a user should know of how the run begins.
	Note(text string)
	// Start comes once, with the first and last step and the planned memory.
	Start(first, last int, memory backend.Usage)
	// Step comes after every optimiser step, with the speed in the run's units a second.
	Step(step int, r StepResult, rate float64)
	// Evaluated comes after every evaluation. A score that was not measured has a loss of NaN.
	Evaluated(step int, val, train Score, best bool)
	// Saved comes after every checkpoint.
	Saved(step int, dir string)
	// Sampled comes with a sample of text.
	Sampled(step int, text string)
}

// Watcher is an Observer that hears when an evaluation begins, of the model after so many steps.
type Watcher interface {
	Evaluating(step int)
}

// Warner is an Observer that hears what goes wrong beside the training, which goes on: a figure that cannot be written,
// or a checkpoint that the disk refuses for now. Of each kind it hears once, of an overdue checkpoint once a minute.
type Warner interface {
	Warn(text string)
}

// Rescued is an Observer that hears of steps that diverged, when the run goes on after them (see OnDivergence).
type Rescued interface {
	Rescued(r Rescue)
}

// Quiet is an Observer that hears nothing.
type Quiet struct{}

// The methods of Quiet do nothing.

func (Quiet) Preparing(string, int64, int64)    {}
func (Quiet) Note(string)                       {}
func (Quiet) Start(int, int, backend.Usage)     {}
func (Quiet) Step(int, StepResult, float64)     {}
func (Quiet) Evaluated(int, Score, Score, bool) {}
func (Quiet) Saved(int, string)                 {}
func (Quiet) Sampled(int, string)               {}
