package cpu

import (
	"github.com/bdia-go/bdia/backend"
	"github.com/bdia-go/bdia/tensor"
)

// rowsPerTask is the number of rows in one task of an operation on rows.
const rowsPerTask = 16

// eachRow runs j over n rows, rowsPerTask to a task.
func (b *Backend) eachRow(n int, j job) { b.pool.run((n+rowsPerTask-1)/rowsPerTask, j) }

// rowsOf returns the rows of one task of an operation on n rows.
func rowsOf(task, n int) (lo, hi int) {
	lo = task * rowsPerTask
	return lo, min(lo+rowsPerTask, n)
}

// poolJob pools the rows of one sample a task, or spreads their gradient.
type poolJob struct {
	rows         []float32 // (B,T,C)
	mean         []float32 // (B,C)
	T, C, pooled int
	back         bool
}

func (j *poolJob) run(b *Backend, sample int, _ []float32) {
	rows, mean := j.rows[sample*j.T*j.C:][:j.T*j.C], j.mean[sample*j.C:][:j.C]
	share := 1 / float32(j.pooled)
	if j.back {
		for t := range j.pooled {
			b.isa.Scale(rows[t*j.C:][:j.C], mean, share)
		}
		clear(rows[j.pooled*j.C:])
		return
	}
	copy(mean, rows)
	for t := 1; t < j.pooled; t++ {
		b.isa.Add(mean, mean, rows[t*j.C:][:j.C])
	}
	b.isa.Scale(mean, mean, share)
}

// PoolRows writes the mean of the first pooled rows of each sample, added up in
// ascending order.
func (b *Backend) PoolRows(y, x tensor.Tensor, pooled int) { b.poolRows(x, y, pooled, false) }

// PoolRowsBackward spreads dy over the rows that were pooled.
func (b *Backend) PoolRowsBackward(dx, dy tensor.Tensor, pooled int) {
	b.poolRows(dx, dy, pooled, true)
}

func (b *Backend) poolRows(rows, mean tensor.Tensor, pooled int, back bool) {
	B, T, C := rows.Shape[0], rows.Shape[1], rows.Shape[2]
	must(mean.Len() == B*C && 0 < pooled && pooled <= T, "PoolRows", rows, mean)
	b.jobs.pool = poolJob{rows: b.f32(rows), mean: b.f32(mean), T: T, C: C, pooled: pooled, back: back}
	b.pool.run(B, &b.jobs.pool)
}

// crossEntropyJob is the loss of one row a task. A target is a class or the share of each.
type crossEntropyJob struct {
	losses, logits   []float32
	classes          []int32
	shares           []float32 // or nil
	V                int
	smoothing, scale float32
}

func (j *crossEntropyJob) run(b *Backend, i int, _ []float32) {
	row := j.logits[i*j.V:][:j.V]
	switch {
	case j.shares != nil:
		j.losses[i] = b.isa.SoftCrossEntropy(row, j.shares[i*j.V:][:j.V], j.scale)
	case j.classes[i] == backend.Ignore:
		j.losses[i] = 0
		clear(row)
	case j.smoothing > 0:
		j.losses[i] = b.isa.SmoothCrossEntropy(row, int(j.classes[i]), j.smoothing, j.scale)
	default:
		j.losses[i] = b.isa.CrossEntropy(row, int(j.classes[i]), j.scale)
	}
}

// CrossEntropy turns logits into gradients and writes the losses.
func (b *Backend) CrossEntropy(losses, logits, targets tensor.Tensor, smoothing, scale float32) {
	n := logits.Rows()
	j := &b.jobs.crossEntropy
	*j = crossEntropyJob{losses: b.f32(losses), logits: b.f32(logits), V: logits.Cols(), smoothing: smoothing, scale: scale}
	if targets.DType == tensor.F32 {
		must(losses.Len() == n && targets.Len() == logits.Len() && smoothing == 0, "CrossEntropy", losses, logits, targets)
		j.shares = b.f32(targets)
	} else {
		must(losses.Len() == n && targets.Len() == n, "CrossEntropy", losses, logits, targets)
		j.classes = b.i32(targets)
	}
	b.pool.run(n, j)
}

type embedJob struct {
	x        []float32
	wte, wpe elements
	ids      []int32
	T, C     int
}

func (j *embedJob) run(b *Backend, task int, scratch []float32) {
	lo, hi := rowsOf(task, len(j.ids))
	for i := lo; i < hi; i++ {
		x, at := j.x[i*j.C:][:j.C], int(j.ids[i])*j.C
		token := j.wte.get(b.isa, at, at+j.C, x)
		if j.wpe.none() {
			copy(x, token)
			continue
		}
		at = i % j.T * j.C
		for k := 0; k < j.C; k += chunkLen { // as much as scratch has space for
			end := min(k+chunkLen, j.C)
			b.isa.Add(x[k:end], token[k:end], j.wpe.get(b.isa, at+k, at+end, scratch))
		}
	}
}

// Embed writes x[b,t] = wte[ids[b,t]] + wpe[t], or without wpe the token alone.
func (b *Backend) Embed(x, ids, wte, wpe tensor.Tensor) {
	C := x.Cols()
	must(ids.Len() == x.Rows() && wte.Cols() == C && (!wpe.Valid() || wpe.Cols() == C && wpe.Rows() >= ids.Cols()), "Embed", x, ids, wte, wpe)
	b.jobs.embed = embedJob{x: b.f32(x), wte: b.elements(wte), wpe: b.elements(wpe), ids: b.i32(ids), T: ids.Cols(), C: C}
	b.eachRow(x.Rows(), &b.jobs.embed)
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
	b.jobs.scatter = scatter{dwte: b.f32(dwte), dwpe: b.f32(dwpe), dx: b.f32(dx), ids: b.i32(ids), T: ids.Cols(), C: C, band: b.band(C)}
	b.pool.run((C+b.jobs.scatter.band-1)/b.jobs.scatter.band, &b.jobs.scatter)
}

// copyRows copies rows from one matrix to another.
type copyRows struct {
	dst, src []byte
	pairs    []int32 // to, from
	cols     int     // bytes of a row
}

func (c *copyRows) run(_ *Backend, task int, _ []float32) {
	lo := 2 * task * rowsPerTask
	for p := c.pairs[lo:min(lo+2*rowsPerTask, len(c.pairs))]; len(p) > 0; p = p[2:] {
		copy(c.dst[int(p[0])*c.cols:][:c.cols], c.src[int(p[1])*c.cols:][:c.cols])
	}
}

// CopyRows copies the rows of src that pairs name to rows of dst.
func (b *Backend) CopyRows(dst, src, pairs tensor.Tensor) {
	must(dst.Cols() == src.Cols() && dst.DType == src.DType && pairs.Cols() == 2, "CopyRows", dst, src, pairs)
	b.jobs.copyRows = copyRows{dst: b.bytes(dst), src: b.bytes(src), pairs: b.i32(pairs), cols: src.Cols() * int(src.DType.Size())}
	b.pool.run((pairs.Rows()+rowsPerTask-1)/rowsPerTask, &b.jobs.copyRows)
}
