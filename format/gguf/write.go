package gguf

import (
	"bufio"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"math"
	"reflect"
	"slices"
	"unicode/utf8"
)

// Writer writes a GGUF file front to back, each tensor in one or more pieces.
// After an error every further call returns that error.
type Writer struct {
	w       *bufio.Writer
	infos   []Info
	next    int   // index of the tensor that is written
	written int64 // bytes of it written so far
	buf     []byte
	err     error
}

// NewWriter checks keys and infos (Name, Type and Shape; NewWriter computes
// Offset and Size) and writes the header in the given order. The same arguments
// give the same bytes. The caller closes w after Close.
func NewWriter(w io.Writer, keys []KV, infos []Info) (*Writer, error) {
	placed, err := place(infos)
	if err != nil {
		return nil, fmt.Errorf("gguf: %w", err)
	}
	b, err := appendHeader(nil, keys, placed)
	if err != nil {
		return nil, fmt.Errorf("gguf: %w", err)
	}
	gw := &Writer{w: bufio.NewWriterSize(w, 1<<16), infos: placed}
	if _, err := gw.w.Write(b); err != nil {
		return nil, fmt.Errorf("gguf: write header: %w", err)
	}
	return gw, nil
}

// place copies infos and gives each tensor its byte range.
func place(infos []Info) ([]Info, error) {
	placed := slices.Clone(infos)
	seen := make(map[string]bool, len(infos))
	end := int64(0)
	for i := range placed {
		t := &placed[i]
		if t.Name == "" || len(t.Name) > maxName || !utf8.ValidString(t.Name) {
			return nil, fmt.Errorf("tensor %.64q: a name has 1 to %d bytes of UTF-8", t.Name, maxName)
		}
		if seen[t.Name] {
			return nil, fmt.Errorf("tensor %q: declared twice", t.Name)
		}
		seen[t.Name] = true
		size, err := t.check()
		if err != nil {
			return nil, fmt.Errorf("tensor %q: %w", t.Name, err)
		}
		if end > math.MaxInt64/2-size {
			return nil, fmt.Errorf("tensor %q: the file is too large", t.Name)
		}
		t.Offset, t.Size = end, size
		end = pad(end+size, defaultAlignment)
	}
	if len(infos) > maxTensors {
		return nil, fmt.Errorf("%d tensors, at most %d", len(infos), maxTensors)
	}
	return placed, nil
}

// appendHeader appends everything before the data, with the padding.
func appendHeader(b []byte, keys []KV, infos []Info) ([]byte, error) {
	le := binary.LittleEndian
	b = le.AppendUint32(append(b, magic...), 3)
	b = le.AppendUint64(le.AppendUint64(b, uint64(len(infos))), uint64(len(keys)))
	seen := make(map[string]bool, len(keys))
	for _, kv := range keys {
		switch {
		case kv.Key == "" || len(kv.Key) > maxKey || !utf8.ValidString(kv.Key):
			return nil, fmt.Errorf("key %.64q: a key has 1 to %d bytes of UTF-8", kv.Key, maxKey)
		case seen[kv.Key]:
			return nil, fmt.Errorf("key %q: given twice", kv.Key)
		case kv.Key == alignmentKey:
			return nil, fmt.Errorf("key %q: the alignment is always %d", kv.Key, defaultAlignment)
		}
		seen[kv.Key] = true
		var err error
		if b, err = appendValue(appendText(b, kv.Key), kv.Value); err != nil {
			return nil, fmt.Errorf("key %q: %w", kv.Key, err)
		}
	}
	for _, t := range infos {
		b = le.AppendUint32(appendText(b, t.Name), uint32(len(t.Shape)))
		for _, d := range slices.Backward(t.Shape) {
			b = le.AppendUint64(b, uint64(d))
		}
		b = le.AppendUint64(le.AppendUint32(b, uint32(t.Type)), uint64(t.Offset))
	}
	if len(b) > maxHeader || len(keys) > maxKeys {
		return nil, fmt.Errorf("header of %d keys and %d bytes, at most %d and %d", len(keys), len(b), maxKeys, maxHeader)
	}
	return append(b, make([]byte, pad(int64(len(b)), defaultAlignment)-int64(len(b)))...), nil
}

func appendText(b []byte, s string) []byte {
	return append(binary.LittleEndian.AppendUint64(b, uint64(len(s))), s...)
}

// kinds maps Go's kinds to the file's.
var kinds = map[reflect.Kind]kind{
	reflect.Uint8: kindU8, reflect.Int8: kindI8, reflect.Uint16: kindU16, reflect.Int16: kindI16, reflect.Uint32: kindU32, reflect.Int32: kindI32,
	reflect.Float32: kindF32, reflect.Bool: kindBool, reflect.String: kindString, reflect.Uint64: kindU64, reflect.Int64: kindI64, reflect.Float64: kindF64,
}

// appendValue appends the kind and the bytes of a value.
func appendValue(b []byte, v any) ([]byte, error) {
	le := binary.LittleEndian
	r := reflect.ValueOf(v)
	of := r.Kind()
	if of == reflect.Slice {
		of = r.Type().Elem().Kind()
		b = le.AppendUint32(b, uint32(kindArray))
	}
	k, ok := kinds[of]
	if !ok {
		return nil, fmt.Errorf("the format has no values of type %T", v)
	}
	b = le.AppendUint32(b, uint32(k))
	if r.Kind() == reflect.Slice {
		b = le.AppendUint64(b, uint64(r.Len()))
	}
	switch v := v.(type) {
	case string:
		return appendText(b, v), nil
	case []string:
		for _, s := range v {
			b = appendText(b, s)
		}
		return b, nil
	}
	return binary.Append(b, le, v)
}

// Write encodes the next elements of a tensor in the tensor's type. Tensors must
// come in the declared order, and a piece must be whole groups of the type.
func (w *Writer) Write(name string, piece []float32) error {
	if w.err != nil {
		return w.err
	}
	if w.next == len(w.infos) {
		return w.fail(name, errors.New("all declared tensors are written"))
	}
	t := w.infos[w.next]
	elems, bytes := t.Type.block()
	switch {
	case t.Name != name:
		return w.fail(name, fmt.Errorf("out of order, %q is next", t.Name))
	case len(piece)%elems != 0:
		return w.fail(name, fmt.Errorf("a piece of %d elements is not whole groups of %d", len(piece), elems))
	case int64(len(piece)/elems) > (t.Size-w.written)/int64(bytes):
		return w.fail(name, fmt.Errorf("more than the elements of %v%v", t.Type, t.Shape))
	}
	const chunk = 1 << 13 // a multiple of every group
	for from := 0; from < len(piece); from += chunk {
		var bad int
		if w.buf, bad = encode(w.buf[:0], t.Type, piece[from:min(from+chunk, len(piece))]); bad >= 0 {
			at := w.written/int64(bytes)*int64(elems) + int64(bad)
			return w.fail(name, fmt.Errorf("element %d, %g, is not a finite number as %v; store the tensor as F32", at, piece[from+bad], t.Type))
		}
		if _, err := w.w.Write(w.buf); err != nil {
			return w.fail(name, err)
		}
		w.written += int64(len(w.buf))
	}
	if w.written < t.Size {
		return nil
	}
	w.next, w.written = w.next+1, 0
	if w.next < len(w.infos) {
		gap := w.infos[w.next].Offset - t.Offset - t.Size
		if _, err := w.w.Write(make([]byte, gap)); err != nil {
			return w.fail(name, err)
		}
	}
	return nil
}

func (w *Writer) fail(name string, err error) error {
	w.err = fmt.Errorf("gguf: write tensor %q: %w", name, err)
	return w.err
}

// Close pads and flushes the file, and fails if a declared tensor was not written
// whole. It does not close the underlying writer.
func (w *Writer) Close() error {
	if w.err != nil {
		return w.err
	}
	if w.next < len(w.infos) {
		return w.fail(w.infos[w.next].Name, errors.New("declared but not written whole"))
	}
	if n := len(w.infos); n > 0 {
		size := w.infos[n-1].Size
		w.w.Write(make([]byte, pad(size, defaultAlignment)-size)) // Flush returns its error
	}
	if err := w.w.Flush(); err != nil {
		w.err = fmt.Errorf("gguf: flush: %w", err)
		return w.err
	}
	w.err = errors.New("gguf: the writer is closed")
	return nil
}
