// Package recordfile writes files that grow a record at a time, beside the checkpoints of a run: measurements, for
// example. A checkpoint keeps the Mark of each file. A run that goes on from the checkpoint cuts the file to the mark
// and writes the later records again. So an interrupted run has the records of one that was not.
//
// Records that a full disk refuses wait in memory, up to a limit, and are written when the disk takes them.
package recordfile

import (
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/zeebo/xxh3"

	"github.com/bdia-go/bdia/internal/disk"
)

// Mark is a size of a file in bytes, and the 128 bits of XXH3 of these bytes in hexadecimal digits.
type Mark struct {
	Size int64  `json:"size"`
	Hash string `json:"hash"`
}

// Compare fails with ErrMark if the file at path does not begin with the bytes of m. What follows them is not read.
func (m Mark) Compare(path string) error {
	f, err := os.Open(path)
	if err != nil {
		return err
	}
	defer f.Close()
	var b beginning
	_, err = io.CopyN(&b, f, m.Size)
	switch {
	case errors.Is(err, io.EOF):
		return fmt.Errorf("%w: it has %d bytes, and had %d", ErrMark, b.size, m.Size)
	case err != nil:
		return err
	case m.Size > 0 && b.sum() != m.Hash:
		return fmt.Errorf("%w: its first %d bytes have changed", ErrMark, m.Size)
	}
	return nil
}

// ErrMark is wrapped by the error of a file that does not begin with the bytes of a mark: it is too short, or changed.
var ErrMark = errors.New("the file is not as it was at the checkpoint")

// maxWaiting is how many bytes wait in memory for a disk.
const maxWaiting = 4 << 20

// File is a file of records, for one goroutine.
type File struct {
	f       *disk.File
	written beginning
	synced  beginning // durable: what the file was opened with, or the latest Sync that went well
	unsure  bool      // a sync failed since: the disk may lack some of what follows synced, and not say so again
	waiting []byte    // whole records that the disk has refused so far
	lost    int       // records that did not even find memory
	named   bool      // the folder was synced since the file was opened, which may have made it
}

// beginning is the first bytes of a file.
type beginning struct {
	size int64
	hash xxh3.Hasher
}

// Write adds bytes that follow.
func (b *beginning) Write(more []byte) (int, error) {
	b.size += int64(len(more))
	return b.hash.Write(more)
}

func (b *beginning) sum() string {
	sum := b.hash.Sum128().Bytes()
	return hex.EncodeToString(sum[:])
}

// Open opens the file at path, or makes it, and cuts it to mark. It fails with ErrMark if the file does not begin with
// the bytes of mark; then it is left as it is.
func Open(path string, mark Mark) (*File, error) {
	return open(path, mark.Size, func(sum string) error {
		if mark.Size > 0 && sum != mark.Hash {
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
	if info, err := f.Stat(); err == nil && !info.Mode().IsRegular() {
		f.Close()
		return nil, fmt.Errorf("%s: %w", path, disk.ErrIrregular)
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
	var kept beginning
	switch n, err := io.Copy(&kept, io.NewSectionReader(w.f, 0, size)); {
	case err != nil:
		return err
	case n < size:
		return fmt.Errorf("%w: it has %d bytes of %d", ErrMark, n, size)
	}
	if err := check(kept.sum()); err != nil {
		return err
	}
	if err := w.f.Truncate(size); err != nil {
		return err
	}
	w.written, w.synced = kept, kept
	return nil
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
	if _, err := w.f.WriteAt(w.waiting, w.written.size); err != nil {
		return err
	}
	w.written.Write(w.waiting)
	w.waiting = w.waiting[:0]
	return nil
}

// Name is the path that the file was opened with.
func (w *File) Name() string { return w.f.Name() }

// Waiting returns how many bytes wait for the disk, and Lost how many records found no memory to wait in.
func (w *File) Waiting() int { return len(w.waiting) }
func (w *File) Lost() int    { return w.lost }

// Sync writes what waits and makes everything durable. A pipe or a device that cannot do so is no error.
//
// After it failed the next one writes everything since the latest Sync that went well again. A system may report only
// once that bytes did not reach the disk.
func (w *File) Sync() error {
	if err := w.flush(); err != nil {
		return err
	}
	if w.unsure {
		if err := w.rewrite(); err != nil {
			return err
		}
	}
	if err := w.f.Sync(); err != nil && !errors.Is(err, fs.ErrInvalid) && !errors.Is(err, errors.ErrUnsupported) {
		w.unsure = true
		return err
	}
	w.unsure = false
	if !w.named {
		if err := disk.SyncFolder(filepath.Dir(w.f.Name())); err != nil {
			return err
		}
		w.named = true
	}
	w.synced = w.written
	return nil
}

// rewrite writes what follows the durable bytes once more, as the system still has it. It fails with ErrMark if that is
// not what was written.
func (w *File) rewrite() error {
	again := w.synced
	buf := make([]byte, 1<<16)
	for again.size < w.written.size {
		b := buf[:min(int64(len(buf)), w.written.size-again.size)]
		at := again.size
		if _, err := w.f.ReadAt(b, at); err != nil {
			return err
		}
		again.Write(b)
		if _, err := w.f.WriteAt(b, at); err != nil {
			return err
		}
	}
	if again.sum() != w.written.sum() {
		return fmt.Errorf("%w: the disk has lost records behind its first %d bytes", ErrMark, w.synced.size)
	}
	return nil
}

// Mark is the mark of what is durable: of the latest Sync that went well, or of the file as it was opened.
func (w *File) Mark() Mark {
	return Mark{Size: w.synced.size, Hash: w.synced.sum()}
}

// Close writes what waits and closes the file.
func (w *File) Close() error { return errors.Join(w.flush(), w.f.Close()) }
