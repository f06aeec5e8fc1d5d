package pairs

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"math"
	"path/filepath"
	"slices"

	"github.com/bdia-go/bdia/data/pairs"
	"github.com/bdia-go/bdia/train"
)

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
	SourcePositions, TargetPositions int     // most tokens of a side, its end included
	Positions                        int     // most tokens of both together; 0: as many as there are
	KeepSpace                        bool    // white space around a side is part of it
	Separator                        *string // in conversations (see pairs.Options)
	Begin                            []int32 // stay at the beginning of a source that is cut
	// Joint encodes both sides as one text, from the turns of conversations (see pairs.EncodeOptions); nil: each is
	// encoded by itself.
	Joint func(p pairs.Pair) (source, target []int32, err error)
}

// everything is the name of the set of all pairs, before it is known which of them are held out.
const everything = "all"

// encoder writes the sets of a run.
type encoder struct {
	*Sets
	dir     string // of the sets
	options pairs.EncodeOptions
	writers [pairs.Test + 1]*pairs.Writer
	draws   pairs.Draws           // of the pairs read
	from    []int32               // the lines that they are from
	sources [][16]byte            // halves of the hashes of their sources, if they are compared
	learned map[[16]byte]struct{} // the ones in training
}

// Encode reads the files of c and writes the sets into dir.
func (p *Sets) Encode(ctx context.Context, dir string, c DataConfig, e Encoding, progress train.Progress) (err error) {
	w := encoder{Sets: p, dir: filepath.Join(dir, dataDir), learned: map[[16]byte]struct{}{}}
	w.options = pairs.EncodeOptions{Source: e.Source, Target: e.Target, SourcePositions: e.SourcePositions, TargetPositions: e.TargetPositions, Positions: e.Positions,
		Begin: e.Begin, Joint: e.Joint, OnLong: c.OnLong, Progress: func(done, total int64) { progress("encoding", done, total) }}
	source, target := p.vocabularies()
	for part := range w.writers {
		if w.writers[part], err = pairs.Create(w.dir, pairs.Part(part).String(), source, target); err != nil {
			return err
		}
		defer w.writers[part].Abort()
	}
	read := func(o pairs.Options) (*pairs.Reader, error) {
		o.KeepSpace, o.Separator, o.Turns = e.KeepSpace, e.Separator, e.Joint != nil
		if taken := p.bytes; p.Fits != nil {
			o.Fits = func(bytes int64) bool { return p.Fits(taken + bytes) }
		}
		return pairs.NewReader(o)
	}
	p.bytes = 0
	if err := w.training(ctx, c, read); err != nil {
		return err
	}
	p.bytes = int64(p.Report.Read) * pairs.PairBytes
	if c.ValSource != "" {
		if err := w.validation(ctx, c, read); err != nil {
			return err
		}
		p.bytes += int64(p.Val.Read) * pairs.PairBytes
	}
	return w.close(c)
}

// training writes the pairs of the files of c. Shares that are held out are of the pairs that can be used, so all are
// read before the first is given to its part.
func (w *encoder) training(ctx context.Context, c DataConfig, read func(pairs.Options) (*pairs.Reader, error)) (err error) {
	o := c.textOptions()
	split := o.Split
	o.Split.Val, o.Split.Test = 0, 0
	r, err := read(o)
	if err != nil {
		return err
	}
	defer r.Close()
	source, target := w.vocabularies()
	all, err := pairs.Create(w.dir, everything, source, target)
	if err != nil {
		return err
	}
	defer all.Abort()
	encode := w.options
	encode.Kept = func(p pairs.Pair) {
		w.draws.Add(p)
		w.from = append(w.from, int32(min(p.Line, math.MaxInt32)))
		if c.ValSource != "" {
			w.sources = append(w.sources, half(p.Source))
		}
	}
	err = r.Encode(ctx, encode, func(_ pairs.Part, source, target []int32) error { return all.Add(source, target) })
	w.Report = r.Report()
	if err != nil {
		return err
	}
	if err := all.Close(); err != nil {
		return err
	}
	draws := w.draws.Chosen()
	w.Report.Alike = w.draws.Alike()
	return w.share(ctx, draws, split.Cut(slices.Clone(draws)))
}

// share gives all pairs to their parts.
func (w *encoder) share(ctx context.Context, draws []float64, cuts pairs.Cuts) error {
	all, err := pairs.Open(w.dir, everything, pairs.OpenOptions{})
	if err != nil {
		return err
	}
	defer all.Close()
	w.Report.Kept, w.lines = [pairs.Test + 1]int{}, nil
	var source, target [pairs.MaxTokens]int32
	for i := range all.Len() {
		if err := ctx.Err(); err != nil {
			return err
		}
		n, err := all.Source(source[:], i)
		if err != nil {
			return err
		}
		m, err := all.Target(target[:], i)
		if err != nil {
			return err
		}
		part := cuts.Part(draws[i])
		if err := w.writers[part].Add(source[:n], target[:m]); err != nil {
			return err
		}
		w.Report.Kept[part]++
		if part == pairs.Train {
			w.lines = append(w.lines, w.from[i])
		}
		if part == pairs.Train && w.sources != nil {
			w.learned[w.sources[i]] = struct{}{}
		}
	}
	if err := all.Close(); err != nil {
		return err
	}
	return pairs.Remove(w.dir, everything)
}

// half returns half of the hash of a source.
func half(source string) [16]byte {
	h := sha256.Sum256([]byte(source))
	return [16]byte(h[:])
}

// validation writes the pairs of the files for validation, and counts the ones that are trained on too.
func (w *encoder) validation(ctx context.Context, c DataConfig, read func(pairs.Options) (*pairs.Reader, error)) error {
	r, err := read(c.valOptions())
	if err != nil {
		return err
	}
	defer r.Close()
	encode := w.options
	w.Leaked = 0
	encode.Kept = func(p pairs.Pair) {
		if _, known := w.learned[half(p.Source)]; known {
			w.Leaked++
		}
	}
	err = r.Encode(ctx, encode, func(_ pairs.Part, source, target []int32) error { return w.writers[pairs.Val].Add(source, target) })
	w.Val = r.Report()
	return err
}

// close completes the sets that have pairs. A part that was asked for has to have some. Of a single source none can be
// held out, so that validation has none then.
func (w *encoder) close(c DataConfig) error {
	for part, writer := range w.writers {
		if writer.Len() == 0 && (part == int(pairs.Val) || part == int(pairs.Test) && c.Split.Test == 0) {
			continue
		}
		if err := writer.Close(); errors.Is(err, pairs.ErrNoPairs) {
			return fmt.Errorf("train: %w for %s, of %v; give more pairs, or keep more of them", pairs.ErrNoPairs, pairs.Part(part), w.Report)
		} else if err != nil {
			return err
		}
	}
	return nil
}
