package train

import (
	"context"
	"fmt"
	"slices"

	"github.com/bdia-go/bdia"
	"github.com/bdia-go/bdia/backend"
	"github.com/bdia-go/bdia/data/pairs"
	"github.com/bdia-go/bdia/generate"
	"github.com/bdia-go/bdia/model"
	"github.com/bdia-go/bdia/tokenizer"
)

// completion is a GPT that learns to complete prompts. A sample is a prompt, with
// the separator, its completion and the end of the text; what comes after is
// padding, which attention to earlier positions never sees. The prompt has no loss,
// unless that is asked for.
type completion struct {
	*language
	text       *Pairs // nil where the tokens are made up
	pairs      pairSource
	val, train *pairs.Sequential // to be evaluated; nil where there are none
	two        *pairs.Batch      // prompts and completions apart
	joined     completionBatch   // the same, as the model takes them: those of step at
	at         int
}

// completionBatch is a batch as models take it, and the number of its losses.
type completionBatch struct {
	model.Batch
	losses int
}

func (p *Pairs) completion(be backend.Backend, cfg Config) (Learner, error) {
	b, err := p.batches(cfg)
	if err != nil {
		return nil, err
	}
	c, err := newCompletion(be, cfg, b)
	if err != nil {
		return nil, err
	}
	c.text, c.end = p, endOfText(p.Source)
	if c.val, err = p.Sequential(cfg, pairs.Val); err != nil {
		return nil, err
	}
	if cfg.Loop.EvalTrain {
		c.train, err = p.Sequential(cfg, pairs.Train)
	}
	return c, err
}

func newCompletion(be backend.Backend, cfg Config, source pairSource) (*completion, error) {
	l, err := newLanguage(be, cfg, windows{}, nil)
	return &completion{language: l, pairs: source, two: pairs.NewBatch(pairs.Room{})}, err
}

// join makes b of prompts and completions. Row i is both and the end; its inputs
// are all but the last token, its targets all but the first. An id of padding is
// that of the end.
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
	c.joined.join(c.two, c.cfg.Tune.LossOnPrompt)
	c.at = step
	return nil
}

// Size returns the sizes of a step's batch.
func (c *completion) Size(step int) (samples, losses int, err error) {
	err = c.prepare(step)
	return c.joined.Size, c.joined.losses, err
}

// Largest lists the steps whose batches no other one exceeds in samples and length.
func (c *completion) Largest() ([]int, error) {
	var f frontier
	for step := 1; step <= c.cfg.Schedule.Steps; step++ {
		if err := c.prepare(step); err != nil {
			return nil, err
		}
		f.add(c.joined.shape(), step)
	}
	return f.at, nil
}

func (b completionBatch) shape() pairs.Shape {
	return pairs.Shape{B: b.Size, T: len(b.Inputs) / b.Size}
}

func (c *completion) Step(pass backend.Pass, _ int, scale float32, sink bdia.Sink) ([]float32, error) {
	if err := c.prepare(pass.Step); err != nil {
		return nil, err
	}
	return c.GPT.Step(c.joined.Batch, pass, scale, sink)
}

// Evaluate measures the ordinary transformer (gamma 0) on the run's grid.
func (c *completion) Evaluate(ctx context.Context, training bool) (Score, bool, error) {
	set := c.val
	if training {
		set = c.train
	}
	if set == nil {
		return unmeasured, false, nil
	}
	loss, _, err := CompletionLoss(ctx, c.GPT, set, c.cfg, c.cfg.Method.Grid)
	return Score{Loss: loss}, true, err
}

// CompletionLoss returns the mean loss per token that is learned of set, and their
// number, over about cfg.Loop.EvalSamples pairs of set, in evenly spaced batches of
// all lengths; 0 for all of it.
func CompletionLoss(ctx context.Context, m *model.GPT, set *pairs.Sequential, cfg Config, grid bdia.Grid) (loss float64, losses int, err error) {
	var b completionBatch
	var sum float64
	err = eachBatch(ctx, set, cfg.Loop.EvalSamples, pairs.NewBatch(pairs.Room{}), func(two *pairs.Batch) error {
		b.join(two, cfg.Tune.LossOnPrompt)
		losses += b.losses
		losses, err := m.Loss(b.Batch, grid)
		sum = model.AddLosses(sum, losses)
		return err
	})
	return sum / float64(losses), losses, err
}

func (c *completion) Rehearse() error {
	var b completionBatch
	for _, set := range []*pairs.Sequential{c.val, c.train} {
		if set == nil {
			continue
		}
		var f frontier
		for k := range set.Len() {
			if err := set.Fill(k, 0, set.Shape(k).B, c.two); err != nil {
				return err
			}
			b.join(c.two, false)
			f.add(b.shape(), k)
		}
		for _, s := range f.shapes {
			if _, err := c.Loss(model.NewBatch(s.B, s.T), c.cfg.Method.Grid); err != nil {
				return err
			}
		}
	}
	c.at = 0 // what two held is gone
	if c.text == nil || c.cfg.Loop.SampleEvery == 0 {
		return nil
	}
	prompt, _, err := c.text.example()
	if err != nil {
		return err
	}
	return generate.Rehearse(c.GPT, len(prompt), c.greedy())
}

// greedy are the settings of a sample.
func (c *completion) greedy() generate.Options {
	o := generate.DefaultOptions()
	o.Temperature, o.MaxTokens, o.Grid, o.NoCache = 0, max(c.cfg.Loop.SampleTokens, 1), c.cfg.Method.Grid, true
	o.StopIDs = []int32{c.text.end}
	return o
}

// Sample completes a prompt that is held out, taking the likeliest token each time.
func (c *completion) Sample() (string, error) {
	prompt, rest, err := c.text.example()
	if err != nil {
		return "", err
	}
	own, err := generate.Text(c.GPT, c.text.Target, prompt, c.greedy())
	if err != nil {
		return "", err
	}
	text, err := c.text.Target.Decode(rest)
	return fmt.Sprintf("%s\n(%s)", own, text), err
}

// Completions returns some prompts of a part with their completions, of cfg's
// TaskCompletion: up to most neighbours of middle length; none of an empty part.
func (p *Pairs) Completions(cfg Config, part pairs.Part, most int) (model.Batch, error) {
	var b completionBatch
	set, err := p.Sequential(cfg, part)
	if err != nil || set == nil {
		return b.Batch, err
	}
	k, two := set.Len()/2, pairs.NewBatch(pairs.Room{})
	if err := set.Fill(k, 0, min(most, set.Shape(k).B), two); err != nil {
		return b.Batch, err
	}
	b.join(two, cfg.Tune.LossOnPrompt)
	return b.Batch, nil
}

// CompletionBatch returns the batch of a step of cfg's TaskCompletion.
func (p *Pairs) CompletionBatch(cfg Config, step int) (model.Batch, error) {
	var b completionBatch
	two := pairs.NewBatch(pairs.Room{})
	err := p.Batch(cfg, step, two)
	if err == nil {
		b.join(two, cfg.Tune.LossOnPrompt)
	}
	return b.Batch, err
}

// completionTokenizer loads the tokenizer of the model that is fine-tuned, which
// has to have a token for the end of a text.
func completionTokenizer(dir string) (tok tokenizer.Tokenizer, end int32, err error) {
	if tok, err = tokenizer.Load(dir); err != nil {
		return nil, 0, err
	}
	end, ok := tokenizer.EndOfText(tok)
	if !ok {
		return nil, 0, fmt.Errorf("train: %s: %w: its tokenizer has no token for the end of a text, with which a completion ends; start from a model with a byte-level BPE", dir, ErrCombination)
	}
	return tok, end, nil
}
