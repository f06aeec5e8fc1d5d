package pairs

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
)

// Encoder is the part of a tokenizer that this package needs.
type Encoder interface {
	// Encode returns the tokens of text, without special ones.
	Encode(text []byte) ([]int32, error)
}

// EncodeOptions are the options of Encode.
type EncodeOptions struct {
	// Source and Target encode the two sides. Both may be the same Encoder.
	Source, Target Encoder
	// SourcePositions and TargetPositions are the model's numbers of positions. A
	// sentence takes one more than it has tokens. 0 means MaxTokens+1.
	SourcePositions, TargetPositions int
	// Positions, if not 0, is the number of positions of a model that reads both sides
	// as one text; a pair takes one more than its tokens. Truncate then cuts the
	// beginning of the source first, though not Begin, and after that the end of the target. Of a
	// conversation for Joint it leaves out the first questions with their answers,
	// as many as it has to.
	Positions int
	// Begin are tokens that stay at the beginning of a source that has them there, when it is cut.
	Begin []int32
	// Joint, if set, encodes both sides of a pair as one text, in place of Source and Target, which have the vocabularies.
	// A pair for which it fails is Refused.
	Joint func(p Pair) (source, target []int32, err error)
	// OnLong is the treatment of longer sentences: Skip, Truncate or Fatal.
	OnLong Policy
	// Kept, if set, is called with each pair just before emit.
	Kept func(p Pair)
	// Progress, if set, is called with the bytes read so far and the size of all
	// files.
	Progress func(done, total int64)
}

// Validate returns an error for the first invalid option.
func (o EncodeOptions) Validate() error {
	switch {
	case o.Source == nil || o.Target == nil:
		return errors.New("pairs: a side has no tokenizer: give both")
	case o.OnLong != "" && o.OnLong != Skip && o.OnLong != Truncate && o.OnLong != Fatal:
		return fmt.Errorf("pairs: cannot treat long sentences by %q; use %s, %s or %s", o.OnLong, Skip, Truncate, Fatal)
	}
	for _, n := range []int{o.SourcePositions, o.TargetPositions, o.Positions} {
		if n < 0 || n == 1 || n > MaxTokens+1 {
			return fmt.Errorf("pairs: %d positions; give 2 to %d, or 0 for the most", n, MaxTokens+1)
		}
	}
	return nil
}

// progressPairs is the number of pairs between two calls of Progress.
const progressPairs = 1024

// Encode encodes the remaining pairs and calls emit with each, in order. source and
// target are valid only during the call; usually emit Adds them to the part's Writer.
// Encode stops at the first error: of reading, of emit or of ctx, or with policy Fatal
// an ErrText or ErrTooLong with the pair's line. If no pair is left, it returns the
// report's Err. The reader's Report counts the pairs kept and left out.
func (r *Reader) Encode(ctx context.Context, o EncodeOptions, emit func(part Part, source, target []int32) error) error {
	if err := o.Validate(); err != nil {
		return err
	}
	for n := 0; ; n++ {
		if err := ctx.Err(); err != nil {
			return err
		}
		if o.Progress != nil && n%progressPairs == 0 {
			o.Progress(r.Progress())
		}
		p, err := r.Next()
		if err == io.EOF {
			break
		}
		if err != nil {
			return err
		}
		if err := r.encode(o, p, emit); err != nil {
			return err
		}
	}
	if o.Progress != nil {
		o.Progress(r.Progress())
	}
	if r.report.Read == r.report.Skipped() {
		if long := r.report.Why[ManyTokens].Count; long > 0 && 2*long >= r.report.Read {
			return &LongError{r.o.Files.Source, r.report.Need(), &r.report}
		}
		return fmt.Errorf("pairs: %s: %w: %v%s", r.o.Files.Source, r.report.Err(), &r.report, r.report.Advice())
	}
	return nil
}

func (r *Reader) encode(o EncodeOptions, p Pair, emit func(part Part, source, target []int32) error) error {
	cut, limit := false, ""
	long := func() error {
		switch o.OnLong {
		case Fatal:
			return fmt.Errorf("pairs: %s: line %d is %w: %s; raise it, or skip or truncate long ones", r.o.Files.Source, p.Line, ErrTooLong, limit)
		case Truncate:
			cut = true
		}
		return nil
	}
	ids, why, err := o.sides(p)
	if err != nil {
		if r.o.OnBad == Fatal && why == Refused {
			return fmt.Errorf("pairs: %s: line %d: %w: the chat template refuses it: %w: mend it, or have bad ones skipped", r.o.Files.Source, p.Line, ErrText, err)
		}
		if r.o.OnBad == Fatal {
			return fmt.Errorf("pairs: %s: line %d: %w: %w", r.o.Files.Source, p.Line, ErrText, err)
		}
		r.report.drop(why, p, err.Error())
		return nil
	}
	r.report.length(o, len(ids[0]), len(ids[1]))
	if whole := len(ids[0]) + len(ids[1]); o.Joint != nil && o.OnLong == Truncate && whole >= o.Positions && o.Positions > 0 && p.Talk != nil {
		if shorter, ok := o.shorter(p); ok {
			ids = shorter
			r.report.count(Truncated, p, fmt.Sprintf("a conversation of %d tokens, over the limit of %d: its first messages are left out", whole, o.Positions-1))
		}
	}
	for i, positions := range []int{o.SourcePositions, o.TargetPositions} {
		most := MaxTokens
		if positions > 0 {
			most = positions - 1
		}
		if n := len(ids[i]); n > most {
			limit = fmt.Sprintf("a sentence of %d tokens over the limit of %d", n, most)
			if err := long(); err != nil {
				return err
			}
			ids[i] = ids[i][:most]
		}
	}
	if over := len(ids[0]) + len(ids[1]) + 1 - o.Positions; o.Positions > 0 && over > 0 {
		limit = fmt.Sprintf("both sides have %d tokens, over the limit of %d", len(ids[0])+len(ids[1]), o.Positions-1)
		if err := long(); err != nil {
			return err
		}
		ids[0], ids[1] = o.cut(ids[0], ids[1], over)
	}
	if limit != "" && !cut {
		r.report.drop(ManyTokens, p, limit)
		return nil
	}
	if cut {
		r.report.count(Truncated, p, limit)
	}
	if o.Kept != nil {
		o.Kept(p)
	}
	return emit(p.Part, ids[0], ids[1])
}

// cut leaves over tokens out: the first of the source behind Begin, though one more stays at least, and then the last
// ones of the target. Begin does not stay if there are no positions for it and one more.
func (o EncodeOptions) cut(source, target []int32, over int) (_, _ []int32) {
	keep := 0
	if n := len(o.Begin); len(source) > n && n+2 <= o.Positions && slices.Equal(source[:n], o.Begin) {
		keep = n
	}
	first := min(over, max(0, len(source)-keep-1))
	return append(source[:keep:keep], source[keep+first:]...), target[:len(target)-(over-first)]
}

// sides are the tokens of both sides of a pair, or why they cannot be had.
func (o EncodeOptions) sides(p Pair) (ids [2][]int32, why Reason, err error) {
	if o.Joint != nil {
		ids[0], ids[1], err = o.Joint(p)
		return ids, Refused, err
	}
	if ids[0], err = o.Source.Encode([]byte(p.Source)); err == nil {
		ids[1], err = o.Target.Encode([]byte(p.Target))
	}
	return ids, NoTokens, err
}

// shorter are the tokens of a conversation without as many of its first questions as it takes to be within the limit;
// ok is false if the last question alone is not.
func (o EncodeOptions) shorter(p Pair) (ids [2][]int32, ok bool) {
	for p.Talk = p.Talk.shorter(); p.Talk != nil; p.Talk = p.Talk.shorter() {
		source, target, err := o.Joint(p)
		if err == nil && len(source)+len(target) < o.Positions {
			return [2][]int32{source, target}, true
		}
	}
	return ids, false
}
