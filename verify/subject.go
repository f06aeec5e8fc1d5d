package verify

import (
	"fmt"

	"github.com/bdia-go/bdia"
	"github.com/bdia-go/bdia/backend"
	"github.com/bdia-go/bdia/model"
	"github.com/bdia-go/bdia/tensor"
)

// Subject is a model and a batch to check it on.
type Subject struct {
	Blocks int             // K
	Prefix string          // prefix of the names of the blocks' parameters
	Losses int             // number of losses in a pass: one for each token or image
	Params []*tensor.Param // with weights
	// With returns a trial of the model under other options.
	With func(opt bdia.Options) (Trial, error)
}

// Trial is a training pass, ready to run.
type Trial struct {
	// Stack has the states. It is nil for a model of two streams, which has no
	// exact reverse walk to check, only drift.
	Stack *bdia.Stack
	Step  func(pass backend.Pass, scale float32, sink bdia.Sink) ([]float32, error)
	Drift func(pass backend.Pass, report func(k int, rms, largest float64)) error
}

// OfGPT returns m on batch b.
func OfGPT(m *model.GPT, b model.Batch) Subject {
	return Subject{Blocks: m.Config.Layers, Losses: len(b.Inputs), Params: m.Trainable(), With: func(opt bdia.Options) (Trial, error) {
		m, err := m.WithOptions(opt)
		if err != nil {
			return Trial{}, err
		}
		return trial(m, b, m.Stack), nil
	}}
}

// OfViT returns m on batch b.
func OfViT(m *model.ViT, b model.ImageBatch) Subject {
	return Subject{Blocks: m.Config.Layers, Losses: b.Size, Params: m.Params(), With: func(opt bdia.Options) (Trial, error) {
		m, err := m.WithOptions(opt)
		if err != nil {
			return Trial{}, err
		}
		stack, _ := m.Stack.(*bdia.Stack)
		return trial(m, b, stack), nil
	}}
}

// OfSeq2Seq returns one stack of m, its decoder or its encoder, on batch b. The
// gradients are the whole model's.
func OfSeq2Seq(m *model.Seq2Seq, b model.PairBatch, decoder bool) Subject {
	s := Subject{Blocks: m.Config.EncoderLayers, Prefix: "enc.", Params: m.Params()}
	if decoder {
		s.Blocks, s.Prefix = m.Config.DecoderLayers, "dec."
	}
	for _, id := range b.Target {
		if id != backend.Ignore {
			s.Losses++
		}
	}
	s.With = func(opt bdia.Options) (Trial, error) {
		m, err := m.WithOptions(opt)
		if err != nil {
			return Trial{}, err
		}
		stack := m.Encoder
		if decoder {
			stack = m.Decoder
		}
		return Trial{Stack: stack,
			Step: func(pass backend.Pass, scale float32, sink bdia.Sink) ([]float32, error) {
				return m.MicroStep(b, pass, scale, sink)
			},
			Drift: func(pass backend.Pass, report func(k int, rms, largest float64)) error {
				return m.Drift(b, pass, stack, report)
			}}, nil
	}
	return s
}

// trained is a model that trains on batches B.
type trained[B any] interface {
	MicroStep(b B, pass backend.Pass, scale float32, sink bdia.Sink) ([]float32, error)
	Drift(b B, pass backend.Pass, report func(k int, rms, largest float64)) error
}

func trial[B any](m trained[B], b B, stack *bdia.Stack) Trial {
	return Trial{Stack: stack,
		Step: func(pass backend.Pass, scale float32, sink bdia.Sink) ([]float32, error) {
			return m.MicroStep(b, pass, scale, sink)
		},
		Drift: func(pass backend.Pass, report func(k int, rms, largest float64)) error {
			return m.Drift(b, pass, report)
		}}
}

// exact returns a trial of s with states to compare, or an error for a model of two
// streams.
func (s Subject) exact(opt bdia.Options) (Trial, error) {
	t, err := s.With(opt)
	if err == nil && t.Stack == nil {
		err = fmt.Errorf("verify: %w: two residual streams are inverted in floating point; measure their drift instead", ErrOptions)
	}
	return t, err
}
