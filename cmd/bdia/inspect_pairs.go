package main

import (
	"context"
	"errors"
	"io"
	"unicode/utf8"

	"github.com/bdia-go/bdia/cmd/bdia/internal/cli"
	"github.com/bdia-go/bdia/tokenizer"
	"github.com/bdia-go/bdia/train"
	trainpairs "github.com/bdia-go/bdia/train/pairs"
	"github.com/bdia-go/bdia/train/tune"
)

// lookAtPairs takes the picture of pairs in characters.
func (o inspection) lookAtPairs(ctx context.Context, one *inspected, p *cli.Progress) error {
	c, sides := tune.Default().Pairs, trainpairs.Sides{Source: "prompt", Target: "completion"}
	if one.Task == "translation" {
		c, sides = trainpairs.Default().Pairs, trainpairs.Sides{Source: "source", Target: "target"}
	}
	c.Source = one.Path
	tok := &letters{ids: map[rune]int32{}}
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
		e := trainpairs.Encoding{Source: tok, Target: tok, KeepSpace: one.Task == "completion"}
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
		for i := range picture.Lengths {
			picture.Lengths[i].Unit = "characters"
		}
		for i := range picture.Parts {
			picture.Parts[i].Unit = "characters"
		}
		one.Data = &picture
		return stops
	})
}

// letters is a tokenizer that takes any text as it is: a token is a character. Characters past the first 65,536 get ids
// that stand for none, in the order in which they come, and U+FFFD when these are used up.
type letters struct {
	ids  map[rune]int32
	more []rune
}

// Ids that stand for no character.
const (
	firstSurrogate = 0xd800
	surrogates     = 0x800
)

func (*letters) Kind() string      { return tokenizer.KindChar }
func (*letters) VocabSize() int    { return 1 << 16 }
func (*letters) Save(string) error { return nil }

func (l *letters) Encode(text []byte) (ids []int32, err error) {
	for _, r := range string(text) {
		ids = append(ids, l.id(r))
	}
	return ids, nil
}

func (l *letters) id(r rune) int32 {
	if r < 1<<16 {
		return r
	}
	id, known := l.ids[r]
	switch {
	case known:
	case len(l.more) == surrogates:
		return utf8.RuneError
	default:
		id = int32(firstSurrogate + len(l.more))
		l.ids[r], l.more = id, append(l.more, r)
	}
	return id
}

func (l *letters) EncodeStream(r io.Reader, emit func(ids []int32) error) error {
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

func (l *letters) Decode(ids []int32) (text []byte, err error) {
	for _, id := range ids {
		r := rune(id)
		if i := int(id) - firstSurrogate; i >= 0 && i < surrogates {
			r = utf8.RuneError
			if i < len(l.more) {
				r = l.more[i]
			}
		}
		text = utf8.AppendRune(text, r)
	}
	return text, nil
}
