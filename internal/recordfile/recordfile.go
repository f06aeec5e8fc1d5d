// Package recordfile writes files that grow a record at a time, beside the checkpoints of a run: measurements, for
// example. A checkpoint keeps the Mark of each file. A run that goes on from the checkpoint cuts the file to the mark
// and writes the later records again. So an interrupted run has the records of one that was not.
//
// Records that a full disk refuses wait in memory, up to a limit, and are written when the disk takes them.
package recordfile

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"hash"
	"io"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/bdia-go/bdia/internal/disk"
)

// Mark is a size of a file in bytes, and the SHA-256 of these bytes in hexadecimal digits.
type Mark struct {
	Size   int64  `json:"size"`
	SHA256 string `json:"sha256"`
}

// ErrMark is wrapped by the error of a file that does not begin with the bytes of a mark: it is too short, or changed.
var ErrMark = errors.New("the file is not as it was at the checkpoint")

// maxWaiting is how many bytes wait in memory for a disk.
const maxWaiting = 4 << 20

// File is a file of records, for one goroutine.
type File struct {
	f       *disk.File
	size    int64 // of what was written
	sum     hash.Hash
	waiting []byte // whole records that the disk has refused so far
	lost    int    // records that did not even find memory
	named   bool   // the folder was synced since the file was opened, which may have made it
}

// Open opens the file at path, or makes it, and cuts it to mark. It fails with ErrMark if the file does not begin with
// the bytes of mark; then it is left as it is.
func Open(path string, mark Mark) (*File, error) {
	return open(path, mark.Size, func(sum string) error {
		if mark.Size > 0 && sum != mark.SHA256 {
			return fmt.Errorf("%w: its first %d bytes have changed", ErrMark, mark.Size)
		}
		return nil
	})
}

// OpenAt opens the file at path, or makes it, and cuts it to size bytes. It fails with ErrMark if the file has fewer.
func OpenAt(path string, size int64) (*File, error) {
	return open(path, size, func(string) error { return nil })
}

func open(path string, size int64, check func(sum string) error) (*File, error) {
	f, err := disk.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o666)
	if err != nil {
		return nil, err
	}
	w := &File{f: f}
	if err = w.goTo(size, check); err != nil {
		f.Close()
		if size > 0 && errors.Is(err, ErrMark) {
			removeEmpty(path) // it was made just now
		}
		return nil, err
	}
	return w, nil
}

// removeEmpty removes the file at path if it has no bytes.
func removeEmpty(path string) {
	if info, err := os.Stat(path); err == nil && info.Size() == 0 {
		disk.Remove(path)
	}
}

// goTo cuts the file to size bytes, if check likes their sum.
func (w *File) goTo(size int64, check func(sum string) error) error {
	sum := sha256.New()
	switch n, err := io.Copy(sum, io.NewSectionReader(w.f, 0, size)); {
	case err != nil:
		return err
	case n < size:
		return fmt.Errorf("%w: it has %d bytes of %d", ErrMark, n, size)
	}
	if err := check(hex.EncodeToString(sum.Sum(nil))); err != nil {
		return err
	}
	if err := w.f.Truncate(size); err != nil {
		return err
	}
	w.size, w.sum, w.waiting = size, sum, nil
	return nil
}

// Cut goes back to an earlier mark: what was appended since is forgotten.
func (w *File) Cut(mark Mark) error {
	return w.goTo(mark.Size, func(string) error { return nil })
}

// Append appends a whole record, after the ones that wait. When it fails the record waits too, and the next Append,
// Sync or Close tries again. A record for which there is no memory left is lost (see Lost).
func (w *File) Append(record []byte) error {
	if len(w.waiting)+len(record) > maxWaiting {
		w.lost++
		return w.flush()
	}
	w.waiting = append(w.waiting, record...)
	return w.flush()
}

// flush writes what waits. A write that fails in the middle is overwritten by the next.
func (w *File) flush() error {
	if len(w.waiting) == 0 {
		return nil
	}
	if _, err := w.f.WriteAt(w.waiting, w.size); err != nil {
		return err
	}
	w.sum.Write(w.waiting)
	w.size += int64(len(w.waiting))
	w.waiting = w.waiting[:0]
	return nil
}

// Name is the path that the file was opened with.
func (w *File) Name() string { return w.f.Name() }

// Waiting returns how many bytes wait for the disk, and Lost how many records found no memory to wait in.
func (w *File) Waiting() int { return len(w.waiting) }
func (w *File) Lost() int    { return w.lost }

// Sync writes what waits and makes everything durable. A pipe or a device that cannot do so is no error.
func (w *File) Sync() error {
	if err := w.flush(); err != nil {
		return err
	}
	if err := w.f.Sync(); err != nil && !errors.Is(err, fs.ErrInvalid) && !errors.Is(err, errors.ErrUnsupported) {
		return err
	}
	if w.named {
		return nil
	}
	err := disk.SyncFolder(filepath.Dir(w.f.Name()))
	w.named = err == nil
	return err
}

// Mark is the mark of what was written. What still waits is not in it.
func (w *File) Mark() Mark {
	return Mark{Size: w.size, SHA256: hex.EncodeToString(w.sum.Sum(nil))}
}

// Close writes what waits and closes the file.
func (w *File) Close() error { return errors.Join(w.flush(), w.f.Close()) }
