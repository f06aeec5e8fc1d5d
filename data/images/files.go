package images

import (
	"archive/zip"
	"compress/flate"
	"context"
	"errors"
	"fmt"
	"hash/crc32"
	"image"
	"io"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"sync"
)

// file is one file of a data set: an ordinary one, or a member of an archive. A data set has millions of them, so what
// they share is in their place.
type file struct {
	*place
	name    string // slash-separated path below the root
	offset  int64  // of the file in the archive
	size    int64
	packed  int64 // bytes in the archive, of a member compressed by deflate; else 0
	records *records
	foreign string // format of an image that is not read
	sum     uint32 // CRC-32 of a compressed member; 0: not known
}

// place is where files lie.
type place struct {
	root string      // folder or archive
	in   io.ReaderAt // the archive, or bytes in memory; nil: ordinary files
}

// records is how a file of many images is laid out.
type records struct {
	bytes int64       // of a record
	grey  image.Point // size of the grey images of MNIST's files; zero: records are CIFAR's
}

// path returns the path; for an ordinary file, its own path.
func (f *file) path() string { return filepath.Join(f.root, filepath.FromSlash(f.name)) }

// where returns the path for errors. Of a long name in an archive it is the end.
func (f *file) where() string {
	const most = 160
	name := f.name
	if f.in != nil && len(name) > most {
		name = "..." + strings.ToValidUTF8(name[len(name)-most:], "")
	}
	return filepath.Join(f.root, filepath.FromSlash(name))
}

// read fills dst with the bytes from offset on.
func (f *file) read(dst []byte, offset int64) error {
	n, err := 0, error(nil)
	switch {
	case f.packed > 0:
		n, err = f.inflate(dst, offset)
	case f.in != nil:
		n, err = f.in.ReadAt(dst, f.offset+offset)
	default:
		o, failed := os.Open(f.path())
		if failed != nil {
			return fmt.Errorf("images: %w", failed)
		}
		defer o.Close()
		n, err = o.ReadAt(dst, f.offset+offset)
	}
	if n < len(dst) {
		if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
			return fmt.Errorf("images: %s: %w: it ends before byte %d; its size has changed", f.where(), ErrCorrupt, offset+int64(len(dst)))
		}
		if f.packed > 0 {
			return fmt.Errorf("images: %s: %w: %v", f.where(), ErrCorrupt, err)
		}
		return fmt.Errorf("images: read %s: %w", f.where(), err)
	}
	return nil
}

// inflaters are readers of compressed members, which take 40 kB each.
var inflaters = sync.Pool{New: func() any { return flate.NewReader(nil) }}

// inflate reads a compressed member. Of a whole one the checksum is compared.
func (f *file) inflate(dst []byte, offset int64) (int, error) {
	r := inflaters.Get().(io.ReadCloser)
	defer inflaters.Put(r)
	if err := r.(flate.Resetter).Reset(io.NewSectionReader(f.in, f.offset, f.packed), nil); err != nil {
		return 0, err
	}
	if _, err := io.CopyN(io.Discard, r, offset); err != nil {
		return 0, err
	}
	n, err := io.ReadFull(r, dst)
	if err == nil && offset == 0 && int64(n) == f.size && f.sum != 0 && crc32.ChecksumIEEE(dst) != f.sum {
		return 0, zip.ErrChecksum
	}
	return n, err
}

// head returns the first bytes, at most 16.
func (f *file) head() []byte {
	b := make([]byte, min(f.size, 16))
	if f.read(b, 0) != nil {
		return nil // whoever reads the file meets the error
	}
	return b
}

// bytes reads the whole file, of at most so many bytes.
func (f *file) bytes(most int64) ([]byte, error) {
	if f.size > most {
		return nil, fmt.Errorf("images: %s: %w: %d bytes; at most %d", f.where(), ErrTooLarge, f.size, most)
	}
	b := make([]byte, f.size)
	return b, f.read(b, 0)
}

// tree is the list of a folder's or an archive's files that a layout may use.
type tree struct {
	*ledger
	path    string
	reading Reading
	files   []*file         // in the order of their names
	tables  []*file         // that may have labels
	others  map[string]bool // folders of files that are no images
	storage string          // the first file in a format that is not read, and the format
	kind    string
	close   func() error

	fits           func(bytes int64) bool // see Options.Fits
	unpacked       int64                  // bytes of an archive in memory
	entries, names int64                  // files seen, and bytes of the names of the ones listed
	inFiles        int64                  // samples in files of many
}

func newTree(p string, l *ledger, reading Reading) *tree {
	return &tree{ledger: l, path: p, reading: reading, others: map[string]bool{}}
}

// add takes a file, or counts it as left out.
func (t *tree) add(f *file) {
	base := path.Base(f.name)
	t.ledger.files++
	t.names += int64(len(f.name))
	if !t.reading.latest() {
		if firstUseful(f.name) {
			t.files = append(t.files, f)
		}
		return
	}
	switch {
	case litter(f.name):
		t.leave("files", "hidden, or made by the system", f.where())
		return
	case IsImage(base), isBinary(base), isNames(base), isIdx(base), IsArchive(base):
		t.files = append(t.files, f)
		return
	case isTable(base):
		t.tables = append(t.tables, f)
		return
	}
	if f.foreign = foreign[strings.ToLower(path.Ext(base))]; f.foreign != "" {
		t.files = append(t.files, f)
		return
	}
	kind := storageOf(base)
	if kind == "" && ending(base, otherEndings) == "" {
		head := f.head()
		f.foreign = foreignOf(head)
		if f.foreign != "" || formatOf(head) != noFormat {
			t.files = append(t.files, f)
			return
		}
		if isPickle(base) && len(head) > 1 && head[0] == 0x80 {
			kind = "a Python pickle"
		}
	}
	if kind != "" && t.storage == "" {
		t.storage, t.kind = f.where(), kind
	}
	t.other(f)
}

// other counts a file that is no image.
func (t *tree) other(f *file) {
	t.leave("files", "other than images", f.where())
	t.others[path.Dir(f.name)] = true
}

// has reports whether kind holds for the name of some file of t.
func (t *tree) has(kind func(name string) bool) bool {
	return slices.ContainsFunc(t.files, func(f *file) bool { return kind(f.name) })
}

// image reports whether f is an image, of a format that may not be read.
func (f *file) image() bool {
	base := path.Base(f.name)
	return f.foreign != "" || !isBinary(base) && !isNames(base) && !isIdx(base) && !IsArchive(base)
}

func (t *tree) sorted() *tree {
	slices.SortFunc(t.files, func(a, b *file) int { return strings.Compare(a.name, b.name) })
	return t
}

// openTree lists the files at a path. A compressed archive is unpacked into at most maxMemory bytes.
func openTree(ctx context.Context, p string, l *ledger, o Options, progress func(string, int64, int64)) (*tree, error) {
	info, err := os.Stat(p)
	if err != nil {
		return nil, fmt.Errorf("images: %w", err)
	}
	t := newTree(p, l, o.Reading)
	t.fits = o.Fits
	one := &file{place: &place{root: filepath.Dir(p)}, name: filepath.Base(p), size: info.Size()}
	switch base := one.name; {
	case info.IsDir():
		return t.sorted(), t.openFolder(ctx)
	case !info.Mode().IsRegular():
		return nil, fmt.Errorf("images: %w: %s is no ordinary file or folder", ErrNoImages, p)
	case IsArchive(base):
		return t, t.openArchive(ctx, info.Size(), o, progress)
	case isBinary(base):
		t.openBeside(one, cifar10Names, cifar100Names)
		return t, nil
	case storageOf(base) != "":
		return nil, storageError(p, storageOf(base))
	case isPickle(base) && len(one.head()) > 1 && one.head()[0] == 0x80:
		return nil, storageError(p, "")
	case IsImage(base):
		return nil, fmt.Errorf("images: %w: %s is one image; give the folder that holds the class folders", ErrNoImages, p)
	}
	return nil, fmt.Errorf("images: %w: %s is no folder of images, .bin, .zip, .tar, .tar.gz or .tgz", ErrNoImages, p)
}

// openBeside takes one file, and those with the given names in its folder.
func (t *tree) openBeside(one *file, names ...string) {
	t.files = append(t.files, one)
	t.ledger.files++
	for _, name := range names {
		if info, err := os.Stat(filepath.Join(one.root, name)); err == nil && info.Mode().IsRegular() {
			t.files = append(t.files, &file{place: one.place, name: name, size: info.Size()})
			t.ledger.files++
		}
	}
}
