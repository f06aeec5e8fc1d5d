package safetensors

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"math"
	"slices"

	"github.com/bdia-go/bdia/internal/half"
	"github.com/bdia-go/bdia/internal/mmap"
)

// File is an open safetensors file, mapped into memory read-only where the
// system can. Its methods may be called from several goroutines, except Close.
type File struct {
	path   string
	header *Header
	byName map[string]int // index in header.Tensors
	data   []byte         // the whole file; nil once closed
	unmap  func() error
}

// Open checks the header of the file at path and maps the file. Errors of the
// format wrap ErrCorrupt. A file that is cut short in place while it is open is an
// error of the reading methods; the slices of Bytes then must not be read.
// Replacing it by a rename is safe.
func Open(path string) (*File, error) {
	data, unmap, err := mmap.Open(path)
	if err != nil {
		return nil, fmt.Errorf("safetensors: %s: %w", path, err)
	}
	h, err := parse(bytes.NewReader(data), int64(len(data)))
	if err != nil {
		unmap()
		return nil, fmt.Errorf("safetensors: %s: %w", path, err)
	}
	f := &File{path: path, header: h, data: data, unmap: unmap, byName: make(map[string]int, len(h.Tensors))}
	for i, t := range h.Tensors {
		f.byName[t.Name] = i
	}
	return f, nil
}

// Names lists the tensors in the order of their data.
func (f *File) Names() []string {
	names := make([]string, len(f.header.Tensors))
	for i, t := range f.header.Tensors {
		names[i] = t.Name
	}
	return names
}

// Info describes the named tensor, and reports whether the file has it.
func (f *File) Info(name string) (Info, bool) {
	i, ok := f.byName[name]
	if !ok {
		return Info{}, false
	}
	t := f.header.Tensors[i]
	t.Shape = slices.Clone(t.Shape)
	return t, true
}

// Metadata returns a copy of the header's __metadata__, or nil if it has none.
func (f *File) Metadata() map[string]string { return maps.Clone(f.header.Metadata) }

// Bytes returns the little-endian elements of a tensor, row-major, without a
// copy: the slice must not be written, and reading it after Close is a fault.
// It need not be aligned to the element size. The error says that no such
// tensor exists (fs.ErrNotExist) or that the file is closed (fs.ErrClosed).
func (f *File) Bytes(name string) ([]byte, error) {
	_, b, err := f.tensor(name)
	return b, err
}

func (f *File) tensor(name string) (Info, []byte, error) {
	i, ok := f.byName[name]
	if !ok {
		return Info{}, nil, fmt.Errorf("safetensors: %s: tensor %.80q: %w", f.path, name, fs.ErrNotExist)
	}
	if f.data == nil {
		return Info{}, nil, fmt.Errorf("safetensors: %s: tensor %.80q: %w", f.path, name, fs.ErrClosed)
	}
	t := f.header.Tensors[i]
	start := f.header.DataStart + t.Offset
	return t, f.data[start : start+t.Size : start+t.Size], nil
}

// ReadFloat32 fills dst with the elements of an F32, F16, BF16 or F64 tensor,
// row-major. F32, F16 and BF16 are exact; F64 is rounded to nearest, and a
// finite value beyond float32's range is an error. dst must have exactly the
// tensor's number of elements.
func (f *File) ReadFloat32(name string, dst []float32) error {
	t, _, err := f.tensor(name)
	if err != nil {
		return err
	}
	if n := t.Elems(); n != len(dst) {
		return fmt.Errorf("safetensors: %s: tensor %.80q: shape %v has %d elements, want %d", f.path, name, t.Shape, n, len(dst))
	}
	return f.ReadFloat32At(name, dst, 0)
}

// ReadFloat32At is ReadFloat32 for part of a tensor: it reads len(dst) elements,
// starting with number from.
func (f *File) ReadFloat32At(name string, dst []float32, from int) (err error) {
	t, src, err := f.tensor(name)
	if err != nil {
		return err
	}
	defer func() { err = f.named(name, err) }()
	defer mmap.Lost(mmap.Reading(), &err)
	if n := t.Elems(); from < 0 || from > n || len(dst) > n-from {
		return fmt.Errorf("safetensors: %s: tensor %.80q: shape %v has %d elements, want %d from %d on", f.path, name, t.Shape, n, len(dst), from)
	}
	src = src[from*t.DType.Size():]
	switch t.DType {
	case F32:
		for i := range dst {
			dst[i] = math.Float32frombits(binary.LittleEndian.Uint32(src[4*i:]))
		}
	case BF16:
		for i := range dst {
			dst[i] = half.BToFloat(binary.LittleEndian.Uint16(src[2*i:]))
		}
	case F16:
		for i := range dst {
			dst[i] = half.ToFloat(binary.LittleEndian.Uint16(src[2*i:]))
		}
	case F64:
		for i := range dst {
			v := math.Float64frombits(binary.LittleEndian.Uint64(src[8*i:]))
			dst[i] = float32(v)
			if math.IsInf(float64(dst[i]), 0) && !math.IsInf(v, 0) {
				return fmt.Errorf("safetensors: %s: tensor %.80q: element %d, %g, is beyond float32", f.path, name, from+i, v)
			}
		}
	default:
		return fmt.Errorf("safetensors: %s: tensor %.80q: %v is not a float type this can read (F32, F16, BF16, F64)", f.path, name, t.DType)
	}
	return nil
}

// ReadBytes fills dst with bytes of a tensor, as they are in the file, starting with byte from.
func (f *File) ReadBytes(name string, dst []byte, from int) (err error) {
	_, src, err := f.tensor(name)
	if err != nil {
		return err
	}
	if from < 0 || from > len(src) || len(dst) > len(src)-from {
		return fmt.Errorf("safetensors: %s: tensor %.80q: it has %d bytes, want %d from %d on", f.path, name, len(src), len(dst), from)
	}
	defer func() { err = f.named(name, err) }()
	defer mmap.Lost(mmap.Reading(), &err)
	copy(dst, src[from:])
	return nil
}

// named gives an error of the map its place.
func (f *File) named(name string, err error) error {
	if errors.Is(err, mmap.ErrLost) {
		return fmt.Errorf("safetensors: %s: tensor %.80q: %w", f.path, name, err)
	}
	return err
}

// Forget releases the memory of elements from..to-1 of a tensor, which the
// caller has finished with. They can still be read again.
func (f *File) Forget(name string, from, to int) {
	t, b, err := f.tensor(name)
	if err != nil || from < 0 || to > t.Elems() || from >= to {
		return
	}
	start, size := int(f.header.DataStart+t.Offset), t.DType.Size()
	mmap.Forget(f.data[:start+len(b)], start+from*size, start+to*size)
}

// Close unmaps the file. Slices that Bytes returned become invalid. A second
// Close does nothing.
func (f *File) Close() error {
	if f.data == nil {
		return nil
	}
	f.data = nil
	if err := f.unmap(); err != nil {
		return fmt.Errorf("safetensors: %s: unmap: %w", f.path, err)
	}
	return nil
}
