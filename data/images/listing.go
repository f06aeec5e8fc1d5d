package images

import (
	"context"
	"fmt"
	"io"
)

const (
	// entryBytes is about what a file takes beside its name, while it is listed and while its set is made. Half of it is
	// the room that Go's heap needs for garbage.
	entryBytes = 560
	// sampleBytes is the same of a record in a file of many.
	sampleBytes = 100
	// entriesBetween is how many files are listed between two looks at the memory.
	entriesBetween = 1 << 12
)

// goOn stops a listing if ctx is done, or if the list does not fit into memory.
func (t *tree) goOn(ctx context.Context) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	if t.entries++; t.entries%entriesBetween != 0 {
		return nil
	}
	return t.room(0)
}

// room returns an error unless the list fits into memory, with so many bytes beside it.
func (t *tree) room(beside int64) error {
	if t.fits == nil || t.fits(t.taken()+beside) {
		return nil
	}
	return fmt.Errorf("images: %s: %w: a list of its %d files and %d samples in them, or more, does not fit into the memory that is free; divide the data, or allow more memory",
		t.path, ErrTooLarge, t.entries, t.inFiles)
}

// many takes so many samples of one file into the list, if they fit into memory.
func (t *tree) many(samples int64) error {
	t.inFiles += samples
	return t.room(0)
}

// listed is about what the list takes, in bytes.
func (t *tree) listed() int64 { return t.entries*entryBytes + 2*t.names + t.inFiles*sampleBytes }

// taken is the memory of the tree, in bytes: its archive, if that is unpacked, and the list.
func (t *tree) taken() int64 { return t.unpacked + t.listed() }

// headers is a zip archive while its directory is read, which takes memory before there is a list.
type headers struct {
	io.ReaderAt
	*tree
	read int64
}

// directoryFactor is how many times the bytes of a directory its entries take as archive/zip has them, with the room
// for garbage.
const directoryFactor = 12

// ReadAt reads the archive as long as what has been read fits into memory.
func (h *headers) ReadAt(dst []byte, offset int64) (int, error) {
	n, err := h.ReaderAt.ReadAt(dst, offset)
	if h.read += int64(n); h.read%(1<<18) < int64(n) {
		if err := h.room(directoryFactor * h.read); err != nil {
			return 0, err
		}
	}
	return n, err
}
