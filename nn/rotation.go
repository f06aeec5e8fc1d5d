package nn

import (
	"runtime"
	"sync"

	"github.com/bdia-go/bdia/backend"
	"github.com/bdia-go/bdia/internal/pmath"
	"github.com/bdia-go/bdia/tensor"
)

// NewRotation allocates the table (positions,D) by which backend.Rotate turns heads of width D: in row t the cosines of
// the angles t*frequencies[i], then their sines, all times factor. Frequencies are D/2 angles a position. Angle and
// product are float32, as other programs have them.
func NewRotation(be backend.Backend, frequencies []float32, positions int, factor float32) tensor.Tensor {
	half := len(frequencies)
	table := be.Alloc(backend.Weights, tensor.F32, tensor.Shape{positions, 2 * half})
	rows := max(1, pieceLen/(2*half))
	host := make([]float32, min(rows, positions)*2*half)
	for first := 0; first < positions; first += rows {
		n := min(rows, positions-first)
		share := n/runtime.GOMAXPROCS(0) + 1
		var working sync.WaitGroup
		for from := 0; from < n; from += share {
			working.Go(func() {
				for t := from; t < min(from+share, n); t++ {
					angles(host[t*2*half:][:2*half], frequencies, first+t, factor)
				}
			})
		}
		working.Wait()
		be.Upload(table.RowRange(first, first+n), host[:n*2*half])
	}
	return table
}

// angles writes the cosines and the sines of position t.
func angles(row, frequencies []float32, t int, factor float32) {
	for i, f := range frequencies {
		angle := float64(float32(t) * f)
		row[i] = float32(pmath.Cos(angle)) * factor
		row[len(frequencies)+i] = float32(pmath.Sin(angle)) * factor
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
