// Package text is the task of language models: a GPT learns text, from nothing or from a trained model on.
package text

import (
	"cmp"
	"context"
	"path/filepath"

	"github.com/bdia-go/bdia/backend"
	"github.com/bdia-go/bdia/checkpoint"
	"github.com/bdia-go/bdia/data"
	"github.com/bdia-go/bdia/tensor"
	"github.com/bdia-go/bdia/tokenizer"
	"github.com/bdia-go/bdia/train"
	"github.com/bdia-go/bdia/train/tune"
)

// Name is the task's name in bdia.yaml.
const Name = "text"

func init() { train.Register(Name, func() train.Task { return New(Default()) }) }

// Task is a run's settings and data: the text as tokens, cut into what is trained on and what is held out.
type Task struct {
	Settings  Config
	Tokenizer tokenizer.Tokenizer // after Prepare or Reopen

	shards     []*data.Shards
	train, val data.Tokens
	texts      texts // after Prepare
}

// New returns the task of the settings c.
func New(c Config) *Task { return &Task{Settings: c} }

// Name, Config and Common return what a run keeps in bdia.yaml.
func (t *Task) Name() string          { return Name }
func (t *Task) Config() any           { return &t.Settings }
func (t *Task) Common() *train.Common { return &t.Settings.Common }

// Validate returns an error for the first invalid setting or combination.
func (t *Task) Validate() error { return t.Settings.Validate() }

// StartsFrom is the folder of the model that learns on; empty: the run begins with initial weights.
func (t *Task) StartsFrom() string { return t.Settings.Tune.From }

// Fixed is the settings without dropout and epochs, which may change.
func (t *Task) Fixed() any {
	c := t.Settings
	c.Model.EmbeddingDropout, c.Model.AttentionDropout, c.Model.ResidualDropout = 0, 0, 0
	c.Tune, c.Data.Epochs = c.Tune.Fixed(), 0
	return c
}

// Epochs is the length of the run in epochs; 0: it is in steps.
func (t *Task) Epochs() float64 { return t.Settings.Data.Epochs }

// Prepare makes the tokenizer, encodes the text to token shards in dir and sets the vocabulary.
func (t *Task) Prepare(ctx context.Context, dir string, progress train.Progress) error {
	c := &t.Settings
	if err := train.Identify(&c.Tune.From, &c.Tune.Base, progress); err != nil {
		return err
	}
	asked := c.Data
	texts, tok, err := c.encode(ctx, dir, progress)
	if joined := texts.documents.total; err == nil && asked.repeats(joined, tok) {
		c.Data.Tokenizer, c.Data.BPEVocab = asked.Tokenizer, asked.BPEVocab
		c.Data.closeTokenizer(tokenizer.KindChar, leastVocab)
		texts, tok, err = c.encode(ctx, dir, progress)
		texts.joined = joined
	}
	if err != nil {
		return err
	}
	t.Tokenizer, t.texts = tok, texts
	if err := t.open(dir); err != nil {
		return err
	}
	c.choose(t.train.Len())
	_, err = t.windows()
	if err = cmp.Or(c.Validate(), err); err != nil {
		t.Close()
	}
	return err
}

// encode makes the tokenizer of the text and writes its tokens in dir.
func (c *Config) encode(ctx context.Context, dir string, progress train.Progress) (texts, tokenizer.Tokenizer, error) {
	t, tok, err := c.prepare(ctx, progress)
	if err != nil {
		return t, nil, err
	}
	if c.Tune.From == "" {
		c.Model.Vocab = tok.VocabSize()
	} else {
		c.grow(tok, len(t.unknown))
	}
	if reached, err := tokenizer.Limit(tok, c.Model.Vocab); err == nil { // else Belongs says it
		tok = reached
	}
	if err := cmp.Or(c.Validate(), c.Tune.Belongs(tok, c.Model, c.Data.Tokenizer)); err != nil {
		return t, nil, err
	}
	if err := c.fits(ctx); err != nil {
		return t, nil, err
	}
	e := &encoder{ctx: ctx, dir: filepath.Join(dir, dataDir), tok: c.Data.reader(tok), progress: progress}
	return t, tok, t.encode(e, c.Data, c.window)
}

// fits reports settings that this machine has not the memory for, however little text there is.
func (c *Config) fits(ctx context.Context) error {
	least := New(*c)
	fillSizes(&least.Settings.Model, sizeFor(0))
	train.Fill(&least.Settings.Loop.Batch, max(1, c.Loop.MicroBatch))
	return train.Fits(ctx, least)
}

// Host is what the tokenizer takes. Tokens are mapped files.
func (t *Task) Host() train.Host {
	return train.Host{Tokenizers: int64(t.Settings.Model.Vocab) * train.TokenBytes}
}

// Reopen opens the tokenizer and the tokens of the run in dir.
func (t *Task) Reopen(dir string) error {
	tok, err := tokenizer.Load(dir)
	if err != nil {
		return err
	}
	if err := t.Settings.Tune.Belongs(tok, t.Settings.Model, dir); err != nil {
		return err
	}
	t.Tokenizer = tok
	return t.open(dir)
}

// Fit looks for the finest grid that holds the residual stream of a trained model.
func (t *Task) Fit(ctx context.Context, st checkpoint.State, obs train.Observer) (*train.Calibration, bool, error) {
	return tune.Fit(ctx, t, t.Settings.Tune, st, obs)
}

// Learner allocates the model on be, to learn from the text.
func (t *Task) Learner(be backend.Backend) (train.Learner, error) {
	w, err := t.windows()
	if err != nil {
		return nil, err
	}
	l, err := newLanguage(be, t.Settings, w)
	if err != nil {
		return nil, err
	}
	l.text, l.End = t, tokenizer.EndID(t.Tokenizer)
	return l, nil
}

// Held is the type of the model's matrices in memory.
func (t *Task) Held() tensor.DType { return t.Settings.Tune.Held(t.Settings.Model).DType() }

// Clone returns a task with the same settings, and without data.
func (t *Task) Clone() train.Synthetic { return New(t.Settings) }

// Blank allocates the model on be, to learn from samples of token 0.
func (t *Task) Blank(be backend.Backend) (train.Learner, error) {
	return newLanguage(be, t.Settings, windows{batches: noTokens{}})
}

// Random allocates the model on be, to learn from uniformly random tokens. It begins with weights that are drawn.
func (t *Task) Random(be backend.Backend) (train.Learner, error) {
	l, err := newLanguage(be, t.Settings, windows{batches: randomTokens{uint32(t.Settings.Model.Vocab)}})
	if err != nil {
		return nil, err
	}
	l.Forget()
	return l, nil
}

// SetBatch makes batches of n samples, taken at once; MostBatch is the largest n.
func (t *Task) SetBatch(n int) { t.Settings.Loop.Batch, t.Settings.Loop.MicroBatch = n, 0 }
func (t *Task) MostBatch() int { return train.MaxTokens / t.Settings.SampleLength() }
