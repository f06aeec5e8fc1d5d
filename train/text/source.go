package text

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"unicode/utf8"

	"github.com/bdia-go/bdia/backend"
	"github.com/bdia-go/bdia/data"
	"github.com/bdia-go/bdia/model"
	"github.com/bdia-go/bdia/tokenizer"
	"github.com/bdia-go/bdia/train"
)

const (
	dataDir   = "data"
	shardName = "text"  // tokens to train on; of a text without valName: all tokens
	valName   = "val"   // tokens that are held out
	wholeName = "whole" // all tokens, while they are divided

	promptTokens = 16 // that a sample of text continues
)

// open maps the token shards. A run without a set of held-out tokens holds out the end of its tokens.
func (t *Task) open(dir string) (err error) {
	dir = filepath.Join(dir, dataDir)
	o := data.OpenOptions{VocabSize: t.Tokenizer.VocabSize(), Fingerprint: tokenizer.Fingerprint(t.Tokenizer)}
	all, err := data.OpenShards(dir, shardName, o)
	if err != nil {
		return err
	}
	t.shards = []*data.Shards{all}
	if !data.HasShards(dir, valName) {
		t.train, t.val, err = data.Split(all, t.Settings.Data.ValFraction)
	} else if val, e := data.OpenShards(dir, valName, o); e != nil {
		err = e
	} else {
		t.shards, t.train, t.val = append(t.shards, val), all, val
	}
	if err != nil {
		t.Close()
	}
	return err
}

// CheckData reads the tokens of the run in dir and compares their checksums.
func (t *Task) CheckData(dir string) error {
	dir = filepath.Join(dir, dataDir)
	for _, name := range []string{shardName, valName} {
		if !data.HasShards(dir, name) {
			continue
		}
		s, err := data.OpenShards(dir, name, data.OpenOptions{Checksum: true})
		if err == nil {
			err = s.Close()
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// Open does nothing: the tokens are open.
func (t *Task) Open(context.Context, train.Progress) error { return nil }

// Close lets go of the tokens.
func (t *Task) Close() error {
	var err error
	for _, s := range t.shards {
		err = errors.Join(err, s.Close())
	}
	t.shards = nil
	return err
}

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
	if cfg.Data.ValFraction > 0 || t.val.Len() > 0 {
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
// Characters that tok lacks are left out if the settings say so.
func (d DataConfig) reader(tok tokenizer.Tokenizer) tokenizer.Tokenizer {
	if c, ok := tok.(*tokenizer.Char); ok && d.OnUnknown == SkipUnknown {
		return c.Skipping()
	}
	if d.Special {
		return tok
	}
	return tokenizer.Raw(tok)
}

// ErrNoText is wrapped by the error of settings that name no text.
var ErrNoText = errors.New("no text; name a file or folder")

// Open lists the text that d names: of Path, then of More, up to MaxBytes in all.
func (d DataConfig) Open(ctx context.Context) (*data.Source, error) {
	if d.Path == "" {
		return nil, fmt.Errorf("train: %w", ErrNoText)
	}
	src, err := d.open(ctx)
	for _, d.Path = range d.More {
		if err != nil {
			break
		}
		one := d
		if d.MaxBytes > 0 {
			if one.MaxBytes -= src.Bytes(); one.MaxBytes < utf8.UTFMax { // nothing, or a cut character
				break
			}
		}
		var more *data.Source
		if more, err = one.open(ctx); err == nil {
			src.Add(more)
		}
	}
	return src, err
}

// open lists the text of Path.
func (d DataConfig) open(ctx context.Context) (*data.Source, error) {
	if d.Path == "go" {
		if _, err := os.Stat("go"); err != nil {
			return data.GoSource(d.MaxBytes)
		}
	}
	o := data.SourceOptions{Extensions: d.Extensions, MaxBytes: d.MaxBytes, TextKey: d.TextKey, AsText: d.AsText, SkipBad: d.OnBad == SkipBad}
	o.Progress = func(int64) error { return ctx.Err() }
	return data.Open(d.Path, o)
}

// makeTokenizer loads the tokenizer that d asks for, or trains it on the text.
func makeTokenizer(ctx context.Context, d DataConfig, engine backend.Options, src *data.Source, progress train.Progress) (tokenizer.Tokenizer, error) {
	if d.Tokenizer != tokenizer.KindChar && d.Tokenizer != tokenizer.KindBPE {
		return tokenizer.Load(d.Tokenizer)
	}
	text := src.Reader()
	defer text.Close()
	r := data.NewProgressReader(ctx, text, func(n int64) { progress("reading the vocabulary", n, src.Bytes()) })
	learning := train.Learning{Engine: engine, Vocab: d.BPEVocab, Progress: progress}
	return learning.Learn(ctx, d.Tokenizer, r)
}
