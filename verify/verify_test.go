package verify

import (
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"math"
	"slices"
	"testing"

	"github.com/bdia-go/bdia"
	"github.com/bdia-go/bdia/backend"
	"github.com/bdia-go/bdia/backend/cpu"
	"github.com/bdia-go/bdia/internal/cpufeat"
	"github.com/bdia-go/bdia/model"
)

const (
	size   = 3 // samples of a batch
	length = 8 // tokens of a sample
)

func config(layers int, dropout float64) model.GPTConfig {
	return model.GPTConfig{Vocab: 11, Context: length, Layers: layers, Heads: 2, Width: 24,
		EmbeddingDropout: dropout, AttentionDropout: dropout, ResidualDropout: dropout}
}

// fresh makes a model of c on an empty batch, for planning.
func fresh(c model.GPTConfig, opt bdia.Options) func(be backend.Backend) (Subject, error) {
	return func(be backend.Backend) (Subject, error) {
		m, err := model.NewGPT(be, c, opt)
		if err != nil {
			return Subject{}, err
		}
		return OfGPT(m, model.NewBatch(size, length)), nil
	}
}

// setup returns a model with initial weights, larger than usual so that every
// block matters, and a batch; the arena is exactly as large as Plan says.
func setup(t *testing.T, c model.GPTConfig, opt bdia.Options, isa string, threads int) (*cpu.Backend, *model.GPT, model.Batch) {
	t.Helper()
	planned, err := Plan(fresh(c, opt), opt, backend.Options{Threads: threads})
	if err != nil {
		t.Fatal(err)
	}
	be, err := cpu.New(cpu.Options{Threads: threads, ISA: isa, ArenaBytes: planned.Total})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(be.Close)
	m, err := model.NewGPT(be, c, opt)
	if err != nil {
		t.Fatal(err)
	}
	m.Init(3)
	for _, p := range m.Params() {
		if p.Decay {
			be.Scale(p.Value, 4)
		}
	}
	b := model.NewBatch(size, length)
	for i := range b.Inputs {
		b.Inputs[i], b.Targets[i] = int32(i*7%c.Vocab), int32(i*5%c.Vocab)
	}
	return be, m, b
}

func reversible(gamma bdia.Gamma) bdia.Options {
	return bdia.Options{Memory: bdia.Reversible, Gamma: gamma, Grid: bdia.DefaultGrid}
}

var pass = backend.Pass{Seed: 9, Step: 4, Sample: 2}

func TestExact(t *testing.T) {
	t.Parallel()
	for _, K := range []int{1, 2, 3, 6, 48} {
		for _, gamma := range []bdia.Gamma{0.5, 0.25, 1. / 16} {
			for _, dropout := range []float64{0, 0.2} {
				if K == 48 && dropout == 0 {
					continue
				}
				t.Run(fmt.Sprintf("K=%d gamma=%v dropout=%v", K, gamma, dropout), func(t *testing.T) {
					t.Parallel()
					var first *Report
					for _, isa := range cpufeat.Supported() {
						if isa == cpufeat.Portable && K > 6 {
							continue // slow
						}
						c := config(K, dropout)
						be, m, b := setup(t, c, reversible(gamma), isa.String(), 1+int(isa)%2)
						r, err := Run(be, OfGPT(m, b), reversible(gamma), pass, NoFault)
						if err != nil {
							t.Fatal(err)
						}
						check(t, r, m)
						if first == nil {
							first = r
						} else if !slices.Equal(first.States, r.States) || first.Loss != r.Loss || first.MaxAbs != r.MaxAbs {
							t.Errorf("%v: states, loss or largest |x| are not those of another instruction set", isa)
						}
					}
				})
			}
		}
	}
}

// check demands an exact report with the right counts.
func check(t *testing.T, r *Report, m *model.GPT) {
	t.Helper()
	if !r.Exact() || r.MismatchedBits != 0 || r.OffGrid != 0 || r.GradientDifferingBits != 0 {
		t.Errorf("not exact: %+v", r)
	}
	K := m.Config.Layers
	if want := int64(max(K-2, 0) * size * length * m.Config.Width); r.ReconstructedActivations != want {
		t.Errorf("%d activations rebuilt, want %d", r.ReconstructedActivations, want)
	}
	var values int64
	for _, p := range m.Params() {
		values += int64(p.Value.Len())
	}
	if r.GradientValues != values {
		t.Errorf("%d gradient values compared, the model has %d parameters", r.GradientValues, values)
	}
	if !(r.MaxAbs > 0 && r.MaxAbs < r.MaxAbsLimit) || r.MaxAbsLimit != 1<<21 || !(r.Loss > 1 && r.Loss < 10) {
		t.Errorf("largest |x| %v, limit %v, loss %v", r.MaxAbs, r.MaxAbsLimit, r.Loss)
	}
	if len(r.States) != K+1 {
		t.Fatalf("%d states, want %d", len(r.States), K+1)
	}
	seen := map[string]bool{}
	for k, s := range r.States {
		rebuilt := k < K-2
		if s.K != k || len(s.Forward) != 16 || seen[s.Forward] || (s.Reverse != "") != rebuilt || rebuilt && s.Reverse != s.Forward {
			t.Errorf("state %d: %+v", k, s)
		}
		seen[s.Forward] = true
	}
}

// TestFaults: each fault is found, names the first state that it hurts, and
// leaves the model as it was.
func TestFaults(t *testing.T) {
	t.Parallel()
	for _, K := range []int{3, 6, 48} {
		for _, gamma := range []bdia.Gamma{0.5, 0.25} {
			t.Run(fmt.Sprintf("K=%d gamma=%v", K, gamma), func(t *testing.T) {
				t.Parallel()
				opt := reversible(gamma)
				be, m, b := setup(t, config(K, 0.1), opt, "", 2)
				clean, err := Run(be, OfGPT(m, b), opt, pass, NoFault)
				if err != nil {
					t.Fatal(err)
				}
				for _, fault := range Faults() {
					r, err := Run(be, OfGPT(m, b), opt, pass, fault)
					if err != nil {
						t.Fatal(err)
					}
					if fault == NoFault {
						check(t, r, m)
						continue
					}
					if r.MismatchedBits == 0 || r.Exact() {
						t.Errorf("%s was not found", fault)
					}
					wrong := slices.IndexFunc(r.States, func(s State) bool { return s.Reverse != "" && s.Reverse != s.Forward })
					if wrong < 0 {
						t.Errorf("%s: no state is shown to differ", fault)
					}
					if fault == SideBit && r.MismatchedBits > 64 {
						t.Errorf("%s: one wrong bit of side information of x_0 changes %d bits of it", fault, r.MismatchedBits)
					}
					if fault == StateBit && r.GradientDifferingBits == 0 {
						t.Errorf("%s: gradients of wrong states agree", fault)
					}
					for k, s := range r.States {
						if s.Forward != clean.States[k].Forward {
							t.Errorf("%s: the forward pass differs at x_%d: the damage came too early or was not undone", fault, k)
						}
					}
				}
				r, err := Run(be, OfGPT(m, b), opt, pass, NoFault)
				if err != nil {
					t.Fatal(err)
				}
				check(t, r, m)
			})
		}
	}
}

// TestFaultsOfAFreshModel: weights so small that the damaged one may be lost
// below the grid still give other gradients.
func TestFaultsOfAFreshModel(t *testing.T) {
	t.Parallel()
	be, m, b := setup(t, config(48, 0), reversible(0.25), "", 1)
	for _, p := range m.Params() {
		if p.Decay {
			be.Scale(p.Value, 0.25)
		}
	}
	for _, fault := range Faults() {
		r, err := Run(be, OfGPT(m, b), reversible(0.25), pass, fault)
		if err != nil {
			t.Fatal(err)
		}
		if r.Exact() != (fault == NoFault) {
			t.Errorf("%s: exact is %v", fault, r.Exact())
		}
	}
}

// TestTrap follows a scheme without side information in plain float32:
// x_{k+1} = gamma x_{k-1} + Q[...]. A shallow stack comes back bit for bit, since
// what halving loses below the grid still fits into the fraction, so equal bits
// alone prove nothing: the states are off the grid, and the deep stack is lost.
func TestTrap(t *testing.T) {
	t.Parallel()
	const n, unit = 64, 512
	follow := func(K int) *Report {
		grid := func(v float64) float32 { return float32(math.RoundToEven(v*unit) / unit) }
		gamma := func(k, i int) float32 { return float32((k*7+i*3)%2) - 0.5 }
		next := func(x float32, k, i int) float32 { // Q[(1-gamma) x + (1+gamma) h(x)]
			g := float64(gamma(k, i))
			return grid((1-g)*float64(x) + (1+g)*math.Sin(float64(x)+float64(k)))
		}
		states := make([][]float32, K+1)
		for k := range states {
			states[k] = make([]float32, n)
			for i := range n {
				switch k {
				case 0:
					states[k][i] = grid(float64(i)/7 - 4)
				case 1:
					states[k][i] = states[0][i] + grid(math.Sin(float64(i)))
				default:
					states[k][i] = gamma(k-1, i)*states[k-2][i] + next(states[k-1][i], k-1, i)
				}
			}
		}
		c := &checker{report: &Report{States: make([]State, K+1)}, want: make([]state, K+1), unit: unit}
		for k, v := range states {
			c.want[k] = state{values: v}
		}
		for k, v := range c.want {
			c.state(k, v)
		}
		after, cur := slices.Clone(states[K]), slices.Clone(states[K-1])
		for k := K - 1; k > 0; k-- {
			for i := range n {
				after[i] = (after[i] - next(cur[i], k, i)) / gamma(k, i)
			}
			after, cur = cur, after
			c.state(k-1, state{values: cur})
		}
		return c.report
	}
	if r := follow(6); r.MismatchedBits != 0 || r.OffGrid == 0 || r.Exact() {
		t.Errorf("6 blocks: %d mismatched bits, %d off the grid, exact: %v", r.MismatchedBits, r.OffGrid, r.Exact())
	}
	if r := follow(48); r.MismatchedBits == 0 || r.OffGrid == 0 || r.Exact() {
		t.Errorf("48 blocks: %d mismatched bits, %d off the grid, exact: %v", r.MismatchedBits, r.OffGrid, r.Exact())
	}
}

func TestOptions(t *testing.T) {
	t.Parallel()
	be, m, b := setup(t, config(2, 0), reversible(0.5), "", 1)
	for _, fault := range []Fault{SideBit, StateBit, WeightBit} {
		if _, err := Run(be, OfGPT(m, b), reversible(0.5), pass, fault); !errors.Is(err, ErrOptions) {
			t.Errorf("%s in two blocks: error %v, want ErrOptions", fault, err)
		}
	}
	if r, err := Run(be, OfGPT(m, b), reversible(0.5), pass, ""); err != nil || !r.Exact() {
		t.Errorf("no fault: %+v, %v", r, err)
	}
	if _, err := Run(be, OfGPT(m, b), reversible(0.5), pass, "sidebit"); !errors.Is(err, ErrOptions) {
		t.Errorf("an unknown fault: error %v, want ErrOptions", err)
	}
	for _, opt := range []bdia.Options{
		{Memory: bdia.Store, Gamma: 0.5, Grid: 9}, {Memory: bdia.Recompute, Gamma: 0, Grid: bdia.NoGrid},
	} {
		if _, err := Run(be, OfGPT(m, b), opt, pass, NoFault); !errors.Is(err, ErrOptions) {
			t.Errorf("%v: error %v, want ErrOptions", opt, err)
		}
	}
	if _, err := Run(be, OfGPT(m, b), bdia.Options{Memory: bdia.Reversible, Gamma: 0.6, Grid: 9}, pass, NoFault); err == nil {
		t.Error("gamma 0.6 was verified")
	}
}

// TestOwnBlockFault: a weight that the blocks do not have cannot be damaged.
func TestOwnBlockFault(t *testing.T) {
	t.Parallel()
	be, m, b := setup(t, config(3, 0), reversible(0.5), "", 1)
	s := OfGPT(m, b)
	s.Params = nil
	if _, err := Run(be, s, reversible(0.5), pass, WeightBit); !errors.Is(err, ErrOptions) {
		t.Errorf("error %v, want ErrOptions", err)
	}
}

// TestNoMake: a Check without a model says so.
func TestNoMake(t *testing.T) {
	t.Parallel()
	if _, err := (Check{Method: bdia.DefaultOptions()}).Run(NoFault); !errors.Is(err, ErrOptions) {
		t.Errorf("error %v, want ErrOptions", err)
	}
	if err := (Check{}).Drift(nil); !errors.Is(err, ErrOptions) {
		t.Errorf("drift: error %v, want ErrOptions", err)
	}
}

// TestRange: states past the exactness limit end the check with an error.
func TestRange(t *testing.T) {
	t.Parallel()
	be, m, b := setup(t, config(3, 0), reversible(0.5), "", 1)
	be.Scale(m.Params()[0].Value, 1e8)
	if _, err := Run(be, OfGPT(m, b), reversible(0.5), pass, NoFault); !errors.Is(err, bdia.ErrRange) {
		t.Errorf("error %v, want ErrRange", err)
	}
}

func TestJSON(t *testing.T) {
	t.Parallel()
	be, m, b := setup(t, config(3, 0), reversible(0.5), "", 1)
	r, err := Run(be, OfGPT(m, b), reversible(0.5), pass, NoFault)
	if err != nil {
		t.Fatal(err)
	}
	text, err := json.Marshal(r)
	if err != nil {
		t.Fatal(err)
	}
	var got map[string]any
	if err := json.Unmarshal(text, &got); err != nil {
		t.Fatal(err)
	}
	want := []string{"gradient_differing_bits", "gradient_values", "loss", "max_abs", "max_abs_limit", "mismatched_bits",
		"off_grid", "reconstructed_activations", "states"}
	if names := slices.Sorted(maps.Keys(got)); !slices.Equal(names, want) {
		t.Errorf("names %q, want %q", names, want)
	}
	if got["max_abs_limit"] != 2097152.0 || got["reconstructed_activations"] != float64(size*length*24) {
		t.Errorf("%s", text)
	}
}

// TestDrift: without a grid the error grows by about 1/|gamma| a block (figure 2
// of the paper); its arena is that of PlanDrift.
func TestDrift(t *testing.T) {
	t.Parallel()
	const K = 14
	c := config(K, 0.1)
	for gamma, want := range map[bdia.Gamma][2]float64{0.5: {1.5, 3}, 0.25: {3, 6}} {
		planned, err := PlanDrift(fresh(c, bdia.Options{Memory: bdia.Store, Gamma: gamma, Grid: bdia.NoGrid}), gamma, backend.Options{Threads: 1})
		if err != nil {
			t.Fatal(err)
		}
		be, err := cpu.New(cpu.Options{Threads: 1, ArenaBytes: planned.Total})
		if err != nil {
			t.Fatal(err)
		}
		defer be.Close()
		m, err := model.NewGPT(be, c, bdia.Options{Memory: bdia.Store, Gamma: gamma, Grid: bdia.NoGrid})
		if err != nil {
			t.Fatal(err)
		}
		m.Init(5)
		b := model.NewBatch(size, length)
		for i := range b.Inputs {
			b.Inputs[i] = int32(i * 7 % c.Vocab)
		}
		var ks []int
		var errs []float64
		if err := Drift(OfGPT(m, b), gamma, pass, func(k int, rms, _ float64) { ks, errs = append(ks, k), append(errs, rms) }); err != nil {
			t.Fatal(err)
		}
		if be.Peak() != planned {
			t.Errorf("gamma %v: peak %v, planned %v", gamma, be.Peak(), planned)
		}
		for i, k := range ks {
			if k != K-2-i || !(errs[i] > 0) {
				t.Errorf("gamma %v: error %v at x_%d, report %d", gamma, errs[i], k, i)
			}
		}
		growth := math.Pow(errs[len(errs)-1]/errs[0], 1/float64(len(errs)-1))
		if len(ks) != K-1 || !(growth >= want[0] && growth <= want[1]) {
			t.Errorf("gamma %v: %d errors, from %v to %v: x%.2f a block, want %v", gamma, len(errs), errs[0], errs[len(errs)-1], growth, want)
		}
	}
}
