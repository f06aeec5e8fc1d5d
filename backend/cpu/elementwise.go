package cpu

import (
	"github.com/bdia-go/bdia/backend"
	"github.com/bdia-go/bdia/internal/rng"
	"github.com/bdia-go/bdia/kernel"
	"github.com/bdia-go/bdia/tensor"
)

// chunkLen is the number of elements in one task of an element-wise operation: a
// multiple of the kernels' chunks of partial sums.
const chunkLen = 16384

// chunks is an element-wise operation over whole tensors. fn captures no
// variables, so that starting an operation allocates nothing.
type chunks struct {
	fn         func(isa kernel.ISA, c *chunks, lo, hi int)
	y, a, b, d []float32
	m, v       []byte // codes of moments
	s, t, u    float32
	adam       kernel.AdamWScalars
	sums       []float64 // two for each chunk
}

func (c *chunks) run(b *Backend, task int, _ []float32) {
	lo := task * chunkLen
	c.fn(b.isa, c, lo, min(lo+chunkLen, len(c.y)))
}

// each runs c over all elements of c.y.
func (b *Backend) each(c chunks) {
	b.chunks = c
	b.pool.run((len(c.y)+chunkLen-1)/chunkLen, &b.chunks)
}

// Zero clears t, whatever its element type.
func (b *Backend) Zero(t tensor.Tensor) { clear(b.bytes(t)) }

// Copy copies src to dst.
func (b *Backend) Copy(dst, src tensor.Tensor) {
	must(dst.Len() == src.Len(), "Copy", dst, src)
	b.each(chunks{y: b.f32(dst), a: b.f32(src), fn: func(_ kernel.ISA, c *chunks, lo, hi int) {
		copy(c.y[lo:hi], c.a[lo:hi])
	}})
}

// Add writes y = a + c.
func (b *Backend) Add(y, a, c tensor.Tensor) {
	must(y.Len() == a.Len() && y.Len() == c.Len(), "Add", y, a, c)
	b.each(chunks{y: b.f32(y), a: b.f32(a), b: b.f32(c), fn: func(isa kernel.ISA, c *chunks, lo, hi int) {
		isa.Add(c.y[lo:hi], c.a[lo:hi], c.b[lo:hi])
	}})
}

// Scale multiplies t by a.
func (b *Backend) Scale(t tensor.Tensor, a float32) {
	b.each(chunks{y: b.f32(t), s: a, fn: func(isa kernel.ISA, c *chunks, lo, hi int) {
		isa.Scale(c.y[lo:hi], c.y[lo:hi], c.s)
	}})
}

// Lerp moves y towards x.
func (b *Backend) Lerp(y, x tensor.Tensor, a float32) {
	must(y.Len() == x.Len(), "Lerp", y, x)
	b.each(chunks{y: b.f32(y), a: b.f32(x), s: a, fn: func(_ kernel.ISA, c *chunks, lo, hi int) {
		kernel.Lerp(c.y[lo:hi], c.a[lo:hi], c.s)
	}})
}

// GELU writes y = gelu(x).
func (b *Backend) GELU(y, x tensor.Tensor, form backend.GELUForm) {
	must(y.Len() == x.Len(), "GELU", y, x)
	fn := func(isa kernel.ISA, c *chunks, lo, hi int) { isa.GELUTanh(c.y[lo:hi], c.a[lo:hi]) }
	if form == backend.GELUErf {
		fn = func(isa kernel.ISA, c *chunks, lo, hi int) { isa.GELUErf(c.y[lo:hi], c.a[lo:hi]) }
	}
	b.each(chunks{y: b.f32(y), a: b.f32(x), fn: fn})
}

// GELUBackward writes dx = dy * gelu'(x).
func (b *Backend) GELUBackward(dx, dy, x tensor.Tensor, form backend.GELUForm) {
	must(dx.Len() == x.Len() && dy.Len() == x.Len(), "GELUBackward", dx, dy, x)
	fn := func(isa kernel.ISA, c *chunks, lo, hi int) {
		isa.GELUTanhBackward(c.y[lo:hi], c.a[lo:hi], c.b[lo:hi])
	}
	if form == backend.GELUErf {
		fn = func(isa kernel.ISA, c *chunks, lo, hi int) {
			isa.GELUErfBackward(c.y[lo:hi], c.a[lo:hi], c.b[lo:hi])
		}
	}
	b.each(chunks{y: b.f32(dx), a: b.f32(dy), b: b.f32(x), fn: fn})
}

// samples is an element-wise operation that treats each sample of the outermost
// dimension by itself: with its own gamma, side information and largest
// magnitude.
type samples struct {
	fn               func(isa kernel.ISA, s *samples, sample, lo, hi int) (maxBits uint32)
	y, x, h          []float32
	gamma            []float32
	peak             []int32
	side             []byte
	perSample, tasks int // elements of a sample, tasks for one
	law              backend.Law
	draw             backend.Draw
	keep             uint32
}

func (s *samples) run(b *Backend, task int, _ []float32) {
	sample, lo := task/s.tasks, task%s.tasks*chunkLen
	first := sample * s.perSample
	bits := s.fn(b.isa, s, sample, first+lo, first+min(lo+chunkLen, s.perSample))
	if s.peak != nil {
		raise(&s.peak[sample], bits)
	}
}

// eachSample runs s over every sample of y (B,...).
func (b *Backend) eachSample(y tensor.Tensor, s samples) {
	s.y = b.f32(y)
	s.perSample = y.Len() / y.Shape[0]
	s.tasks = (s.perSample + chunkLen - 1) / chunkLen
	b.samples = s
	b.pool.run(y.Shape[0]*s.tasks, &b.samples)
}

// Dropout writes y = x*mask/(1-p).
func (b *Backend) Dropout(y, x tensor.Tensor, p float32, draw backend.Draw) {
	must(y.Len() == x.Len(), "Dropout", y, x)
	b.eachSample(y, samples{x: b.f32(x), draw: draw, keep: keepOf(p), fn: func(isa kernel.ISA, s *samples, sample, lo, hi int) uint32 {
		isa.Dropout(s.y[lo:hi], s.x[lo:hi], key(s.draw, sample), uint32(lo-sample*s.perSample), s.keep)
		return 0
	}})
}

// DropSamples writes y = x/(1-p) for the samples that survive, 0 for the others.
func (b *Backend) DropSamples(y, x tensor.Tensor, p float32, draw backend.Draw) {
	must(y.Len() == x.Len(), "DropSamples", y, x)
	b.eachSample(y, samples{x: b.f32(x), draw: draw, keep: keepOf(p), fn: func(isa kernel.ISA, s *samples, sample, lo, hi int) uint32 {
		if key(s.draw, sample).At(0)[0]&0xffff < s.keep {
			isa.Scale(s.y[lo:hi], s.x[lo:hi], float32(1<<16)/float32(s.keep))
		} else {
			clear(s.y[lo:hi]) // not x*0, which is NaN for an infinite x
		}
		return 0
	}})
}

// keepOf returns how many of 65536 elements survive dropout with probability p.
func keepOf(p float32) uint32 { return uint32(float64(1-p)*65536 + 0.5) }

// key returns the stream of random numbers of one sample of a pass.
func key(d backend.Draw, sample int) rng.Key {
	return rng.Key{Seed: d.Seed, Step: uint32(d.Step), Sample: uint32(d.Sample + sample),
		Block: uint32(d.Block), Site: d.Site}
}
