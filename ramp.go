package bdia

import (
	"fmt"
	"math"
	"strconv"
	"strings"

	"github.com/bdia-go/bdia/backend"
)

// Ramp makes |gamma| smaller than Options.Gamma for a while, or in some blocks: a trained model was never averaged, and
// a large |gamma| spoils it before it can learn. The zero Ramp is none: every block has Options.Gamma at every step.
// Options.Gamma is the largest of all.
type Ramp struct {
	// From is the magnitude at the first step. It doubles until it is Options.Gamma, each magnitude for an equal share of
	// Steps. 0: Options.Gamma from the first step on.
	From Gamma `yaml:"from,omitzero"`
	// Steps are how many the ramp takes; 0: to be settled, as the length of the run.
	Steps int `yaml:"steps,omitzero"`
	// Lower is the magnitude in the first half of the blocks, at every step. 0: they are as the others.
	Lower Gamma `yaml:"lower,omitzero"`
}

// SetGamma reads what GammaText writes: a magnitude, or a law of several.
//
//	0.25                 every block, at every step
//	0.0625..0.25         a ramp: 1/16, then 1/8, then 1/4, each for a third of the run
//	0.0625..0.25@600     the same within 600 steps
//	0.0625/0.25          1/16 in the first half of the blocks, 1/4 in the second; 0.25 may be a ramp here
//
// On an error o stays as it is.
func (o *Options) SetGamma(text string) (err error) {
	law, r := *o, Ramp{}
	lower, rest, two := strings.Cut(text, "/")
	if !two {
		rest = text
	}
	rest, steps, ends := strings.Cut(rest, "@")
	from, top, ramp := strings.Cut(rest, "..")
	if !ramp {
		top = rest
	}
	for _, part := range []struct {
		given bool
		text  string
		to    *Gamma
	}{{two, lower, &r.Lower}, {ramp, from, &r.From}, {true, top, &law.Gamma}} {
		if !part.given {
			continue
		}
		if *part.to, err = ParseGamma(part.text); err != nil {
			return err
		}
		if *part.to == 0 && (two || ramp) {
			return fmt.Errorf("bdia: gamma %.80q: each size of a law of several is above 0, as in 0.0625/0.25", text)
		}
	}
	if ends {
		if r.Steps, err = strconv.Atoi(steps); err != nil || r.Steps < 1 || !ramp {
			return fmt.Errorf("bdia: gamma %.80q: what follows @ is the steps of a ramp, as in 0.0625..0.25@600", text)
		}
	}
	law.Ramp = r
	if err := law.validateRamp(); err != nil {
		return err
	}
	*o = law
	return nil
}

// GammaText is the law of gamma in the words of SetGamma.
func (o Options) GammaText() string {
	text, r := o.Gamma.String(), o.Ramp
	if r.From != 0 {
		text = r.From.String() + ".." + text
	}
	if r.Steps != 0 {
		text += "@" + strconv.Itoa(r.Steps)
	}
	if r.Lower != 0 {
		text = r.Lower.String() + "/" + text
	}
	return text
}

// validateRamp returns an error for a ramp that does not lead to Options.Gamma. Steps may be open.
func (o Options) validateRamp() error {
	switch r := o.Ramp; {
	case r == (Ramp{}):
		return nil
	case o.Gamma == 0:
		return fmt.Errorf("bdia: a ramp of gamma that ends at 0; give it a magnitude above 0, or leave out the ramp")
	case !(r.Lower >= 0 && r.Lower < o.Gamma):
		return fmt.Errorf("bdia: gamma is %v in the first half of the blocks and %v in the others; it must be smaller there", r.Lower, o.Gamma)
	case r.Steps < 0 || r.From == 0 && r.Steps > 0:
		return fmt.Errorf("bdia: a ramp of gamma over %d steps from %v; give it a magnitude to begin with, and at least one step", r.Steps, r.From)
	case r.From != 0 && o.doublings() < 1:
		return fmt.Errorf("bdia: a ramp of gamma doubles, and %v does not become %v by that; begin with a half, a quarter, ... of it, from 1/%d on",
			r.From, o.Gamma, 1<<maxPlanes)
	}
	return nil
}

// doublings is how often From doubles until it is Gamma; 0 if it does not.
func (o Options) doublings() int {
	frac, exp := math.Frexp(float64(o.Gamma / o.Ramp.From))
	if frac != 0.5 || exp < 2 || exp > maxPlanes {
		return 0
	}
	return exp - 1
}

// course is the law of gamma for the K blocks of a stack, made once from its options.
type course struct {
	Options
	K         int
	doublings int
}

func newCourse(o Options, K int) course {
	c := course{Options: o, K: K}
	if o.Ramp.From != 0 {
		c.doublings = o.doublings()
	}
	return c
}

// at is |gamma| of block k at a step, the first of which is 1.
func (c course) at(step, k int) Gamma {
	switch r := c.Ramp; {
	case r.Lower != 0 && k < c.K/2:
		return r.Lower
	case r.From == 0 || step > r.Steps:
		return c.Gamma
	default:
		return Gamma(math.Ldexp(float64(r.From), max(step-1, 0)*(c.doublings+1)/r.Steps))
	}
}

// planes is the bits of side information per activation at the smallest |gamma| that block k ever has.
func (c course) planes(k int) int {
	n, _ := c.at(1, k).Planes()
	return n
}

// law is the rule by which states move with |gamma|. If it is not a power of two, for example 0.6, only the sum of all
// terms is rounded.
func (c course) law(g Gamma) backend.Law {
	if planes, ok := g.Planes(); ok {
		return backend.Law{Planes: planes, Bits: int(c.Grid)}
	}
	return backend.Law{Bits: backend.NoGrid}
}
