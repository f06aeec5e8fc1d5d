package train

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io/fs"
	"math"
	"path/filepath"

	"github.com/bdia-go/bdia/data/pairs"
	"github.com/bdia-go/bdia/hub"
	"github.com/bdia-go/bdia/model"
	"github.com/bdia-go/bdia/tokenizer"
)

// PairConfig says which sentences and translations are learned, and for how long.
type PairConfig struct {
	pairs.Files  `yaml:",inline"`
	ValSource    string           `yaml:"val_source"` // validation pairs, in files of the same format; empty: a share of them
	ValTarget    string           `yaml:"val_target"`
	pairs.Split  `yaml:",inline"` // of what is held out; its share for validation where there is no ValSource
	pairs.Filter `yaml:",inline"` // of all pairs but those of ValSource

	OnBad       pairs.Policy `yaml:"on_bad"`       // skip or fatal: sentences that are no text
	OnLong      pairs.Policy `yaml:"on_long"`      // skip, truncate or fatal: sentences longer than the model's positions
	Tokenizer   string       `yaml:"tokenizer"`    // char, bpe, or a folder with tokenizer files
	Separate    bool         `yaml:"separate"`     // a tokenizer for each language; folders: source/ and target/
	BPEVocab    int          `yaml:"bpe_vocab"`    // vocabulary of a bpe tokenizer trained on the data
	BatchTokens int          `yaml:"batch_tokens"` // positions of a batch at most, padding and both sides included
	Epochs      float64      `yaml:"epochs"`       // length of the run, which sets the schedule's steps; 0: these count
}

// Validate reports the first setting that cannot be.
func (c PairConfig) Validate() error {
	switch {
	case c.BatchTokens < 1 || c.BatchTokens > maxTokens:
		return fmt.Errorf("train: batches of %d tokens; give 1 to %d", c.BatchTokens, maxTokens)
	case !(c.Epochs >= 0 && c.Epochs <= 1e6):
		return fmt.Errorf("train: %v epochs; give a number up to 1e6, or 0 to count steps", c.Epochs)
	case c.ValSource == "" && c.ValTarget != "":
		return fmt.Errorf("train: targets for validation in %s, but not their sources; name those with --val-source, or of prompts with --val", c.ValTarget)
	case c.ValSource != "" && (c.ValTarget == "") != (c.Target == ""):
		return fmt.Errorf("train: pairs for training and for validation have to be in files of one kind: two parallel ones, or a table")
	case c.OnBad != pairs.Skip && c.OnBad != pairs.Fatal:
		return fmt.Errorf("train: %q for bad sentences; use %s or %s", c.OnBad, pairs.Skip, pairs.Fatal)
	case c.OnLong != pairs.Skip && c.OnLong != pairs.Truncate && c.OnLong != pairs.Fatal:
		return fmt.Errorf("train: %q for long sentences; use %s, %s or %s", c.OnLong, pairs.Skip, pairs.Truncate, pairs.Fatal)
	}
	if c.Source != "" { // what is planned has no files
		if err := c.Files.Validate(); err != nil {
			return err
		}
	}
	return firstOf(c.Split.Validate(), c.Filter.Validate())
}

func (c Config) validatePairs() error {
	if c.Loop.Batch != 0 || c.Loop.MicroBatch != 0 {
		return fmt.Errorf("train: %w: a batch of pairs has as many as its tokens allow, at once; leave out --batch and --micro-batch, and use --batch-tokens", ErrCombination)
	}
	if c.Task == TaskTranslation {
		if err := validateTokenizer(c.Pairs.Tokenizer, c.Pairs.BPEVocab); err != nil {
			return err
		}
	}
	return c.Pairs.Validate()
}

// textOptions are how the pairs of training are read.
func (c PairConfig) textOptions() pairs.Options {
	o := pairs.Options{Files: c.Files, Filter: c.Filter, Split: c.Split, OnBad: c.OnBad}
	if c.ValSource != "" {
		o.Split.Val = 0
	}
	return o
}

// valOptions are how those of ValSource are read: all that can be used.
func (c PairConfig) valOptions() pairs.Options {
	o := pairs.Options{Files: c.Files, Filter: pairs.Filter{KeepDuplicates: true}, OnBad: c.OnBad}
	o.Files.Source, o.Files.Target = c.ValSource, c.ValTarget
	return o
}

// SpecialTokens returns the ids of a model's special tokens, the last three of its
// vocabularies: begin, end and padding of a sentence.
func SpecialTokens(c model.Seq2SeqConfig) pairs.Special {
	source, target := int32(c.SourceVocab), int32(c.TargetVocab)
	return pairs.Special{SourceEnd: source - 2, SourcePad: source - 1, Begin: target - 3, End: target - 2, Pad: target - 1}
}

// Pairs are the sentences of a run and their translations as tokens: what is
// trained on and what is held out.
type Pairs struct {
	Source, Target tokenizer.Tokenizer // the same where they share a vocabulary
	Report, Val    *pairs.Report       // what was read, by Create; Val of the files of validation; else nil
	Leaked         int                 // pairs of these files whose source is trained on, by Create

	end  int32                      // of TaskCompletion: the token that ends a text
	sets [pairs.Test + 1]*pairs.Set // by part; nil where there is none
}

// special returns the ids of the special tokens of cfg's model. A GPT that completes
// prompts knows the end of a text only.
func (p *Pairs) special(cfg Config) pairs.Special {
	if cfg.Task == TaskCompletion {
		return pairs.Special{SourceEnd: p.end, SourcePad: p.end, Begin: p.end, End: p.end, Pad: p.end}
	}
	return SpecialTokens(cfg.Seq2Seq)
}

// createPairs makes the tokenizers, encodes the pairs to sets in dir, and completes
// cfg: vocabularies, steps by epochs.
func createPairs(ctx context.Context, dir string, cfg *Config, progress func(what string, done, total int64)) (*Pairs, error) {
	c := &cfg.Pairs
	if c.Source == "" {
		return nil, fmt.Errorf("train: no pairs of text; name parallel files with --source and --target, or a table with --data")
	}
	if err := cfg.Absolute(); err != nil {
		return nil, err
	}
	p, err := newPairs(ctx, cfg, progress)
	if err == nil {
		err = p.encode(ctx, filepath.Join(dir, dataDir), *cfg, progress)
	}
	if errors.Is(err, pairs.ErrColumns) {
		flags := "--source-column and --target-column"
		if cfg.Task == TaskCompletion {
			flags = "--prompt-column and --completion-column"
		}
		err = fmt.Errorf("%w; choose them with %s", err, flags)
	}
	if err != nil {
		return nil, err
	}
	if err := p.open(dir, *cfg); err != nil {
		return nil, err
	}
	if err := p.schedule(cfg); err != nil {
		p.Close()
		return nil, err
	}
	return p, nil
}

// newPairs makes the tokenizers, or loads those of the model that learns on, and
// completes cfg's model.
func newPairs(ctx context.Context, cfg *Config, progress func(string, int64, int64)) (*Pairs, error) {
	p := &Pairs{}
	if cfg.Task == TaskCompletion {
		return p, p.tokenizerOf(cfg.Tune.From, *cfg)
	}
	if err := p.makeTokenizers(ctx, cfg.Pairs, progress); err != nil {
		return nil, err
	}
	m := &cfg.Seq2Seq
	m.SourceVocab, m.TargetVocab = p.Source.VocabSize()+hub.SpecialTokens, p.Target.VocabSize()+hub.SpecialTokens
	m.Shared = m.Shared && !cfg.Pairs.Separate
	return p, m.Validate()
}

// tokenizerOf takes the tokenizer in dir, of a GPT.
func (p *Pairs) tokenizerOf(dir string, cfg Config) (err error) {
	if p.Source, p.end, err = completionTokenizer(dir); err != nil {
		return err
	}
	p.Target = p.Source
	return cfg.belongs(p.Source, dir)
}

// schedule sets the steps of the epochs that cfg asks for, and evaluates once an
// epoch unless told otherwise.
func (p *Pairs) schedule(cfg *Config) error {
	b, err := p.batches(*cfg)
	if err != nil {
		return err
	}
	if epochs := cfg.Pairs.Epochs; epochs > 0 {
		whole, part := math.Modf(epochs)
		steps := b.Steps(int(whole))
		if part > 0 {
			steps += int(math.Ceil(part * float64(b.Steps(int(whole)+1)-steps)))
		}
		cfg.Schedule.Steps = steps
	}
	if cfg.Loop.EvalEvery == 0 {
		cfg.Loop.EvalEvery = b.Steps(1)
	}
	return cfg.Validate()
}

// openPairs opens the tokenizers and the sets of the run in dir.
func openPairs(dir string, cfg Config) (p *Pairs, err error) {
	p = &Pairs{}
	if cfg.Task == TaskCompletion {
		if err := p.tokenizerOf(dir, cfg); err != nil {
			return nil, err
		}
		return p, p.open(dir, cfg)
	}
	if p.Source, p.Target, err = hub.TokenizersOf(dir, cfg.Seq2Seq); err != nil {
		return nil, err
	}
	return p, p.open(dir, cfg)
}

// save writes the tokenizers' files.
func (p *Pairs) save(dir string) error { return hub.SaveTokenizers(dir, p.Source, p.Target) }

// makeTokenizers makes the tokenizers that c asks for, from the sentences of
// training where they have to be trained.
func (p *Pairs) makeTokenizers(ctx context.Context, c PairConfig, progress func(string, int64, int64)) (err error) {
	if c.Tokenizer != "char" && c.Tokenizer != "bpe" {
		if !c.Separate {
			p.Source, err = tokenizer.Load(c.Tokenizer)
			p.Target = p.Source
			return err
		}
		p.Source, p.Target, err = hub.LoadTokenizers(c.Tokenizer)
		return err
	}
	learn := func(source, target bool) (tokenizer.Tokenizer, error) {
		r, err := pairs.NewReader(c.textOptions())
		if err != nil {
			return nil, err
		}
		defer r.Close()
		text := &progressReader{r: r.Text(pairs.Train, source, target), ctx: ctx, report: func(int64) {
			done, total := r.Progress()
			progress("reading the vocabulary", done, total)
		}}
		tok, err := learnTokenizer(ctx, c.Tokenizer, c.BPEVocab, text, progress)
		switch {
		case text.failed != nil: // which says it without the tokenizer
			return nil, text.failed
		case err != nil && r.Report().Kept[pairs.Train] == 0:
			return nil, fmt.Errorf("train: training pairs of %s: %w: %v", c.Source, r.Report().Err(), r.Report())
		}
		return tok, err
	}
	if !c.Separate {
		p.Source, err = learn(true, true)
		p.Target = p.Source
		return err
	}
	if p.Source, err = learn(true, false); err == nil {
		p.Target, err = learn(false, true)
	}
	return err
}

// vocabularies are those of the stored sets.
func (p *Pairs) vocabularies() (source, target pairs.Vocabulary) {
	of := func(tok tokenizer.Tokenizer) pairs.Vocabulary {
		return pairs.Vocabulary{Size: tok.VocabSize(), Fingerprint: fingerprint(tok)}
	}
	source = of(p.Source)
	if p.Target == p.Source {
		return source, source
	}
	return source, of(p.Target)
}

// encode writes the sets into dir.
func (p *Pairs) encode(ctx context.Context, dir string, cfg Config, progress func(string, int64, int64)) (err error) {
	c := cfg.Pairs
	o := pairs.EncodeOptions{Source: tokenizer.Raw(p.Source), Target: tokenizer.Raw(p.Target), SourcePositions: cfg.Seq2Seq.SourceContext, TargetPositions: cfg.Seq2Seq.TargetContext,
		OnLong: c.OnLong, Progress: func(done, total int64) { progress("encoding", done, total) }}
	if cfg.Task == TaskCompletion {
		o.Positions = cfg.Window() + 1
		if o.Source, err = hub.NewPrompts(p.Source, string(cfg.Tune.Separator)); err != nil {
			return err
		}
	}
	var writers [pairs.Test + 1]*pairs.Writer
	source, target := p.vocabularies()
	for part := range writers {
		if writers[part], err = pairs.Create(dir, pairs.Part(part).String(), source, target); err != nil {
			return err
		}
		defer writers[part].Abort()
	}
	learned := map[[16]byte]struct{}{} // halves of the hashes of sources
	key := func(p pairs.Pair) [16]byte {
		h := sha256.Sum256([]byte(p.Source))
		return [16]byte(h[:])
	}
	if c.ValSource != "" {
		o.Kept = func(p pairs.Pair) {
			if p.Part == pairs.Train {
				learned[key(p)] = struct{}{}
			}
		}
	}
	read := func(from pairs.Options, to func(pairs.Part) pairs.Part) (*pairs.Report, error) {
		r, err := pairs.NewReader(from)
		if err != nil {
			return nil, err
		}
		defer r.Close()
		err = r.Encode(ctx, o, func(part pairs.Part, source, target []int32) error { return writers[to(part)].Add(source, target) })
		return r.Report(), err
	}
	if p.Report, err = read(c.textOptions(), func(part pairs.Part) pairs.Part { return part }); err != nil {
		return err
	}
	if c.ValSource != "" {
		o.Kept = func(pair pairs.Pair) {
			if _, known := learned[key(pair)]; known {
				p.Leaked++
			}
		}
		if p.Val, err = read(c.valOptions(), func(pairs.Part) pairs.Part { return pairs.Val }); err != nil {
			return err
		}
	}
	for part, w := range writers {
		asked := part == int(pairs.Train) || part == int(pairs.Val) && (c.ValSource != "" || c.Split.Val > 0) || part == int(pairs.Test) && c.Split.Test > 0
		if w.Len() == 0 && !asked {
			continue
		}
		if err := w.Close(); errors.Is(err, pairs.ErrNoPairs) {
			return fmt.Errorf("train: %w for %s, of %v; give more pairs, or keep more of them", pairs.ErrNoPairs, pairs.Part(part), p.Report)
		} else if err != nil {
			return err
		}
	}
	return nil
}

// open maps the sets.
func (p *Pairs) open(dir string, cfg Config) error {
	source, target := p.vocabularies()
	for part := range p.sets {
		s, err := pairs.Open(filepath.Join(dir, dataDir), pairs.Part(part).String(), pairs.OpenOptions{Source: source, Target: target})
		if errors.Is(err, fs.ErrNotExist) && part != int(pairs.Train) {
			continue
		}
		if err != nil {
			p.Close()
			return err
		}
		p.sets[part] = s
	}
	return nil
}

// Open does nothing: the sets are open.
func (p *Pairs) Open(context.Context, func(string, int64, int64)) error { return nil }

// Close lets go of the sets.
func (p *Pairs) Close() error {
	var err error
	for _, s := range p.sets {
		if s != nil {
			err = errors.Join(err, s.Close())
		}
	}
	return err
}

// Set returns the pairs of a part; nil where there are none.
func (p *Pairs) Set(part pairs.Part) *pairs.Set { return p.sets[part] }

// example is a sentence that samples translate, held out where one is, and its
// translation.
func (p *Pairs) example() (source, target []int32, err error) {
	s := p.sets[pairs.Val]
	if s == nil {
		s = p.sets[pairs.Train]
	}
	n, m := s.Lengths(0)
	source, target = make([]int32, n), make([]int32, m)
	if _, err = s.Source(source, 0); err == nil {
		_, err = s.Target(target, 0)
	}
	return source, target, err
}

// Batch fills dst with the pairs of a step of cfg.
func (p *Pairs) Batch(cfg Config, step int, dst *pairs.Batch) error {
	b, err := p.batches(cfg)
	if err != nil {
		return err
	}
	s, err := b.Shape(step)
	if err != nil {
		return err
	}
	return b.Fill(step, 0, s.B, dst)
}

// Sequential returns the batches in which a part is evaluated; nil where it is
// empty.
func (p *Pairs) Sequential(cfg Config, part pairs.Part) (*pairs.Sequential, error) {
	if p.sets[part] == nil {
		return nil, nil
	}
	return pairs.NewSequential(p.sets[part], cfg.Pairs.BatchTokens, p.special(cfg))
}

// batches are those of the steps of cfg.
func (p *Pairs) batches(cfg Config) (*pairs.Batches, error) {
	return pairs.NewBatches(p.sets[pairs.Train], pairs.BatchOptions{Tokens: cfg.Pairs.BatchTokens, Seed: cfg.Loop.Seed, Special: p.special(cfg)})
}
