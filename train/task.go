package train

import (
	"context"
	"fmt"
	"io"
	"math"

	"github.com/bdia-go/bdia"
	"github.com/bdia-go/bdia/backend"
	"github.com/bdia-go/bdia/format/safetensors"
	"github.com/bdia-go/bdia/tensor"
)

// Task names what a run learns.
type Task string

// The tasks. What they differ in stands behind two interfaces: samples, which a
// run opens, and learner, which a session trains.
const (
	TaskText Task = "text" // a language model learns text
)

// Tasks lists the tasks.
func Tasks() []Task { return []Task{TaskText} }

// Samples is what a session learns from: a run's Text, or those of Random.
type Samples interface {
	// learner allocates the model of cfg on be, to learn from these samples.
	learner(be backend.Backend, cfg Config) (learner, error)
}

// samples are those of a run directory.
type samples interface {
	Samples
	// save writes the files that a model folder has beside its weights.
	save(dir string) error
	Close() error
}

// prepare makes the samples of a new run in dir and completes cfg by them.
func prepare(ctx context.Context, dir string, cfg *Config, progress func(what string, done, total int64)) (samples, error) {
	return createText(ctx, dir, cfg, progress)
}

// reopen opens the samples of the run in dir.
func reopen(dir string, cfg Config) (samples, error) {
	return openText(dir, cfg)
}

// Random returns samples of uniformly random content, for measurements.
func Random(cfg Config) Samples {
	return source{randomTokens{uint32(cfg.Model.Vocab)}}
}

// blank returns samples for planning, where content does not matter.
func blank(Config) Samples { return source{noTokens{}} }

// learner is a model in training on one backend, with its samples: all that the
// loop knows of a task.
type learner interface {
	// Params lists every parameter, and Init draws their initial values.
	Params() []*tensor.Param
	Init(seed uint64)
	// step trains on n samples from pass.Sample on and adds their losses to sum.
	// It fails before any gradient reaches sink.
	step(pass backend.Pass, n int, scale float32, sink bdia.Sink, sum *float64) error
	// maxAbs is the largest |x| of the residual stream in the latest step; 0
	// without a grid.
	maxAbs() float64
	// evaluate measures the model as it is used, on held-out samples or on those
	// that it learns from. ok is false where there are none to evaluate.
	evaluate(training bool) (s Score, ok bool, err error)
	// rehearse runs what a run does with memory outside its steps, on the largest
	// sizes.
	rehearse() error
	// show lets the model write something.
	show() (string, error)

	// The files of the model folder.
	writeConfig(w io.Writer) error
	writeWeights(w io.Writer) error
	readWeights(f *safetensors.File) error
}

// Score is what an evaluation measures.
type Score struct {
	Loss float64 // mean in nats, a token; NaN where nothing was evaluated
}

// unmeasured is the score of no evaluation.
var unmeasured = Score{Loss: math.NaN()}

// Unit names what a run's speed is counted in, and says how many of them a sample
// is. A sample has as many losses.
func (c Config) Unit() (name string, perSample int) { return "tokens", c.Model.Context }

// positions is the length of the residual stream.
func (c Config) positions() int { return c.Model.Context }

// validateTask reports the first thing wrong with the sections of c's task.
func (c Config) validateTask() error {
	if c.Task != TaskText {
		return fmt.Errorf("train: unknown task %q; use %s", c.Task, TaskText)
	}
	if err := c.Model.Validate(); err != nil {
		return err
	}
	return c.Data.Validate()
}
