package plan_test

import (
	"fmt"
	"slices"
	"testing"

	"github.com/bdia-go/bdia"
	"github.com/bdia-go/bdia/backend"
	"github.com/bdia-go/bdia/backend/cpu"
	"github.com/bdia-go/bdia/backend/plan"
	"github.com/bdia-go/bdia/internal/testkit"
	"github.com/bdia-go/bdia/model"
	"github.com/bdia-go/bdia/optim"
	"github.com/bdia-go/bdia/tensor"
)

// recorder notes every allocation of a backend.
type recorder struct {
	backend.Backend
	log []string
}

func (r *recorder) Alloc(c backend.Component, d tensor.DType, s tensor.Shape) tensor.Tensor {
	t := r.Backend.Alloc(c, d, s)
	r.log = append(r.log, fmt.Sprintf("%v %v type %d at %d", c, s, d, t.Offset))
	return t
}

// update is a Sink that updates at once.
type update struct {
	be  backend.Backend
	opt optim.Optimizer
}

func (u update) Open(params []*tensor.Param) {
	for _, p := range params {
		p.Grad = u.be.Alloc(backend.Gradients, tensor.F32, p.Value.Shape)
		u.be.Zero(p.Grad)
	}
}

func (u update) Close(params []*tensor.Param) { u.opt.Update(params, 1, 1e-3) }

// train runs a whole step, an evaluation and logits on be.
func train(t *testing.T, be backend.Backend, c model.GPTConfig, opt bdia.Options, optimiser string) {
	t.Helper()
	m, err := model.NewGPT(be, c, opt)
	if err != nil {
		t.Fatal(err)
	}
	m.Init(1)
	cfg, err := optim.Default(optimiser)
	if err != nil {
		t.Fatal(err)
	}
	o, err := cfg.New(be, m.Params())
	if err != nil {
		t.Fatal(err)
	}
	var sum float64
	b := model.NewBatch(2, c.Context)
	if err := testkit.AddTo(&sum)(m.MicroStep(b, backend.Pass{Train: true, Step: 1}, 0.1, update{be, o})); err != nil {
		t.Fatal(err)
	}
	if err := testkit.AddTo(&sum)(m.Loss(b, opt.Grid)); err != nil {
		t.Fatal(err)
	}
	testkit.OK(t, m.NextLogits(make([]float32, c.Vocab), make([]int32, c.Context), opt.Grid))
}

// TestPlanIsTheRun: the same code allocates the same on the planning backend as
// on the processor, and an arena of the planned peak is enough.
func TestPlanIsTheRun(t *testing.T) {
	t.Parallel()
	base := model.GPTConfig{Vocab: 11, Context: 5, Layers: 5, Heads: 3, Width: 12}
	variants := map[string]func(c *model.GPTConfig){
		"plain":   func(*model.GPTConfig) {},
		"untied":  func(c *model.GPTConfig) { c.Untied, c.NoBias = true, true },
		"narrow":  func(c *model.GPTConfig) { c.MLP = 7 },
		"dropout": func(c *model.GPTConfig) { c.EmbeddingDropout, c.AttentionDropout, c.ResidualDropout = 0.1, 0.1, 0.1 },
		"one":     func(c *model.GPTConfig) { c.Layers = 1 },
	}
	for name, change := range variants {
		for _, memory := range []bdia.Memory{bdia.Reversible, bdia.Store, bdia.Recompute} {
			for _, optimiser := range optim.Names() {
				t.Run(fmt.Sprintf("%s/%v/%s", name, memory, optimiser), func(t *testing.T) {
					t.Parallel()
					c, opt := base, bdia.DefaultOptions()
					change(&c)
					opt.Memory = memory
					const threads = 2
					planned := plan.New(cpu.ScratchBytes(threads))
					p := &recorder{Backend: planned}
					train(t, p, c, opt, optimiser)
					be, err := cpu.New(cpu.Options{Threads: threads, ArenaBytes: planned.Peak().Total})
					if err != nil {
						t.Fatal(err)
					}
					defer be.Close()
					r := &recorder{Backend: be}
					train(t, r, c, opt, optimiser)
					if !slices.Equal(p.log, r.log) {
						t.Errorf("the plan is\n%q\nthe run is\n%q", p.log, r.log)
					}
					if p, r := planned.Peak(), be.Peak(); p != r {
						t.Errorf("planned peak %+v, run %+v", p, r)
					}
				})
			}
		}
	}
}

// TestPlanTouchesNothing: planning must work without memory behind it.
func TestPlanTouchesNothing(t *testing.T) {
	t.Parallel()
	be := plan.New(64)
	huge := be.Alloc(backend.Activation, tensor.F32, tensor.Shape{1 << 20, 1 << 20})
	be.Zero(huge)
	be.Add(huge, huge, huge)
	host := []float32{1, 2}
	be.Download(host, huge)
	if host[0] != 1 || host[1] != 2 {
		t.Errorf("a download changed its destination to %v", host)
	}
	if got := be.Peak().Total; got != 64+4<<40 {
		t.Errorf("peak %d", got)
	}
}
