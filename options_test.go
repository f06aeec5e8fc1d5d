package bdia_test

import (
	"encoding"
	"errors"
	"math"
	"slices"
	"strings"
	"testing"

	"github.com/bdia-go/bdia"
	"github.com/bdia-go/bdia/backend"
	"github.com/bdia-go/bdia/backend/cpu"
	"github.com/bdia-go/bdia/backend/plan"
	"github.com/bdia-go/bdia/internal/testkit"
)

func TestValidateOptions(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		o    bdia.Options
		part string // of the error; none: the options are good
	}{
		{bdia.DefaultOptions(), ""},
		{bdia.Options{Memory: bdia.Reversible, Gamma: 0.5, Grid: 0}, ""},
		{bdia.Options{Memory: bdia.Reversible, Gamma: 1.0 / 256, Grid: 20}, ""},
		{bdia.Options{Memory: bdia.Store, Gamma: 0, Grid: bdia.NoGrid}, ""},
		{bdia.Options{Memory: bdia.Store, Gamma: 0.6, Grid: bdia.NoGrid}, ""},
		{bdia.Options{Memory: bdia.Recompute, Gamma: 0.6, Grid: 9}, ""},
		{bdia.Options{Memory: bdia.Reversible, Gamma: 0.5, Grid: bdia.NoGrid}, "needs a grid"},
		{bdia.Options{Memory: bdia.Reversible, Gamma: 0, Grid: 9}, "power of two"},
		{bdia.Options{Memory: bdia.Reversible, Gamma: 0.6, Grid: 9}, "not 0.6"},
		{bdia.Options{Memory: bdia.Reversible, Gamma: 0.375, Grid: 9}, "power of two"},
		{bdia.Options{Memory: bdia.Reversible, Gamma: 1.0 / 512, Grid: 9}, "power of two"},
		{bdia.Options{Memory: bdia.Reversible, Gamma: 1, Grid: 9}, "below 1"},
		{bdia.Options{Memory: bdia.Store, Gamma: 1, Grid: 9}, "below 1"},
		{bdia.Options{Memory: bdia.Store, Gamma: -0.5, Grid: 9}, "at least 0"},
		{bdia.Options{Memory: bdia.Store, Gamma: bdia.Gamma(math.NaN()), Grid: 9}, "gamma"},
		{bdia.Options{Memory: bdia.Store, Gamma: 0.5, Grid: 27}, "grid of 27"},
		{bdia.Options{Memory: bdia.Reversible, Gamma: 0.5, Grid: 40}, "grid of 40"},
		{bdia.Options{Memory: bdia.Store, Gamma: 0.5, Grid: -2}, "grid of -2"},
		{bdia.Options{Memory: 3, Gamma: 0.5, Grid: 9}, "memory mode 3"},
		{bdia.Options{Gamma: 0.5, Grid: 9, Ramp: bdia.Ramp{From: 0.125, Steps: 1, Lower: 1.0 / 256}}, ""},
		{bdia.Options{Memory: bdia.Store, Gamma: 0.6, Grid: 9, Ramp: bdia.Ramp{From: 0.15, Steps: 9, Lower: 0.55}}, ""},
		{bdia.Options{Gamma: 0.5, Grid: 9, Ramp: bdia.Ramp{Lower: 0.3}}, "not 0.3/0.5"},
		{bdia.Options{Gamma: 0.25, Grid: 9, Ramp: bdia.Ramp{From: 1.0 / 512, Steps: 9}}, "not 0.001953125..0.25@9"},
		{bdia.Options{Gamma: 0.5, Grid: 9, Ramp: bdia.Ramp{From: 0.125}}, "over 0 steps"},
		{bdia.Options{Gamma: 0.5, Grid: 9, Ramp: bdia.Ramp{Steps: 4}}, "over 4 steps from 0"},
		{bdia.Options{Gamma: 0.5, Grid: 9, Ramp: bdia.Ramp{From: 0.5, Steps: 4}}, "doubles"},
		{bdia.Options{Gamma: 0.5, Grid: 9, Ramp: bdia.Ramp{From: -0.25, Steps: 4}}, "doubles"},
		{bdia.Options{Gamma: 0.5, Grid: 9, Ramp: bdia.Ramp{From: bdia.Gamma(math.NaN()), Steps: 4}}, "doubles"},
		{bdia.Options{Memory: bdia.Store, Gamma: 0.5, Grid: 9, Ramp: bdia.Ramp{Lower: 0.5}}, "smaller there"},
		{bdia.Options{Memory: bdia.Store, Gamma: 0.5, Grid: 9, Ramp: bdia.Ramp{Lower: bdia.Gamma(math.NaN())}}, "smaller there"},
		{bdia.Options{Memory: bdia.Store, Grid: bdia.NoGrid, Ramp: bdia.Ramp{Lower: 0.25}}, "ends at 0"},
	} {
		err := c.o.Validate()
		if (err == nil) != (c.part == "") || err != nil && (!strings.Contains(err.Error(), c.part) || !strings.HasPrefix(err.Error(), "bdia: ")) {
			t.Errorf("%+v: error %v, want one with %q", c.o, err, c.part)
		}
		var of *bdia.OptionsError // only for choices that are possible one by one
		if combined := slices.Contains([]string{"needs a grid", "power of two", "not 0.6", "not 0.3/0.5", "not 0.001953125..0.25@9"}, c.part); errors.As(err, &of) != combined || of != nil && of.Options != c.o {
			t.Errorf("%+v: error %#v", c.o, err)
		}
		_, made := bdia.NewStack(plan.New(0), []bdia.Block{&grow{}}, c.o)
		if (made == nil) != (err == nil) {
			t.Errorf("%+v: NewStack says %v, Validate %v", c.o, made, err)
		}
	}
	if _, err := bdia.NewStack(plan.New(0), nil, bdia.DefaultOptions()); err == nil {
		t.Error("a stack without blocks is accepted")
	}
}

func TestPlanes(t *testing.T) {
	t.Parallel()
	for g, want := range map[bdia.Gamma]int{0.5: 1, 0.25: 2, 0.125: 3, 1.0 / 256: 8, 0: -1, 0.6: -1, 1: -1, 2: -1, -0.5: -1, 1.0 / 512: -1} {
		n, ok := g.Planes()
		if ok != (want > 0) || ok && n != want {
			t.Errorf("gamma %v has %d planes, %v; want %d", g, n, ok, want)
		}
	}
}

// textValue is what stands in flags and files.
type textValue interface {
	encoding.TextMarshaler
	encoding.TextUnmarshaler
	String() string
}

func TestTextRoundTrips(t *testing.T) {
	t.Parallel()
	memory := func(m bdia.Memory) textValue { return &m }
	gamma := func(g bdia.Gamma) textValue { return &g }
	grid := func(g bdia.Grid) textValue { return &g }
	for text, v := range map[string]textValue{
		"reversible": memory(bdia.Reversible), "store": memory(bdia.Store), "recompute": memory(bdia.Recompute),
		"0.5": gamma(0.5), "0": gamma(0), "0.00390625": gamma(1.0 / 256), "0.6": gamma(0.6),
		"9": grid(9), "none": grid(bdia.NoGrid), "20": grid(20), "26": grid(26),
	} {
		got, err := v.MarshalText()
		if err != nil || string(got) != text || v.String() != text {
			t.Errorf("%q is written as %q, %v", text, got, err)
		}
		var back textValue
		switch v.(type) {
		case *bdia.Memory:
			back = memory(bdia.Store)
		case *bdia.Gamma:
			back = gamma(0.3)
		case *bdia.Grid:
			back = grid(3)
		}
		if err := back.UnmarshalText([]byte(text)); err != nil || back.String() != text {
			t.Errorf("%q reads as %v, %v", text, back, err)
		}
	}
	for _, text := range []string{"", "Store", "ram", "store "} {
		if m, err := bdia.ParseMemory(text); err == nil {
			t.Errorf("memory %q reads as %v", text, m)
		}
	}
	for _, text := range []string{"", "x", "1", "-0.5", "NaN", "inf", "0.5x", "1e9"} {
		if g, err := bdia.ParseGamma(text); err == nil {
			t.Errorf("gamma %q reads as %v", text, g)
		}
	}
	for _, text := range []string{"", "x", "-1", "27", "9.0", "None", "99999999999999999999"} {
		if g, err := bdia.ParseGrid(text); err == nil {
			t.Errorf("grid %q reads as %v", text, g)
		}
	}
}

func TestGridLimit(t *testing.T) {
	t.Parallel()
	if got := bdia.Grid(9).Limit(); got != 1<<21 {
		t.Errorf("limit at 9 bits: %v", got)
	}
	if got := bdia.Grid(26).Limit(); got != 16 {
		t.Errorf("limit at 26 bits: %v", got)
	}
	if got := bdia.NoGrid.Limit(); !math.IsInf(got, 1) {
		t.Errorf("limit without a grid: %v", got)
	}
}

// TestDrift: without the grid the inverse goes wrong, by about 2 a block (paper,
// figure 2).
func TestDrift(t *testing.T) {
	t.Parallel()
	be := newCPU(t, cpu.Options{Threads: 1})
	c := small(12)
	c.opt = bdia.Options{Memory: bdia.Store, Gamma: 0.5, Grid: bdia.NoGrid}
	m := newModel(t, be, c.model, c.opt)
	var ks []int
	var errs []float64
	err := m.Drift(newBatch(c.model, 3), backend.Pass{Train: true, Seed: 1}, func(k int, rms, _ float64) {
		ks, errs = append(ks, k), append(errs, rms)
	})
	if err != nil {
		t.Fatal(err)
	}
	if len(ks) != 11 || ks[0] != 10 || ks[10] != 0 {
		t.Fatalf("states %v", ks)
	}
	growth := math.Pow(errs[10]/errs[0], 1.0/10)
	if !(growth > 1.5 && growth < 4) || errs[10] == 0 {
		t.Errorf("errors %v grow by %v a block", errs, growth)
	}
	for _, opt := range []bdia.Options{bdia.DefaultOptions(), {Memory: bdia.Store, Gamma: 0.5, Grid: 9}, {Memory: bdia.Store, Gamma: 0, Grid: bdia.NoGrid}} {
		other, err := m.WithOptions(opt)
		if err != nil {
			t.Fatal(err)
		}
		if err := other.Drift(newBatch(c.model, 3), backend.Pass{Train: true}, nil); err == nil {
			t.Errorf("drift of %+v is measured", opt)
		}
	}
}

// TestPassOutsideTraining: on a grid, a pass that draws gammas is one of training; another is named at once, before any
// memory is taken. Without a grid or without gamma it is the ordinary transformer.
func TestPassOutsideTraining(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		gamma bdia.Gamma
		grid  bdia.Grid
		fails bool
	}{{0.5, 9, true}, {0.25, 9, true}, {0, 9, false}, {0.5, bdia.NoGrid, false}} {
		trial := small(3)
		trial.opt = bdia.Options{Gamma: c.gamma, Grid: c.grid, Memory: bdia.Store}
		be := newCPU(t, cpu.Options{Threads: 1})
		m := newModel(t, be, trial.model, trial.opt)
		sink := newKeepAll(be, m.Trainable())
		said := func() (said any) {
			defer func() { said = recover() }()
			_, err := m.MicroStep(newBatch(trial.model, 2), backend.Pass{}, 1, sink)
			testkit.OK(t, err)
			return nil
		}()
		if text, _ := said.(string); strings.HasPrefix(text, "bdia: a pass with gamma on a grid") != c.fails || (said != nil) != c.fails {
			t.Errorf("gamma %v, grid %v: %v", c.gamma, c.grid, said)
		}
	}
}
