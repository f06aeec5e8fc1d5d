package data

import (
	"errors"
	"fmt"
	"math"
)

// Errors for errors.Is.
var (
	// ErrCorrupt is wrapped by errors about shards that a ShardWriter cannot
	// have written.
	ErrCorrupt = errors.New("corrupt token shard")
	// ErrTooShort is wrapped by errors about sets with fewer tokens than one
	// window.
	ErrTooShort = errors.New("text too short")
	// ErrNoText is wrapped by errors about an empty source or set of shards.
	ErrNoText = errors.New("no text")
)

// Tokens is a sequence of token ids of any length, read by position. Reads may
// run at the same time.
type Tokens interface {
	// Len returns the number of tokens.
	Len() int64
	// Read fills the whole of dst with the tokens offset..offset+len(dst)-1.
	// A range outside 0..Len is an error.
	Read(dst []int32, offset int64) error
}

// checkRange rejects a read of n tokens at offset from a sequence of length.
func checkRange(n int, offset, length int64) error {
	if offset < 0 || offset > length || int64(n) > length-offset {
		return fmt.Errorf("data: read of %d tokens at position %d from a set of %d", n, offset, length)
	}
	return nil
}

// memory is a Tokens in memory.
type memory []int32

// FromIDs returns ids as Tokens, without copying, so the slice must not change
// afterwards. An id outside 0..vocabSize-1 is an error that names its position.
func FromIDs(ids []int32, vocabSize int) (Tokens, error) {
	for i, id := range ids {
		if id < 0 || int64(id) >= int64(vocabSize) {
			return nil, fmt.Errorf("data: token %d at position %d is outside the vocabulary of %d", id, i, vocabSize)
		}
	}
	return memory(ids), nil
}

func (m memory) Len() int64 { return int64(len(m)) }

func (m memory) Read(dst []int32, offset int64) error {
	if err := checkRange(len(dst), offset, m.Len()); err != nil {
		return err
	}
	copy(dst, m[offset:])
	return nil
}

// view is the range from..from+n-1 of another Tokens.
type view struct {
	tokens  Tokens
	from, n int64
}

// Slice returns the tokens from..to-1 of t as a view: nothing is copied.
func Slice(t Tokens, from, to int64) (Tokens, error) {
	if from < 0 || to < from || to > t.Len() {
		return nil, fmt.Errorf("data: range %d..%d is outside a set of %d tokens", from, to, t.Len())
	}
	return view{t, from, to - from}, nil
}

func (v view) Len() int64 { return v.n }

func (v view) Read(dst []int32, offset int64) error {
	if err := checkRange(len(dst), offset, v.n); err != nil {
		return err
	}
	return v.tokens.Read(dst, v.from+offset)
}

// Split cuts t by position into views: the last floor(valFraction*Len) tokens
// for validation and all before them for training. valFraction lies in [0,1).
// It does not check that a part is long enough for a window; the samplers do.
func Split(t Tokens, valFraction float64) (train, val Tokens, err error) {
	if !(valFraction >= 0 && valFraction < 1) {
		return nil, nil, fmt.Errorf("data: validation fraction %v is outside [0,1)", valFraction)
	}
	n := t.Len()
	cut := n - int64(math.Floor(valFraction*float64(n)))
	return view{t, 0, cut}, view{t, cut, n - cut}, nil
}
