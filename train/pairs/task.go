// Package pairs is the task of translation: an encoder-decoder learns sentences and their translations. Its Sets, pairs
// of texts as tokens, serve prompts and completions too (package train/tune).
package pairs

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"sync/atomic"

	"github.com/bdia-go/bdia/backend"
	"github.com/bdia-go/bdia/data/pairs"
	"github.com/bdia-go/bdia/hub"
	"github.com/bdia-go/bdia/model"
	"github.com/bdia-go/bdia/tokenizer"
	"github.com/bdia-go/bdia/train"
)

// Name is the task's name in bdia.yaml.
const Name = "translation"

func init() { train.Register(Name, func() train.Task { return New(Default()) }) }

// Task is a run's settings and data.
type Task struct {
	Settings Config
	Sets     // after Prepare or Reopen
}

// New returns the task of the settings c.
func New(c Config) *Task { return &Task{Settings: c} }

// Name, Config and Common return what a run keeps in bdia.yaml.
func (t *Task) Name() string          { return Name }
func (t *Task) Config() any           { return &t.Settings }
func (t *Task) Common() *train.Common { return &t.Settings.Common }

// Validate returns an error for the first invalid setting or combination.
func (t *Task) Validate() error { return t.Settings.Validate() }

// Epochs is the length of the run in epochs; 0: it is in steps.
func (t *Task) Epochs() float64 { return t.Settings.Pairs.Epochs }

// Fixed is the settings without dropout, label smoothing and epochs, which may change.
func (t *Task) Fixed() any {
	c := t.Settings
	m := &c.Seq2Seq
	m.EmbeddingDropout, m.AttentionDropout, m.ResidualDropout, m.LabelSmoothing = 0, 0, 0, 0
	c.Pairs.Epochs = 0
	return c
}

// ErrNoPairs is wrapped by the error of settings that name no files.
var ErrNoPairs = errors.New("no pairs of text; name parallel files, or a table")

// Absolute makes the paths of c absolute, so that a run finds its files again from any folder.
func (c *DataConfig) Absolute() error {
	return train.Absolute(&c.Files.Source, &c.Files.Target, &c.ValSource, &c.ValTarget)
}

// Prepare makes the tokenizers, encodes the pairs to sets in dir, and completes the settings: vocabularies, and steps
// by epochs.
func (t *Task) Prepare(ctx context.Context, dir string, progress train.Progress) error {
	c := &t.Settings
	if c.Pairs.Source == "" {
		return fmt.Errorf("train: %w", ErrNoPairs)
	}
	if err := cmp.Or(train.Identify(&c.From.Dir, &c.From.Base, progress), c.Pairs.Absolute()); err != nil {
		return err
	}
	least := New(*c)
	train.Fill(&least.Settings.Pairs.BatchTokens, LeastTokens)
	t.Fits = train.Beside(ctx, least) // with the vocabularies asked for
	if err := t.makeTokenizers(ctx, c.Pairs, c.Engine, progress); err != nil {
		return err
	}
	if err := t.adoptVocabularies(); err != nil {
		return err
	}
	m := &c.Seq2Seq
	m.Shared = m.Shared && !c.Pairs.Separate
	if err := m.Validate(); err != nil {
		return err
	}
	t.Special = SpecialTokens(*m)
	least.Settings.Seq2Seq = *m
	if err := train.Fits(ctx, least); err != nil {
		return err
	}
	t.Fits = train.Beside(ctx, least)
	var lost atomic.Int64
	counted := func(tok tokenizer.Tokenizer) tokenizer.Tokenizer {
		return tokenizer.CountLost(tokenizer.Raw(tok), &lost)
	}
	e := Encoding{Source: counted(t.Source), Target: counted(t.Target), SourcePositions: m.SourceContext, TargetPositions: m.TargetContext}
	if err := t.Encode(ctx, dir, c.Pairs, e, progress); err != nil {
		return err
	}
	t.Lost = lost.Load()
	if err := t.Map(dir); err != nil {
		return err
	}
	passes, choice := c.choice(t.Amount())
	err := t.Settle(&c.Pairs, &c.Common, 4096, passes, choice)
	if err == nil {
		err = c.Validate()
	}
	if err != nil {
		t.Close()
	}
	return err
}

// Host is what tokenizers and pairs take.
func (t *Task) Host() train.Host {
	m := t.Settings.Seq2Seq
	n := m.SourceVocab
	if !m.Shared {
		n += m.TargetVocab
	}
	return t.Sets.Host(n)
}

// Reopen opens the tokenizers and the sets of the run in dir.
func (t *Task) Reopen(dir string) (err error) {
	if t.Source, t.Target, err = hub.TokenizersOf(dir, t.Settings.Seq2Seq); err != nil {
		return err
	}
	t.Special = SpecialTokens(t.Settings.Seq2Seq)
	return t.Map(dir)
}

// Save writes the tokenizers' files.
func (t *Task) Save(dir string) error { return hub.SaveTokenizers(dir, t.Source, t.Target) }

// SpecialTokens returns the ids of a model's special tokens, the last three of its vocabularies: begin, end and padding
// of a sentence.
func SpecialTokens(c model.Seq2SeqConfig) pairs.Special {
	source, target := int32(c.SourceVocab), int32(c.TargetVocab)
	return pairs.Special{SourceEnd: source - 2, SourcePad: source - 1, Begin: target - 3, End: target - 2, Pad: target - 1}
}

// StepBatch fills dst with the pairs of a step.
func (t *Task) StepBatch(step int, dst *pairs.Batch) error {
	return t.Batch(t.Settings.Pairs, t.Settings.Loop, step, dst)
}

// Part returns the batches in which a part is evaluated; nil if it is empty.
func (t *Task) Part(part pairs.Part) (*pairs.Sequential, error) {
	return t.Sequential(t.Settings.Pairs, part)
}

// Learner allocates the encoder-decoder on be, to learn from the pairs.
func (t *Task) Learner(be backend.Backend) (train.Learner, error) {
	c := t.Settings
	b, err := t.Batches(c.Pairs, c.Loop)
	if err != nil {
		return nil, err
	}
	l, err := newTranslation(be, c, b)
	if err != nil {
		return nil, err
	}
	l.sets = &t.Sets
	l.val, l.training, err = t.Evaluated(c.Pairs, c.Loop.EvalTrain)
	return l, err
}
