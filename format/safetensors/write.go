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
)

// Writer writes a safetensors file front to back, one tensor at a time. After
// an error every further call returns that error.
type Writer struct {
	w     *bufio.Writer
	infos []Info
	next  int // index of the tensor to come
	buf   []byte
	err   error
}

// NewWriter checks infos (Name, DType and Shape; Offset and Size are worked
// out here) and writes the header, tensors in the given order and metadata
// keys sorted, so that the same arguments give the same bytes. Other readers
// want each tensor aligned to its element size: declare wider types first.
// The caller closes w after Close.
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

// Write writes the whole tensor, which must be the next in declared order, as
// little-endian bytes. data must have exactly its size.
func (w *Writer) Write(name string, data []byte) error {
	if err := w.begin(name, int64(len(data))); err != nil {
		return err
	}
	if _, err := w.w.Write(data); err != nil {
		return w.fail(name, err)
	}
	w.next++
	return nil
}

// WriteFloat32 is Write for an F32 tensor given as numbers.
func (w *Writer) WriteFloat32(name string, src []float32) error {
	if err := w.begin(name, 4*int64(len(src))); err != nil {
		return err
	}
	if d := w.infos[w.next].DType; d != F32 {
		return w.fail(name, fmt.Errorf("declared %v, not F32", d))
	}
	const chunk = 8192
	for len(src) > 0 {
		n := min(len(src), chunk)
		w.buf = w.buf[:0]
		for _, v := range src[:n] {
			w.buf = binary.LittleEndian.AppendUint32(w.buf, math.Float32bits(v))
		}
		if _, err := w.w.Write(w.buf); err != nil {
			return w.fail(name, err)
		}
		src = src[n:]
	}
	w.next++
	return nil
}

// begin checks that name is due and that size is its size.
func (w *Writer) begin(name string, size int64) error {
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
	if t.Size != size {
		return w.fail(name, fmt.Errorf("got %d bytes, %v%v needs %d", size, t.DType, t.Shape, t.Size))
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
