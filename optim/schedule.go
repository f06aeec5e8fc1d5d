package optim

import (
	"fmt"
	"math"

	"github.com/bdia-go/bdia/internal/pmath"
)

// Schedule gives the learning rate of each step.
type Schedule struct {
	Kind   string  `yaml:"kind"`   // constant, linear or cosine, after the warm-up
	LR     float64 `yaml:"lr"`     // peak
	Final  float64 `yaml:"final"`  // share of LR that is left at step Steps
	Warmup int     `yaml:"warmup"` // steps of linear rise from 0
	Steps  int     `yaml:"steps"`  // length of the run
}

// maxSteps are the steps of the longest run.
const maxSteps = 1_000_000_000

// Validate returns an error for the first invalid setting.
func (s Schedule) Validate() error {
	switch {
	case s.Kind != "constant" && s.Kind != "linear" && s.Kind != "cosine":
		return fmt.Errorf("optim: unknown schedule %q; use cosine, linear or constant", s.Kind)
	case !(s.LR > 0) || math.IsInf(s.LR, 0):
		return fmt.Errorf("optim: learning rate is %v; it must be positive", s.LR)
	case !(s.Final >= 0 && s.Final <= 1):
		return fmt.Errorf("optim: final share of the learning rate is %v; it must be from 0 to 1", s.Final)
	case s.Warmup < 0:
		return fmt.Errorf("optim: a warm-up of %d steps; the number must not be negative", s.Warmup)
	case s.Steps < 1:
		return fmt.Errorf("optim: a run of %d steps; it must have at least 1", s.Steps)
	case s.Steps > maxSteps:
		return fmt.Errorf("optim: a run of %d steps; it must have at most %d", s.Steps, maxSteps)
	}
	return nil
}

// At returns the learning rate of step 1, 2, ..., Steps.
func (s Schedule) At(step int) float64 {
	if step <= s.Warmup {
		return s.LR * float64(step) / float64(s.Warmup)
	}
	left := 1.0 // of the way to the end, from 1 to 0
	if s.Steps > s.Warmup {
		left = max(0, float64(s.Steps-step)/float64(s.Steps-s.Warmup))
	}
	switch s.Kind {
	case "linear":
		return s.LR * (s.Final + float64((1-s.Final)*left))
	case "cosine":
		return s.LR * (s.Final + float64((1-s.Final)*0.5*(1-pmath.Cos(math.Pi*left))))
	}
	return s.LR
}
