// Package seal puts the checksum of a file into the file, for formats with metadata: the value of Key there is the
// XXH3 of 128 bits, in hexadecimal digits, of the file with zeros in place of these digits.
package seal

import (
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"

	"github.com/zeebo/xxh3"

	"github.com/bdia-go/bdia/internal/disk"
)

// Key is the name of the checksum in a file's metadata.
const Key = "bdia.xxh3_128"

// Zeros stand in the place of the digits while a file is written.
var Zeros = strings.Repeat("0", 32)

var (
	// ErrNone is the error of a file without a checksum.
	ErrNone = errors.New("no checksum in it")
	// ErrChanged is the error of a file that is not the one that was written.
	ErrChanged = errors.New("its bytes are not the ones that were written")
)

// Place returns where the digits are in a file of size bytes, and what is before them.
type Place func(size int64) (at int64, before string)

// Put writes the checksum of the whole file at path to its place, where Zeros are.
func Put(path string, place Place) (err error) {
	f, err := disk.OpenFile(path, os.O_RDWR, 0)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	info, err := f.Stat()
	if err != nil {
		return err
	}
	at, _ := place(info.Size())
	digits, err := sum(f, info.Size(), at)
	if err == nil {
		_, err = f.WriteAt([]byte(digits), at)
	}
	return err
}

// Check compares the file at path with the checksum in it. A file without one is ErrNone, and one that differs
// ErrChanged.
func Check(path string, place Place) error {
	f, err := disk.OpenRegular(path)
	if err != nil {
		return err
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return err
	}
	at, before := place(info.Size())
	start := at - int64(len(before))
	if start < 0 || at > info.Size()-int64(len(Zeros)) {
		return fmt.Errorf("%s: %w", path, ErrNone)
	}
	head := make([]byte, len(before)+len(Zeros))
	if _, err := f.ReadAt(head, start); err != nil {
		return err
	}
	want, ok := strings.CutPrefix(string(head), before)
	if !ok || want == Zeros {
		return fmt.Errorf("%s: %w", path, ErrNone)
	}
	got, err := sum(f, info.Size(), at)
	if err == nil && got != want {
		err = fmt.Errorf("%s: %w", path, ErrChanged)
	}
	return err
}

// sum returns the digits for a file of size bytes with the place at.
func sum(f io.ReaderAt, size, at int64) (string, error) {
	after := at + int64(len(Zeros))
	whole := io.MultiReader(io.NewSectionReader(f, 0, at), strings.NewReader(Zeros), io.NewSectionReader(f, after, size-after))
	h := xxh3.New()
	if _, err := io.CopyBuffer(struct{ io.Writer }{h}, struct{ io.Reader }{whole}, make([]byte, 1<<18)); err != nil {
		return "", err
	}
	b := h.Sum128().Bytes()
	return hex.EncodeToString(b[:]), nil
}
