//go:build !unix

package safetensors

import (
	"io"
	"os"
)

// mapFile reads the first size bytes, for systems without mmap.
func mapFile(f *os.File, size int) ([]byte, func([]byte) error, error) {
	data := make([]byte, size)
	_, err := io.ReadFull(io.NewSectionReader(f, 0, int64(size)), data)
	return data, func([]byte) error { return nil }, err
}
