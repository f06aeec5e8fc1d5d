package cpu

import (
	"math"

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

// each calls f for all heads of the rows lo..hi, as many at a time as lie side by side, up to most: n of them that
// begin at element at, the first being number k over all rows.
func (h headRows) each(lo, hi, most int, f func(at, k, n int)) {
	rows := 1 // side by side
	if h.Count*h.D == h.cols {
		rows = hi - lo
	}
	for row := lo; row < hi; row += rows {
		n := rows * h.Count
		for i := 0; i < n; i += most {
			f(h.begin(row)+i*h.D, row*h.Count+i, min(most, n-i))
		}
	}
}

// atOnce is how many heads of some operands are computed at a time: all, or with one of BF16 as many as are a piece.
func (h headRows) atOnce(operands ...elements) int {
	for _, e := range operands {
		if e.halves != nil {
			return max(1, pieceLen/h.D)
		}
	}
	return math.MaxInt
}

// headsOf returns heads of width D of the rows of x. They must lie within a row.
func headsOf(op string, x tensor.Tensor, h backend.Heads, D int) headRows {
	r := headRows{h, x.Cols(), D}
	must(h.At >= 0 && h.Count > 0 && D > 0 && h.At+h.Count*D <= r.cols, op+" of heads", x)
	return r
}

type rotateJob struct {
	headRows
	x      elements
	table  []float32
	counts []int32 // nil: rows stand at their places of T
	n, T   int
	back   bool
}

func (j *rotateJob) run(b *Backend, task int, scratch []float32) {
	lo, hi := rowsOf(task, j.n)
	for row := lo; row < hi; row++ {
		position := row % j.T
		if j.counts != nil {
			position = int(j.counts[row]) - 1
		}
		angles := j.table[position*j.D:][:j.D]
		at := j.begin(row)
		x := j.x.get(b.isa, at, at+j.Count*j.D, scratch)
		b.isa.Rotate(x, angles[:j.D/2], angles[j.D/2:], j.back)
		j.x.put(b.isa, at, x)
	}
}

// Rotate turns heads of x by the angles of their positions, or back.
func (b *Backend) Rotate(x, table, counts tensor.Tensor, h backend.Heads, back bool) {
	n, T, D := x.Rows(), x.Shape[1], table.Cols()
	must(D%2 == 0 && (counts.Valid() && counts.Len() == n || !counts.Valid() && T <= table.Rows()), "Rotate", x, table, counts)
	b.jobs.rotate = rotateJob{headRows: headsOf("Rotate", x, h, D), x: b.elements(x), table: b.f32(table), counts: b.i32(counts), n: n, T: T, back: back}
	b.eachRow(n, &b.jobs.rotate)
}

// gateJob is GatedSiLU, or with dx its gradient, by rows.
type gateJob struct {
	y, x, dx elements // (N,M), (N,2M), (N,2M)
	M        int
}

func (j *gateJob) run(b *Backend, task int, scratch []float32) {
	lo, hi := rowsOf(task, j.y.len()/j.M)
	for row := lo; row < hi; row++ {
		for at := 0; at < j.M; at += pieceLen {
			n := min(pieceLen, j.M-at)
			y, g := row*j.M+at, 2*row*j.M+at
			u := g + j.M
			j.piece(b, y, g, u, n, scratch)
		}
	}
}

// piece computes n elements, which begin at y, g and u.
func (j *gateJob) piece(b *Backend, y, g, u, n int, scratch []float32) {
	gates, ups := j.x.get(b.isa, g, g+n, scratch), j.x.get(b.isa, u, u+n, scratch[pieceLen:])
	if j.dx.none() {
		out := j.y.room(y, y+n, scratch[2*pieceLen:])
		b.isa.GatedSiLU(out, gates, ups)
		j.y.put(b.isa, y, out)
		return
	}
	dg, du := j.dx.room(g, g+n, scratch[2*pieceLen:]), j.dx.room(u, u+n, scratch[3*pieceLen:])
	b.isa.GatedSiLUBackward(dg, du, j.y.get(b.isa, y, y+n, scratch[4*pieceLen:]), gates, ups)
	j.dx.put(b.isa, g, dg)
	j.dx.put(b.isa, u, du)
}

// GatedSiLU writes y = silu(g)*u.
func (b *Backend) GatedSiLU(y, x tensor.Tensor) {
	must(x.Len() == 2*y.Len() && x.Cols() == 2*y.Cols(), "GatedSiLU", y, x)
	b.jobs.gate = gateJob{y: b.elements(y), x: b.elements(x), M: y.Cols()}
	b.eachRow(y.Rows(), &b.jobs.gate)
}

// GatedSiLUBackward writes the gradients of g and u.
func (b *Backend) GatedSiLUBackward(dx, dy, x tensor.Tensor) {
	must(x.Len() == 2*dy.Len() && x.Cols() == 2*dy.Cols() && dx.Len() == x.Len(), "GatedSiLUBackward", dx, dy, x)
	b.jobs.gate = gateJob{y: b.elements(dy), x: b.elements(x), dx: b.elements(dx), M: dy.Cols()}
	b.eachRow(dy.Rows(), &b.jobs.gate)
}

// columnsJob takes columns of wide rows, or adds to them.
type columnsJob struct {
	wide         elements
	part         []float32
	cols, at, n  int // columns of wide; the first of part's n
	rows         int
	addToColumns bool
}

func (j *columnsJob) run(b *Backend, task int, scratch []float32) {
	lo, hi := rowsOf(task, j.rows)
	for row := lo; row < hi; row++ {
		for k := 0; k < j.n; k += pieceLen {
			n := min(pieceLen, j.n-k)
			from, to := row*j.cols+j.at+k, row*j.n+k
			wide, part := j.wide.get(b.isa, from, from+n, scratch), j.part[to:][:n]
			if j.addToColumns {
				b.isa.Add(wide, wide, part)
				j.wide.put(b.isa, from, wide)
			} else {
				copy(part, wide)
			}
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
	b.jobs.columns = columnsJob{wide: b.elements(wide), part: b.f32(part), cols: wide.Cols(), at: at, n: part.Cols(), rows: rows, addToColumns: add}
	b.eachRow(rows, &b.jobs.columns)
}
