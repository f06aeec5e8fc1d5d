package cpu

import "github.com/bdia-go/bdia/tensor"

// slabFloats is the rough number of floats of dy, and of x, that stay in the
// caches between their two uses in layer norm's gradient.
const slabFloats = 1 << 17

// normBackward is the gradient of layer norm by slabs of rows. Sums over rows are
// split into bands of columns, and dx into rows. One job sums the columns of the
// slab that starts at row at, and computes dx of the slab before it. So a slab is
// read from memory for its sums, and from the caches for its dx. There are half as
// many bands as threads, and the other threads compute dx meanwhile: narrower
// bands would each read most of a row from memory.
type normBackward struct {
	dx, dw, db, dy, x, w, mean, rstd []float32
	rows, cols, slab, band           int
	at, dxTasks                      int
}

func (n *normBackward) run(b *Backend, task int, _ []float32) {
	if task < n.dxTasks {
		lo := n.at - n.slab + task*rowsPerTask
		hi := min(lo+rowsPerTask, n.at, n.rows)
		at, end := lo*n.cols, hi*n.cols
		b.isa.LayerNormBackward(n.dx[at:end], n.dy[at:end], n.x[at:end], n.w, n.mean[lo:hi], n.rstd[lo:hi])
		return
	}
	lo, end := (task-n.dxTasks)*n.band, min(n.at+n.slab, n.rows)
	hi := min(lo+n.band, n.cols)
	db := n.db
	if db != nil {
		db = db[lo:hi]
	}
	from := n.at*n.cols + lo
	b.isa.LayerNormBackwardParams(n.dw[lo:hi], db, n.dy[from:], n.x[from:], n.mean[n.at:end], n.rstd[n.at:end], end-n.at, n.cols)
}

// LayerNormBackward adds to dw and db, if they are given, then writes dx, which
// may be dy.
func (b *Backend) LayerNormBackward(dx, dw, db, dy, x, w, stats tensor.Tensor) {
	rows, cols := x.Rows(), x.Cols()
	must(dx.Len() == x.Len() && dy.Len() == x.Len() && (dw.Len() == cols || !dw.Valid() && !db.Valid()) && w.Len() == cols && stats.Len() == 2*rows, "LayerNormBackward", dx, dw, db, dy, x, w, stats)
	st := b.f32(stats)
	b.jobs.layerNormBack = normBackward{dx: b.f32(dx), dw: b.f32(dw), db: b.f32(db), dy: b.f32(dy), x: b.f32(x), w: b.f32(w), mean: st[:rows], rstd: st[rows:],
		rows: rows, cols: cols, slab: (slabFloats/cols + rowsPerTask) &^ (rowsPerTask - 1), band: tileLen(cols, max(1, len(b.pool.scratch)/2))}
	n := &b.jobs.layerNormBack
	bands := (cols + n.band - 1) / n.band
	if !dw.Valid() {
		bands = 0
	}
	for n.at = 0; n.at < rows+n.slab; n.at += n.slab {
		n.dxTasks = (min(n.at, rows) - max(0, n.at-n.slab) + rowsPerTask - 1) / rowsPerTask
		tasks := n.dxTasks
		if n.at < rows {
			tasks += bands
		}
		b.pool.run(tasks, n)
	}
}
