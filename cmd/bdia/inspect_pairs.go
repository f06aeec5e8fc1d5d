package main

import (
	"context"
	"errors"
	"io"
	"unicode/utf16"

	"github.com/bdia-go/bdia/cmd/bdia/internal/cli"
	"github.com/bdia-go/bdia/tokenizer"
	"github.com/bdia-go/bdia/train"
	trainpairs "github.com/bdia-go/bdia/train/pairs"
	"github.com/bdia-go/bdia/train/tune"
)

// inCharacters is how pairs are shown without a model.
type inCharacters struct {
	config    trainpairs.DataConfig
	sides     trainpairs.Sides
	keepSpace bool
}

func completionsInCharacters() inCharacters {
	return inCharacters{tune.Default().Pairs, trainpairs.Sides{Source: "prompt", Target: "completion"}, true}
}

func translationsInCharacters() inCharacters {
	return inCharacters{trainpairs.Default().Pairs, trainpairs.Sides{Source: "source", Target: "target"}, false}
}

// lookAtPairs takes the picture of pairs in characters.
func (o inspection) lookAtPairs(ctx context.Context, one *inspected, in inCharacters, p *cli.Progress) error {
	c, sides := in.config, in.sides
	c.Source, c.Target = one.Path, one.Target
	tok := letters{}
	sides.Losses = func(_, target int) int { return target }
	sides.Pieces = func(source, target []int32) ([]train.Piece, error) {
		from, err := trainpairs.Decoded(tok, source, false)
		if err != nil {
			return nil, err
		}
		to, err := trainpairs.Decoded(tok, target, true)
		return []train.Piece{from, to}, err
	}
	return inTemporary(func(dir string) error {
		sets := trainpairs.Sets{Source: tok, Target: tok}
		e := trainpairs.Encoding{Source: tok, Target: tok, KeepSpace: in.keepSpace}
		stops := sets.Encode(ctx, dir, c, e, p.Preparing)
		if ctx.Err() != nil || sets.Report == nil {
			return stops
		}
		if stops == nil {
			stops = sets.Map(dir)
			defer sets.Close()
		}
		picture, err := sets.Picture(c, o.samples, sides)
		if err != nil {
			return errors.Join(stops, err)
		}
		one.Data = ofCharacters(picture)
		return stops
	})
}

// ofCharacters is a picture by a tokenizer of characters.
func ofCharacters(p train.Picture) *train.Picture {
	for i := range p.Lengths {
		p.Lengths[i].Unit = inLetters(p.Lengths[i].Unit)
	}
	for i := range p.Parts {
		p.Parts[i].Unit = inLetters(p.Parts[i].Unit)
	}
	return &p
}

// inLetters is a unit, with characters for tokens.
func inLetters(unit string) string {
	if unit == "tokens" {
		return "characters"
	}
	return unit
}

// letters is a tokenizer that takes any text as it is: a token is a character, as UTF-16 has it. So most emoji are two.
type letters struct{}

func (letters) Kind() string      { return tokenizer.KindChar }
func (letters) VocabSize() int    { return 1 << 16 }
func (letters) Save(string) error { return nil }

func (letters) Encode(text []byte) ([]int32, error) {
	units := utf16.Encode([]rune(string(text)))
	ids := make([]int32, len(units))
	for i, u := range units {
		ids[i] = int32(u)
	}
	return ids, nil
}

func (l letters) EncodeStream(r io.Reader, emit func(ids []int32) error) error {
	text, err := io.ReadAll(r)
	if err != nil {
		return err
	}
	ids, err := l.Encode(text)
	if err != nil {
		return err
	}
	return emit(ids)
}

func (letters) Decode(ids []int32) ([]byte, error) {
	units := make([]uint16, len(ids))
	for i, id := range ids {
		units[i] = uint16(id)
	}
	return []byte(string(utf16.Decode(units))), nil
}
