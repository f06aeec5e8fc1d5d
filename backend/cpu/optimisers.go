package cpu

import (
	"math"

	"github.com/bdia-go/bdia/backend"
	"github.com/bdia-go/bdia/kernel"
	"github.com/bdia-go/bdia/tensor"
)

// partials returns a buffer of partial sums, 1 or 2 for each chunk of n elements.
func (b *Backend) partials(n, each int) []float64 {
	need := each * ((n + chunkLen - 1) / chunkLen)
	if len(b.sums) < need {
		b.sums = make([]float64, need)
	}
	return b.sums[:need]
}

type squaresJob struct {
	x    elements
	n    int
	sums []float64 // of each chunk
}

func (j *squaresJob) run(b *Backend, task int, scratch []float32) {
	lo, hi := chunkOf(task, j.n)
	j.sums[task] = b.isa.SumSquares(j.x.get(b.isa, lo, hi, scratch))
}

// AddSquares adds the sum of the squares of t to sum. Chunks are added in ascending order.
func (b *Backend) AddSquares(sum, t tensor.Tensor) {
	must(sum.Len() == 1, "AddSquares", sum, t)
	j := &b.jobs.squares
	*j = squaresJob{x: b.elements(t), n: t.Len(), sums: b.partials(t.Len(), 1)}
	b.elementwise(t.Len(), j)
	total := 0.0
	for _, s := range j.sums {
		total += s
	}
	b.f64(sum)[0] += total
}

type adamWJob struct {
	p       updated
	g, m, v []float32
	s       kernel.AdamWScalars
}

func (j *adamWJob) run(b *Backend, task int, scratch []float32) {
	lo, hi := chunkOf(task, len(j.g))
	p := j.p.get(b.isa, lo, hi, scratch)
	b.isa.AdamW(p, j.g[lo:hi], j.m[lo:hi], j.v[lo:hi], j.s)
	j.p.put(b.isa, lo, p)
}

// AdamW updates p, m and v.
func (b *Backend) AdamW(p, g, m, v tensor.Tensor, s backend.AdamScalars, r backend.Rounding) {
	must(g.Len() == p.Len() && m.Len() == p.Len() && v.Len() == p.Len(), "AdamW", p, g, m, v)
	b.jobs.adamW = adamWJob{p: b.updated(p, r), g: b.f32(g), m: b.f32(m), v: b.f32(v), s: kernel.AdamWScalars(s)}
	b.elementwise(p.Len(), &b.jobs.adamW)
}

type adamW8Job struct {
	p          updated
	g          []float32
	m, v       []byte    // codes
	mMax, vMax []float32 // of each group
	s          kernel.AdamWScalars
}

func (j *adamW8Job) run(b *Backend, task int, scratch []float32) {
	lo, hi := chunkOf(task, len(j.g))
	from, to := lo/backend.CodeGroup, backend.CodeGroups(hi)
	p := j.p.get(b.isa, lo, hi, scratch)
	b.isa.AdamW8(p, j.g[lo:hi], j.m[lo:hi], j.v[lo:hi], j.mMax[from:to], j.vMax[from:to], j.s)
	j.p.put(b.isa, lo, p)
}

// AdamW8 updates p, m and v with their largest magnitudes.
func (b *Backend) AdamW8(p, g, m, v, mMax, vMax tensor.Tensor, s backend.AdamScalars, r backend.Rounding) {
	n, groups := p.Len(), backend.CodeGroups(p.Len())
	must(g.Len() == n && m.Len() == n && v.Len() == n && mMax.Len() == groups && vMax.Len() == groups, "AdamW8", p, g, m, v, mMax, vMax)
	b.jobs.adamW8 = adamW8Job{p: b.updated(p, r), g: b.f32(g), m: b.u8(m), v: b.u8(v), mMax: b.f32(mMax), vMax: b.f32(vMax), s: kernel.AdamWScalars(s)}
	b.elementwise(n, &b.jobs.adamW8)
}

// Neither compiles unless tasks take whole groups of the kernel's size.
const (
	_ = -uint(chunkLen % backend.CodeGroup)
	_ = -uint(backend.CodeGroup ^ kernel.CodeGroup)
)

// setPass is one of the passes of SET-Adam over a tensor.
type setPass uint8

const (
	setMoments setPass = iota // moments, and the sums of v and of v*v
	setLeast                  // the least step size of each chunk
	setUpdate                 // the update
)

type setAdamJob struct {
	p           updated
	g, m, v     []float32
	s           kernel.AdamWScalars
	sums        []float64 // two of each chunk
	pass        setPass
	ratio, rate float32 // c / (1 - beta2^t), and lr / (1 - beta1^t)
	off         float32 // subtracted from all step sizes
}

func (j *setAdamJob) run(b *Backend, task int, scratch []float32) {
	lo, hi := chunkOf(task, len(j.g))
	m, v := j.m[lo:hi], j.v[lo:hi]
	switch j.pass {
	case setMoments:
		j.sums[2*task], j.sums[2*task+1] = b.isa.Moments(j.g[lo:hi], m, v, j.s.Beta1, j.s.Beta2)
	case setLeast:
		j.sums[2*task] = float64(b.isa.SETMin(v, j.ratio, j.s.Eps))
	case setUpdate:
		p := j.p.get(b.isa, lo, hi, scratch)
		b.isa.SETUpdate(p, m, v, j.ratio, j.s.Eps, j.off, j.rate, j.s.LR*j.s.Decay)
		j.p.put(b.isa, lo, p)
	}
}

// SETAdam updates p, m and v in three passes.
func (b *Backend) SETAdam(p, g, m, v tensor.Tensor, s backend.AdamScalars, tau float32, r backend.Rounding) {
	n := p.Len()
	must(g.Len() == n && m.Len() == n && v.Len() == n, "SETAdam", p, g, m, v)
	j := &b.jobs.setAdam
	*j = setAdamJob{p: b.updated(p, r), g: b.f32(g), m: b.f32(m), v: b.f32(v), s: kernel.AdamWScalars(s), sums: b.partials(n, 2), rate: s.LR / s.Bias1}
	b.elementwise(n, j)
	var sumV, sumV2 float64
	for i := 0; i < len(j.sums); i += 2 {
		sumV += j.sums[i]
		sumV2 += j.sums[i+1]
	}
	if sumV2 > 0 { // c is 0 if v is
		j.ratio = float32(float64(sumV*sumV) / (float64(n) * sumV2) / float64(s.Bias2))
	}
	j.pass = setLeast
	b.elementwise(n, j)
	least := math.Inf(1)
	for i := 0; i < len(j.sums); i += 2 {
		least = min(least, j.sums[i])
	}
	j.pass, j.off = setUpdate, tau*float32(least)
	b.elementwise(n, j)
}

type sgdJob struct {
	p               updated
	g, momentum     []float32
	lr, beta, decay float32
}

func (j *sgdJob) run(b *Backend, task int, scratch []float32) {
	lo, hi := chunkOf(task, len(j.g))
	p := j.p.get(b.isa, lo, hi, scratch)
	b.isa.SGD(p, j.g[lo:hi], j.momentum[lo:hi], j.lr, j.beta, j.decay)
	j.p.put(b.isa, lo, p)
}

// SGD updates p and its momentum buffer.
func (b *Backend) SGD(p, g, momentum tensor.Tensor, lr, beta, decay float32, r backend.Rounding) {
	must(g.Len() == p.Len() && momentum.Len() == p.Len(), "SGD", p, g, momentum)
	b.jobs.sgd = sgdJob{p: b.updated(p, r), g: b.f32(g), momentum: b.f32(momentum), lr: lr, beta: beta, decay: decay}
	b.elementwise(p.Len(), &b.jobs.sgd)
}
