package gguf

import (
	"errors"
	"fmt"
	"io/fs"
	"slices"

	"github.com/bdia-go/bdia/internal/mmap"
)

// File is an open GGUF file, mapped into memory read-only where the system can:
// a tensor is read only when asked for. Its methods may be called from several
// goroutines, except Close.
type File struct {
	path   string
	header *header
	keys   map[string]int // index in header.keys
	byName map[string]int // index in header.tensors
	data   []byte         // the whole file; nil once closed
	unmap  func() error
}

// Open checks the header of the file at path and maps the file. Errors of the
// format wrap ErrCorrupt or ErrUnsupported. The file must not be cut short in
// place while it is open; replacing it by a rename is safe.
func Open(path string) (*File, error) {
	data, unmap, err := mmap.Open(path)
	if err != nil {
		return nil, fmt.Errorf("gguf: %s: %w", path, err)
	}
	h, err := parse(data)
	if err != nil {
		unmap()
		return nil, fmt.Errorf("gguf: %s: %w", path, err)
	}
	f := &File{path: path, header: h, data: data, unmap: unmap, keys: make(map[string]int, len(h.keys)), byName: make(map[string]int, len(h.tensors))}
	for i, kv := range h.keys {
		f.keys[kv.Key] = i
	}
	for i, t := range h.tensors {
		f.byName[t.Name] = i
	}
	return f, nil
}

// Keys lists the keys in the order of the file.
func (f *File) Keys() []string {
	keys := make([]string, len(f.header.keys))
	for i, kv := range f.header.keys {
		keys[i] = kv.Key
	}
	return keys
}

// Value returns the value of a key, and whether the file has the key. The types
// are listed at KV. A slice must not be changed.
func (f *File) Value(key string) (any, bool) {
	i, ok := f.keys[key]
	if !ok {
		return nil, false
	}
	return f.header.keys[i].Value, true
}

// Names lists the tensors in the order of their data.
func (f *File) Names() []string {
	names := make([]string, len(f.header.tensors))
	for i, t := range f.header.tensors {
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
	t := f.header.tensors[i]
	t.Shape = slices.Clone(t.Shape)
	return t, true
}

// ReadFloat32 fills dst with elements of a tensor, row-major, starting with
// number from, which must be the first of a group. Every type is exact in
// float32, except that Q8_0 rounds each product once. The error says that no
// such tensor exists (fs.ErrNotExist), that it has fewer elements, or that the
// file is closed (fs.ErrClosed).
func (f *File) ReadFloat32(name string, from int, dst []float32) (err error) {
	i, ok := f.byName[name]
	if !ok {
		return fmt.Errorf("gguf: %s: tensor %q: %w", f.path, name, fs.ErrNotExist)
	}
	if f.data == nil {
		return fmt.Errorf("gguf: %s: tensor %q: %w", f.path, name, fs.ErrClosed)
	}
	t := f.header.tensors[i]
	elems, bytes := t.Type.block()
	if from < 0 || from > t.Elems()-len(dst) || from%elems != 0 {
		return fmt.Errorf("gguf: %s: tensor %q: elements %d to %d wanted of %v%v", f.path, name, from, from+len(dst), t.Type, t.Shape)
	}
	defer func() {
		if errors.Is(err, mmap.ErrLost) {
			err = fmt.Errorf("gguf: %s: tensor %q: %w", f.path, name, err)
		}
	}()
	defer mmap.Lost(mmap.Reading(), &err)
	start := f.header.dataStart + t.Offset
	decode(dst, t.Type, f.data[start : start+t.Size][from/elems*bytes:])
	return nil
}

// Forget releases the memory of elements from..to-1 of a tensor, which the caller has finished with. They can still be
// read again.
func (f *File) Forget(name string, from, to int) {
	i, ok := f.byName[name]
	if !ok || f.data == nil {
		return
	}
	t := f.header.tensors[i]
	if elems, bytes := t.Type.block(); from >= 0 && to <= t.Elems() {
		start := int(f.header.dataStart + t.Offset)
		mmap.Forget(f.data, start+from/elems*bytes, start+to/elems*bytes)
	}
}

// Close unmaps the file. A second Close does nothing.
func (f *File) Close() error {
	if f.data == nil {
		return nil
	}
	f.data = nil
	if err := f.unmap(); err != nil {
		return fmt.Errorf("gguf: %s: unmap: %w", f.path, err)
	}
	return nil
}
