package train

import (
	"context"
	"io"

	"github.com/bdia-go/bdia"
	"github.com/bdia-go/bdia/backend"
	"github.com/bdia-go/bdia/convert"
	"github.com/bdia-go/bdia/metric"
	"github.com/bdia-go/bdia/tensor"
)

// Learner is a model on one backend together with the data that it learns from: what the loop trains. Learn makes one
// of a Model and a Source. Everything else that a run can do, such as evaluating, is an ability: an interface below
// that the Learner implements or leaves out. A run without Evaluator, for example, has no best weights.
type Learner interface {
	// Params lists every parameter of the model.
	Params() []*tensor.Param
	// Trainable lists the parameters that the run changes.
	Trainable() []*tensor.Param
	// Size returns how many samples the batch of a step has, and how many losses they have: tokens, say, or images.
	Size(step int) (samples, losses int, err error)
	// MicroStep trains on n samples of the batch of pass.Step, from number pass.Sample on, and hands the gradients of scale
	// times the sum of their losses to sink. It returns the losses, in nats, valid until the next call. It fails before
	// any gradient reaches sink, or when a Stopper was told to stop.
	MicroStep(pass backend.Pass, n int, scale float32, sink bdia.Sink) (losses []float32, err error)
}

// Extended is a Learner with abilities of other values: each implements one or more of the interfaces below.
type Extended interface {
	Abilities() []any
}

// Initialiser gives the parameters the values with which a run begins. Without it they stay as they were made.
type Initialiser interface {
	Initialise(seed uint64) error
}

// Evaluator measures the model as it is used.
type Evaluator interface {
	// Evaluate measures on held-out samples, or on samples that the model learns from, until ctx is done and then
	// returns its error. It returns false if there are none to measure on.
	Evaluate(ctx context.Context, training bool) (s Score, ok bool, err error)
}

// Recorder says what is recorded of a score. Without it that is the loss.
type Recorder interface {
	// Record returns the fields, their names beginning with prefix: for example "val/" gives "val/loss".
	Record(prefix string, s Score) []metric.Field
}

// Sampler lets the model write something.
type Sampler interface {
	Sample() (string, error)
}

// Stopper is a model that can be stopped within a MicroStep, so that a long one need not be waited for. Models with a
// bdia.Stack pass the function on to it.
type Stopper interface {
	// SetStop sets a function to ask between blocks. MicroStep fails with its error; gradients that reached the sink by
	// then are worthless.
	SetStop(stop func() error)
}

// Noter tells what a user should know of how a run begins.
type Noter interface {
	Notes() []string
}

// Ranger measures the residual stream.
type Ranger interface {
	// MaxAbs is the largest |x| of the latest step; 0 without a grid.
	MaxAbs() float64
}

// Planner finds the steps that take most memory. Without it the first step stands for all of them.
type Planner interface {
	// Largest lists steps, in rising order, such that one of them takes the most memory of all.
	Largest() ([]int, error)
}

// Rehearser plans memory outside steps.
type Rehearser interface {
	// Rehearse runs on the largest sizes what a run does with memory outside its steps, such as an evaluation.
	Rehearse() error
}

// Embedder knows how many rows of a table of tokens a step looks up. Without it that is all rows.
type Embedder interface {
	// Lookups returns how many rows of a table the batch of a step looks up at most, for example its tokens.
	Lookups() int
}

// Counter names what a run's losses are of.
type Counter interface {
	// Unit returns a plural such as "tokens", in which speed is recorded. Without it that is "losses".
	Unit() string
}

// Folder writes and reads the model folder of a run. Without it the folder has the parameters under their own names,
// in model.safetensors.
type Folder interface {
	// Files lists the files that change with every checkpoint.
	Files() []File
	// ReadModel fills the model from the folder dir.
	ReadModel(dir string) error
	// WriteWeights and ReadWeights move the weights alone, as safetensors.
	WriteWeights(w io.Writer) error
	ReadWeights(f convert.Tensors) error
}

// File is one file of a model folder.
type File struct {
	Name   string
	Params []*tensor.Param // that it holds, to tell its size before it is written
	Write  func(io.Writer) error
}

// Saver writes files that stand beside the weights and do not change, for example a tokenizer's. It is called for the
// folder of the run and for best/.
type Saver interface {
	Save(dir string) error
}

// abilities returns the values of l that have the ability T: l itself, and its Abilities.
func abilities[T any](l Learner) (all []T) {
	values := []any{l}
	if e, ok := l.(Extended); ok {
		values = append(values, e.Abilities()...)
	}
	for _, v := range values {
		if a, ok := v.(T); ok {
			all = append(all, a)
		}
	}
	return all
}

// ability returns the first of abilities.
func ability[T any](l Learner) (a T, ok bool) {
	if all := abilities[T](l); len(all) > 0 {
		return all[0], true
	}
	return a, false
}

// maxAbs is the largest |x| that l measured.
func maxAbs(r Ranger) float64 {
	if r == nil {
		return 0
	}
	return r.MaxAbs()
}

// recordOf returns the fields of a score of l.
func recordOf(l Learner, prefix string, s Score) []metric.Field {
	if r, ok := ability[Recorder](l); ok {
		return r.Record(prefix, s)
	}
	return []metric.Field{{Name: prefix + "loss", Value: s.Loss}}
}

// TokenFields records a score of tokens: the loss and the perplexity. It serves as a Recorder's method.
func TokenFields(prefix string, s Score) []metric.Field {
	return []metric.Field{{Name: prefix + "loss", Value: s.Loss}, {Name: prefix + "perplexity", Value: metric.Perplexity(s.Loss)}}
}

// Unit is what the losses of l are of (see Counter).
func Unit(l Learner) string {
	if c, ok := ability[Counter](l); ok {
		return c.Unit()
	}
	return "losses"
}
