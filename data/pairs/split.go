package pairs

import (
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"

	"github.com/bdia-go/bdia/internal/rng"
)

// Part is the use of a pair: training, validation or test.
type Part uint8

const (
	Train Part = iota
	Val
	Test
)

// String returns "train", "val" or "test".
func (p Part) String() string { return [...]string{"train", "val", "test"}[p] }

// Share is a share of distinct source sentences, 0 to 1, or AutoShare.
type Share float64

// AutoShare is 10 %, but at least 20 source sentences or a third of fewer than 60.
const AutoShare Share = -1

// of returns how many of n a share is: at least one of a share above 0.
func (s Share) of(n int) int {
	switch {
	case s == 0:
		return 0
	case s == AutoShare:
		return max(1, min(max(n/10, 20), n/3))
	}
	return max(1, int(math.Round(float64(s)*float64(n))))
}

const auto = "auto"

// String is the number, or auto.
func (s Share) String() string {
	if s == AutoShare {
		return auto
	}
	return strconv.FormatFloat(float64(s), 'g', -1, 64)
}

// Set sets s to a number or auto.
func (s *Share) Set(text string) error {
	if text == auto {
		*s = AutoShare
		return nil
	}
	v, err := strconv.ParseFloat(text, 64)
	if err != nil || !(v >= 0 && v < 1) {
		return fmt.Errorf("%.40q is no share; use a number from 0 to 1, or %s", text, auto)
	}
	*s = Share(v)
	return nil
}

// Type names the value in a help.
func (s *Share) Type() string { return "share" }

// MarshalYAML writes the number, or auto.
func (s Share) MarshalYAML() (any, error) {
	if s == AutoShare {
		return auto, nil
	}
	return float64(s), nil
}

// UnmarshalYAML reads what MarshalYAML writes.
func (s *Share) UnmarshalYAML(b []byte) error { return s.Set(strings.TrimSpace(string(b))) }

// Split has the shares of distinct source sentences for validation and test. They are exact: of n, a share s is s*n,
// rounded, and at least one. One sentence at least is left for training, before others have one.
type Split struct {
	Val  Share  `yaml:"val"`
	Test Share  `yaml:"test"`
	Seed uint64 `yaml:"seed"`
}

// Validate returns an error for impossible shares.
func (s Split) Validate() error {
	known := s.Val
	if known == AutoShare {
		known = 1. / 3
	}
	if !(known >= 0 && s.Test >= 0 && known+s.Test < 1) {
		return fmt.Errorf("pairs: shares of %v for validation and %v for test; together they must be below 1", s.Val, s.Test)
	}
	return nil
}

// Draw returns the place of a source sentence in the order in which sentences are held out, 0 to 1: a draw keyed by
// the seed and 96 bits of the sentence's SHA-256.
func (s Split) Draw(source string) float64 {
	h := sha256.Sum256([]byte(source))
	le := binary.LittleEndian
	return rng.Key{Seed: s.Seed, Step: le.Uint32(h[0:]), Sample: le.Uint32(h[4:]), Block: forSplit, Site: rng.SiteData}.Float64(le.Uint32(h[8:]))
}

// Draws are the draws of all pairs. Conversations that begin alike are of one part, so that none of them is learned and
// measured. If nearly all of them do, as the ones of a bot with one greeting, what is asked in all turns decides: at
// least ten times as many conversations as first questions, or one first question.
type Draws struct{ first, whole []float64 }

// Add appends the draws of a pair.
func (d *Draws) Add(p Pair) { d.first, d.whole = append(d.first, p.Draw), append(d.whole, p.Whole) }

// Chosen returns a copy of the draws that decide, in the order of the pairs.
func (d *Draws) Chosen() []float64 {
	if d.Alike() {
		return slices.Clone(d.whole)
	}
	return slices.Clone(d.first)
}

// Alike reports conversations that nearly all begin alike.
func (d *Draws) Alike() bool {
	distinct := func(draws []float64) int { return len(slices.Compact(slices.Sorted(slices.Values(draws)))) }
	first, whole := distinct(d.first), distinct(d.whole)
	return 10*first <= whole || first == 1 && whole > 1
}

// Cuts says which draws belong to which part. The zero value puts all into training.
type Cuts struct{ val, test float64 } // draws below belong to it

// Cut returns the cuts for the draws of all pairs, of which equal ones are of one sentence. It sorts them.
func (s Split) Cut(draws []float64) Cuts {
	slices.Sort(draws)
	draws = slices.Compact(draws)
	n := len(draws)
	val := max(0, min(s.Val.of(n), n-1))
	test := max(0, min(s.Test.of(n), n-1-val))
	end := func(k int) float64 {
		if k < n {
			return draws[k]
		}
		return 0
	}
	return Cuts{end(val), end(val + test)}
}

// Part returns the part of a sentence with this draw.
func (c Cuts) Part(draw float64) Part {
	switch {
	case draw < c.val:
		return Val
	case draw < c.test:
		return Test
	}
	return Train
}
