package text

import (
	"context"

	"github.com/bdia-go/bdia"
	"github.com/bdia-go/bdia/backend"
	"github.com/bdia-go/bdia/data"
	"github.com/bdia-go/bdia/generate"
	"github.com/bdia-go/bdia/internal/rng"
	"github.com/bdia-go/bdia/model"
	"github.com/bdia-go/bdia/train"
	"github.com/bdia-go/bdia/train/tune"
)

// language is a GPT that learns text.
type language struct {
	*tune.GPT
	windows
	config Config
	text   *Task       // nil: the tokens are made up
	batch  model.Batch // buffer of a micro-batch
}

func newLanguage(be backend.Backend, c Config, w windows) (*language, error) {
	g, err := tune.NewGPT(be, c.Model, c.Method, c.Tune)
	if err != nil {
		return nil, err
	}
	return &language{GPT: g, windows: w, config: c, batch: model.NewBatch(c.Loop.SamplesAtOnce(), c.SampleLength())}, nil
}

// Size returns the sizes of every batch.
func (l *language) Size(int) (samples, losses int, err error) {
	n := l.config.Loop.Batch
	return n, n * l.config.SampleLength(), nil
}

// Lookups is the number of tokens of a batch.
func (l *language) Lookups() int { return l.config.Loop.Batch * l.config.SampleLength() }

func (l *language) MicroStep(pass backend.Pass, n int, scale float32, sink bdia.Sink) ([]float32, error) {
	b := l.first(n)
	if err := l.batches.Batch(pass.Step, pass.Sample, n, b.Inputs, b.Targets); err != nil {
		return nil, err
	}
	return l.GPT.GPT.MicroStep(b, pass, scale, sink)
}

// first returns the first n samples of the buffer.
func (l *language) first(n int) model.Batch {
	T := l.config.SampleLength()
	return model.Batch{Size: n, Inputs: l.batch.Inputs[:n*T], Targets: l.batch.Targets[:n*T]}
}

// Evaluate measures the ordinary transformer (gamma 0) on the run's grid.
func (l *language) Evaluate(ctx context.Context, training bool) (train.Score, bool, error) {
	set := l.evaluated(training)
	if set == nil {
		return train.Unmeasured, false, nil
	}
	loss, err := l.mean(ctx, set)
	return train.Score{Loss: loss}, true, err
}

// evaluated is what is measured of a part; nil if there is nothing.
func (l *language) evaluated(training bool) *data.Sequential {
	if training {
		return l.training
	}
	return l.val
}

// Piece measures the first windows of an evaluation.
func (l *language) Piece(training bool) (batches float64, err error) {
	set := l.evaluated(training)
	if set == nil {
		return 0, nil
	}
	b := l.first(min(l.batch.Size, set.Len()))
	if err = set.Batch(0, b.Size, b.Inputs, b.Targets); err == nil {
		_, err = l.Loss(b, l.config.Method.Grid)
	}
	return float64(set.Len()) / float64(b.Size), err
}

// mean returns the mean loss per token over the windows of set.
func (l *language) mean(ctx context.Context, set *data.Sequential) (float64, error) {
	var sum float64
	for first := 0; first < set.Len(); {
		if err := ctx.Err(); err != nil {
			return 0, err
		}
		b := l.first(min(l.batch.Size, set.Len()-first))
		if err := set.Batch(first, b.Size, b.Inputs, b.Targets); err != nil {
			return 0, err
		}
		losses, err := l.Loss(b, l.config.Method.Grid)
		if err != nil {
			return 0, err
		}
		sum = model.AddLosses(sum, losses)
		first += b.Size
	}
	return sum / float64(set.Len()*l.config.SampleLength()), nil
}

// Rehearse evaluates a batch, and writes a sample if the run does. A model that was trained before may have a context
// much longer than both.
func (l *language) Rehearse() error {
	if _, err := l.Loss(l.batch, l.config.Method.Grid); err != nil || l.config.Loop.SampleEvery == 0 {
		return err
	}
	return generate.Rehearse(l.GPT.GPT, promptTokens, l.sampled())
}

// Sample generates text that continues the held-out text's beginning.
func (l *language) Sample() (string, error) {
	ids, err := l.text.Prompt()
	if err != nil {
		return "", err
	}
	return generate.Text(l.GPT.GPT, l.text.Tokenizer, ids, l.sampled())
}

// sampled are the settings of a sample.
func (l *language) sampled() generate.Options {
	o := generate.DefaultOptions()
	o.MaxTokens, o.Grid = max(l.config.Loop.SampleTokens, 1), l.config.Method.Grid
	o.NoCache = true // a cache may take more memory than a step of training
	return o
}

// StepBatch returns the first micro-batch of a step, and how many losses it has.
func (l *language) StepBatch(step int) (model.Batch, int, error) {
	b := l.first(l.config.Loop.SamplesAtOnce())
	return b, len(b.Targets), l.batches.Batch(step, 0, b.Size, b.Inputs, b.Targets)
}

// Model is the language model.
func (l *language) Model() *model.GPT { return l.GPT.GPT }

// tokenSource fills the samples first..first+n-1 of a step's batch.
type tokenSource interface {
	Batch(step, first, n int, inputs, targets []int32) error
}

// randomTokens gives uniform token ids.
type randomTokens struct{ vocab uint32 }

func (r randomTokens) Batch(step, first, _ int, inputs, targets []int32) error {
	key := rng.Key{Seed: 1, Step: uint32(step), Sample: uint32(first), Site: rng.SiteData}
	for i := range inputs {
		w := key.At(uint32(i))
		inputs[i], targets[i] = int32(w[0]%r.vocab), int32(w[1]%r.vocab)
	}
	return nil
}

// noTokens leaves the ids as they are: zero.
type noTokens struct{}

func (noTokens) Batch(_, _, _ int, _, _ []int32) error { return nil }
