package safetensors

import (
	"bufio"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"
	"unicode/utf8"

	"github.com/bdia-go/bdia/internal/half"
)

// Writer writes a safetensors file front to back, one tensor, or a part of one, at
// a time. After an error every further call returns that error.
type Writer struct {
	w     *bufio.Writer
	infos []Info
	next  int   // index of the current tensor
	done  int64 // bytes of it written so far
	buf   []byte
	err   error
}

// NewWriter checks infos (Name, DType and Shape; NewWriter computes Offset and
// Size) and writes the header, with tensors in the given order and metadata keys
// sorted. The same arguments give the same bytes. Other readers want each tensor
// aligned to its element size: declare wider types first. The caller closes w
// after Close.
func NewWriter(w io.Writer, infos []Info, meta map[string]string) (*Writer, error) {
	placed, err := place(infos)
	if err != nil {
		return nil, fmt.Errorf("safetensors: %w", err)
	}
	header, err := encodeHeader(placed, meta)
	if err != nil {
		return nil, fmt.Errorf("safetensors: %w", err)
	}
	sw := &Writer{w: bufio.NewWriterSize(w, 1<<16), infos: placed}
	if _, err := sw.w.Write(header); err != nil {
		return nil, fmt.Errorf("safetensors: write header: %w", err)
	}
	return sw, nil
}

// place copies infos and gives each tensor its byte range.
func place(infos []Info) ([]Info, error) {
	placed := make([]Info, len(infos))
	seen := make(map[string]bool, len(infos))
	end := int64(0)
	for i, t := range infos {
		if t.Name == metadataKey || !utf8.ValidString(t.Name) || len(t.Name) > maxName {
			return nil, fmt.Errorf("tensor %.64q: the name is not allowed", t.Name)
		}
		if seen[t.Name] {
			return nil, fmt.Errorf("tensor %q: declared twice", t.Name)
		}
		seen[t.Name] = true
		if len(t.Shape) > maxRank {
			return nil, fmt.Errorf("tensor %q: %d dimensions, at most %d", t.Name, len(t.Shape), maxRank)
		}
		size, err := t.byteSize()
		if err != nil {
			return nil, fmt.Errorf("tensor %q: %w", t.Name, err)
		}
		if end > math.MaxInt-size {
			return nil, fmt.Errorf("tensor %q: the file is too large", t.Name)
		}
		if end%int64(t.DType.Size()) != 0 {
			return nil, fmt.Errorf("tensor %q: %v would be unaligned at byte %d; declare wider types first", t.Name, t.DType, end)
		}
		t.Offset, t.Size = end, size
		end += size
		placed[i] = t
	}
	return placed, nil
}

// encodeHeader returns the length and the JSON, padded with spaces so that the
// data begins at a multiple of 8.
func encodeHeader(infos []Info, meta map[string]string) ([]byte, error) {
	b := append(make([]byte, 8, 1024), '{')
	if len(meta) > 0 {
		for k, v := range meta {
			if !utf8.ValidString(k) || !utf8.ValidString(v) || len(k) > maxName {
				return nil, fmt.Errorf("metadata key %.64q: too long or not UTF-8", k)
			}
		}
		text, err := json.Marshal(meta) // sorts the keys
		if err != nil {
			return nil, err
		}
		b = append(b, `"`+metadataKey+`":`...)
		b = append(b, text...)
	}
	for _, t := range infos {
		if b[len(b)-1] != '{' {
			b = append(b, ',')
		}
		name, err := json.Marshal(t.Name)
		if err != nil {
			return nil, err
		}
		shape, err := json.Marshal(append([]int{}, t.Shape...))
		if err != nil {
			return nil, err
		}
		b = append(b, name...)
		b = fmt.Appendf(b, `:{"dtype":%q,"shape":%s,"data_offsets":[%d,%d]}`, t.DType, shape, t.Offset, t.Offset+t.Size)
	}
	b = append(b, '}')
	for len(b)%8 != 0 {
		b = append(b, ' ')
	}
	if len(b)-8 > maxHeader {
		return nil, fmt.Errorf("header of %d bytes is over the limit of %d", len(b)-8, maxHeader)
	}
	binary.LittleEndian.PutUint64(b, uint64(len(b)-8))
	return b, nil
}

// Write writes a whole tensor as little-endian bytes. Tensors must come in the
// declared order, and data must have exactly the tensor's size.
func (w *Writer) Write(name string, data []byte) error {
	if err := w.begin(name, int64(len(data)), true); err != nil {
		return err
	}
	return w.put(name, data)
}

// Append writes the next part of a tensor as little-endian bytes. The tensor is
// complete with its last byte.
func (w *Writer) Append(name string, data []byte) error {
	if err := w.begin(name, int64(len(data)), false); err != nil {
		return err
	}
	return w.put(name, data)
}

// WriteFloat32 is Write for an F32, F16 or BF16 tensor given as numbers, which
// are rounded to nearest, ties to even. A finite number beyond the range of the
// type is an error.
func (w *Writer) WriteFloat32(name string, src []float32) error {
	return w.floats(name, src, true)
}

// AppendFloat32 is Append for numbers, which are rounded as by WriteFloat32.
func (w *Writer) AppendFloat32(name string, src []float32) error {
	return w.floats(name, src, false)
}

func (w *Writer) floats(name string, src []float32, whole bool) error {
	d := F32
	if w.err == nil && w.next < len(w.infos) {
		d = w.infos[w.next].DType
	}
	if d != F32 && d != F16 && d != BF16 {
		return w.fail(name, fmt.Errorf("declared %v, not a float type this can write (F32, F16, BF16)", d))
	}
	if err := w.begin(name, int64(d.Size()*len(src)), whole); err != nil {
		return err
	}
	const chunk = 8192
	for {
		n := min(len(src), chunk)
		w.buf = w.buf[:0]
		for _, v := range src[:n] {
			if d == F32 {
				w.buf = binary.LittleEndian.AppendUint32(w.buf, math.Float32bits(v))
				continue
			}
			h := narrow(d, v)
			if infinite(d, h) && !math.IsInf(float64(v), 0) {
				return w.fail(name, fmt.Errorf("%g is beyond the range of %v; use F32", v, d))
			}
			w.buf = binary.LittleEndian.AppendUint16(w.buf, h)
		}
		if err := w.put(name, w.buf); err != nil {
			return err
		}
		if src = src[n:]; len(src) == 0 {
			return nil
		}
	}
}

// narrow rounds v to one of the types of 16 bits; infinite then reports overflow.
func narrow(d DType, v float32) uint16 {
	if d == F16 {
		return half.FromFloat(v)
	}
	return half.BFromFloat(v)
}

func infinite(d DType, h uint16) bool {
	if d == F16 {
		return half.IsInf(h)
	}
	return half.BIsInf(h)
}

// begin checks that tensor name is next and that size bytes fit in the part of it
// not yet written; with whole they must fill it.
func (w *Writer) begin(name string, size int64, whole bool) error {
	if w.err != nil {
		return w.err
	}
	if w.next == len(w.infos) {
		return w.fail(name, errors.New("all declared tensors are written"))
	}
	t := w.infos[w.next]
	if t.Name != name {
		return w.fail(name, fmt.Errorf("out of order, %q is next", t.Name))
	}
	if whole && w.done+size != t.Size || w.done+size > t.Size {
		return w.fail(name, fmt.Errorf("got %d bytes, %v%v needs %d", w.done+size, t.DType, t.Shape, t.Size))
	}
	return nil
}

// put writes bytes of the current tensor.
func (w *Writer) put(name string, data []byte) error {
	if _, err := w.w.Write(data); err != nil {
		return w.fail(name, err)
	}
	if w.done += int64(len(data)); w.done == w.infos[w.next].Size {
		w.next, w.done = w.next+1, 0
	}
	return nil
}

func (w *Writer) fail(name string, err error) error {
	w.err = fmt.Errorf("safetensors: write tensor %q: %w", name, err)
	return w.err
}

// Close flushes the file, and fails if a declared tensor was not written. It
// does not close the underlying writer.
func (w *Writer) Close() error {
	if w.err != nil {
		return w.err
	}
	if w.next < len(w.infos) {
		return w.fail(w.infos[w.next].Name, errors.New("declared but not written"))
	}
	if err := w.w.Flush(); err != nil {
		w.err = fmt.Errorf("safetensors: flush: %w", err)
		return w.err
	}
	w.err = errors.New("safetensors: the writer is closed")
	return nil
}
