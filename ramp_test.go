package bdia_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/bdia-go/bdia"
	"github.com/bdia-go/bdia/backend"
	"github.com/bdia-go/bdia/backend/plan"
	"github.com/bdia-go/bdia/nn"
	"github.com/bdia-go/bdia/tensor"
)

// trialStep is the step that a trial runs.
const trialStep = 6

// TestRampAtAStep: the step alone decides the magnitude of a ramp. A step has the bits that a fixed gamma gives it, in
// every memory mode and with every split into micro-batches.
func TestRampAtAStep(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		ramp bdia.Ramp
		at   bdia.Gamma
	}{
		{bdia.Ramp{From: 0.125, Steps: trialStep - 1}, 0.5}, // it is over
		{bdia.Ramp{From: 0.125, Steps: trialStep}, 0.5},
		{bdia.Ramp{From: 0.125, Steps: 9}, 0.25}, // 1/8 for steps 1 to 3, 1/4 for 4 to 6
		{bdia.Ramp{From: 0.125, Steps: 18}, 0.125},
		{bdia.Ramp{From: 1.0 / 256, Steps: 1 << 30}, 1.0 / 256},
	} {
		for _, K := range []int{1, 3, 6, 48} {
			t.Run(fmt.Sprintf("%+v/K %d", tc.ramp, K), func(t *testing.T) {
				t.Parallel()
				c := small(K)
				c.opt.Gamma = tc.at
				want := c.run(t)
				c.opt.Gamma, c.opt.Ramp = 0.5, tc.ramp
				for _, memory := range []bdia.Memory{bdia.Reversible, bdia.Store, bdia.Recompute} {
					c.opt.Memory = memory
					c.run(t).equal(t, want)
				}
				want.sums, want.up = nil, nil // of all samples at once
				c.opt.Memory, c.parts = bdia.Reversible, []int{1, 2}
				parts := c.run(t)
				c.opt.Gamma, c.opt.Ramp = tc.at, bdia.Ramp{}
				parts.equal(t, c.run(t))
			})
		}
	}
}

// TestLowerGamma: blocks with magnitudes of their own are as exact as equal ones, also while others are on a ramp.
func TestLowerGamma(t *testing.T) {
	t.Parallel()
	for _, ramp := range []bdia.Ramp{{Lower: 1.0 / 16}, {Lower: 1.0 / 256}, {From: 0.25, Steps: 20, Lower: 1.0 / 16}} {
		for _, K := range []int{1, 2, 3, 5, 48} {
			t.Run(fmt.Sprintf("%+v/K %d", ramp, K), func(t *testing.T) {
				t.Parallel()
				c := small(K)
				c.opt.Ramp = ramp
				want := c.run(t)
				want.lively(t)
				c.parts = []int{2, 1}
				parts := c.run(t)
				for _, memory := range []bdia.Memory{bdia.Store, bdia.Recompute} {
					c.opt.Memory, c.parts = memory, nil
					c.run(t).equal(t, want)
					c.parts = []int{2, 1}
					c.run(t).equal(t, parts)
				}
			})
		}
	}
}

// TestRampMagnitudes: what blocks draw at the steps of a ramp.
func TestRampMagnitudes(t *testing.T) {
	t.Parallel()
	const K, B = 5, 7
	o := bdia.Options{Gamma: 0.5, Grid: 9, Ramp: bdia.Ramp{From: 0.125, Steps: 7, Lower: 1.0 / 64}}
	for step, want := range []float32{0.125, 0.125, 0.125, 0.125, 0.25, 0.25, 0.5, 0.5, 0.5} { // of steps 0, 1, ...
		pass := trainPass
		pass.Step = step
		signs := bdia.DrawGammas(0.5, 3, K, B, pass)
		for i, v := range bdia.DrawOf(o, 3, K, B, pass) {
			m := want
			switch i / B {
			case 0:
				m = 0
			case 1: // of blocks 0 and 1, which are the first half
				m = 1.0 / 64
			}
			if v != 2*m*signs[i] {
				t.Errorf("step %d, block %d draws %v, want ±%v of the sign of %v", step, i/B, v, m, signs[i])
			}
		}
	}
}

// TestRampSideInformation: a block has side information for the smallest magnitude that it ever has, whatever the step.
func TestRampSideInformation(t *testing.T) {
	t.Parallel()
	const K = 6
	for ramp, want := range map[bdia.Ramp][]int{
		{}:                      {1, 1, 1, 1},
		{From: 0.125, Steps: 4}: {3, 3, 3, 3},
		{From: 0.125, Steps: 4, Lower: 1.0 / 256}: {8, 8, 3, 3}, // of x_0 to x_3, written by blocks 1 to 4
	} {
		for _, step := range []int{1, 2, 4, 9} {
			be := plan.New(64)
			s, _ := repeat(t, be, K, nn.BlockConfig{Width: 8, Heads: 1, MLP: 8}, bdia.Options{Gamma: 0.5, Grid: 9, Ramp: ramp})
			s.Begin(tensor.Shape{3, 5, 8}, backend.Pass{Train: true, Step: step})
			for k, planes := range want {
				if side := s.Side().Of(k); (side.Shape != tensor.Shape{planes, 3, 5}) {
					t.Errorf("%+v, step %d: side information of x_%d is %v, want %d planes", ramp, step, k, side.Shape, planes)
				}
			}
		}
	}
}

func TestGammaText(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]bdia.Options{
		"0.5":                     {Gamma: 0.5},
		"0":                       {},
		"0.0625..0.25":            {Gamma: 0.25, Ramp: bdia.Ramp{From: 0.0625}},
		"0.0625..0.25@600":        {Gamma: 0.25, Ramp: bdia.Ramp{From: 0.0625, Steps: 600}},
		"0.15..0.6@3":             {Gamma: 0.6, Ramp: bdia.Ramp{From: 0.15, Steps: 3}},
		"0.0625/0.25":             {Gamma: 0.25, Ramp: bdia.Ramp{Lower: 0.0625}},
		"0.0625/0.125..0.5@12345": {Gamma: 0.5, Ramp: bdia.Ramp{From: 0.125, Steps: 12345, Lower: 0.0625}},
	} {
		o := bdia.Options{Ramp: bdia.Ramp{From: 0.1, Steps: 2, Lower: 0.3}} // all of which has to go
		if err := o.SetGamma(text); err != nil || o != want || o.GammaText() != text {
			t.Errorf("%q reads as %+v, %v, and is written as %q", text, o, err, o.GammaText())
		}
	}
	for text, part := range map[string]string{
		"": "magnitude in [0,1)", "x..0.5": `"x"`, "0.25..": `""`, "..0.5": `""`, "/0.5": `""`, "0.5/": `""`, "0.1/0.2/0.5": `"0.2/0.5"`,
		"0.25..0.5@": "follows @", "0.25..0.5@0": "follows @", "0.25..0.5@-3": "follows @", "0.25..0.5@x": "follows @", "0.5@4": "follows @",
		"0.5..0.5": "doubles", "0.5..0.25": "doubles", "0.2..0.5": "doubles", "0.0009765625..0.5": "doubles", "0..0.5": "above 0",
		"0.25..0": "above 0", "0.25/0": "above 0", "0/0.5": "above 0", "0.5/0.5": "smaller", "0.5/0.25": "smaller", "1/0.5": `"1"`,
	} {
		o := bdia.Options{Gamma: 0.25}
		if err := o.SetGamma(text); err == nil || o != (bdia.Options{Gamma: 0.25}) || !strings.Contains(err.Error(), part) || !strings.HasPrefix(err.Error(), "bdia: ") {
			t.Errorf("%q reads as %+v, error %v, want one with %s", text, o, err, part)
		}
	}
}
