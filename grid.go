package bdia

import (
	"errors"
	"fmt"
	"math"
	"strconv"

	"github.com/bdia-go/bdia/backend"
)

// Grid is the number L of fractional bits of the residual stream: states are
// multiples of 2^-L (paper, eq. 14). NoGrid leaves them in plain float32.
type Grid int

const (
	// NoGrid is the ablation without quantisation; it cannot be reversed exactly.
	NoGrid Grid = backend.NoGrid
	// DefaultGrid is the paper's choice.
	DefaultGrid Grid = 9

	maxGrid = 26 // so that the limit, 2^30 units, is at least 16
)

// ParseGrid reads "none" or a number of bits.
func ParseGrid(s string) (Grid, error) {
	if s == "none" {
		return NoGrid, nil
	}
	n, err := strconv.Atoi(s)
	if err != nil || n < 0 || n > maxGrid {
		return 0, fmt.Errorf("bdia: grid %.80q is neither none nor a number of bits from 0 to %d", s, maxGrid)
	}
	return Grid(n), nil
}

// String returns what ParseGrid reads.
func (g Grid) String() string {
	if g == NoGrid {
		return "none"
	}
	return strconv.Itoa(int(g))
}

// MarshalText and UnmarshalText are for flags and files.
func (g Grid) MarshalText() ([]byte, error) { return []byte(g.String()), nil }

func (g *Grid) UnmarshalText(text []byte) (err error) {
	*g, err = ParseGrid(string(text))
	return err
}

// Limit is the magnitude at which steps on the grid stop being exact: 2^30 units, so that sums of two terms below it
// are 32-bit integers. Without a grid it is +Inf.
func (g Grid) Limit() float64 {
	if g == NoGrid {
		return math.Inf(1)
	}
	return math.Ldexp(1, 30-int(g))
}

// ErrRange is wrapped by the error for a residual stream beyond the range in
// which the grid is exact.
var ErrRange = errors.New("residual stream past the exactness limit")

// RangeError names the first state beyond the exact range.
type RangeError struct {
	Step, Block, Sample int     // Block k: the state x_k
	Value, Limit        float64 // largest |x| and the grid's limit
}

// Error names the place and the ways out.
func (e *RangeError) Error() string {
	return fmt.Sprintf("bdia: %v at step %d, state x_%d, sample %d: |x| = %.8g, limit %.0f; "+
		"lower the learning rate, or use a coarser grid, of fewer bits",
		ErrRange, e.Step, e.Block, e.Sample, e.Value, e.Limit)
}

// Unwrap makes errors.Is(err, ErrRange) true.
func (e *RangeError) Unwrap() error { return ErrRange }
