package cpu

import (
	"fmt"
	"math"
	"math/rand/v2"
	"testing"

	"github.com/bdia-go/bdia/backend"
	"github.com/bdia-go/bdia/internal/cpufeat"
	"github.com/bdia-go/bdia/internal/testkit"
	"github.com/bdia-go/bdia/tensor"
)

// attention16 is one attention to another sequence, or to itself, and its gradients.
type attention16 struct {
	B, T, S, H, G, D int
	causal           bool
	window           int
	lengths          []int32
	dropout          float32
}

// TestAttention16: attention with products of bfloat16 is near the one in float32 of the same queries, keys and values,
// and has the same bits on every instruction set and number of threads.
func TestAttention16(t *testing.T) {
	t.Parallel()
	for _, c := range []attention16{
		{B: 1, T: 1, S: 1, H: 1, G: 1, D: 1, causal: true},
		{B: 2, T: 70, S: 70, H: 2, G: 2, D: 16, causal: true},
		{B: 1, T: 300, S: 300, H: 4, G: 2, D: 20, causal: true, dropout: 0.2},
		{B: 1, T: 270, S: 270, H: 3, G: 1, D: 33, causal: true, window: 40},
		{B: 2, T: 65, S: 65, H: 2, G: 2, D: 64},
		{B: 2, T: 40, S: 270, H: 2, G: 2, D: 48, lengths: []int32{1, 260}},
		{B: 1, T: 520, S: 520, H: 1, G: 1, D: 100, causal: true},
	} {
		t.Run(fmt.Sprintf("%+v", c), func(t *testing.T) {
			t.Parallel()
			full := c.run(t, Options{Threads: 1})
			var want map[string][]float32
			for _, level := range cpufeat.SupportedBF16() {
				for _, threads := range []int{1, 3} {
					if level == cpufeat.Portable && threads == 1 {
						continue // slow, and it has the task code of the others
					}
					got := c.run(t, Options{Threads: threads, ISA: level.String(), Precision: backend.BFloat16})
					if want == nil {
						want = got
					}
					for name, x := range want {
						testkit.EqualBits(t, fmt.Sprintf("%s, %v, %d threads", name, level, threads), got[name], x)
					}
				}
			}
			for name, x := range full {
				var wrong, all float64
				for i, v := range x {
					wrong, all = wrong+math.Pow(float64(want[name][i]-v), 2), all+float64(v)*float64(v)
				}
				if bad := math.Sqrt(wrong / all); !(bad < 0.012) && math.Sqrt(wrong) > 1e-6 {
					t.Errorf("%s is %.4f off", name, bad)
				}
			}
		})
	}
}

// run computes everything on a backend of its own, from values that bfloat16 has.
func (c attention16) run(t *testing.T, o Options) map[string][]float32 {
	t.Helper()
	o.ArenaBytes = o.ScratchBytes() + 16<<20
	b, err := New(o)
	if err != nil {
		t.Fatal(err)
	}
	defer b.Close()
	d := tensor.F32
	if o.Precision == backend.BFloat16 {
		d = tensor.BF16
	}
	rng := rand.New(rand.NewPCG(7, 3))
	draw := func(s ...int) tensor.Tensor {
		x, rounded := b.Alloc(backend.Activation, d, shape(s)), b.Alloc(backend.Activation, tensor.BF16, shape(s))
		host := make([]float32, x.Len())
		for i := range host {
			host[i] = float32(rng.NormFloat64())
		}
		b.Upload(rounded, host)
		b.Download(host, rounded)
		b.Upload(x, host)
		return x
	}
	empty := func(s ...int) tensor.Tensor { return b.Alloc(backend.Activation, tensor.F32, shape(s)) }
	C, KV := c.H*c.D, 2*c.G*c.D
	spec := backend.AttentionSpec{Heads: c.H, KVHeads: c.G, Causal: c.causal, Window: c.window, Dropout: c.dropout,
		Draw: backend.Draw{Pass: backend.Pass{Seed: 5}, Site: backend.SiteAttention}}
	if c.lengths != nil {
		spec.Lengths = b.Alloc(backend.Data, tensor.I32, tensor.Shape{c.B})
		b.UploadInts(spec.Lengths, c.lengths)
	}
	q, kv, dout := draw(c.B, c.T, C), draw(c.B, c.S, KV), draw(c.B, c.T, C)
	out, lse := b.Alloc(backend.Activation, d, tensor.Shape{c.B, c.T, C}), empty(c.B, c.H, c.T)
	dq, dkv := empty(c.B, c.T, C), empty(c.B, c.S, KV)
	b.CrossAttention(out, lse, q, kv, spec)
	b.CrossAttentionBackward(dq, dkv, dout, out, lse, q, kv, spec)
	all := map[string][]float32{}
	for name, x := range map[string]tensor.Tensor{"out": out, "lse": lse, "dq": dq, "dkv": dkv} {
		all[name] = make([]float32, x.Len())
		b.Download(all[name], x)
	}
	return all
}
