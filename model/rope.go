package model

import (
	"cmp"
	"fmt"
	"math"

	"github.com/bdia-go/bdia/internal/pmath"
	"github.com/bdia-go/bdia/nn"
)

// Rope says by which angles queries and keys turn (Su et al., RoFormer, arXiv 2104.09864), and how the angles are
// scaled for texts longer than the model first learned.
type Rope struct {
	Theta           float64 `yaml:"theta"`                     // base of the frequencies; 0: there is no rotation
	Kind            string  `yaml:"kind,omitzero"`             // of scaling: linear, dynamic, yarn or llama3; empty: none
	Factor          float64 `yaml:"factor,omitzero"`           // how many times longer texts are
	OriginalContext int     `yaml:"original_context,omitzero"` // most positions before; dynamic (0: the context), yarn and llama3
	LowFreq         float64 `yaml:"low_freq,omitzero"`         // llama3
	HighFreq        float64 `yaml:"high_freq,omitzero"`        // llama3
	BetaFast        float64 `yaml:"beta_fast,omitzero"`        // yarn
	BetaSlow        float64 `yaml:"beta_slow,omitzero"`        // yarn
	NoTruncate      bool    `yaml:"no_truncate,omitzero"`      // yarn: the ramp's ends are not rounded
	AttentionFactor float64 `yaml:"attention_factor,omitzero"` // yarn: of cosines and sines; 0: by Factor and the two below
	MScale          float64 `yaml:"mscale,omitzero"`           // yarn
	MScaleAllDim    float64 `yaml:"mscale_all_dim,omitzero"`   // yarn
}

// The kinds of scaling.
const (
	RopeLinear  = "linear"
	RopeDynamic = "dynamic" // changes nothing in texts of up to OriginalContext tokens; the longer a text, the longer its waves
	RopeYarn    = "yarn"    // Peng et al., arXiv 2309.00071
	RopeLlama3  = "llama3"
)

// validate returns an error for the first invalid setting.
func (r Rope) validate() error {
	if !(r.Theta > 0 && r.Theta <= 1e12) {
		return &SettingError{"rope.theta", r.Theta, "it must be positive, and at most 1e12"}
	}
	positive := func(name string, v float64) error {
		if !(v > 0 && v <= 1e9) {
			return &SettingError{"rope." + name, v, fmt.Sprintf("a rotation of kind %s needs it positive, and at most 1e9", r.Kind)}
		}
		return nil
	}
	optional := func(name string, v float64) error {
		if v == 0 {
			return nil
		}
		return positive(name, v)
	}
	switch r.Kind {
	case "":
		return nil
	case RopeLinear, RopeDynamic:
		return positive("factor", r.Factor)
	case RopeLlama3:
		err := cmp.Or(positive("factor", r.Factor), positive("low_freq", r.LowFreq), positive("high_freq", r.HighFreq), positive("original_context", float64(r.OriginalContext)))
		if err == nil && r.HighFreq <= r.LowFreq {
			err = &SettingError{"rope.high_freq", r.HighFreq, fmt.Sprintf("it must be above the one for low frequencies, %v", r.LowFreq)}
		}
		return err
	case RopeYarn:
		if r.Theta == 1 {
			return &SettingError{"rope.theta", r.Theta, "a rotation of kind yarn needs another one"}
		}
		return cmp.Or(positive("factor", r.Factor), positive("beta_fast", r.BetaFast), positive("beta_slow", r.BetaSlow), positive("original_context", float64(r.OriginalContext)),
			optional("attention_factor", r.AttentionFactor), optional("mscale", r.MScale), optional("mscale_all_dim", r.MScaleAllDim))
	}
	return fmt.Errorf("model: rotation by %.40q; linear, dynamic, yarn and llama3 are known", r.Kind)
}

// Extended returns the context of a model with the given one in its file: dynamic and yarn make the one before scaling
// Factor times longer, which the file may not say.
func (r Rope) Extended(context int) int {
	if r.Kind == RopeDynamic || r.Kind == RopeYarn {
		return int(min(max(float64(context), float64(cmp.Or(r.OriginalContext, context))*r.Factor), maxDim))
	}
	return context
}

// Frequencies returns the angles a position of the D/2 pairs of a head of width D, and what cosines and sines are
// multiplied by. They are computed in float32, as other programs do.
func (r Rope) Frequencies(D int) (frequencies []float32, factor float32) {
	f := nn.Frequencies(r.Theta, D)
	by := float32(r.Factor)
	switch r.Kind {
	case RopeLinear:
		for i := range f {
			f[i] /= by
		}
	case RopeLlama3:
		for i := range f {
			f[i] = r.llama3(f[i])
		}
	case RopeYarn:
		low, high := r.ramp(D)
		for i, was := range f {
			ramp := min(max(float32(float64(i)-low)/float32(high-low), 0), 1)
			f[i] = float32(was/by*ramp) + float32(was*(1-ramp))
		}
		return f, float32(r.yarnFactor())
	}
	return f, 1
}

// forLength returns the rotation of texts of n tokens: dynamic scaling goes by the length, which other kinds do not.
func (r Rope) forLength(n, D int) Rope {
	if r.Kind == RopeDynamic && n > r.OriginalContext {
		by := r.Factor*float64(n)/float64(r.OriginalContext) - (r.Factor - 1)
		r.Theta *= pmath.Pow(by, float64(D)/float64(D-2))
	}
	return r
}

// llama3 leaves short waves as they are, divides the frequency of long ones, and blends between them.
func (r Rope) llama3(f float32) float32 {
	wave, context, by := 2*math.Pi/f, float32(r.OriginalContext), float32(r.Factor)
	low, high := float32(r.LowFreq), float32(r.HighFreq)
	switch {
	case wave < context/high:
		return f
	case wave > context/low:
		return f / by
	}
	smooth := (context/wave - low) / (high - low)
	return float32((1-smooth)*f)/by + float32(smooth*f)
}

// ramp returns the pairs between which yarn goes from unscaled to scaled frequencies.
func (r Rope) ramp(D int) (low, high float64) {
	pair := func(turns float64) float64 {
		return float64(D) * pmath.Log(float64(r.OriginalContext)/(turns*2*math.Pi)) / (2 * pmath.Log(r.Theta))
	}
	low, high = pair(r.BetaFast), pair(r.BetaSlow)
	if !r.NoTruncate {
		low, high = math.Floor(low), math.Ceil(high)
	}
	low, high = max(low, 0), min(high, float64(D-1))
	if low == high {
		high += 0.001
	}
	return low, high
}

// yarnFactor is what yarn multiplies cosines and sines by.
func (r Rope) yarnFactor() float64 {
	scale := func(m float64) float64 {
		if r.Factor <= 1 {
			return 1
		}
		return 0.1*m*pmath.Log(r.Factor) + 1
	}
	switch {
	case r.AttentionFactor > 0:
		return r.AttentionFactor
	case r.MScale > 0 && r.MScaleAllDim > 0:
		return scale(r.MScale) / scale(r.MScaleAllDim)
	}
	return scale(1)
}
