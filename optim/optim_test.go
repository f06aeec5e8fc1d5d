package optim_test

import (
	"fmt"
	"math"
	"strings"
	"testing"

	"github.com/bdia-go/bdia/backend"
	"github.com/bdia-go/bdia/backend/cpu"
	"github.com/bdia-go/bdia/optim"
	"github.com/bdia-go/bdia/tensor"
)

// newCPU returns a backend of a few MiB that the test closes.
func newCPU(t *testing.T) *cpu.Backend {
	t.Helper()
	be, err := cpu.New(cpu.Options{Threads: 1, ArenaBytes: cpu.ScratchBytes(1) + 4<<20})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(be.Close)
	return be
}

// param returns a parameter of the given values with a cleared gradient.
func param(be backend.Backend, name string, values ...float32) *tensor.Param {
	s := tensor.Shape{len(values)}
	p := &tensor.Param{Name: name, Value: be.Alloc(backend.Weights, tensor.F32, s), Grad: be.Alloc(backend.Gradients, tensor.F32, s)}
	be.Upload(p.Value, values)
	be.Zero(p.Grad)
	return p
}

func values(be backend.Backend, t tensor.Tensor) []float64 {
	host := make([]float32, t.Len())
	be.Download(host, t)
	out := make([]float64, len(host))
	for i, v := range host {
		out[i] = float64(v)
	}
	return out
}

func near(t *testing.T, what string, got []float64, tol float64, want ...float64) {
	t.Helper()
	for i := range want {
		if !(math.Abs(got[i]-want[i]) <= tol*math.Abs(want[i])) {
			t.Errorf("%s[%d] = %.10g, want %.10g", what, i, got[i], want[i])
		}
	}
}

func newOptimizer(t *testing.T, be backend.Backend, c optim.Config, params ...*tensor.Param) optim.Optimizer {
	t.Helper()
	o, err := c.New(be, params)
	if err != nil {
		t.Fatal(err)
	}
	return o
}

func defaults(t *testing.T, name string) optim.Config {
	t.Helper()
	c, err := optim.Default(name)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// TestSETAdamVector: two steps of three entries, computed independently in
// float64 from the equations of arXiv 2302.01029 with tau 0.5.
func TestSETAdamVector(t *testing.T) {
	t.Parallel()
	be := newCPU(t)
	p := param(be, "w", 0, 0, 0)
	o := newOptimizer(t, be, defaults(t, "set-adam"), p)
	be.Upload(p.Grad, []float32{.1, -.2, .4})
	o.Update([]*tensor.Param{p}, 1, 1e-3)
	near(t, "step 1", values(be, p.Value), 3e-6, -0.00272554057548, 0.00181702705032, -0.00155745175742)
	be.Upload(p.Grad, []float32{.05, .1, -.3})
	o.Update([]*tensor.Param{p}, 2, 1e-3)
	near(t, "step 2", values(be, p.Value), 3e-6, -0.00536326442772, 0.00231945064122, -0.00169973681563)
}

// TestFirstStep: bias correction makes the first step of Adam lr*sign(g),
// whatever the betas and the size of g.
func TestFirstStep(t *testing.T) {
	t.Parallel()
	for _, beta2 := range []float64{0, 0.9, 0.999, 0.99999} {
		be := newCPU(t)
		p := param(be, "w", 0, 0, 0, 0)
		c := optim.Config{Name: "adamw", Beta1: 0.9, Beta2: beta2, Eps: 1e-12, StateBits: 32}
		o := newOptimizer(t, be, c, p)
		be.Upload(p.Grad, []float32{1e-3, -2, 300, 0})
		o.Update([]*tensor.Param{p}, 1, 0.01)
		got := values(be, p.Value)
		near(t, "after one step", got, 1e-5, -0.01, 0.01, -0.01)
		if got[3] != 0 {
			t.Errorf("beta2 %v: no gradient moved a weight to %v", beta2, got[3])
		}
	}
}

// TestConstantGradient: with bias correction a constant gradient moves a weight
// by lr in every step, not only the first.
func TestConstantGradient(t *testing.T) {
	t.Parallel()
	be := newCPU(t)
	p := param(be, "w", 0)
	o := newOptimizer(t, be, optim.Config{Name: "adamw", Beta1: 0.9, Beta2: 0.999, Eps: 1e-12, StateBits: 32}, p)
	for step := 1; step <= 50; step++ {
		be.Upload(p.Grad, []float32{0.3})
		o.Update([]*tensor.Param{p}, step, 0.01)
		near(t, "weight", values(be, p.Value), 1e-4, -0.01*float64(step))
	}
}

// TestDecayOnlyWhereMarked: without gradients only decay moves anything.
func TestDecayOnlyWhereMarked(t *testing.T) {
	t.Parallel()
	for _, name := range optim.Names() {
		be := newCPU(t)
		matrix, bias := param(be, "w", 2, -4), param(be, "b", 2, -4)
		matrix.Decay = true
		c := defaults(t, name)
		c.Decay = 0.5
		o := newOptimizer(t, be, c, matrix, bias)
		o.Update([]*tensor.Param{matrix, bias}, 1, 0.1)
		near(t, name+" matrix", values(be, matrix.Value), 1e-6, 2*0.95, -4*0.95)
		near(t, name+" bias", values(be, bias.Value), 0, 2, -4)
	}
}

// TestEmbeddingsTakeAdam: SET-Adam treats look-up tables as plain Adam does.
func TestEmbeddingsTakeAdam(t *testing.T) {
	t.Parallel()
	be := newCPU(t)
	table, twin, matrix := param(be, "wte", 1, 2, 3), param(be, "twin", 1, 2, 3), param(be, "w", 1, 2, 3)
	table.Embedding = true
	set := defaults(t, "set-adam")
	set.Decay = 0.1
	adam := set
	adam.Name = "adamw"
	o, a := newOptimizer(t, be, set, table, matrix), newOptimizer(t, be, adam, twin)
	for step := 1; step <= 3; step++ {
		for _, p := range []*tensor.Param{table, twin, matrix} {
			be.Upload(p.Grad, []float32{.1 * float32(step), -.2, 0})
		}
		o.Update([]*tensor.Param{table, matrix}, step, 0.01)
		a.Update([]*tensor.Param{twin}, step, 0.01)
	}
	got := values(be, table.Value)
	near(t, "table", got, 0, values(be, twin.Value)...)
	if other := values(be, matrix.Value); other[0] == got[0] {
		t.Error("a matrix took plain Adam's step too")
	}
}

// TestMomentum: the momentum buffer adds up geometrically.
func TestMomentum(t *testing.T) {
	t.Parallel()
	be := newCPU(t)
	p := param(be, "w", 0)
	o := newOptimizer(t, be, optim.Config{Name: "sgd", Momentum: 0.5, StateBits: 32}, p)
	for step, want := range []float64{-0.1, -0.25, -0.425} {
		be.Upload(p.Grad, []float32{1})
		o.Update([]*tensor.Param{p}, step+1, 0.1)
		near(t, "weight", values(be, p.Value), 1e-6, want)
	}
}

func TestMoments(t *testing.T) {
	t.Parallel()
	for name, want := range map[string]string{"adamw": "a.m a.v b.m b.v", "set-adam": "a.m a.v b.m b.v", "sgd": "a.m b.m"} {
		be := newCPU(t)
		o := newOptimizer(t, be, defaults(t, name), param(be, "a", 1, 2), param(be, "b", 3))
		var names []string
		for _, m := range o.Moments() {
			names = append(names, m.Name)
			for _, v := range values(be, m.Value) {
				if v != 0 {
					t.Errorf("%s: %s starts at %v", name, m.Name, v)
				}
			}
		}
		if got := strings.Join(names, " "); got != want {
			t.Errorf("%s keeps %s, want %s", name, got, want)
		}
	}
}

func TestClip(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		limit, scale float64
	}{{1, 1.0 / 13}, {13, 1}, {12.999, 12.999 / 13}, {100, 1}} {
		be := newCPU(t)
		params := []*tensor.Param{param(be, "a", 0, 0), param(be, "b", 0)}
		be.Upload(params[0].Grad, []float32{3, -4})
		be.Upload(params[1].Grad, []float32{12})
		if norm := optim.ClipGlobalNorm(be, params, c.limit); math.Abs(norm-13) > 1e-5 {
			t.Errorf("norm %v, want 13", norm)
		}
		near(t, "a", values(be, params[0].Grad), 1e-6, 3*c.scale, -4*c.scale)
		near(t, "b", values(be, params[1].Grad), 1e-6, 12*c.scale)
	}
}

// reads counts the calls that wait for the device.
type reads struct {
	backend.Backend
	n int
}

func (r *reads) DownloadScalar(t tensor.Tensor) float64 {
	r.n++
	return r.Backend.DownloadScalar(t)
}

// TestOneRead: the norm of any number of parameters waits for the device once, takes its
// sum in order, and leaves the arena as it was. Not parallel: testing.AllocsPerRun forbids it.
func TestOneRead(t *testing.T) {
	be := &reads{Backend: newCPU(t)}
	var params []*tensor.Param
	want := 0.0
	for i := range 40 {
		p := param(be, "p", 0)
		g := float32(math.Exp(float64(i%7) - 3))
		be.Upload(p.Grad, []float32{g})
		want += float64(g * g)
		params = append(params, p)
	}
	mark := be.Mark()
	if got := optim.ClipGlobalNorm(be, params, 1e9); got != math.Sqrt(want) {
		t.Errorf("norm %v, want %v", got, math.Sqrt(want))
	}
	if optim.NotFinite(be, params) != nil || be.n != 2 {
		t.Errorf("%d reads of the device for two sums", be.n)
	}
	if be.Mark() != mark {
		t.Error("the sum stays in the arena")
	}
	if n := testing.AllocsPerRun(3, func() { optim.ClipGlobalNorm(be, params, 1e9) }); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

// TestNotFinite names the first parameter that is out of range.
func TestNotFinite(t *testing.T) {
	t.Parallel()
	for _, bad := range []float32{float32(math.NaN()), float32(math.Inf(-1)), 1e20} {
		be := newCPU(t)
		a, b, c := param(be, "a", 1, 2), param(be, "b", 3, bad), param(be, "c", bad)
		if got := optim.NotFinite(be, []*tensor.Param{a, b, c}); got != b {
			t.Errorf("%v: %v, want b", bad, got)
		}
		if got := optim.NotFinite(be, []*tensor.Param{a}); got != nil {
			t.Errorf("%v: %v, want none", bad, got)
		}
	}
}

func TestConfigValidate(t *testing.T) {
	t.Parallel()
	for _, name := range optim.Names() {
		if err := defaults(t, name).Validate(); err != nil {
			t.Errorf("default of %s: %v", name, err)
		}
	}
	nan, inf := math.NaN(), math.Inf(1)
	for what, change := range map[string]func(*optim.Config){
		"name":           func(c *optim.Config) { c.Name = "lamb" },
		"beta1 1":        func(c *optim.Config) { c.Beta1 = 1 },
		"beta1 -":        func(c *optim.Config) { c.Beta1 = -0.1 },
		"beta2 NaN":      func(c *optim.Config) { c.Beta2 = nan },
		"beta2 nearly 1": func(c *optim.Config) { c.Beta2 = 1 - 1e-12 }, // 1 in float32: no bias correction is left
		"momentum 1":     func(c *optim.Config) { c.Momentum = 1 },
		"decay -":        func(c *optim.Config) { c.Decay = -1 },
		"decay inf":      func(c *optim.Config) { c.Decay = inf },
		"eps -":          func(c *optim.Config) { c.Eps = -1 },
		"eps NaN":        func(c *optim.Config) { c.Eps = nan },
		"eps inf":        func(c *optim.Config) { c.Eps = inf },
		"bits 0":         func(c *optim.Config) { c.StateBits = 0 },
		"bits 16":        func(c *optim.Config) { c.StateBits = 16 },
		"table bits 16":  func(c *optim.Config) { c.TableBits = 16 },
		"eps 0":          func(c *optim.Config) { c.Eps = 0 },     // 0/0 where no gradient has come
		"eps tiny":       func(c *optim.Config) { c.Eps = 1e-60 }, // 0 in float32
	} {
		for _, name := range []string{"adamw", "set-adam"} {
			c := defaults(t, name)
			change(&c)
			err := c.Validate()
			if err == nil {
				t.Errorf("%s, %s: %+v is accepted", name, what, c)
			} else if !strings.HasPrefix(err.Error(), "optim: ") {
				t.Errorf("%s, %s: %v", name, what, err)
			}
		}
	}
	be := newCPU(t)
	if _, err := (optim.Config{Name: "none"}).New(be, nil); err == nil {
		t.Error("New accepts an unknown optimiser")
	}
	if _, err := optim.Default("none"); err == nil {
		t.Error("Default knows an unknown optimiser")
	}
}

// TestStates8: which moments have 8 bits, and in which order they are listed.
func TestStates8(t *testing.T) {
	t.Parallel()
	be := newCPU(t)
	c := defaults(t, "adamw")
	c.StateBits = 8
	large, table, small := param(be, "w", make([]float32, 5000)...), param(be, "wte", make([]float32, 5000)...), param(be, "b", make([]float32, 4095)...)
	table.Embedding = true
	params := []*tensor.Param{large, table, small}
	o := newOptimizer(t, be, c, params...)
	c.TableBits = 0 // of a run that an earlier version began
	for _, tc := range []struct {
		o    optim.Optimizer
		want string
	}{
		{o, "w.m.absmax 12, w.v.absmax 12, wte.m.absmax 12, wte.v.absmax 12, b.m 16380, b.v 16380, w.m 5000, w.v 5000, wte.m 5000, wte.v 5000"},
		{newOptimizer(t, be, c, params...), "w.m.absmax 12, w.v.absmax 12, wte.m 20000, wte.v 20000, b.m 16380, b.v 16380, w.m 5000, w.v 5000"},
	} {
		var got []string
		for _, m := range tc.o.Moments() {
			got = append(got, fmt.Sprint(m.Name, " ", m.Value.Bytes()))
		}
		if got := strings.Join(got, ", "); got != tc.want {
			t.Errorf("moments are\n%s, want\n%s", got, tc.want)
		}
	}
	// The first step, from zeros, is that of 32 bits; the second follows it closely.
	twin := param(be, "w", make([]float32, 5000)...)
	c.StateBits = 32
	o32 := newOptimizer(t, be, c, twin)
	g := make([]float32, 5000)
	for step := 1; step <= 2; step++ {
		for i := range g {
			g[i] = float32(math.Sin(float64(i * step)))
		}
		be.Upload(large.Grad, g)
		be.Upload(twin.Grad, g)
		o.Update(params[:1], step, 0.01)
		o32.Update([]*tensor.Param{twin}, step, 0.01)
		got, want := values(be, large.Value), values(be, twin.Value)
		var squares float64
		for i := range got {
			squares += (got[i] - want[i]) * (got[i] - want[i])
		}
		if rms := math.Sqrt(squares / 5000); (step == 1) != (rms == 0) || rms > 0.0003 {
			t.Errorf("step %d: weights are %v apart", step, rms)
		}
	}
	for _, name := range []string{"set-adam", "sgd"} {
		c := defaults(t, name)
		c.StateBits = 8
		if err := c.Validate(); err == nil || !strings.Contains(err.Error(), "adamw") {
			t.Errorf("%s with 8 bits: %v", name, err)
		}
	}
}
