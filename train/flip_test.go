package train

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/bdia-go/bdia"
	"github.com/bdia-go/bdia/backend"
	"github.com/bdia-go/bdia/backend/backendtest"
	"github.com/bdia-go/bdia/internal/rng"
	"github.com/bdia-go/bdia/model"
	"github.com/bdia-go/bdia/tensor"
)

// flipRun is a session in which one bit is turned over.
type flipRun struct {
	be backend.Device
	m  *model.GPT
	s  *Session
}

const flipBlocks = 6

func newFlipRun(t *testing.T, o Options, frozen int) *flipRun {
	t.Helper()
	r := &flipRun{}
	build := func(be backend.Backend) (Learner, error) {
		c := ownModel()
		c.Layers = flipBlocks
		if o.Optimizer.StateBits == 8 { // for which matrices have to be large enough
			c.Width = 32
		}
		var err error
		if r.m, err = model.NewGPT(be, c, o.Method); err != nil {
			return nil, err
		}
		if frozen > 0 {
			if err := r.m.Freeze(frozen); err != nil {
				return nil, err
			}
		}
		return Learn(r.m, ownSource{T: 8, samples: 3, vocab: 13}), nil
	}
	u, err := PlanOf(build, o)
	if err != nil {
		t.Fatal(err)
	}
	if r.be, err = backend.Open(o.Engine, u.Total); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(r.be.Close)
	l, err := build(r.be)
	if err != nil {
		t.Fatal(err)
	}
	if r.s, err = NewSession(r.be, l, o); err != nil {
		t.Fatal(err)
	}
	return r
}

// begin is the state before step 1.
func (r *flipRun) begin(t *testing.T) {
	t.Helper()
	r.m.Stack.Observe, r.s.corrupt = nil, nil
	for _, m := range r.s.Optimizer.Moments() {
		r.be.Zero(m.Value)
	}
	if err := r.s.Init(); err != nil {
		t.Fatal(err)
	}
}

// oneOf picks a tensor as memory would be hit: the larger, the likelier.
func oneOf(all []tensor.Tensor, at uint64) tensor.Tensor {
	var sum uint64
	for _, x := range all {
		sum += uint64(x.Bytes())
	}
	at %= sum
	for _, x := range all {
		if at < uint64(x.Bytes()) {
			return x
		}
		at -= uint64(x.Bytes())
	}
	panic("unreachable")
}

func valuesOf(params []*tensor.Param) (all []tensor.Tensor) {
	for _, p := range params {
		all = append(all, p.Value)
	}
	return all
}

func (r *flipRun) moments() (all []tensor.Tensor) {
	for _, m := range r.s.Optimizer.Moments() {
		all = append(all, m.Value)
	}
	return all
}

// codes are the moments of 8 bits.
func (r *flipRun) codes() []tensor.Tensor {
	return slices.DeleteFunc(r.moments(), func(x tensor.Tensor) bool { return x.DType != tensor.U8 })
}

// scales are the factors of the groups of codes.
func (r *flipRun) scales() (all []tensor.Tensor) {
	for _, m := range r.s.Optimizer.Moments() {
		if strings.HasSuffix(m.Name, ".absmax") {
			all = append(all, m.Value)
		}
	}
	return all
}

func (r *flipRun) frozen() (all []tensor.Tensor) {
	for _, p := range r.m.Params() {
		if !slices.Contains(r.m.Trainable(), p) {
			all = append(all, p.Value)
		}
	}
	return all
}

// flips are the kinds of damage: before a step, or in the midst of it, when a stack has computed or rebuilt its nth
// state.
var flips = []struct {
	name   string
	within bool
	frozen int
	bits   int  // of moments; 0: 32
	sure   bool // with every step checked, each has to be found
	target func(r *flipRun, x tensor.Tensor, at uint64) tensor.Tensor
}{
	{"a state, within a step", true, 0, 0, true, func(_ *flipRun, x tensor.Tensor, _ uint64) tensor.Tensor { return x }},
	{"side information, within a step", true, 0, 0, true, func(r *flipRun, _ tensor.Tensor, at uint64) tensor.Tensor {
		return r.m.Stack.Side().Of(int(at % (flipBlocks - 2)))
	}},
	{"a weight, between steps", false, 0, 0, true, func(r *flipRun, _ tensor.Tensor, at uint64) tensor.Tensor {
		return oneOf(valuesOf(r.m.Trainable()), at)
	}},
	{"a moment, between steps", false, 0, 0, true, func(r *flipRun, _ tensor.Tensor, at uint64) tensor.Tensor { return oneOf(r.moments(), at) }},
	{"an average, between steps", false, 0, 0, true, func(r *flipRun, _ tensor.Tensor, at uint64) tensor.Tensor {
		return oneOf(r.s.average.Values(), at)
	}},
	{"a frozen weight, between steps", false, 3, 0, true, func(r *flipRun, _ tensor.Tensor, at uint64) tensor.Tensor { return oneOf(r.frozen(), at) }},
	{"a weight, within a step", true, 0, 0, false, func(r *flipRun, _ tensor.Tensor, at uint64) tensor.Tensor {
		return oneOf(valuesOf(r.m.Trainable()), at)
	}},
	{"a moment, within a step", true, 0, 0, false, func(r *flipRun, _ tensor.Tensor, at uint64) tensor.Tensor { return oneOf(r.moments(), at) }},
	{"a moment of 8 bits, between steps", false, 0, 8, true, func(r *flipRun, _ tensor.Tensor, at uint64) tensor.Tensor { return oneOf(r.codes(), at) }},
	{"a scale of 8-bit moments, between steps", false, 0, 8, true, func(r *flipRun, _ tensor.Tensor, at uint64) tensor.Tensor {
		return oneOf(r.scales(), at)
	}},
}

// TestFlipsInMemory turns over single bits of a session's memory, and counts how many a step reports. What a checked
// step promises, it has to find each time; the other rates are for docs/reliability.md (go test -v).
func TestFlipsInMemory(t *testing.T) {
	t.Parallel()
	each := 60
	if testing.Short() {
		each = 10
	}
	for _, every := range []int{1, DefaultCheckEvery} {
		for kind, f := range flips {
			t.Run(fmt.Sprintf("%s/check every %d", f.name, every), func(t *testing.T) {
				t.Parallel()
				o, last := ownOptions(), 2*every+2
				o.Schedule.Steps, o.Loop.CheckEvery, o.Loop.EMA = last, every, 0.9
				if f.bits > 0 {
					o.Optimizer.StateBits = f.bits
				}
				r := newFlipRun(t, o, f.frozen)
				found, otherwise := 0, 0
				for i := range each {
					key := rng.Key{Seed: 11, Step: uint32(i), Block: uint32(kind), Sample: uint32(every)}
					r.begin(t)
					err := r.damaged(1+i%(2*every), last, key, f.within, f.target)
					switch {
					case errors.Is(err, bdia.ErrCorrupt):
						found++
						if again := r.s.Finite(1); again != err {
							t.Errorf("flip %d: the session can be saved: %v", i, again)
						}
					case errors.Is(err, bdia.ErrRange), errors.Is(err, model.ErrDiverged):
						otherwise++
					case err != nil:
						t.Fatal(err)
					case every == 1 && f.sure:
						t.Errorf("flip %d is not found", i)
					}
				}
				t.Logf("%s, check every %d: %d of %d found, %d more stop the run by their size", f.name, every, found, each, otherwise)
			})
		}
	}
}

// damaged runs the steps up to last, with a flip in the step at.
func (r *flipRun) damaged(at, last int, key rng.Key, within bool, target func(*flipRun, tensor.Tensor, uint64) tensor.Tensor) error {
	flip := func(x tensor.Tensor) { backendtest.Flip(r.be, target(r, x, key.Uint64(0)), key.Uint64(1)) }
	for step := 1; step <= last; step++ {
		switch {
		case step == at && within:
			states := flipBlocks + 1 + flipBlocks - 2
			n := 1 + int(key.Uint64(2)%uint64(states-1))
			if n > flipBlocks { // of x_K nobody knows
				n++
			}
			if key.Block == 1 { // side information is all there when x_K is
				n = flipBlocks + 1
			}
			r.m.Stack.Observe = func(_ int, x tensor.Tensor) {
				if n--; n == 0 {
					flip(x)
				}
			}
		case step == at+1 && !within:
			flip(tensor.Tensor{})
		}
		_, err := r.s.Step(step)
		r.m.Stack.Observe = nil
		if err != nil {
			return err
		}
	}
	return nil
}
