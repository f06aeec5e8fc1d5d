package cpu

import (
	"github.com/bdia-go/bdia/backend"
	"github.com/bdia-go/bdia/kernel"
	"github.com/bdia-go/bdia/tensor"
)

// rows is an operation on each row of a matrix, or on bands of its columns.
// One task takes perTask rows, or columns.
type rows struct {
	fn         func(isa kernel.ISA, r *rows, lo, hi int)
	y, x, w, b []float32
	d, mean    []float32
	rstd       []float32
	ids        []int32
	n, cols, T int
	pooled     int
	perTask    int
	scale      float32
	smoothing  float32
}

const rowsPerTask = 16

func (r *rows) run(b *Backend, task int, _ []float32) {
	lo := task * r.perTask
	r.fn(b.isa, r, lo, min(lo+r.perTask, r.n))
}

// eachRow runs r over n rows, perTask to a task.
func (b *Backend) eachRow(n, perTask int, r rows) {
	r.n, r.perTask = n, perTask
	b.rows = r
	b.pool.run((n+perTask-1)/perTask, &b.rows)
}

// LayerNorm normalises the rows of x.
func (b *Backend) LayerNorm(y, stats, x, w, bias tensor.Tensor, eps float32) {
	n, cols := x.Rows(), x.Cols()
	must(y.Len() == x.Len() && w.Len() == cols && stats.Len() == 2*n && (!bias.Valid() || bias.Len() == cols), "LayerNorm", y, stats, x, w, bias)
	st := b.f32(stats)
	b.eachRow(n, rowsPerTask, rows{y: b.f32(y), x: b.f32(x), w: b.f32(w), b: b.f32(bias), mean: st[:n], rstd: st[n:], cols: cols, scale: eps,
		fn: func(isa kernel.ISA, r *rows, lo, hi int) {
			at, end := lo*r.cols, hi*r.cols
			isa.LayerNorm(r.y[at:end], r.x[at:end], r.w, r.b, r.mean[lo:hi], r.rstd[lo:hi], r.scale)
		}})
}

// PoolRows writes the mean of the first pooled rows of each sample, added up in
// ascending order.
func (b *Backend) PoolRows(y, x tensor.Tensor, pooled int) {
	B, T, C := x.Shape[0], x.Shape[1], x.Shape[2]
	must(y.Len() == B*C && 0 < pooled && pooled <= T, "PoolRows", y, x)
	b.eachRow(B, 1, rows{y: b.f32(y), x: b.f32(x), cols: C, T: T, pooled: pooled, scale: 1 / float32(pooled),
		fn: func(isa kernel.ISA, r *rows, lo, hi int) {
			for i := lo; i < hi; i++ {
				y, x := r.y[i*r.cols:][:r.cols], r.x[i*r.T*r.cols:]
				copy(y, x)
				for t := 1; t < r.pooled; t++ {
					isa.Add(y, y, x[t*r.cols:][:r.cols])
				}
				isa.Scale(y, y, r.scale)
			}
		}})
}

// PoolRowsBackward spreads dy over the pooled rows.
func (b *Backend) PoolRowsBackward(dx, dy tensor.Tensor, pooled int) {
	B, T, C := dx.Shape[0], dx.Shape[1], dx.Shape[2]
	must(dy.Len() == B*C && 0 < pooled && pooled <= T, "PoolRowsBackward", dx, dy)
	b.eachRow(B, 1, rows{y: b.f32(dx), d: b.f32(dy), cols: C, T: T, pooled: pooled, scale: 1 / float32(pooled),
		fn: func(isa kernel.ISA, r *rows, lo, hi int) {
			for i := lo; i < hi; i++ {
				dx, dy := r.y[i*r.T*r.cols:][:r.T*r.cols], r.d[i*r.cols:][:r.cols]
				for t := range r.pooled {
					isa.Scale(dx[t*r.cols:][:r.cols], dy, r.scale)
				}
				clear(dx[r.pooled*r.cols:])
			}
		}})
}

// CrossEntropy turns logits into gradients and writes the losses.
func (b *Backend) CrossEntropy(losses, logits, targets tensor.Tensor, smoothing, scale float32) {
	n := logits.Rows()
	if targets.DType == tensor.F32 {
		must(losses.Len() == n && targets.Len() == logits.Len() && smoothing == 0, "CrossEntropy", losses, logits, targets)
		b.eachRow(n, 1, rows{y: b.f32(losses), x: b.f32(logits), d: b.f32(targets), cols: logits.Cols(), scale: scale,
			fn: func(isa kernel.ISA, r *rows, lo, hi int) {
				for i := lo; i < hi; i++ {
					r.y[i] = isa.SoftCrossEntropy(r.x[i*r.cols:][:r.cols], r.d[i*r.cols:][:r.cols], r.scale)
				}
			}})
		return
	}
	must(losses.Len() == n && targets.Len() == n, "CrossEntropy", losses, logits, targets)
	b.eachRow(n, 1, rows{y: b.f32(losses), x: b.f32(logits), ids: b.i32(targets), cols: logits.Cols(), scale: scale, smoothing: smoothing,
		fn: func(isa kernel.ISA, r *rows, lo, hi int) {
			for i := lo; i < hi; i++ {
				row, target := r.x[i*r.cols:][:r.cols], int(r.ids[i])
				switch {
				case target == backend.Ignore:
					r.y[i] = 0
					clear(row)
				case r.smoothing > 0:
					r.y[i] = isa.SmoothCrossEntropy(row, target, r.smoothing, r.scale)
				default:
					r.y[i] = isa.CrossEntropy(row, target, r.scale)
				}
			}
		}})
}

// Embed writes x[b,t] = wte[ids[b,t]] + wpe[t].
func (b *Backend) Embed(x, ids, wte, wpe tensor.Tensor) {
	C := x.Cols()
	must(ids.Len() == x.Rows() && wte.Cols() == C && wpe.Cols() == C && wpe.Rows() >= ids.Cols(), "Embed", x, ids, wte, wpe)
	b.eachRow(x.Rows(), rowsPerTask, rows{y: b.f32(x), ids: b.i32(ids), w: b.f32(wte), b: b.f32(wpe), cols: C, T: ids.Cols(),
		fn: func(isa kernel.ISA, r *rows, lo, hi int) {
			for i := lo; i < hi; i++ {
				isa.Add(r.y[i*r.cols:][:r.cols], r.w[int(r.ids[i])*r.cols:][:r.cols], r.b[i%r.T*r.cols:][:r.cols])
			}
		}})
}

// scatter adds the rows of dx to the tables' rows, a band of columns a task.
type scatter struct {
	dwte, dwpe, dx []float32
	ids            []int32
	T, C, band     int
}

func (s *scatter) run(b *Backend, task int, _ []float32) {
	lo := task * s.band
	hi := min(lo+s.band, s.C)
	for i, id := range s.ids {
		dx := s.dx[i*s.C:][lo:hi]
		wte := s.dwte[int(id)*s.C:][lo:hi]
		b.isa.Add(wte, wte, dx)
		if s.dwpe != nil {
			wpe := s.dwpe[i%s.T*s.C:][lo:hi]
			b.isa.Add(wpe, wpe, dx)
		}
	}
}

// EmbedBackward adds the gradients of both tables, rows in ascending order.
func (b *Backend) EmbedBackward(dwte, dwpe, dx, ids tensor.Tensor) {
	C := dx.Cols()
	must(ids.Len() == dx.Rows() && dwte.Cols() == C && (!dwpe.Valid() || dwpe.Cols() == C && dwpe.Rows() >= ids.Cols()), "EmbedBackward", dwte, dwpe, dx, ids)
	b.scatter = scatter{dwte: b.f32(dwte), dwpe: b.f32(dwpe), dx: b.f32(dx), ids: b.i32(ids), T: ids.Cols(), C: C, band: b.band(C)}
	b.pool.run((C+b.scatter.band-1)/b.scatter.band, &b.scatter)
}

// copyRows copies rows from one matrix to another.
type copyRows struct {
	dst, src []float32
	pairs    []int32 // to, from
	cols     int
}

func (c *copyRows) run(_ *Backend, task int, _ []float32) {
	lo := 2 * task * rowsPerTask
	for p := c.pairs[lo:min(lo+2*rowsPerTask, len(c.pairs))]; len(p) > 0; p = p[2:] {
		copy(c.dst[int(p[0])*c.cols:][:c.cols], c.src[int(p[1])*c.cols:][:c.cols])
	}
}

// CopyRows copies the rows of src that pairs name to rows of dst.
func (b *Backend) CopyRows(dst, src, pairs tensor.Tensor) {
	must(dst.Cols() == src.Cols() && pairs.Cols() == 2, "CopyRows", dst, src, pairs)
	b.copies = copyRows{dst: b.f32(dst), src: b.f32(src), pairs: b.i32(pairs), cols: src.Cols()}
	b.pool.run((pairs.Rows()+rowsPerTask-1)/rowsPerTask, &b.copies)
}
