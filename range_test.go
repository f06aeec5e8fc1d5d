package bdia_test

import (
	"errors"
	"math"
	"strings"
	"testing"

	"github.com/bdia-go/bdia"
	"github.com/bdia-go/bdia/backend"
	"github.com/bdia-go/bdia/backend/cpu"
	"github.com/bdia-go/bdia/internal/cpufeat"
	"github.com/bdia-go/bdia/internal/testkit"
	"github.com/bdia-go/bdia/model"
	"github.com/bdia-go/bdia/tensor"
)

// grow is the block h(x) = by*x, without parameters.
type grow struct {
	be backend.Backend
	by float32
}

func (g *grow) Params() []*tensor.Param { return nil }

func (g *grow) Forward(h, x tensor.Tensor, _ backend.Pass) {
	g.be.Copy(h, x)
	g.be.Scale(h, g.by)
}

func (g *grow) Backward(d, _ tensor.Tensor) { g.be.Scale(d, g.by) }

// param finds a parameter of m by name.
func param(t *testing.T, m *model.GPT, name string) *tensor.Param {
	t.Helper()
	for _, p := range m.Params() {
		if p.Name == name {
			return p
		}
	}
	t.Fatalf("no parameter %s", name)
	return nil
}

// set writes one element of a parameter.
func set(be backend.Backend, p *tensor.Param, i int, v float32) {
	host := read(be, p.Value)
	host[i] = v
	be.Upload(p.Value, host)
}

// TestRangeGuard breaks a model in several ways. The step must fail and say
// where, before any gradient is handed over.
func TestRangeGuard(t *testing.T) {
	t.Parallel()
	inf, nan := float32(math.Inf(1)), float32(math.NaN())
	for name, c := range map[string]struct {
		param         string
		index         int
		value         float32
		block, sample int // where the range is left; block -1: nowhere, the loss is not finite
	}{
		"large token":    {"wte.weight", 12*9 + 2, 40000 * 64, 0, 101},
		"negative token": {"wte.weight", 12*9 + 8, -33000 * 64, 0, 101},
		"infinite token": {"wte.weight", 12 * 9, inf, 0, 101},
		"NaN token":      {"wte.weight", 12 * 9, nan, 0, 101},
		"large bias":     {"blocks.2.mlp.fc2.bias", 4, 60000 * 64, 3, 100},
		"first block":    {"blocks.0.mlp.fc2.bias", 0, 1e30, 1, 100},
		"last block":     {"blocks.3.attn.proj.bias", 0, -1e8, 4, 100},
		"NaN bias":       {"blocks.1.attn.qkv.bias", 20, nan, 2, 100},
		"NaN head":       {"lnf.weight", 3, nan, -1, 0},
		"infinite head":  {"lnf.bias", 3, inf, -1, 0},
	} {
		for _, memory := range []bdia.Memory{bdia.Reversible, bdia.Store} {
			for _, level := range cpufeat.Supported() {
				t.Run(name+"/"+memory.String()+"/"+level.String(), func(t *testing.T) {
					t.Parallel()
					be := newCPU(t, cpu.Options{Threads: 2, ISA: level.String()})
					s := small(4)
					s.model.EmbeddingDropout, s.model.AttentionDropout, s.model.ResidualDropout = 0, 0, 0
					s.opt.Memory = memory
					m := newModel(t, be, s.model, s.opt)
					set(be, param(t, m, c.param), c.index, c.value)
					b := newBatch(s.model, 3)
					for i := range b.Inputs {
						b.Inputs[i] %= 12
					}
					b.Inputs[s.model.Context+1] = 12 // only in the second sample
					sink := newKeepAll(be, m.Params())
					mark := be.Mark()
					var sum float64
					err := testkit.AddTo(&sum)(m.MicroStep(b, backend.Pass{Train: true, Step: 77, Sample: 100}, 1, sink))
					if sink.closed != 0 {
						t.Errorf("%d groups of gradients were handed over", sink.closed)
					}
					if be.Mark() != mark {
						t.Error("the failed step left memory allocated")
					}
					if c.block < 0 {
						if !errors.Is(err, model.ErrDiverged) || !strings.Contains(err.Error(), "step 77") {
							t.Errorf("error %v, want ErrDiverged at step 77", err)
						}
						return
					}
					var r *bdia.RangeError
					if !errors.As(err, &r) || !errors.Is(err, bdia.ErrRange) {
						t.Fatalf("error %v, want a RangeError", err)
					}
					if r.Step != 77 || r.Block != c.block || r.Sample != c.sample || r.Limit != 2097152 || r.Value < r.Limit {
						t.Errorf("%+v, want block %d, sample %d", r, c.block, c.sample)
					}
					for _, part := range []string{"step 77", "sample 10", "limit 2097152", "coarser grid"} {
						if !strings.Contains(err.Error(), part) || strings.Contains(err.Error(), "\n") {
							t.Errorf("message %q lacks %q", err, part)
						}
					}
				})
			}
		}
	}
}

// TestRangeEdge: the last value inside the limit still comes back exactly, the
// limit itself is an error.
func TestRangeEdge(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		grid bdia.Grid
		x    float32
		ok   bool
	}{{9, 32768 - 1.0/512, true}, {9, 1<<21 - 1./8, true}, {9, 1./8 - 1<<21, true}, {9, 1 << 21, false}, {9, -1 << 21, false},
		{0, 1<<30 - 64, true}, {0, 1 << 30, false}, {26, 16 - 1./(1<<20), true}, {26, 16, false}} {
		for _, gamma := range []bdia.Gamma{0.5, 0.25, 0.125} {
			be := newCPU(t, cpu.Options{Threads: 1})
			blocks := make([]bdia.Block, 7)
			for k := range blocks {
				blocks[k] = &grow{be, -1} // x_1 = 0, and x_2 = gamma x_0 comes back from there
			}
			s, err := bdia.NewStack(be, blocks, bdia.Options{Gamma: gamma, Grid: c.grid})
			if err != nil {
				t.Fatal(err)
			}
			const n = 19
			gammas := make([]float32, 7)
			for k := 1; k < 7; k++ {
				gammas[k] = float32(gamma) * float32(1-2*(k%2))
			}
			s.SetGammas(gammas)
			states := map[int][]float32{}
			s.Observe = func(k int, x tensor.Tensor) {
				if before, ok := states[k]; ok {
					testkit.EqualBits(t, "state on the way back", read(be, x), before)
				}
				states[k] = read(be, x)
			}
			x := s.Begin(tensor.Shape{1, 1, n}, trainPass)
			host := make([]float32, n)
			host[n-1] = c.x
			be.Upload(x, host)
			_, err = s.Forward()
			if (err == nil) != c.ok {
				t.Errorf("grid %v, |x| = %v: error %v", c.grid, c.x, err)
			}
			if err == nil {
				be.Zero(s.Grad())
				s.Reverse(&keepAll{})
				if got := s.MaxAbs(); got < math.Abs(float64(c.x)) {
					t.Errorf("MaxAbs %v", got)
				}
			}
		}
	}
}
