package pairs

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io/fs"
	"math"
	"path/filepath"

	"github.com/bdia-go/bdia/data/pairs"
	"github.com/bdia-go/bdia/tokenizer"
	"github.com/bdia-go/bdia/train"
)

// dataDir is the folder of the sets in a run's.
const dataDir = "data"

// Sets are pairs of texts as tokens: what is trained on and what is held out.
type Sets struct {
	Source, Target tokenizer.Tokenizer // the same if they share a vocabulary
	Report, Val    *pairs.Report       // what Encode read; Val of the files of validation; else nil
	Leaked         int                 // pairs of these files with a source that is trained on too
	Special        pairs.Special       // tokens that the model has beside the texts

	sets [pairs.Test + 1]*pairs.Set // by part; nil: it has none
}

// textOptions are how the pairs of training are read.
func (c DataConfig) textOptions() pairs.Options {
	o := pairs.Options{Files: c.Files, Filter: c.Filter, Split: c.Split, OnBad: c.OnBad}
	if c.ValSource != "" {
		o.Split.Val = 0
	}
	return o
}

// valOptions are how the pairs of ValSource are read: all that can be used.
func (c DataConfig) valOptions() pairs.Options {
	o := pairs.Options{Files: c.Files, Filter: pairs.Filter{KeepDuplicates: true}, OnBad: c.OnBad}
	o.Files.Source, o.Files.Target = c.ValSource, c.ValTarget
	return o
}

// Encoding says how pairs become tokens.
type Encoding struct {
	Source, Target                   pairs.Encoder
	SourcePositions, TargetPositions int // most tokens of a side, its end included
	Positions                        int // most tokens of both together; 0: as many as there are
}

// Encode reads the files of c and writes the sets into dir.
func (p *Sets) Encode(ctx context.Context, dir string, c DataConfig, e Encoding, progress train.Progress) (err error) {
	o := pairs.EncodeOptions{Source: e.Source, Target: e.Target, SourcePositions: e.SourcePositions, TargetPositions: e.TargetPositions, Positions: e.Positions,
		OnLong: c.OnLong, Progress: func(done, total int64) { progress("encoding", done, total) }}
	p.Leaked, dir = 0, filepath.Join(dir, dataDir)
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

// vocabularies are the vocabularies of the stored sets.
func (p *Sets) vocabularies() (source, target pairs.Vocabulary) {
	of := func(tok tokenizer.Tokenizer) pairs.Vocabulary {
		return pairs.Vocabulary{Size: tok.VocabSize(), Fingerprint: tokenizer.Fingerprint(tok)}
	}
	source = of(p.Source)
	if p.Target == p.Source {
		return source, source
	}
	return source, of(p.Target)
}

// Map opens the sets that Encode wrote into dir.
func (p *Sets) Map(dir string) error {
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

// Close lets go of the sets.
func (p *Sets) Close() error {
	var err error
	for part, s := range p.sets {
		if s != nil {
			err = errors.Join(err, s.Close())
			p.sets[part] = nil
		}
	}
	return err
}

// Set returns the pairs of a part; nil if there are none.
func (p *Sets) Set(part pairs.Part) *pairs.Set { return p.sets[part] }

// Example is a pair for samples: held out, if any is.
func (p *Sets) Example() (source, target []int32, err error) {
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

// Schedule sets the steps of the epochs that c asks for, and evaluates once an epoch unless told otherwise.
func (p *Sets) Schedule(c DataConfig, o *train.Common) error {
	b, err := p.Batches(c, o.Loop.Seed)
	if err != nil {
		return err
	}
	if c.Epochs > 0 {
		whole, part := math.Modf(c.Epochs)
		steps := b.Steps(int(whole))
		if part > 0 {
			steps += int(math.Ceil(part * float64(b.Steps(int(whole)+1)-steps)))
		}
		o.Schedule.Steps = steps
	}
	if o.Loop.EvalEvery == 0 {
		o.Loop.EvalEvery = b.Steps(1)
	}
	return nil
}

// Batch fills dst with the pairs of a step.
func (p *Sets) Batch(c DataConfig, seed uint64, step int, dst *pairs.Batch) error {
	b, err := p.Batches(c, seed)
	if err != nil {
		return err
	}
	s, err := b.Shape(step)
	if err != nil {
		return err
	}
	return b.Fill(step, 0, s.B, dst)
}

// Open does nothing: the sets are open after Map.
func (p *Sets) Open(context.Context, train.Progress) error { return nil }

// Sequential returns the batches in which a part is evaluated; nil if it is empty.
func (p *Sets) Sequential(c DataConfig, part pairs.Part) (*pairs.Sequential, error) {
	if p.sets[part] == nil {
		return nil, nil
	}
	return pairs.NewSequential(p.sets[part], c.BatchTokens, p.Special)
}

// Evaluated returns the batches of the pairs that a run is evaluated on: those of validation and, if training is set,
// of training too. A part that is empty or not wanted is nil.
func (p *Sets) Evaluated(c DataConfig, training bool) (val, trained *pairs.Sequential, err error) {
	if val, err = p.Sequential(c, pairs.Val); err == nil && training {
		trained, err = p.Sequential(c, pairs.Train)
	}
	return val, trained, err
}

// Batches are the batches of steps.
func (p *Sets) Batches(c DataConfig, seed uint64) (*pairs.Batches, error) {
	return pairs.NewBatches(p.sets[pairs.Train], pairs.BatchOptions{Tokens: c.BatchTokens, Seed: seed, Special: p.Special})
}
