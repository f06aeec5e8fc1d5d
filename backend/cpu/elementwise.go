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

// elementwise runs j over n elements, chunkLen to a task.
func (b *Backend) elementwise(n int, j job) { b.pool.run((n+chunkLen-1)/chunkLen, j) }

// chunkOf returns the elements of one task of an operation on n elements.
func chunkOf(task, n int) (lo, hi int) {
	lo = task * chunkLen
	return lo, min(lo+chunkLen, n)
}

// Zero clears t, whatever its element type.
func (b *Backend) Zero(t tensor.Tensor) { clear(b.bytes(t)) }

type copyJob struct{ dst, src []byte }

func (j *copyJob) run(_ *Backend, task int, _ []float32) {
	lo := task * copyLen
	hi := min(lo+copyLen, len(j.dst))
	copy(j.dst[lo:hi], j.src[lo:hi])
}

// copyLen is the number of bytes in one task of a copy.
const copyLen = 4 * chunkLen

type widenJob struct {
	dst []float32
	src []uint16
}

func (j *widenJob) run(b *Backend, task int, _ []float32) {
	lo, hi := chunkOf(task, len(j.dst))
	b.isa.Widen(j.dst[lo:hi], j.src[lo:hi])
}

// Copy copies src to dst of the same type, or widens BF16 to F32.
func (b *Backend) Copy(dst, src tensor.Tensor) {
	widens := dst.DType == tensor.F32 && src.DType == tensor.BF16
	must(dst.Len() == src.Len() && (widens || dst.DType == src.DType), "Copy", dst, src)
	if widens {
		b.jobs.widen = widenJob{dst: b.f32(dst), src: b.bf16(src)}
		b.elementwise(dst.Len(), &b.jobs.widen)
		return
	}
	b.jobs.copy = copyJob{dst: b.bytes(dst), src: b.bytes(src)}
	b.pool.run((len(b.jobs.copy.dst)+copyLen-1)/copyLen, &b.jobs.copy)
}

type addJob struct {
	y, a elements
	c    []float32
}

func (j *addJob) run(b *Backend, task int, scratch []float32) {
	pieces(task, j.y, j.a, func(lo, hi int) {
		y := j.y.room(lo, hi, scratch)
		b.isa.Add(y, j.a.get(b.isa, lo, hi, scratch[pieceLen:]), j.c[lo:hi])
		j.y.put(b.isa, lo, y)
	})
}

// Add writes y = a + c.
func (b *Backend) Add(y, a, c tensor.Tensor) {
	must(y.Len() == a.Len() && y.Len() == c.Len(), "Add", y, a, c)
	b.jobs.add = addJob{y: b.elements(y), a: b.elements(a), c: b.f32(c)}
	b.elementwise(y.Len(), &b.jobs.add)
}

type scaleJob struct {
	y elements
	a float32
}

func (j *scaleJob) run(b *Backend, task int, scratch []float32) {
	pieces(task, j.y, j.y, func(lo, hi int) {
		y := j.y.get(b.isa, lo, hi, scratch)
		b.isa.Scale(y, y, j.a)
		j.y.put(b.isa, lo, y)
	})
}

// Scale multiplies t by a.
func (b *Backend) Scale(t tensor.Tensor, a float32) {
	b.jobs.scale = scaleJob{y: b.elements(t), a: a}
	b.elementwise(t.Len(), &b.jobs.scale)
}

type lerpJob struct {
	y []float32
	x elements
	a float32
}

func (j *lerpJob) run(b *Backend, task int, scratch []float32) {
	lo, hi := chunkOf(task, len(j.y))
	kernel.Lerp(j.y[lo:hi], j.x.get(b.isa, lo, hi, scratch), j.a)
}

// Lerp moves y towards x.
func (b *Backend) Lerp(y, x tensor.Tensor, a float32) {
	must(y.Len() == x.Len(), "Lerp", y, x)
	b.jobs.lerp = lerpJob{y: b.f32(y), x: b.elements(x), a: a}
	b.elementwise(y.Len(), &b.jobs.lerp)
}

type geluJob struct {
	y, x elements
	form backend.GELUForm
}

func (j *geluJob) run(b *Backend, task int, scratch []float32) {
	pieces(task, j.y, j.x, func(lo, hi int) {
		y, x := j.y.room(lo, hi, scratch), j.x.get(b.isa, lo, hi, scratch[pieceLen:])
		if j.form == backend.GELUErf {
			b.isa.GELUErf(y, x)
		} else {
			b.isa.GELUTanh(y, x)
		}
		j.y.put(b.isa, lo, y)
	})
}

// GELU writes y = gelu(x).
func (b *Backend) GELU(y, x tensor.Tensor, form backend.GELUForm) {
	must(y.Len() == x.Len(), "GELU", y, x)
	b.jobs.gelu = geluJob{y: b.elements(y), x: b.elements(x), form: form}
	b.elementwise(y.Len(), &b.jobs.gelu)
}

type geluBackwardJob struct {
	dx, dy, x elements
	form      backend.GELUForm
}

func (j *geluBackwardJob) run(b *Backend, task int, scratch []float32) {
	pieces(task, j.dx, j.x, func(lo, hi int) {
		dx := j.dx.room(lo, hi, scratch)
		dy, x := j.dy.get(b.isa, lo, hi, scratch[pieceLen:]), j.x.get(b.isa, lo, hi, scratch[2*pieceLen:])
		if j.form == backend.GELUErf {
			b.isa.GELUErfBackward(dx, dy, x)
		} else {
			b.isa.GELUTanhBackward(dx, dy, x)
		}
		j.dx.put(b.isa, lo, dx)
	})
}

// GELUBackward writes dx = dy * gelu'(x).
func (b *Backend) GELUBackward(dx, dy, x tensor.Tensor, form backend.GELUForm) {
	must(dx.Len() == x.Len() && dy.Len() == x.Len(), "GELUBackward", dx, dy, x)
	b.jobs.geluBackward = geluBackwardJob{dx: b.elements(dx), dy: b.elements(dy), x: b.elements(x), form: form}
	b.elementwise(dx.Len(), &b.jobs.geluBackward)
}

// samples is an element-wise operation that treats each sample of the outermost
// dimension by itself: with its own gamma, side information and largest
// magnitude.
type samples struct {
	fn               func(isa kernel.ISA, s *samples, sample, lo, hi int) (maxBits uint32)
	y, x, h          []float32
	gamma            []float32
	peak             []int32
	side, rest       []byte
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
	b.jobs.samples = s
	b.pool.run(y.Shape[0]*s.tasks, &b.jobs.samples)
}

type dropoutJob struct {
	y, x             elements
	perSample, tasks int // elements of a sample, tasks for one
	draw             backend.Draw
	keep             uint32
}

func (j *dropoutJob) run(b *Backend, task int, scratch []float32) {
	sample, lo := task/j.tasks, task%j.tasks*chunkLen
	first := sample * j.perSample
	piecesOf(first+lo, first+min(lo+chunkLen, j.perSample), j.y, j.x, func(lo, hi int) {
		y := j.y.room(lo, hi, scratch)
		b.isa.Dropout(y, j.x.get(b.isa, lo, hi, scratch[pieceLen:]), key(j.draw, sample), uint32(lo-first), j.keep)
		j.y.put(b.isa, lo, y)
	})
}

// Dropout writes y = x*mask/(1-p).
func (b *Backend) Dropout(y, x tensor.Tensor, p float32, draw backend.Draw) {
	must(y.Len() == x.Len(), "Dropout", y, x)
	n := y.Len() / y.Shape[0]
	b.jobs.dropout = dropoutJob{y: b.elements(y), x: b.elements(x), perSample: n, tasks: (n + chunkLen - 1) / chunkLen, draw: draw, keep: keepOf(p)}
	b.pool.run(y.Shape[0]*b.jobs.dropout.tasks, &b.jobs.dropout)
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
