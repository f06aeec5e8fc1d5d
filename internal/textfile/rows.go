package textfile

import (
	"fmt"
	"io"
	"os"

	"github.com/bdia-go/bdia/internal/disk"
)

// Rows are the rows of a file as lines of JSON, an object each.
type Rows interface {
	io.Reader
	// Done is the share of the rows that was read, from 0 to 1.
	Done() float64
}

// openRows opens the rows of files of a format, by its name.
var openRows = map[string]func(f *os.File, size int64) (Rows, error){}

// RegisterRows says how the rows of files of a format are opened, for OpenFile. Format is a name that Foreign returns.
// It is for the initialisation of the package that knows the format, so that programs choose what they carry.
func RegisterRows(format string, open func(f *os.File, size int64) (Rows, error)) {
	openRows[format] = open
}

// File is an open file of text, or of rows in a format that was registered, which are read as lines of JSON.
type File struct {
	file *os.File
	rows Rows // or nil
	size int64
}

// OpenFile opens the file at path. Only ordinary files have rows. Errors name the file.
func OpenFile(path string) (*File, error) {
	f, err := disk.OpenStream(path)
	if err != nil {
		return nil, err
	}
	t := &File{file: f}
	info, err := f.Stat()
	if err != nil || !info.Mode().IsRegular() {
		return t, nil // reading says what is wrong
	}
	t.size = info.Size()
	head := make([]byte, 512)
	n, _ := f.ReadAt(head, 0)
	name := Foreign(head[:n])
	if open := openRows[name]; open != nil {
		if t.rows, err = open(f, t.size); err != nil {
			f.Close()
			return nil, fmt.Errorf("%s: it is a file of %s that cannot be read: %w", path, name, err)
		}
	}
	return t, nil
}

// Read reads bytes of the text, or of the rows' lines.
func (f *File) Read(p []byte) (int, error) {
	if f.rows != nil {
		return f.rows.Read(p)
	}
	return f.file.Read(p)
}

// HasRows reports whether the file is read as lines of JSON, whatever its name says.
func (f *File) HasRows() bool { return f.rows != nil }

// Progress returns the bytes of the file that were read so far, and its size; both are 0 if it is no ordinary file.
func (f *File) Progress() (done, size int64) {
	if f.rows != nil {
		return int64(f.rows.Done() * float64(f.size)), f.size
	}
	if f.size > 0 {
		done, _ = f.file.Seek(0, io.SeekCurrent)
	}
	return done, f.size
}

// Close closes the file.
func (f *File) Close() error { return f.file.Close() }
