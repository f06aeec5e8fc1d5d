package idfile

import (
	"encoding/binary"
	"fmt"
	"hash/crc32"
	"strings"

	"github.com/bdia-go/bdia/internal/atomicfile"
)

// bufferBytes is the size of a Writer's buffer.
const bufferBytes = 64 << 10

// Prepare makes the folder dir for the files of the set name. It removes the files
// of interrupted writers with names that match pattern (see path.Match).
func Prepare(dir, name, pattern string) error {
	if name == "" || strings.HasPrefix(name, ".") || strings.ContainsAny(name, `/\*?[`) {
		return fmt.Errorf("set name %q: give a plain file name such as \"train\"", name)
	}
	if err := atomicfile.MkdirAll(dir); err != nil {
		return fmt.Errorf("create a set: %w", err)
	}
	if err := atomicfile.Clean(dir, pattern); err != nil {
		return fmt.Errorf("remove what an interrupted writer left in %s: %w", dir, err)
	}
	return nil
}

// Writer writes one file, which gets its name in Commit. It has a small buffer
// until Close. After an error call Abort.
type Writer struct {
	file  *atomicfile.File
	width int
	sum   uint32
	buf   []byte
}

// Create starts the file at path, of ids of width bytes, and leaves space for its
// header. Defer Abort, which removes the file unless it was committed.
func Create(path string, width int) (*Writer, error) {
	f, err := atomicfile.Create(path)
	if err != nil {
		return nil, err
	}
	if _, err := f.Write(make([]byte, HeaderSize)); err != nil {
		f.Abort()
		return nil, err
	}
	return &Writer{file: f, width: width, buf: make([]byte, 0, bufferBytes)}, nil
}

// Add appends ids, which the caller has checked.
func (w *Writer) Add(ids []int32) error {
	for len(ids) > 0 {
		n := min(len(ids), (cap(w.buf)-len(w.buf))/w.width)
		for _, id := range ids[:n] {
			if w.width == 2 {
				w.buf = binary.LittleEndian.AppendUint16(w.buf, uint16(id))
			} else {
				w.buf = binary.LittleEndian.AppendUint32(w.buf, uint32(id))
			}
		}
		if ids = ids[n:]; len(ids) > 0 {
			if err := w.flush(); err != nil {
				return err
			}
		}
	}
	return nil
}

// AddBytes appends b, which follows the ids.
func (w *Writer) AddBytes(b []byte) error {
	if err := w.flush(); err != nil {
		return err
	}
	return w.write(b)
}

func (w *Writer) flush() error {
	err := w.write(w.buf)
	w.buf = w.buf[:0]
	return err
}

func (w *Writer) write(b []byte) error {
	w.sum = crc32.Update(w.sum, castagnoli, b)
	_, err := w.file.Write(b)
	return err
}

// Close flushes and syncs the file; only its header is still missing.
func (w *Writer) Close() error {
	if w.buf == nil {
		return nil
	}
	err := w.flush()
	w.buf = nil
	if err != nil {
		return err
	}
	return w.file.Close()
}

// Sum returns the CRC-32C of all that follows the header, after Close.
func (w *Writer) Sum() uint32 { return w.sum }

// SetHeader writes and syncs the header b, after Close.
func (w *Writer) SetHeader(b []byte) error {
	if _, err := w.file.WriteAt(b, 0); err != nil {
		return err
	}
	return w.file.Close()
}

// Commit puts the file in its place, after SetHeader.
func (w *Writer) Commit() error { return w.file.Commit() }

// Abort removes the file. After Commit it does nothing.
func (w *Writer) Abort() { w.file.Abort() }
