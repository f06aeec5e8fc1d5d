package train

import (
	"context"
	"fmt"
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
	// Size returns how many samples the batch of a step has, and how many losses: at least one of each.
	Size(step int) (samples, losses int, err error)
	// Fill sets b to n samples of the step's batch, from number first on. It may reuse the memory of b.
	Fill(step, first, n int, b *B) error
}

// Learn makes a Learner of a model and the source of its batches. Abilities are values that implement one or more of
// the interfaces of abilities, for example an Evaluator made by Measure, a Folder, or a tokenizer, which is a Saver.
// The model and the source may have abilities too. Without an Initialiser, a model with the method Init(seed uint64)
// begins with what that draws.
func Learn[B any](m Model[B], s Source[B], abilities ...any) Learner {
	abilities = append(slices.Clip(abilities), m, s) // the slice is the caller's
	if i, ok := m.(interface{ Init(seed uint64) }); ok {
		draw := func(seed uint64) error { i.Init(seed); return nil }
		abilities = append(abilities, InitialiseFunc(draw))
	}
	return &learned[B]{Model: m, source: s, abilities: abilities}
}

// learned is the Learner of Learn.
type learned[B any] struct {
	Model[B]
	source    Source[B]
	abilities []any
	batch     B
}

func (l *learned[B]) Abilities() []any { return l.abilities }

func (l *learned[B]) Size(step int) (samples, losses int, err error) { return l.source.Size(step) }

func (l *learned[B]) MicroStep(pass backend.Pass, n int, scale float32, sink bdia.Sink) ([]float32, error) {
	if err := l.source.Fill(pass.Step, pass.Sample, n, &l.batch); err != nil {
		return nil, err
	}
	return l.Model.MicroStep(l.batch, pass, scale, sink)
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
	if training {
		return Unmeasured, false, nil
	}
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
