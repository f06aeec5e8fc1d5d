package train

import (
	"context"
	"errors"
	"fmt"
	"reflect"
	"slices"

	"github.com/bdia-go/bdia"
	"github.com/bdia-go/bdia/backend"
	"github.com/bdia-go/bdia/model"
	"github.com/bdia-go/bdia/tensor"
)

// Model is a model that learns from batches of type B. model.GPT (model.Batch), model.ViT (model.ImageBatch) and
// model.Seq2Seq (model.PairBatch) are Models.
type Model[B any] interface {
	// Params lists every parameter; Trainable lists the ones that training changes.
	Params() []*tensor.Param
	Trainable() []*tensor.Param
	// MicroStep runs b forward and back, hands the gradients of scale times the sum of its losses to sink, and returns the
	// losses, valid until the next call. It fails before any gradient reaches sink.
	MicroStep(b B, pass backend.Pass, scale float32, sink bdia.Sink) (losses []float32, err error)
	// Loss returns the losses of b without training. States are rounded to grid.
	Loss(b B, grid bdia.Grid) (losses []float32, err error)
}

// Source gives the batches of steps 1, 2, and so on. A step's batch is always the same, so that a run can be resumed.
type Source[B any] interface {
	// Size returns how many samples the batch of a step has, and how many losses: at least one of each. Tokens have a
	// loss each, except targets of backend.Ignore; images have one each. Gradients are divided by losses, so a wrong
	// number scales them: of a model that counts (see Learn), the step then fails before parameters change.
	Size(step int) (samples, losses int, err error)
	// Fill sets b to n samples of the step's batch, from number first on. It may reuse the memory of b.
	Fill(step, first, n int, b *B) error
}

// Learn makes a Learner of a model and the source of its batches. Abilities are values that implement one or more of
// the interfaces of abilities, for example an Evaluator made by Measure, a Folder, or a tokenizer, which is a Saver.
// The model and the source may have abilities too. Without an Initialiser, a model with the method Init(seed uint64)
// begins with what that draws.
//
// The batches of a model with the method CountLosses(b B) int, such as model.GPT, are checked: if a step's batches have
// other losses than Source.Size says, the step fails with model.ErrBatch.
func Learn[B any](m Model[B], s Source[B], abilities ...any) Learner {
	abilities = append(slices.Clip(abilities), m, s) // the slice is the caller's
	if i, ok := m.(interface{ Init(seed uint64) }); ok {
		draw := func(seed uint64) error { i.Init(seed); return nil }
		abilities = append(abilities, InitialiseFunc(draw))
	}
	return &learned[B]{Model: m, source: s, abilities: abilities, count: counterOf(m)}
}

// learned is the Learner of Learn.
type learned[B any] struct {
	Model[B]
	source    Source[B]
	abilities []any
	batch     B

	count           func(B) int // losses of a batch; nil: the model does not count them
	step            int         // the latest that Size was asked for
	samples, losses int         // of it, as Size says
	counted         int         // losses of the step so far
}

func (l *learned[B]) Abilities() []any { return l.abilities }

func (l *learned[B]) Size(step int) (samples, losses int, err error) {
	l.step = step
	l.samples, l.losses, err = l.source.Size(step)
	return l.samples, l.losses, err
}

func (l *learned[B]) MicroStep(pass backend.Pass, n int, scale float32, sink bdia.Sink) ([]float32, error) {
	if err := l.source.Fill(pass.Step, pass.Sample, n, &l.batch); err != nil {
		return nil, err
	}
	if err := l.recount(pass, n); err != nil {
		return nil, err
	}
	return l.Model.MicroStep(l.batch, pass, scale, sink)
}

// recount fails if the step's batches so far have more losses than Size says, or all of them have fewer.
func (l *learned[B]) recount(pass backend.Pass, n int) error {
	if l.count == nil || l.step != pass.Step {
		return nil
	}
	if pass.Sample == 0 {
		l.counted = 0
	}
	l.counted += l.count(l.batch)
	if last := pass.Sample+n == l.samples; l.counted > l.losses || last && l.counted < l.losses {
		return miscounted(pass.Step, pass.Sample+n, l.losses, l.counted)
	}
	return nil
}

// complete fails if Learn was given no model or no source.
func (l *learned[B]) complete() error {
	switch {
	case none(l.Model):
		return errors.New("train: Learn without a model")
	case none(l.source):
		return errors.New("train: Learn without a source of batches")
	}
	return nil
}

// none reports a value that is nil, or a nil pointer.
func none(v any) bool {
	r := reflect.ValueOf(v)
	return !r.IsValid() || r.Kind() == reflect.Pointer && r.IsNil()
}

// counterOf returns what counts the losses of batches of m, or nil.
func counterOf[B any](m Model[B]) func(B) int {
	if c, ok := m.(interface{ CountLosses(b B) int }); ok {
		return c.CountLosses
	}
	return nil
}

// miscounted is the error of a Source with a wrong Size.
func miscounted(step, samples, says, has int) error {
	return fmt.Errorf("train: %w: Size says that step %d has %d losses, and its first %d samples have %d; count the targets that are not backend.Ignore",
		model.ErrBatch, step, says, samples, has)
}

// Measure returns an Evaluator: the mean loss of m over the first so many batches of a source of held-out samples. The
// ordinary transformer (gamma 0) is measured, its states rounded to grid.
func Measure[B any](m Model[B], heldOut Source[B], batches int, grid bdia.Grid) Evaluator {
	return &measured[B]{m: m, source: heldOut, batches: batches, grid: grid}
}

type measured[B any] struct {
	m       Model[B]
	source  Source[B]
	batches int
	grid    bdia.Grid
	batch   B
}

// Evaluate measures held-out samples only.
func (e *measured[B]) Evaluate(ctx context.Context, training bool) (Score, bool, error) {
	switch {
	case training:
		return Unmeasured, false, nil
	case none(e.m):
		return Unmeasured, false, errors.New("train: Measure without a model")
	case none(e.source):
		return Unmeasured, false, errors.New("train: Measure without a source of held-out samples")
	}
	count := counterOf(e.m)
	var sum float64
	all := 0
	for i := 1; i <= e.batches; i++ {
		if err := ctx.Err(); err != nil {
			return Unmeasured, false, err
		}
		n, losses, err := e.source.Size(i)
		if err == nil {
			err = e.source.Fill(i, 0, n, &e.batch)
		}
		if err != nil {
			return Unmeasured, false, err
		}
		if count != nil {
			if has := count(e.batch); has != losses {
				return Unmeasured, false, miscounted(i, n, losses, has)
			}
		}
		each, err := e.m.Loss(e.batch, e.grid)
		if err != nil {
			return Unmeasured, false, err
		}
		sum, all = model.AddLosses(sum, each), all+losses
	}
	if all == 0 {
		return Unmeasured, false, nil
	}
	return Score{Loss: sum / float64(all)}, true, nil
}

// Rehearse evaluates once.
func (e *measured[B]) Rehearse() error {
	if _, _, err := e.Evaluate(context.Background(), false); err != nil {
		return fmt.Errorf("train: evaluation: %w", err)
	}
	return nil
}

// InitialiseFunc is a function as an Initialiser, for example one that loads weights.
type InitialiseFunc func(seed uint64) error

// Initialise calls f.
func (f InitialiseFunc) Initialise(seed uint64) error { return f(seed) }
