package cpu

import (
	"github.com/bdia-go/bdia/backend"
	"github.com/bdia-go/bdia/kernel"
	"github.com/bdia-go/bdia/tensor"
)

// norm is layer norm of rows or, without means, root mean square norm of heads of rows.
type norm struct {
	headRows
	y, x                elements
	w, bias, mean, rstd []float32
	eps                 float32
}

func (n *norm) run(b *Backend, task int, scratch []float32) {
	lo, hi := rowsOf(task, len(n.rstd)/n.Count)
	n.each(lo, hi, n.atOnce(n.y, n.x), func(at, k, heads int) {
		end := at + heads*n.D
		y, x, rstd := n.y.room(at, end, scratch), n.x.get(b.isa, at, end, scratch[kernel.ScratchFloats/2:]), n.rstd[k:][:heads]
		if n.mean == nil {
			b.isa.RMSNorm(y, x, n.w, rstd, n.eps)
		} else {
			b.isa.LayerNorm(y, x, n.w, n.bias, n.mean[k:][:heads], rstd, n.eps)
		}
		n.y.put(b.isa, at, y)
	})
}

// LayerNorm normalises the rows of x.
func (b *Backend) LayerNorm(y, stats, x, w, bias tensor.Tensor, eps float32) {
	n, cols := x.Rows(), x.Cols()
	must(y.Len() == x.Len() && w.Len() == cols && stats.Len() == 2*n && (!bias.Valid() || bias.Len() == cols), "LayerNorm", y, stats, x, w, bias)
	st := b.f32(stats)
	b.jobs.norm = norm{headRows: wholeRows(cols), y: b.elements(y), x: b.elements(x), w: b.f32(w), bias: b.f32(bias), mean: st[:n], rstd: st[n:], eps: eps}
	b.eachRow(n, &b.jobs.norm)
}

// RMSNorm normalises heads of the rows of x.
func (b *Backend) RMSNorm(y, stats, x, w tensor.Tensor, h backend.Heads, eps float32) {
	n := x.Rows()
	must(y.Len() == x.Len() && stats.Len() == n*h.Count, "RMSNorm", y, stats, x, w)
	b.jobs.norm = norm{headRows: headsOf("RMSNorm", x, h, w.Len()), y: b.elements(y), x: b.elements(x), w: b.f32(w), rstd: b.f32(stats), eps: eps}
	b.eachRow(n, &b.jobs.norm)
}

// slabFloats is the rough number of floats of dy, and of x, that stay in the
// caches between their two uses in a norm's gradient.
const slabFloats = 1 << 17

// normBackward is the gradient of norm by slabs of rows. Sums over rows are
// split into bands of columns, and dx into rows. One job sums the columns of the
// slab that starts at row at, and computes dx of the slab before it. So a slab is
// read from memory for its sums, and from the caches for its dx. There are half as
// many bands as threads, and the other threads compute dx meanwhile: narrower
// bands would each read most of a row from memory.
type normBackward struct {
	headRows
	x                             elements
	dx, dw, db, dy, w, mean, rstd []float32
	rows, slab, band              int
	at, dxTasks                   int
}

func (n *normBackward) run(b *Backend, task int, scratch []float32) {
	most := n.atOnce(n.x)
	if task < n.dxTasks {
		lo := n.at - n.slab + task*rowsPerTask
		n.each(lo, min(lo+rowsPerTask, n.at, n.rows), most, func(at, k, heads int) {
			dx, dy, x, rstd := n.dx[at:][:heads*n.D], n.dy[at:][:heads*n.D], n.x.get(b.isa, at, at+heads*n.D, scratch), n.rstd[k:][:heads]
			if n.mean == nil {
				b.isa.RMSNormBackward(dx, dy, x, n.w, rstd)
			} else {
				b.isa.LayerNormBackward(dx, dy, x, n.w, n.mean[k:][:heads], rstd)
			}
		})
		return
	}
	lo := (task - n.dxTasks) * n.band
	hi := min(lo+n.band, n.D)
	db := n.db
	if db != nil {
		db = db[lo:hi]
	}
	n.each(n.at, min(n.at+n.slab, n.rows), most, func(at, k, heads int) {
		dy, x, rstd := n.dy[at+lo:], n.x.get(b.isa, at, at+heads*n.D, scratch)[lo:], n.rstd[k:][:heads]
		if n.mean == nil {
			b.isa.RMSNormBackwardWeight(n.dw[lo:hi], dy, x, rstd, n.D)
		} else {
			b.isa.LayerNormBackwardParams(n.dw[lo:hi], db, dy, x, n.mean[k:][:heads], rstd, heads, n.D)
		}
	})
}

// LayerNormBackward adds to dw and db, if they are given, then writes dx, which
// may be dy.
func (b *Backend) LayerNormBackward(dx, dw, db, dy, x, w, stats tensor.Tensor) {
	rows, cols := x.Rows(), x.Cols()
	must(dx.Len() == x.Len() && dy.Len() == x.Len() && (dw.Len() == cols || !dw.Valid() && !db.Valid()) && w.Len() == cols && stats.Len() == 2*rows, "LayerNormBackward", dx, dw, db, dy, x, w, stats)
	st := b.f32(stats)
	b.normBackward(normBackward{headRows: wholeRows(cols), rows: rows, dx: b.f32(dx), dw: b.f32(dw), db: b.f32(db), dy: b.f32(dy), x: b.elements(x), w: b.f32(w), mean: st[:rows], rstd: st[rows:]})
}

// RMSNormBackward adds to dw, if it is given, then writes dx, which may be dy.
func (b *Backend) RMSNormBackward(dx, dw, dy, x, w, stats tensor.Tensor, h backend.Heads) {
	rows, D := x.Rows(), w.Len()
	must(dx.Len() == x.Len() && dy.Len() == x.Len() && (!dw.Valid() || dw.Len() == D) && stats.Len() == rows*h.Count, "RMSNormBackward", dx, dw, dy, x, w, stats)
	b.normBackward(normBackward{headRows: headsOf("RMSNormBackward", x, h, D), rows: rows, dx: b.f32(dx), dw: b.f32(dw), dy: b.f32(dy), x: b.elements(x), w: b.f32(w), rstd: b.f32(stats)})
}

func (b *Backend) normBackward(job normBackward) {
	b.jobs.normBack = job
	n := &b.jobs.normBack
	n.slab = (slabFloats/(n.Count*n.D) + rowsPerTask) &^ (rowsPerTask - 1)
	n.band = tileLen(n.D, max(1, len(b.pool.scratch)/2))
	bands := (n.D + n.band - 1) / n.band
	if n.dw == nil {
		bands = 0
	}
	for n.at = 0; n.at < n.rows+n.slab; n.at += n.slab {
		n.dxTasks = (min(n.at, n.rows) - max(0, n.at-n.slab) + rowsPerTask - 1) / rowsPerTask
		tasks := n.dxTasks
		if n.at < n.rows {
			tasks += bands
		}
		b.pool.run(tasks, n)
	}
}
