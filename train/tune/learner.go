package tune

import (
	"context"
	"fmt"
	"slices"

	"github.com/bdia-go/bdia"
	"github.com/bdia-go/bdia/backend"
	"github.com/bdia-go/bdia/data/pairs"
	"github.com/bdia-go/bdia/eval"
	"github.com/bdia-go/bdia/generate"
	"github.com/bdia-go/bdia/model"
	"github.com/bdia-go/bdia/train"
	trainpairs "github.com/bdia-go/bdia/train/pairs"
)

// completion is a GPT that learns to complete prompts. A sample is a prompt, with
// the separator, its completion and the end of the text; what comes after is
// padding, which attention to earlier positions never sees. The prompt has no loss,
// unless that is asked for.
type completion struct {
	*GPT
	config        Config
	sets          *trainpairs.Sets // nil: the tokens are made up
	pairs         trainpairs.Source
	val, training *pairs.Sequential // to be evaluated; nil: there are none
	two           *pairs.Batch      // prompts and completions apart
	joined        completionBatch   // the same, as the model takes them, of step at
	at            int
}

// completionBatch is a batch as models take it, and the number of its losses.
type completionBatch struct {
	model.Batch
	losses int
}

// newCompletion allocates the model of c on be.
func newCompletion(be backend.Backend, c Config, source trainpairs.Source) (*completion, error) {
	g, err := NewGPT(be, c.Model, c.Method, c.Tune)
	if err != nil {
		return nil, err
	}
	return &completion{GPT: g, config: c, pairs: source, two: pairs.NewBatch(pairs.Capacity{})}, nil
}

// join makes b of prompts and completions. Row i is both and the end; its inputs
// are all but the last token, its targets all but the first. Padding has the id
// of the end.
func (b *completionBatch) join(two *pairs.Batch, lossOnPrompt bool) {
	T := 0
	for i := range two.B {
		T = max(T, int(two.SourceLengths[i]+two.TargetLengths[i])-2)
	}
	b.Size, b.losses = two.B, 0
	b.Inputs, b.Targets = slices.Grow(b.Inputs[:0], two.B*T)[:two.B*T], slices.Grow(b.Targets[:0], two.B*T)[:two.B*T]
	for i := range two.B {
		inputs, targets := b.Inputs[i*T:][:T], b.Targets[i*T:][:T]
		n, m := int(two.SourceLengths[i])-1, int(two.TargetLengths[i])
		prompt, rest := two.Source[i*two.S:][:n], two.Target[i*two.T:][:m]
		end := rest[m-1]
		copy(inputs, prompt)
		copy(inputs[n:], rest[:m-1])
		first := n - 1 // its target is the first token of the completion
		if lossOnPrompt {
			first = 0
		}
		for t := range targets {
			switch {
			case t >= n+m-1:
				inputs[t], targets[t] = end, backend.Ignore
			case t < first:
				targets[t] = backend.Ignore
			case t < n-1:
				targets[t] = prompt[t+1]
			default:
				targets[t] = rest[t-(n-1)]
			}
		}
		b.losses += n + m - 1 - first
	}
}

// prepare makes the batch of a step the one at hand.
func (c *completion) prepare(step int) error {
	if c.at == step {
		return nil
	}
	s, err := c.pairs.Shape(step)
	if err == nil {
		err = c.pairs.Fill(step, 0, s.B, c.two)
	}
	if err != nil {
		return err
	}
	c.joined.join(c.two, c.config.Tune.LossOnPrompt)
	c.at = step
	return nil
}

// Size returns the sizes of a step's batch.
func (c *completion) Size(step int) (samples, losses int, err error) {
	err = c.prepare(step)
	return c.joined.Size, c.joined.losses, err
}

// Lookups bounds the tokens of a batch.
func (c *completion) Lookups() int {
	sample := c.config.Tune.SampleLength(c.config.Model)
	if n := c.config.Loop.Batch; n > 0 {
		return n * sample
	}
	return max(c.config.Pairs.BatchTokens, sample)
}

// Largest lists the steps with batches that no other batch exceeds in samples and length.
func (c *completion) Largest() ([]int, error) {
	var f trainpairs.Frontier
	for step := 1; step <= c.config.Schedule.Steps; step++ {
		if err := c.prepare(step); err != nil {
			return nil, err
		}
		f.Add(c.joined.shape(), step)
	}
	return f.At, nil
}

func (b completionBatch) shape() pairs.Shape {
	return pairs.Shape{B: b.Size, T: len(b.Inputs) / b.Size}
}

// MicroStep trains on pairs of a step's batch.
func (c *completion) MicroStep(pass backend.Pass, n int, scale float32, sink bdia.Sink) ([]float32, error) {
	if err := c.prepare(pass.Step); err != nil {
		return nil, err
	}
	all := c.joined.Batch
	T := len(all.Inputs) / all.Size
	first, last := pass.Sample*T, (pass.Sample+n)*T
	return c.GPT.GPT.MicroStep(model.Batch{Size: n, Inputs: all.Inputs[first:last], Targets: all.Targets[first:last]}, pass, scale, sink)
}

// Evaluate measures the ordinary transformer (gamma 0) on the run's grid.
func (c *completion) Evaluate(ctx context.Context, training bool) (train.Score, bool, error) {
	set := c.val
	if training {
		set = c.training
	}
	if set == nil {
		return train.Unmeasured, false, nil
	}
	loss, _, err := Loss(ctx, c.GPT.GPT, set, c.config.Loop.EvalSamples, c.config.Tune.LossOnPrompt, c.config.Method.Grid)
	return train.Score{Loss: loss}, true, err
}

// Piece measures the middle batch of an evaluation.
func (c *completion) Piece(training bool) (batches float64, err error) {
	set := c.val
	if training {
		set = c.training
	}
	if set == nil {
		return 0, nil
	}
	var b completionBatch
	if err = set.Fill(set.Len()/2, 0, set.Shape(set.Len()/2).B, c.two); err == nil {
		b.join(c.two, c.config.Tune.LossOnPrompt)
		_, err = c.Loss(b.Batch, c.config.Method.Grid)
	}
	c.at = 0 // what two held is gone
	return float64(eval.PairBatches(set, c.config.Loop.EvalSamples)), err
}

// Loss returns the mean loss per token that is learned of set, and their number, over about most pairs of set, in
// evenly spaced batches of all lengths; 0 for all of it.
func Loss(ctx context.Context, m *model.GPT, set *pairs.Sequential, most int, lossOnPrompt bool, grid bdia.Grid) (loss float64, losses int, err error) {
	var b completionBatch
	var sum float64
	err = eval.EachPairBatch(ctx, set, most, pairs.NewBatch(pairs.Capacity{}), func(two *pairs.Batch) error {
		b.join(two, lossOnPrompt)
		losses += b.losses
		each, err := m.Loss(b.Batch, grid)
		sum = model.AddLosses(sum, each)
		return err
	})
	return sum / float64(losses), losses, err
}

// Rehearse evaluates the largest batches, and completes the example.
func (c *completion) Rehearse() error {
	var b completionBatch
	for _, set := range []*pairs.Sequential{c.val, c.training} {
		if set == nil {
			continue
		}
		var f trainpairs.Frontier
		for k := range set.Len() {
			if err := set.Fill(k, 0, set.Shape(k).B, c.two); err != nil {
				return err
			}
			b.join(c.two, false)
			f.Add(b.shape(), k)
		}
		for _, s := range f.Shapes {
			if _, err := c.Loss(model.NewBatch(s.B, s.T), c.config.Method.Grid); err != nil {
				return err
			}
		}
	}
	c.at = 0 // what two held is gone
	if c.sets == nil || c.config.Loop.SampleEvery == 0 {
		return nil
	}
	prompt, _, err := c.sets.Example()
	if err != nil {
		return err
	}
	return generate.Rehearse(c.GPT.GPT, len(prompt), c.greedy())
}

// greedy are the settings of a sample.
func (c *completion) greedy() generate.Options {
	o := generate.DefaultOptions()
	o.Temperature, o.MaxTokens, o.Grid, o.NoCache = 0, max(c.config.Loop.SampleTokens, 1), c.config.Method.Grid, true
	o.StopIDs = []int32{c.sets.Special.End}
	return o
}

// Sample completes a prompt that is held out, taking the likeliest token each time.
func (c *completion) Sample() (string, error) {
	prompt, rest, err := c.sets.Example()
	if err != nil {
		return "", err
	}
	own, err := generate.Text(c.GPT.GPT, c.sets.Target, prompt, c.greedy())
	if err != nil {
		return "", err
	}
	text, err := c.sets.Target.Decode(rest)
	return fmt.Sprintf("%s\n(%s)", own, text), err
}

// StepBatch returns the batch of a step, and how many losses it has.
func (c *completion) StepBatch(step int) (model.Batch, int, error) {
	err := c.prepare(step)
	return c.joined.Batch, c.joined.losses, err
}

// Model is the language model.
func (c *completion) Model() *model.GPT { return c.GPT.GPT }
