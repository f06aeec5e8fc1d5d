package train

import (
	"context"
	"fmt"
	"maps"
	"math"
	"path/filepath"
	"slices"
	"strings"

	"github.com/bdia-go/bdia"
	"github.com/bdia-go/bdia/backend"
	"github.com/bdia-go/bdia/checkpoint"
	"github.com/bdia-go/bdia/hub"
	"github.com/bdia-go/bdia/tensor"
)

// Progress hears how far a preparation is.
type Progress func(what string, done, total int64)

// Task is what a run learns: settings, data and model of one kind. Packages train/text, train/pairs, train/images and
// train/tune have the tasks of bdia; a task of your own registers itself in the same way (see Register).
type Task interface {
	// Name is the name under which the task is registered.
	Name() string
	// Config returns a pointer to the settings: a struct with a yaml tag on each field, Common inlined at the end.
	Config() any
	// Common returns the settings that every run has: those in Config.
	Common() *Common
	// Validate returns an error for the first invalid setting or combination.
	Validate() error
	// Prepare makes the data of a new run in dir, opens them, and completes the settings with what is known then: the
	// vocabulary, for example, or the steps of so many epochs. progress is not nil.
	Prepare(ctx context.Context, dir string, progress Progress) error
	// Reopen finds the data that Prepare left in dir. After Close it may be called again: files there were mended.
	Reopen(dir string) error
	// Open makes the data ready to learn from, if that is still to do. progress may be nil.
	Open(ctx context.Context, progress Progress) error
	// Close lets go of the data.
	Close() error
	// Save writes into dir the files that stand beside the weights and do not change, such as a tokenizer.
	Save(dir string) error
	// Learner allocates the model on be, to learn from the data, which are open.
	Learner(be backend.Backend) (Learner, error)
	// Fixed returns a copy of the settings for comparison: what may change when a run goes on has its zero value in it.
	// The method, the schedule, the loop and the engine are not compared.
	Fixed() any
}

// Synthetic is a Task that can be planned and timed without data.
type Synthetic interface {
	Task
	// Clone returns a task with the same settings, and without data.
	Clone() Synthetic
	// Blank allocates the model on be, to learn from samples without content: for planning.
	Blank(be backend.Backend) (Learner, error)
	// Random allocates the model on be, to learn from uniformly random samples: for measurements.
	Random(be backend.Backend) (Learner, error)
	// SetBatch makes batches of n samples, or of n tokens if the task counts those; MostBatch is the largest n.
	SetBatch(n int)
	MostBatch() int
}

// Fitter is a Task that measures its model before the first step, and may choose settings by that.
type Fitter interface {
	// Fit returns what it measured, nil if there was nothing to measure, and whether it changed the settings.
	Fit(ctx context.Context, st checkpoint.State, obs Observer) (c *Calibration, changed bool, err error)
}

// DataChecker is a Task with data in the run's folder that carry checksums.
type DataChecker interface {
	// CheckData reads the data in dir and compares their checksums.
	CheckData(dir string) error
}

// Holder is a Task that may hold the model's matrices in another type than float32.
type Holder interface {
	// Held is the type: F32 or BF16.
	Held() tensor.DType
}

// Held is the type of the matrices of t in memory.
func Held(t Task) tensor.DType {
	if h, ok := t.(Holder); ok {
		return h.Held()
	}
	return tensor.F32
}

// Starter is a Task that may begin with the weights of another model. Its first evaluation then counts as the best so
// far.
type Starter interface {
	// StartsFrom is the folder of the model; empty: the run begins with initial weights.
	StartsFrom() string
}

// MemoryModer is a Task with a rule of its own for another memory mode (see WithMemory).
type MemoryModer interface {
	SetMemory(m bdia.Memory)
}

// Calibration is what a language model's residual stream does on the first training batches of a run, before it
// learns.
type Calibration struct {
	Grid      bdia.Grid // the finest that serves
	MaxAbs    float64   // largest |x| in training, with its random gamma, on that grid
	Limit     float64   // below which the grid is exact
	Losses    int       // of the batches: tokens that are learned
	FloatLoss float64   // mean loss (nats) of the ordinary transformer in float32
	GridLoss  float64   // the same with its states on the grid
	TrainLoss float64   // the same in training, with the random gamma and dropout of the first steps
}

// tasks are the registered ones.
var tasks = map[string]func() Task{}

// Register makes a task available to Open under the name that its runs have in bdia.yaml. create returns the task with
// default settings. Register is called from init functions and panics when the name is taken.
func Register(name string, create func() Task) {
	if _, taken := tasks[name]; taken || name == ownName {
		panic("train: two tasks with the name " + name)
	}
	tasks[name] = create
}

// Tasks lists the names of the registered tasks in alphabetical order.
func Tasks() []string { return slices.Sorted(maps.Keys(tasks)) }

// New returns the named task with default settings.
func New(name string) (Task, error) {
	create, ok := tasks[name]
	switch {
	case name == ownName:
		return nil, fmt.Errorf("task %q is %w", name, ErrOwn)
	case !ok:
		return nil, fmt.Errorf("train: unknown task %.80q; use %s", name, strings.Join(Tasks(), ", "))
	}
	return create(), nil
}

// Score is what an evaluation measures.
type Score struct {
	Loss     float64 // mean in nats, a token or an image; NaN: nothing was evaluated
	Accuracy float64 // of images: share with the right class as the most likely one
	Top5     float64 // of images: share with the right class among the five most likely
}

// Unmeasured is the score of no evaluation.
var Unmeasured = Score{Loss: math.NaN()}

// better reports whether s is better than the best score that st remembers: by accuracy, if that is measured, and then
// by loss.
func (s Score) better(st checkpoint.State) bool {
	return s.Accuracy > st.BestAccuracy || s.Accuracy == st.BestAccuracy && s.Loss < st.BestLoss
}

// Identify notes the fingerprint of the weights in the folder that a new run starts from, if there is one, and makes
// the folder absolute.
func Identify(from, fingerprint *string, progress Progress) (err error) {
	if *from == "" {
		return nil
	}
	progress("reading the model", 0, 1)
	if *fingerprint, err = hub.Fingerprint(*from); err != nil {
		return err
	}
	return Absolute(from)
}

// Absolute makes paths absolute, so that a run finds its files again from any folder. Empty ones stay.
func Absolute(paths ...*string) error {
	for _, path := range paths {
		if *path == "" {
			continue
		}
		abs, err := filepath.Abs(*path)
		if err != nil {
			return fmt.Errorf("train: %w", err)
		}
		*path = abs
	}
	return nil
}
