package bdia_test

import (
	"bytes"
	"errors"
	"fmt"
	"slices"
	"testing"

	"github.com/bdia-go/bdia"
	"github.com/bdia-go/bdia/backend"
	"github.com/bdia-go/bdia/backend/cpu"
	"github.com/bdia-go/bdia/internal/cpufeat"
	"github.com/bdia-go/bdia/internal/testkit"
	"github.com/bdia-go/bdia/nn"
	"github.com/bdia-go/bdia/tensor"
)

// planted is a block that adds a constant to one channel of the first token besides, as blocks of trained language
// models do ("massive activations").
type planted struct {
	bdia.Block
	be  backend.Backend
	add tensor.Tensor
}

func (p *planted) Forward(h, x tensor.Tensor, pass backend.Pass) {
	p.Block.Forward(h, x, pass)
	p.be.Add(h, h, p.add)
}

// giant is a stack of 50 blocks in which a massive activation is born in block 2 and cancelled in block 47.
type giant struct {
	opt           bdia.Options
	isa           string
	threads       int
	stream, spike float64 // units: standard deviation of the embedding, and the activation
	lose          bool    // the rests of the two states that are kept, after the forward pass
}

// walked is all that a giant computed.
type walked struct {
	states [][]float32
	rests  [][]byte
	sums   []uint64
	grads  map[string][]float32
	loss   float32 // the sum of x_K, which is as good as any
	off    int     // states that came back with other bits
	top    float64 // units
	err    error   // of the reverse walk
}

var giantShape = tensor.Shape{2, 5, 9} // 45 elements of a sample are no multiple of 8

func (c giant) run(t *testing.T) walked {
	t.Helper()
	const K = 50
	be := newCPU(t, cpu.Options{Threads: c.threads, ISA: c.isa})
	cfg := nn.BlockConfig{Width: giantShape[2], Heads: 3, MLP: 20, Causal: true, Bias: true, Eps: 1e-5, ResidualDropout: 0.1}
	unit := 1 / float64(int(1)<<c.opt.Grid)
	blocks, params := make([]bdia.Block, K), []*tensor.Param{}
	for k := range blocks {
		b := nn.NewBlock(be, fmt.Sprintf("blocks.%d.", k), k, cfg)
		for i, p := range b.Params() {
			nn.Normal(be, p, 0.05, 3, k*K+i)
		}
		blocks[k], params = b, append(params, b.Params()...)
	}
	for k, sign := range map[int]float64{2: 1, 47: -1} {
		host := make([]float32, giantShape.Len())
		host[3] = float32(sign * c.spike * unit)                    // channel 3 of the first token
		host[giantShape.Len()/2+3] = float32(sign * c.spike * unit) // of either sample
		p := &planted{blocks[k], be, be.Alloc(backend.Data, tensor.F32, giantShape)}
		be.Upload(p.add, host)
		blocks[k] = p
	}
	s, err := bdia.NewStack(be, blocks, c.opt)
	testkit.OK(t, err)
	newKeepAll(be, params)
	s.SetCheck(true)
	w := walked{grads: map[string][]float32{}}
	s.Observe = func(k int, x tensor.Tensor) {
		got, rest := read(be, x), make([]byte, giantShape.Len())
		be.DownloadBytes(rest, s.Rest(k))
		if k == len(w.states) {
			w.states, w.rests = append(w.states, got), append(w.rests, rest)
			return
		}
		if !slices.Equal(got, w.states[k]) || !bytes.Equal(rest, w.rests[k]) {
			w.off++
		}
	}
	x := s.Begin(giantShape, trainPass)
	nn.Normal(be, &tensor.Param{Value: x}, c.stream*unit, 4, 0)
	xK, err := s.Forward()
	testkit.OK(t, err)
	if c.lose {
		be.Zero(s.Rest(K - 1))
		be.Zero(s.Rest(K - 2))
	}
	nn.Normal(be, &tensor.Param{Value: s.Grad()}, 1, 5, 0)
	w.loss = read(be, xK)[3]
	w.err = s.Reverse(&keepAll{})
	w.grads["x_0"] = read(be, s.Grad())
	for _, p := range params {
		w.grads[p.Name] = read(be, p.Grad)
	}
	w.sums, w.top = s.AppendDigests(nil), s.MaxAbs()/unit
	return w
}

// TestStatesBeyondFloat32: a residual stream far beyond 2^24 units, and one with a massive activation, come back bit for
// bit, and every mode of memory, instruction set and number of threads gives the same states, rests and gradients.
func TestStatesBeyondFloat32(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]giant{
		"massive activation": {stream: 1 << 7, spike: 1 << 28},
		"large stream":       {stream: 1 << 26},
		"both":               {stream: 1 << 25, spike: 1 << 28},
	} {
		for _, gamma := range []bdia.Gamma{0.5, 0.25, 0.125, 0.0625} {
			for _, grid := range []bdia.Grid{4, 9, 20} {
				t.Run(fmt.Sprint(name, " gamma ", gamma, " grid ", grid), func(t *testing.T) {
					t.Parallel()
					c := c // the cases of other gammas and grids run beside this one
					c.opt, c.threads, c.isa = bdia.Options{Memory: bdia.Store, Gamma: gamma, Grid: grid}, 1, "portable"
					want := c.run(t)
					testkit.OK(t, want.err)
					if want.top < 1<<27 || want.top > 1<<30 {
						t.Errorf("states reach %v units", want.top)
					}
					if n := nonzero(want.rests); n < 30 || c.stream > 1<<24 && n < 500 {
						t.Errorf("float32 holds all but %d of the activations", n)
					}
					levels := cpufeat.Supported()
					for i, memory := range []bdia.Memory{bdia.Reversible, bdia.Recompute, bdia.Reversible} {
						c.opt.Memory, c.threads, c.isa = memory, 1+i%2, levels[(i+2)%len(levels)].String()
						got := c.run(t)
						testkit.OK(t, got.err)
						got.equal(t, fmt.Sprint(memory, " ", c.isa), want)
					}
				})
			}
		}
	}
}

func nonzero(rests [][]byte) (n int) {
	for _, r := range rests {
		n += len(r) - bytes.Count(r, []byte{0})
	}
	return n
}

func (w walked) equal(t *testing.T, name string, want walked) {
	t.Helper()
	if w.off > 0 {
		t.Errorf("%s: %d states came back with other bits", name, w.off)
	}
	for k := range want.states {
		testkit.EqualBits(t, fmt.Sprintf("%s: x_%d", name, k), w.states[k], want.states[k])
		if !bytes.Equal(w.rests[k], want.rests[k]) {
			t.Errorf("%s: rests of x_%d differ", name, k)
		}
	}
	for p, g := range want.grads {
		testkit.EqualBits(t, name+": gradient of "+p, w.grads[p], g)
	}
	if !slices.Equal(w.sums, want.sums) || w.top != want.top || w.loss != want.loss {
		t.Errorf("%s: digests, largest |x| %v or loss %v differ", name, w.top, w.loss)
	}
}

// TestFloat32AloneFails: without the rests of the two states that are kept, a stream beyond 2^24 units does not come
// back, and a checked pass says so. Below they are zero.
func TestFloat32AloneFails(t *testing.T) {
	t.Parallel()
	c := giant{opt: bdia.DefaultOptions(), threads: 1, stream: 1 << 25, spike: 1 << 28, lose: true}
	w := c.run(t)
	if w.off < 10 || !errors.Is(w.err, bdia.ErrCorrupt) {
		t.Errorf("%d states came back with other bits; %v", w.off, w.err)
	}
	c.stream, c.spike = 1<<16, 1<<21
	w = c.run(t)
	testkit.OK(t, w.err)
	if w.off != 0 || nonzero(w.rests) != 0 {
		t.Errorf("below 2^24 units, %d states came back with other bits, and %d rests are not 0", w.off, nonzero(w.rests))
	}
}

// TestGammasWithoutInverse: where gamma has no inverse in some blocks, their states are float32s, and no rest of an
// earlier state is left beside them.
func TestGammasWithoutInverse(t *testing.T) {
	t.Parallel()
	c := giant{opt: bdia.Options{Memory: bdia.Store, Gamma: 0.5, Grid: 9, Ramp: bdia.Ramp{Lower: 0.3}}, isa: "portable", threads: 1, stream: 1 << 26}
	want := c.run(t)
	testkit.OK(t, want.err)
	if nonzero(want.rests[:2]) == 0 || nonzero(want.rests[2:26]) != 0 || nonzero(want.rests[26:]) == 0 {
		t.Error("rests are where they should not be")
	}
	c.opt.Memory, c.isa = bdia.Recompute, ""
	c.run(t).equal(t, "recompute", want)
}
