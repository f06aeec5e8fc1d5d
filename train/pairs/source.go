package pairs

import (
	"context"
	"errors"
	"io/fs"
	"path/filepath"

	"github.com/bdia-go/bdia/data/pairs"
	"github.com/bdia-go/bdia/tokenizer"
	"github.com/bdia-go/bdia/train"
)

// dataDir is the folder of the sets in a run's.
const dataDir = "data"

// Sets are pairs of texts as tokens: what is trained on and what is held out.
type Sets struct {
	Source, Target tokenizer.Tokenizer    // the same if they share a vocabulary
	Report, Val    *pairs.Report          // what Encode read; Val of the files of validation; else nil
	Leaked         int                    // pairs of these files with a source that is trained on too
	Lost           int64                  // bytes of the texts for which their tokenizer has no token
	Special        pairs.Special          // tokens that the model has beside the texts
	Fits           func(bytes int64) bool // whether so much memory may be taken for what Encode makes of the pairs; nil: any

	sets  [pairs.Test + 1]*pairs.Set // by part; nil: it has none
	bytes int64                      // of memory that Encode took for the pairs, about
	lines []int32                    // where the pairs of training were read; of a run that goes on, nothing
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

// CheckData reads the sets of the run in dir and compares their checksums.
func (p *Sets) CheckData(dir string) error {
	for part := range p.sets {
		s, err := pairs.Open(filepath.Join(dir, dataDir), pairs.Part(part).String(), pairs.OpenOptions{Checksum: true})
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err == nil {
			err = s.Close()
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// Host is what the pairs take, and tokenizers of so many tokens in all. The tokens of the pairs are mapped files.
func (p *Sets) Host(tokens int) train.Host {
	h := train.Host{Tokenizers: int64(tokens) * train.TokenBytes, Lists: p.bytes}
	for _, s := range p.sets {
		if s != nil && p.bytes == 0 {
			h.Lists += int64(s.Len()) * pairs.OpenBytes
		}
	}
	return h
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

// Batch fills dst with the pairs of a step.
func (p *Sets) Batch(c DataConfig, l train.LoopConfig, step int, dst *pairs.Batch) error {
	b, err := p.Batches(c, l)
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
func (p *Sets) Batches(c DataConfig, l train.LoopConfig) (*pairs.Batches, error) {
	return pairs.NewBatches(p.sets[pairs.Train], pairs.BatchOptions{Tokens: c.BatchTokens, Pairs: l.Batch, Seed: l.Seed, Special: p.Special})
}
