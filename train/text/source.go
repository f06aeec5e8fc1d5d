package text

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"github.com/bdia-go/bdia/data"
	"github.com/bdia-go/bdia/model"
	"github.com/bdia-go/bdia/tokenizer"
	"github.com/bdia-go/bdia/train"
)

const (
	dataDir   = "data"
	shardName = "text"

	promptTokens = 16 // that a sample of text continues
)

// open maps the token shards and cuts off the validation text.
func (t *Task) open(dir string) (err error) {
	t.shards, err = data.OpenShards(filepath.Join(dir, dataDir), shardName,
		data.OpenOptions{VocabSize: t.Tokenizer.VocabSize(), Fingerprint: tokenizer.Fingerprint(t.Tokenizer)})
	if err != nil {
		return err
	}
	if t.train, t.val, err = data.Split(t.shards, t.Settings.Data.ValFraction); err != nil {
		t.shards.Close()
	}
	return err
}

// Open does nothing: the tokens are open.
func (t *Task) Open(context.Context, train.Progress) error { return nil }

// Close lets go of the tokens.
func (t *Task) Close() error { return t.shards.Close() }

// Save writes the tokenizer's files, and what the model that the run started from says to other programs.
func (t *Task) Save(dir string) error {
	return errors.Join(t.Tokenizer.Save(dir), t.Settings.Tune.SaveOrigin(dir))
}

// Tokens returns the training text or the held-out text, which may be empty.
func (t *Task) Tokens(training bool) data.Tokens {
	if training {
		return t.train
	}
	return t.val
}

// StepBatch fills b with the first samples of a step.
func (t *Task) StepBatch(step int, b model.Batch) error {
	s, err := data.NewSampler(t.train, t.Settings.SampleLength(), t.Settings.Loop.Seed)
	if err != nil {
		return err
	}
	return s.Batch(step, 0, b.Size, b.Inputs, b.Targets)
}

// Prompt returns the first tokens of the held-out text (of the training text,
// if nothing is held out): a start for samples.
func (t *Task) Prompt() ([]int32, error) {
	text := t.val
	if text.Len() == 0 {
		text = t.train
	}
	ids := make([]int32, min(promptTokens, text.Len()))
	return ids, text.Read(ids, 0)
}

// windows are the samples that a run is trained and evaluated on.
type windows struct {
	batches  tokenSource
	val      *data.Sequential // nil if nothing is held out
	training *data.Sequential // of training text; nil: it is not evaluated
}

// windows checks that the texts are long enough and cuts them.
func (t *Task) windows() (w windows, err error) {
	cfg := t.Settings
	T, n := cfg.SampleLength(), cfg.Loop.EvalSamples
	if w.batches, err = data.NewSampler(t.train, T, cfg.Loop.Seed); err != nil {
		return w, fmt.Errorf("train: training text: %w", err)
	}
	if cfg.Data.ValFraction > 0 {
		if w.val, err = data.NewSequential(t.val, T, n); err != nil {
			return w, fmt.Errorf("train: validation text: %w", err)
		}
	}
	if cfg.Loop.EvalTrain {
		if w.training, err = data.NewSequential(t.train, T, n); err != nil {
			return w, fmt.Errorf("train: training text: %w", err)
		}
	}
	return w, nil
}

// reader returns tok as it reads the text. In a text to learn from, unlike in a
// prompt, a special token is ordinary text unless the settings say otherwise: a
// manual of language models must not be cut at the place that names one.
func (d DataConfig) reader(tok tokenizer.Tokenizer) tokenizer.Tokenizer {
	if d.Special {
		return tok
	}
	return tokenizer.Raw(tok)
}

// ErrNoText is wrapped by the error of settings that name no text.
var ErrNoText = errors.New("no text; name a file or folder")

// Open lists the text that d names.
func (d DataConfig) Open() (*data.Source, error) {
	if d.Path == "" {
		return nil, fmt.Errorf("train: %w", ErrNoText)
	}
	if d.Path == "go" {
		if _, err := os.Stat("go"); err != nil {
			return data.GoSource(d.MaxBytes)
		}
	}
	return data.Open(d.Path, data.SourceOptions{Extensions: d.Extensions, MaxBytes: d.MaxBytes})
}

// makeTokenizer loads the tokenizer that d asks for, or trains it on the text.
func makeTokenizer(ctx context.Context, d DataConfig, src *data.Source, progress train.Progress) (tokenizer.Tokenizer, error) {
	if d.Tokenizer != tokenizer.KindChar && d.Tokenizer != tokenizer.KindBPE {
		return tokenizer.Load(d.Tokenizer)
	}
	text := src.Reader()
	defer text.Close()
	r := data.NewProgressReader(ctx, text, func(n int64) { progress("reading the vocabulary", n, src.Bytes()) })
	return tokenizer.Learn(ctx, d.Tokenizer, d.BPEVocab, r, func(done, total int) { progress("learning merges", int64(done), int64(total)) })
}

// encode writes the text as token shards, files separated by the end-of-text
// token where the tokenizer has one.
func encode(ctx context.Context, dir string, src *data.Source, tok tokenizer.Tokenizer, progress train.Progress) error {
	w, err := data.CreateShards(dir, shardName, data.ShardOptions{VocabSize: tok.VocabSize(), Fingerprint: tokenizer.Fingerprint(tok)})
	if err != nil {
		return err
	}
	defer w.Abort()
	o := data.EncodeOptions{Progress: func(n int64) { progress("encoding", n, src.Bytes()) }}
	if id, ok := tokenizer.EndOfText(tok); ok {
		o.Separator = []int32{id}
	}
	if err := src.Encode(tok, o, func(ids []int32) error {
		if err := ctx.Err(); err != nil {
			return err
		}
		return w.Write(ids)
	}); err != nil {
		return err
	}
	return w.Close()
}
