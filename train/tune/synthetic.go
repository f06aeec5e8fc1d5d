package tune

import (
	"github.com/bdia-go/bdia/backend"
	"github.com/bdia-go/bdia/train"
	trainpairs "github.com/bdia-go/bdia/train/pairs"
)

// Clone returns a task with the same settings, and without data.
func (t *Task) Clone() train.Synthetic { return New(t.Settings) }

// Blank allocates the model on be, to learn from made-up pairs of all lengths.
func (t *Task) Blank(be backend.Backend) (train.Learner, error) {
	c, err := t.synthetic(be, trainpairs.AllLengths)
	if err != nil {
		return nil, err
	}
	return c, nil
}

// Random allocates the model on be, to learn from random pairs of usual length. It begins with weights that are drawn.
func (t *Task) Random(be backend.Backend) (train.Learner, error) {
	c, err := t.synthetic(be, func(trainpairs.Side, trainpairs.Side) []int { return trainpairs.RandomLengths })
	if err != nil {
		return nil, err
	}
	c.Forget()
	return c, nil
}

// synthetic allocates the model, to learn from pairs of some lengths. Prompts and completions share a window, which
// needs no position for the end of the one and the beginning of the other.
func (t *Task) synthetic(be backend.Backend, lengths func(source, target trainpairs.Side) []int) (*completion, error) {
	c := t.Settings
	window, vocab := c.Tune.SampleLength(c.Model), c.Model.Vocab
	T := window/2 + 1
	m := trainpairs.MadeUp{Source: trainpairs.Side{Positions: window + 2 - T, Vocab: vocab}, Target: trainpairs.Side{Positions: T, Vocab: vocab},
		Tokens: c.Pairs.BatchTokens, Pairs: c.Loop.Batch, Seed: c.Loop.Seed}
	m.Lengths = lengths(m.Source, m.Target)
	c.Schedule.Steps = max(c.Schedule.Steps, len(m.Lengths)) // all of them are planned
	return newCompletion(be, c, m)
}

// SetBatch makes batches of n tokens; MostBatch is the largest n.
func (t *Task) SetBatch(n int) { t.Settings.Pairs.BatchTokens = n }
func (t *Task) MostBatch() int { return train.MaxTokens }
