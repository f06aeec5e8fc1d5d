package onnx

import (
	"errors"
	"fmt"
	"path/filepath"
	"strings"

	"github.com/bdia-go/bdia/internal/mmap"
)

// File is an open model, mapped into memory read-only where the system can. The
// data of its tensors are slices of that memory and invalid after Close.
type File struct {
	Model
	unmap []func() error
}

// maxFiles is the largest number of data files of one model.
const maxFiles = 64

// Open reads the graph of the model at path and maps its tensors. Errors of the
// format wrap ErrCorrupt or ErrUnsupported. The files must not be cut short in
// place while they are open; replacing them by a rename is safe.
func Open(path string) (*File, error) {
	f := &File{}
	data, err := f.open(path)
	if err != nil {
		return nil, fmt.Errorf("onnx: %s: %w", path, err)
	}
	files := map[string][]byte{}
	p := &parser{items: maxItems, data: func(location string, offset, length int64) ([]byte, error) {
		b, ok := files[location]
		if !ok {
			// Only a file in the model's own folder, never one outside it.
			if location == "" || strings.ContainsAny(location, `/\:`) || !filepath.IsLocal(location) || len(files) == maxFiles {
				return nil, corrupt("its data are in %.64q, not in a file beside the model", location)
			}
			var err error
			if b, err = f.open(filepath.Join(filepath.Dir(path), location)); err != nil {
				return nil, fmt.Errorf("data in %s: %w", location, err)
			}
			files[location] = b
		}
		if offset > int64(len(b)) || length > int64(len(b))-offset {
			return nil, corrupt("%d bytes at byte %d of %s, which has %d: fetch the file again", length, offset, location, len(b))
		}
		return b[offset : offset+length], nil
	}}
	m, err := p.model(data)
	if err != nil {
		return nil, errors.Join(fmt.Errorf("onnx: %s: %w", path, err), f.Close())
	}
	f.Model = *m
	return f, nil
}

// open maps a file.
func (f *File) open(path string) ([]byte, error) {
	b, unmap, err := mmap.Open(path)
	if err != nil {
		return nil, err
	}
	f.unmap = append(f.unmap, unmap)
	if len(b) == 0 {
		return nil, corrupt("the file is empty")
	}
	return b, nil
}

// Close unmaps the files. A second Close does nothing.
func (f *File) Close() (err error) {
	for _, unmap := range f.unmap {
		err = errors.Join(err, unmap())
	}
	f.unmap, f.Tensors = nil, nil
	return err
}
