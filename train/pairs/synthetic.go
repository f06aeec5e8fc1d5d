package pairs

import (
	"slices"

	"github.com/bdia-go/bdia/backend"
	"github.com/bdia-go/bdia/data/pairs"
	"github.com/bdia-go/bdia/internal/rng"
	"github.com/bdia-go/bdia/train"
)

// Source gives the batches of steps.
type Source interface {
	Shape(step int) (pairs.Shape, error)
	Fill(step, first, n int, dst *pairs.Batch) error
}

// MadeUp is a Source without text: batches as full as the tokens allow, of pairs without padding. Step i has texts of
// Lengths[i-1] positions, then from the first again.
type MadeUp struct {
	Source, Target Side
	Tokens         int // of a batch at most
	Pairs          int // of a batch at most; 0: as many as its tokens allow
	Seed           uint64
	Lengths        []int
}

// Side is a source, or a target: its most positions, and its vocabulary.
type Side struct{ Positions, Vocab int }

// RandomLengths are the length of usual sentences.
var RandomLengths = []int{32}

// AllLengths are every power of two below the longer side, and that side.
func AllLengths(source, target Side) (lengths []int) {
	longest := max(source.Positions, target.Positions)
	for n := 2; n < longest; n *= 2 {
		lengths = append(lengths, n)
	}
	return append(lengths, longest)
}

// Shape is the shape of a step's batch. It does not fail.
func (m MadeUp) Shape(step int) (pairs.Shape, error) {
	n := m.Lengths[(step-1)%len(m.Lengths)]
	S, T := min(n, m.Source.Positions), min(n, m.Target.Positions)
	B := max(1, m.Tokens/(S+T))
	if m.Pairs > 0 {
		B = min(B, m.Pairs)
	}
	return pairs.Shape{B: B, S: S, T: T, Targets: B * T}, nil
}

// Fill gives uniform ids. It does not fail.
func (m MadeUp) Fill(step, first, n int, dst *pairs.Batch) error {
	s, _ := m.Shape(step)
	key := rng.Key{Seed: m.Seed, Step: uint32(step), Sample: uint32(first), Site: rng.SiteData}
	ids := func(n, vocab, what int) []int32 {
		x := make([]int32, n)
		for i := range x {
			x[i] = int32(key.At(uint32(i))[what] % uint32(vocab))
		}
		return x
	}
	*dst = pairs.Batch{Shape: pairs.Shape{B: n, S: s.S, T: s.T, Targets: n * s.T},
		Source: ids(n*s.S, m.Source.Vocab, 0), Input: ids(n*s.T, m.Target.Vocab, 1), Target: ids(n*s.T, m.Target.Vocab, 2),
		SourceLengths: slices.Repeat([]int32{int32(s.S)}, n), TargetLengths: slices.Repeat([]int32{int32(s.T)}, n)}
	return nil
}

// madeUp are samples for the model of c.
func (c Config) madeUp(lengths func(source, target Side) []int) MadeUp {
	m := MadeUp{Source: Side{c.Seq2Seq.SourceContext, c.Seq2Seq.SourceVocab}, Target: Side{c.Seq2Seq.TargetContext, c.Seq2Seq.TargetVocab},
		Tokens: c.Pairs.BatchTokens, Pairs: c.Loop.Batch, Seed: c.Loop.Seed}
	m.Lengths = lengths(m.Source, m.Target)
	return m
}

func usual(Side, Side) []int { return RandomLengths }

// Clone returns a task with the same settings, and without data.
func (t *Task) Clone() train.Synthetic { return New(t.Settings) }

// Blank allocates the model on be, to learn from made-up pairs of all lengths.
func (t *Task) Blank(be backend.Backend) (train.Learner, error) { return t.synthetic(be, AllLengths) }

// Random allocates the model on be, to learn from random pairs of usual length.
func (t *Task) Random(be backend.Backend) (train.Learner, error) { return t.synthetic(be, usual) }

func (t *Task) synthetic(be backend.Backend, lengths func(source, target Side) []int) (train.Learner, error) {
	m, c := t.Settings.madeUp(lengths), t.Settings
	c.Schedule.Steps = max(c.Schedule.Steps, len(m.Lengths)) // all of them are planned
	return newTranslation(be, c, m)
}

// SetBatch makes batches of n tokens; MostBatch is the largest n.
func (t *Task) SetBatch(n int) { t.Settings.Pairs.BatchTokens = n }
func (t *Task) MostBatch() int { return train.MaxTokens }

// RandomBatch returns the batch of a step of Random.
func (t *Task) RandomBatch(step int) *pairs.Batch {
	m, b := t.Settings.madeUp(usual), &pairs.Batch{}
	s, _ := m.Shape(step)
	_ = m.Fill(step, 0, s.B, b)
	return b
}
