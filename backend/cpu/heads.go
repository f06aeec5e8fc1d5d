package cpu

import (
	"github.com/bdia-go/bdia/backend"
	"github.com/bdia-go/bdia/kernel"
	"github.com/bdia-go/bdia/tensor"
)

// headRows are heads of rows: cols elements to a row, D of them to a head.
type headRows struct {
	backend.Heads
	cols, D int
}

// begin is where head i of a row begins.
func (h headRows) begin(row, i int) int { return row*h.cols + h.At + i*h.D }

// headsOf returns heads of width D of the rows of x. They must lie within a row.
func headsOf(op string, x tensor.Tensor, h backend.Heads, D int) headRows {
	r := headRows{h, x.Cols(), D}
	must(h.At >= 0 && h.Count > 0 && D > 0 && h.At+h.Count*D <= r.cols, op+" of heads", x)
	return r
}

type rmsNormJob struct {
	headRows
	y, x, w, rstd []float32
	eps           float32
}

func (j *rmsNormJob) run(b *Backend, task int, _ []float32) {
	lo, hi := rowsOf(task, len(j.rstd)/j.Count)
	for row := lo; row < hi; row++ {
		for i := range j.Count {
			at := j.begin(row, i)
			j.rstd[row*j.Count+i] = b.isa.RMSNorm(j.y[at:][:j.D], j.x[at:][:j.D], j.w, j.eps)
		}
	}
}

// RMSNorm normalises heads of the rows of x.
func (b *Backend) RMSNorm(y, stats, x, w tensor.Tensor, h backend.Heads, eps float32) {
	n := x.Rows()
	must(y.Len() == x.Len() && stats.Len() == n*h.Count, "RMSNorm", y, stats, x, w)
	b.jobs.rmsNorm = rmsNormJob{headRows: headsOf("RMSNorm", x, h, w.Len()), y: b.f32(y), x: b.f32(x), w: b.f32(w), rstd: b.f32(stats), eps: eps}
	b.eachRow(n, &b.jobs.rmsNorm)
}

// rmsNormBack computes dw by bands of a head's columns (band is above 0), and then dx by rows.
type rmsNormBack struct {
	headRows
	dx, dw, dy, x, w, rstd []float32
	band                   int
}

func (j *rmsNormBack) run(b *Backend, task int, _ []float32) {
	if j.band > 0 {
		lo := task * j.band
		hi := min(lo+j.band, j.D)
		for k, rstd := range j.rstd {
			at := j.begin(k/j.Count, k%j.Count)
			kernel.RMSNormBackwardWeight(j.dw[lo:hi], j.dy[at+lo:at+hi], j.x[at+lo:at+hi], rstd)
		}
		return
	}
	lo, hi := rowsOf(task, len(j.rstd)/j.Count)
	for k := lo * j.Count; k < hi*j.Count; k++ {
		at := j.begin(k/j.Count, k%j.Count)
		b.isa.RMSNormBackward(j.dx[at:][:j.D], j.dy[at:][:j.D], j.x[at:][:j.D], j.w, j.rstd[k])
	}
}

// RMSNormBackward adds to dw, if it is given, then writes dx, which may be dy.
func (b *Backend) RMSNormBackward(dx, dw, dy, x, w, stats tensor.Tensor, h backend.Heads) {
	n, D := x.Rows(), w.Len()
	must(dx.Len() == x.Len() && dy.Len() == x.Len() && (!dw.Valid() || dw.Len() == D) && stats.Len() == n*h.Count, "RMSNormBackward", dx, dw, dy, x, w, stats)
	j := &b.jobs.rmsNormBack
	*j = rmsNormBack{headRows: headsOf("RMSNormBackward", x, h, D), dx: b.f32(dx), dw: b.f32(dw), dy: b.f32(dy), x: b.f32(x), w: b.f32(w), rstd: b.f32(stats)}
	if dw.Valid() {
		j.band = b.band(D)
		b.pool.run((D+j.band-1)/j.band, j)
	}
	j.band = 0
	b.eachRow(n, j)
}

type rotateJob struct {
	headRows
	x, table []float32
	counts   []int32 // nil: rows stand at their places of T
	n, T     int
	back     bool
}

func (j *rotateJob) run(_ *Backend, task int, _ []float32) {
	turn := kernel.Rotate
	if j.back {
		turn = kernel.RotateBack
	}
	lo, hi := rowsOf(task, j.n)
	for row := lo; row < hi; row++ {
		position := row % j.T
		if j.counts != nil {
			position = int(j.counts[row]) - 1
		}
		angles := j.table[position*j.D:][:j.D]
		for i := range j.Count {
			turn(j.x[j.begin(row, i):][:j.D], angles[:j.D/2], angles[j.D/2:])
		}
	}
}

// Rotate turns heads of x by the angles of their positions, or back.
func (b *Backend) Rotate(x, table, counts tensor.Tensor, h backend.Heads, back bool) {
	n, T, D := x.Rows(), x.Shape[1], table.Cols()
	must(D%2 == 0 && (counts.Valid() && counts.Len() == n || !counts.Valid() && T <= table.Rows()), "Rotate", x, table, counts)
	b.jobs.rotate = rotateJob{headRows: headsOf("Rotate", x, h, D), x: b.f32(x), table: b.f32(table), counts: b.i32(counts), n: n, T: T, back: back}
	b.eachRow(n, &b.jobs.rotate)
}

// gateJob is GatedSiLU, or with dx its gradient, by rows.
type gateJob struct {
	y, x, dx []float32 // (N,M), (N,2M), (N,2M)
	M        int
}

// gateLen is the number of elements of which the gradient keeps the exponentials at a time.
const gateLen = min(4096, kernel.ScratchFloats)

func (j *gateJob) run(b *Backend, task int, scratch []float32) {
	lo, hi := rowsOf(task, len(j.y)/j.M)
	for row := lo; row < hi; row++ {
		y, x := j.y[row*j.M:][:j.M], j.x[2*row*j.M:][:2*j.M]
		g, u := x[:j.M], x[j.M:]
		if j.dx == nil {
			b.isa.GatedSiLU(y, g, u)
			continue
		}
		dx := j.dx[2*row*j.M:][:2*j.M]
		for at := 0; at < j.M; at += gateLen {
			end := min(at+gateLen, j.M)
			b.isa.GatedSiLUBackward(dx[at:end], dx[j.M+at:j.M+end], y[at:end], g[at:end], u[at:end], scratch[:end-at])
		}
	}
}

// GatedSiLU writes y = silu(g)*u.
func (b *Backend) GatedSiLU(y, x tensor.Tensor) {
	must(x.Len() == 2*y.Len() && x.Cols() == 2*y.Cols(), "GatedSiLU", y, x)
	b.jobs.gate = gateJob{y: b.f32(y), x: b.f32(x), M: y.Cols()}
	b.eachRow(y.Rows(), &b.jobs.gate)
}

// GatedSiLUBackward writes the gradients of g and u.
func (b *Backend) GatedSiLUBackward(dx, dy, x tensor.Tensor) {
	must(x.Len() == 2*dy.Len() && x.Cols() == 2*dy.Cols() && dx.Len() == x.Len(), "GatedSiLUBackward", dx, dy, x)
	b.jobs.gate = gateJob{y: b.f32(dy), x: b.f32(x), dx: b.f32(dx), M: dy.Cols()}
	b.eachRow(dy.Rows(), &b.jobs.gate)
}

// columnsJob takes columns of wide rows, or adds to them.
type columnsJob struct {
	wide, part   []float32
	cols, at, n  int // columns of wide; the first of part's n
	rows         int
	addToColumns bool
}

func (j *columnsJob) run(b *Backend, task int, _ []float32) {
	lo, hi := rowsOf(task, j.rows)
	for row := lo; row < hi; row++ {
		wide, part := j.wide[row*j.cols+j.at:][:j.n], j.part[row*j.n:][:j.n]
		if j.addToColumns {
			b.isa.Add(wide, wide, part)
		} else {
			copy(part, wide)
		}
	}
}

// TakeColumns copies columns of x to y.
func (b *Backend) TakeColumns(y, x tensor.Tensor, at int) { b.columns(x, y, at, false) }

// AddColumns adds x to columns of y.
func (b *Backend) AddColumns(y, x tensor.Tensor, at int) { b.columns(y, x, at, true) }

func (b *Backend) columns(wide, part tensor.Tensor, at int, add bool) {
	rows := wide.Rows()
	must(part.Rows() == rows && at >= 0 && at+part.Cols() <= wide.Cols(), "columns", wide, part)
	b.jobs.columns = columnsJob{wide: b.f32(wide), part: b.f32(part), cols: wide.Cols(), at: at, n: part.Cols(), rows: rows, addToColumns: add}
	b.eachRow(rows, &b.jobs.columns)
}
