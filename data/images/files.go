package images

import (
	"context"
	"errors"
	"fmt"
	"image"
	"io"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"
)

// file is one file of a data set: an ordinary one, or a member of an archive.
type file struct {
	root    string                        // folder or archive
	name    string                        // slash-separated path below it
	in      io.ReaderAt                   // the archive, or bytes in memory; nil: an ordinary file
	open    func() (io.ReadCloser, error) // a compressed member of an archive
	offset  int64                         // of the file in the archive
	size    int64
	record  int64       // bytes of a record; 0: the file is one image
	grey    image.Point // size of the grey images of MNIST's files; zero: records are CIFAR's
	foreign string      // format of an image that is not read
}

// path returns the path; for an ordinary file, its own path.
func (f *file) path() string { return filepath.Join(f.root, filepath.FromSlash(f.name)) }

// where returns the path for errors. Of a long name in an archive it is the end.
func (f *file) where() string {
	const most = 160
	name := f.name
	if (f.in != nil || f.open != nil) && len(name) > most {
		name = "..." + strings.ToValidUTF8(name[len(name)-most:], "")
	}
	return filepath.Join(f.root, filepath.FromSlash(name))
}

// read fills dst with the bytes from offset on.
func (f *file) read(dst []byte, offset int64) error {
	n, err := 0, error(nil)
	switch {
	case f.open != nil:
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
		if f.open != nil {
			return fmt.Errorf("images: %s: %w: %v", f.where(), ErrCorrupt, err)
		}
		return fmt.Errorf("images: read %s: %w", f.where(), err)
	}
	return nil
}

// inflate reads a compressed member.
func (f *file) inflate(dst []byte, offset int64) (int, error) {
	r, err := f.open()
	if err != nil {
		return 0, err
	}
	defer r.Close()
	if _, err := io.CopyN(io.Discard, r, offset); err != nil {
		return 0, err
	}
	return io.ReadFull(r, dst)
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
	files   []file          // in the order of their names
	tables  []file          // that may have labels
	others  map[string]bool // folders of files that are no images
	storage string          // the first file in a format that is not read, and the format
	kind    string
	close   func() error

	unpacked int64 // bytes of an archive in memory
}

func newTree(p string, l *ledger, reading Reading) *tree {
	return &tree{ledger: l, path: p, reading: reading, others: map[string]bool{}}
}

// add takes a file, or counts it as left out.
func (t *tree) add(f file) {
	base := path.Base(f.name)
	t.ledger.files++
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
func (t *tree) other(f file) {
	t.leave("files", "other than images", f.where())
	t.others[path.Dir(f.name)] = true
}

// has reports whether kind holds for the name of some file of t.
func (t *tree) has(kind func(name string) bool) bool {
	return slices.ContainsFunc(t.files, func(f file) bool { return kind(f.name) })
}

// image reports whether f is an image, of a format that may not be read.
func (f *file) image() bool {
	base := path.Base(f.name)
	return f.foreign != "" || !isBinary(base) && !isNames(base) && !isIdx(base) && !IsArchive(base)
}

func (t *tree) sorted() *tree {
	slices.SortFunc(t.files, func(a, b file) int { return strings.Compare(a.name, b.name) })
	return t
}

// openTree lists the files at a path. A compressed archive is unpacked into at most maxMemory bytes.
func openTree(ctx context.Context, p string, l *ledger, o Options, progress func(string, int64, int64)) (*tree, error) {
	info, err := os.Stat(p)
	if err != nil {
		return nil, fmt.Errorf("images: %w", err)
	}
	t := newTree(p, l, o.Reading)
	one := file{root: filepath.Dir(p), name: filepath.Base(p), size: info.Size()}
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
func (t *tree) openBeside(one file, names ...string) {
	t.files = append(t.files, one)
	t.ledger.files++
	for _, name := range names {
		if info, err := os.Stat(filepath.Join(one.root, name)); err == nil && info.Mode().IsRegular() {
			t.files = append(t.files, file{root: one.root, name: name, size: info.Size()})
			t.ledger.files++
		}
	}
}
