package nn

import (
	"runtime"
	"slices"
	"sync"

	"github.com/bdia-go/bdia/backend"
	"github.com/bdia-go/bdia/internal/pmath"
	"github.com/bdia-go/bdia/tensor"
)

// Rotation turns heads of queries and keys by the angles of their positions (see backend.Rotate). It needs memory for
// the positions in use only: a model for texts of 131,072 tokens that is trained on 2,048 has a table of 2,048 rows.
type Rotation struct {
	be     backend.Backend
	factor float32       // of cosines and sines
	usual  angles        // of all texts, or those of up to short positions
	table  tensor.Tensor // (T,D): of the pass at hand

	short  int                   // see Lengthen
	scaled func(T int) []float32 // nil: all texts turn alike
	long   struct {
		angles
		text int
	} // of texts of so many positions, the latest long ones
}

// angles are the rows of a table, of the most positions so far, by the angles a position of the D/2 pairs of a head.
type angles struct{ frequencies, known []float32 }

// NewRotation returns the rotation of heads of width D. Frequencies are D/2 angles a position; cosines and sines are
// multiplied by factor. Angle and product are float32, as other programs have them.
func NewRotation(be backend.Backend, frequencies []float32, factor float32) *Rotation {
	return &Rotation{be: be, usual: angles{frequencies: frequencies}, factor: factor}
}

// Lengthen has texts of T positions, more than short, turn by the frequencies that scaled returns for T.
func (r *Rotation) Lengthen(short int, scaled func(T int) []float32) {
	r.short, r.scaled = short, scaled
}

// Begin takes memory for the cosines and sines of T positions from the arena, by which blocks turn from now on, and
// returns it. The model calls it before each pass.
func (r *Rotation) Begin(T int) tensor.Tensor {
	a := &r.usual
	if r.scaled != nil && T > r.short {
		if a = &r.long.angles; r.long.text != T {
			r.long.text, a.frequencies, a.known = T, r.scaled(T), a.known[:0]
		}
	}
	D := 2 * len(a.frequencies)
	if have := len(a.known) / D; T > have {
		a.extend(have, max(T, 2*have), r.factor)
	}
	r.table = r.be.Alloc(backend.Data, tensor.F32, tensor.Shape{T, D})
	r.be.Upload(r.table, a.known[:T*D])
	return r.table
}

// Resume has blocks turn by what an earlier Begin returned: other passes may have come between.
func (r *Rotation) Resume(table tensor.Tensor) { r.table = table }

// extend makes known, of the positions below from, as long as to positions.
func (a *angles) extend(from, to int, factor float32) {
	D := 2 * len(a.frequencies)
	a.known = slices.Grow(a.known, to*D-len(a.known))[:to*D]
	share := (to-from)/runtime.GOMAXPROCS(0) + 1
	var working sync.WaitGroup
	for at := from; at < to; at += share {
		working.Go(func() {
			for t := at; t < min(at+share, to); t++ {
				a.at(a.known[t*D:][:D], t, factor)
			}
		})
	}
	working.Wait()
}

// at writes the cosines of position t, then the sines.
func (a *angles) at(row []float32, t int, factor float32) {
	for i, f := range a.frequencies {
		angle := float64(float32(t) * f)
		row[i] = float32(pmath.Cos(angle)) * factor
		row[len(a.frequencies)+i] = float32(pmath.Sin(angle)) * factor
	}
}

// turn turns heads of x (B,T,W), or back. The row at [b,t] stands at position t, or with counts at counts[b*T+t]-1. A
// nil Rotation turns nothing.
func (r *Rotation) turn(x, counts tensor.Tensor, h backend.Heads, back bool) {
	if r != nil {
		r.be.Rotate(x, r.table, counts, h, back)
	}
}

// Frequencies are the unscaled frequencies of heads of width D: theta^(-2i/D) for i below D/2, in float32.
func Frequencies(theta float64, D int) []float32 {
	f := make([]float32, D/2)
	for i := range f {
		f[i] = 1 / float32(pmath.Pow(theta, float64(float32(2*i)/float32(D))))
	}
	return f
}
