package bdia

import (
	"fmt"
	"math"
	"strconv"

	"github.com/bdia-go/bdia/backend"
	"github.com/bdia-go/bdia/internal/rng"
)

// Gamma is the magnitude of the random coefficient that averages two Euler
// steps (paper, eq. 10 and 12). Each sample and block draws +Gamma or -Gamma
// with equal probability; 0 is the ordinary transformer.
type Gamma float64

// DefaultGamma is the paper's choice; it costs one bit per activation.
const DefaultGamma Gamma = 0.5

// maxPlanes limits the side information: |gamma| >= 2^-8.
const maxPlanes = 8

// ParseGamma reads a magnitude, 0 <= gamma < 1.
func ParseGamma(s string) (Gamma, error) {
	v, err := strconv.ParseFloat(s, 64)
	if err != nil || math.IsNaN(v) || v < 0 || v >= 1 {
		return 0, fmt.Errorf("bdia: gamma %q is not a magnitude in [0,1); the paper's is 0.5, 0 is the ordinary transformer", s)
	}
	return Gamma(v), nil
}

// String returns what ParseGamma reads.
func (g Gamma) String() string { return strconv.FormatFloat(float64(g), 'g', -1, 64) }

// MarshalText and UnmarshalText are for flags and files.
func (g Gamma) MarshalText() ([]byte, error) { return []byte(g.String()), nil }

func (g *Gamma) UnmarshalText(text []byte) (err error) {
	*g, err = ParseGamma(string(text))
	return err
}

// Planes returns the bits of side information per activation, log2(1/gamma), and whether a step on the grid can be
// inverted: gamma must be a power of two from 1/2 to 1/256.
func (g Gamma) Planes() (n int, reversible bool) {
	frac, exp := math.Frexp(float64(g)) // g = frac * 2^exp, frac in [1/2,1)
	n = 1 - exp
	if frac != 0.5 || n < 1 || n > maxPlanes {
		return 0, false
	}
	return n, true
}

// Growth returns how much larger the states of an averaged walk can become than the ordinary transformer's: what one
// block adds is at most (1+gamma)/(1-gamma) as much afterwards. For example 3 for gamma 1/2, and 5/3 for 1/4.
func (g Gamma) Growth() float64 { return (1 + float64(g)) / (1 - float64(g)) }

// draw fills gammas (K,B) for one pass: row k holds block k's value for each sample. first is the number of block 0
// in the model. Row 0 is zero, since the first step is an Euler step. Outside training every row is zero.
func (c course) draw(gammas []float32, first, B int, pass backend.Pass) {
	clear(gammas)
	if !pass.Train {
		return
	}
	for k := 1; k < c.K; k++ {
		g := c.at(pass.Step, k)
		for b := range B {
			key := rng.Key{Seed: pass.Seed, Step: uint32(pass.Step), Sample: uint32(pass.Sample + b),
				Block: uint32(first + k), Site: rng.SiteGamma}
			v := float32(g)
			if key.At(0)[0]&1 == 1 {
				v = -v
			}
			gammas[k*B+b] = v
		}
	}
}
