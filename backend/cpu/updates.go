package cpu

import (
	"math"

	"github.com/bdia-go/bdia/backend"
	"github.com/bdia-go/bdia/kernel"
	"github.com/bdia-go/bdia/tensor"
)

// eachSum runs c like each. fn leaves two partial sums for every chunk; eachSum
// returns their totals, added in ascending order.
func (b *Backend) eachSum(c chunks) (first, second float64) {
	n := 2 * ((len(c.y) + chunkLen - 1) / chunkLen)
	if len(b.sums) < n {
		b.sums = make([]float64, n)
	}
	c.sums = b.sums[:n]
	b.each(c)
	for i := 0; i < n; i += 2 {
		first += b.sums[i]
		second += b.sums[i+1]
	}
	return first, second
}

// AddSquares adds the sum of the squares of t to sum.
func (b *Backend) AddSquares(sum, t tensor.Tensor) {
	must(sum.Len() == 1, "AddSquares", sum, t)
	squares, _ := b.eachSum(chunks{y: b.f32(t), fn: func(isa kernel.ISA, c *chunks, lo, hi int) {
		c.sums[2*(lo/chunkLen)] = isa.SumSquares(c.y[lo:hi])
	}})
	b.f64(sum)[0] += squares
}

// AdamW updates p, m and v.
func (b *Backend) AdamW(p, g, m, v tensor.Tensor, s backend.AdamScalars) {
	must(g.Len() == p.Len() && m.Len() == p.Len() && v.Len() == p.Len(), "AdamW", p, g, m, v)
	b.each(chunks{y: b.f32(p), a: b.f32(g), b: b.f32(m), d: b.f32(v), adam: kernel.AdamWScalars(s),
		fn: func(isa kernel.ISA, c *chunks, lo, hi int) {
			isa.AdamW(c.y[lo:hi], c.a[lo:hi], c.b[lo:hi], c.d[lo:hi], c.adam)
		}})
}

// AdamW8 updates p, m and v; b and d are their absmaxes.
func (b *Backend) AdamW8(p, g, m, v, mMax, vMax tensor.Tensor, s backend.AdamScalars) {
	n, blocks := p.Len(), backend.CodeGroups(p.Len())
	must(g.Len() == n && m.Len() == n && v.Len() == n && mMax.Len() == blocks && vMax.Len() == blocks, "AdamW8", p, g, m, v, mMax, vMax)
	b.each(chunks{y: b.f32(p), a: b.f32(g), m: b.u8(m), v: b.u8(v), b: b.f32(mMax), d: b.f32(vMax), adam: kernel.AdamWScalars(s),
		fn: func(isa kernel.ISA, c *chunks, lo, hi int) {
			from, to := lo/backend.CodeGroup, backend.CodeGroups(hi)
			isa.AdamW8(c.y[lo:hi], c.a[lo:hi], c.m[lo:hi], c.v[lo:hi], c.b[from:to], c.d[from:to], c.adam)
		}})
}

// Neither compiles unless tasks take whole blocks of the kernel's size.
const (
	_ = -uint(chunkLen % backend.CodeGroup)
	_ = -uint(backend.CodeGroup ^ kernel.CodeGroup)
)

// SETAdam updates p, m and v in three passes: moments and their sums, the least
// w, the update.
func (b *Backend) SETAdam(p, g, m, v tensor.Tensor, s backend.AdamScalars, tau float32) {
	must(g.Len() == p.Len() && m.Len() == p.Len() && v.Len() == p.Len(), "SETAdam", p, g, m, v)
	c := chunks{y: b.f32(p), a: b.f32(g), b: b.f32(m), d: b.f32(v), adam: kernel.AdamWScalars(s),
		fn: func(isa kernel.ISA, c *chunks, lo, hi int) {
			i := 2 * (lo / chunkLen)
			c.sums[i], c.sums[i+1] = isa.Moments(c.a[lo:hi], c.b[lo:hi], c.d[lo:hi], c.adam.Beta1, c.adam.Beta2)
		}}
	sumV, sumV2 := b.eachSum(c)
	ratio := 0.0 // c / (1 - beta2^t); c is 0 if v is
	if sumV2 > 0 {
		ratio = float64(sumV*sumV) / (float64(p.Len()) * sumV2) / float64(s.Bias2)
	}
	c.s, c.t = float32(ratio), s.LR/s.Bias1
	c.sums = b.sums
	c.fn = func(isa kernel.ISA, c *chunks, lo, hi int) {
		c.sums[2*(lo/chunkLen)] = float64(isa.SETMin(c.d[lo:hi], c.s, c.adam.Eps))
	}
	b.each(c)
	least := math.Inf(1)
	for i := 0; i < len(c.y); i += chunkLen {
		least = min(least, b.sums[2*(i/chunkLen)])
	}
	c.u = tau * float32(least)
	c.fn = func(isa kernel.ISA, c *chunks, lo, hi int) {
		isa.SETUpdate(c.y[lo:hi], c.b[lo:hi], c.d[lo:hi], c.s, c.adam.Eps, c.u, c.t, c.adam.LR*c.adam.Decay)
	}
	b.each(c)
}

// SGD updates p and its momentum buffer.
func (b *Backend) SGD(p, g, momentum tensor.Tensor, lr, beta, decay float32) {
	must(g.Len() == p.Len() && momentum.Len() == p.Len(), "SGD", p, g, momentum)
	b.each(chunks{y: b.f32(p), a: b.f32(g), b: b.f32(momentum), s: lr, t: beta, u: decay,
		fn: func(isa kernel.ISA, c *chunks, lo, hi int) {
			isa.SGD(c.y[lo:hi], c.a[lo:hi], c.b[lo:hi], c.s, c.t, c.u)
		}})
}
