package convert

import (
	"fmt"
	"slices"
	"strings"

	"github.com/bdia-go/bdia/backend"
	"github.com/bdia-go/bdia/format/safetensors"
	"github.com/bdia-go/bdia/tensor"
)

// Mover moves tensors between files and a device in pieces, so that host memory
// does not grow with their size: its buffers are small, and pages of mapped files
// are released once read.
type Mover struct {
	be          backend.Backend
	piece, tile []float32
	codes       []byte
}

const (
	pieceLen = 1 << 20 // elements in a piece
	tileRows = 32      // rows of a file transposed at a time
)

// NewMover returns a mover to and from be.
func NewMover(be backend.Backend) *Mover { return &Mover{be: be} }

// Read fills dst with elements of the named tensor, starting with number from. If
// dst holds bytes (U8), f must be a safetensors.File; its bytes are copied as they
// are.
func (m *Mover) Read(dst tensor.Tensor, f Tensors, name string, from int) error {
	return eachPiece(dst, func(part tensor.Tensor, at int) error {
		first, last := from+at, from+at+part.Len()
		if file, ok := f.(*safetensors.File); ok && dst.DType == tensor.U8 {
			m.codes = slices.Grow(m.codes[:0], part.Len())[:part.Len()]
			if err := file.ReadBytes(name, m.codes, first); err != nil {
				return err
			}
			m.be.UploadBytes(part, m.codes)
			f.Forget(name, first, last)
			return nil
		}
		m.piece = resize(m.piece, part.Len())
		if err := f.ReadFloat32At(name, m.piece, first); err != nil {
			return err
		}
		m.be.Upload(part, m.piece)
		f.Forget(name, first, last)
		return nil
	})
}

// eachPiece calls do for each piece of t, with the number of its first element.
func eachPiece(t tensor.Tensor, do func(part tensor.Tensor, at int) error) error {
	for at, n := 0, t.Len(); at < n; at += pieceLen {
		if err := do(t.Slice(at, min(at+pieceLen, n)), at); err != nil {
			return err
		}
	}
	return nil
}

// ReadTransposed fills dst (rows,cols) with a tensor (cols,rows). It gathers whole
// rows of dst, since the device takes contiguous pieces.
func (m *Mover) ReadTransposed(dst tensor.Tensor, f Tensors, name string) error {
	rows, cols := dst.Rows(), dst.Cols()
	return eachBand(rows, cols, func(first, n int) error {
		m.piece = resize(m.piece, n*cols)
		forgotten := 0
		for c := 0; c < cols; c += tileRows {
			b := min(tileRows, cols-c)
			m.tile = resize(m.tile, b*n)
			for i := range b {
				if err := f.ReadFloat32At(name, m.tile[i*n:(i+1)*n], (c+i)*rows+first); err != nil {
					return err
				}
			}
			transpose(m.piece[c:], cols, m.tile, b, n)
			if read := (c + b) * rows; read-forgotten >= pieceLen || c+b == cols {
				f.Forget(name, forgotten, read)
				forgotten = read
			}
		}
		m.be.Upload(dst.RowRange(first, first+n), m.piece)
		return nil
	})
}

// eachBand calls do for bands of a matrix (rows,cols): rows first..first+n-1.
func eachBand(rows, cols int, do func(first, n int) error) error {
	n := max(1, pieceLen/max(cols, tileRows))
	for first := 0; first < rows; first += n {
		if err := do(first, min(n, rows-first)); err != nil {
			return err
		}
	}
	return nil
}

// Write writes src as the next tensor of w, bytes unchanged and numbers in the
// declared type.
func (m *Mover) Write(w *safetensors.Writer, name string, src tensor.Tensor) error {
	return eachPiece(src, func(part tensor.Tensor, _ int) error {
		if src.DType == tensor.U8 {
			m.codes = slices.Grow(m.codes[:0], part.Len())[:part.Len()]
			m.be.DownloadBytes(m.codes, part)
			return w.Append(name, m.codes)
		}
		m.piece = resize(m.piece, part.Len())
		m.be.Download(m.piece, part)
		return w.AppendFloat32(name, m.piece)
	})
}

// WriteTransposed writes src (rows,cols) as the next tensor of w, (cols,rows).
func (m *Mover) WriteTransposed(w *safetensors.Writer, name string, src tensor.Tensor) error {
	rows, cols := src.Rows(), src.Cols()
	return eachBand(cols, rows, func(first, n int) error {
		m.piece = resize(m.piece, n*rows)
		for r := 0; r < rows; r += tileRows {
			b := min(tileRows, rows-r)
			m.tile = resize(m.tile, b*n)
			for i := range b {
				at := (r+i)*cols + first
				m.be.Download(m.tile[i*n:(i+1)*n], src.Slice(at, at+n))
			}
			transpose(m.piece[r:], rows, m.tile, b, n)
		}
		return w.AppendFloat32(name, m.piece)
	})
}

func resize(s []float32, n int) []float32 {
	if cap(s) < n {
		return make([]float32, n)
	}
	return s[:n]
}

// transpose writes src (rows,cols), transposed, to dst (cols,rows) with row stride
// stride. It works in tiles that fit the cache.
func transpose(dst []float32, stride int, src []float32, rows, cols int) {
	const tile = 32
	for i0 := 0; i0 < rows; i0 += tile {
		for j0 := 0; j0 < cols; j0 += tile {
			for i := i0; i < min(i0+tile, rows); i++ {
				for j := j0; j < min(j0+tile, cols); j++ {
					dst[j*stride+i] = src[i*cols+j]
				}
			}
		}
	}
}

// fits returns an error if a tensor is missing, has another shape than want, or
// does not hold floats. hint describes the model.
func fits(f Tensors, name string, want []int, hint string) error {
	info, ok := f.Info(name)
	switch {
	case !ok:
		for _, other := range f.Names() {
			if strings.HasSuffix(other, "."+name) {
				return fmt.Errorf("convert: %w: tensor %s is missing, and there is %.120q; save the weights without this prefix", ErrMismatch, name, other)
			}
		}
		return fmt.Errorf("convert: %w: tensor %s is missing; is this %s?", ErrMismatch, name, hint)
	case !slices.Equal(info.Shape, want):
		return fmt.Errorf("convert: %w: tensor %s has shape %v, the configuration asks for %v", ErrMismatch, name, info.Shape, want)
	case !slices.Contains(floats, info.DType):
		return fmt.Errorf("convert: %w: tensor %s has elements of type %v; F32, F16, BF16 and F64 are read", ErrMismatch, name, info.DType)
	}
	return nil
}

// floats are the element types that can be read.
var floats = []safetensors.DType{safetensors.F32, safetensors.F16, safetensors.BF16, safetensors.F64}
