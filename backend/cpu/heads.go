package cpu

import (
	"github.com/bdia-go/bdia/backend"
	"github.com/bdia-go/bdia/tensor"
)

// headRows are heads of rows: cols elements to a row, D of them to a head.
type headRows struct {
	backend.Heads
	cols, D int
}

// wholeRows are rows that are one head.
func wholeRows(cols int) headRows { return headRows{backend.Heads{Count: 1}, cols, cols} }

// begin is where the heads of a row begin.
func (h headRows) begin(row int) int { return row*h.cols + h.At }

// each calls f for all heads of the rows lo..hi, as many at a time as lie side by side: n of them that begin at element
// at, the first being number k over all rows.
func (h headRows) each(lo, hi int, f func(at, k, n int)) {
	if h.Count*h.D == h.cols {
		f(h.begin(lo), lo*h.Count, (hi-lo)*h.Count)
		return
	}
	for row := lo; row < hi; row++ {
		f(h.begin(row), row*h.Count, h.Count)
	}
}

// headsOf returns heads of width D of the rows of x. They must lie within a row.
func headsOf(op string, x tensor.Tensor, h backend.Heads, D int) headRows {
	r := headRows{h, x.Cols(), D}
	must(h.At >= 0 && h.Count > 0 && D > 0 && h.At+h.Count*D <= r.cols, op+" of heads", x)
	return r
}

type rotateJob struct {
	headRows
	x, table []float32
	counts   []int32 // nil: rows stand at their places of T
	n, T     int
	back     bool
}

func (j *rotateJob) run(b *Backend, task int, _ []float32) {
	lo, hi := rowsOf(task, j.n)
	for row := lo; row < hi; row++ {
		position := row % j.T
		if j.counts != nil {
			position = int(j.counts[row]) - 1
		}
		angles := j.table[position*j.D:][:j.D]
		b.isa.Rotate(j.x[j.begin(row):][:j.Count*j.D], angles[:j.D/2], angles[j.D/2:], j.back)
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

func (j *gateJob) run(b *Backend, task int, _ []float32) {
	lo, hi := rowsOf(task, len(j.y)/j.M)
	for row := lo; row < hi; row++ {
		y, x := j.y[row*j.M:][:j.M], j.x[2*row*j.M:][:2*j.M]
		g, u := x[:j.M], x[j.M:]
		if j.dx == nil {
			b.isa.GatedSiLU(y, g, u)
		} else {
			dx := j.dx[2*row*j.M:][:2*j.M]
			b.isa.GatedSiLUBackward(dx[:j.M], dx[j.M:], y, g, u)
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
