package images

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"
)

// file is one file of a data set: an ordinary one, or a member of an archive.
type file struct {
	root   string      // folder or archive
	name   string      // slash-separated path below it
	in     io.ReaderAt // the archive; nil: an ordinary file
	offset int64       // of the file in the archive
	size   int64
	record int64 // bytes of a CIFAR record; 0: the file is one image
}

// where returns the path for errors; for an ordinary file, its own path.
func (f *file) where() string { return filepath.Join(f.root, filepath.FromSlash(f.name)) }

// read fills dst with the bytes from offset on.
func (f *file) read(dst []byte, offset int64) error {
	in := f.in
	if in == nil {
		o, err := os.Open(f.where())
		if err != nil {
			return fmt.Errorf("images: %w", err)
		}
		defer o.Close()
		in = o
	}
	if n, err := in.ReadAt(dst, f.offset+offset); n < len(dst) {
		if errors.Is(err, io.EOF) {
			return fmt.Errorf("images: %s: %w: it ends before byte %d; its size has changed", f.where(), ErrCorrupt, offset+int64(len(dst)))
		}
		return fmt.Errorf("images: read %s: %w", f.where(), err)
	}
	return nil
}

// tree is the list of a folder's or an archive's files that a layout may use.
type tree struct {
	path  string
	files []file // in the order of their names
	close func() error
}

// File names with a meaning.
const (
	cifar10Names  = "batches.meta.txt"
	cifar100Names = "fine_label_names.txt"
)

var (
	imageEndings   = []string{".png", ".jpg", ".jpeg", ".webp"}
	binaryEndings  = []string{".bin"}
	archiveEndings = []string{".tar", ".tar.gz", ".tgz"} // all but the first are compressed
)

// ending returns the one of endings that name has, or "".
func ending(name string, endings []string) string {
	name = strings.ToLower(name)
	i := slices.IndexFunc(endings, func(e string) bool { return strings.HasSuffix(name, e) })
	if i < 0 {
		return ""
	}
	return endings[i]
}

func isImage(name string) bool  { return ending(name, imageEndings) != "" }
func isBinary(name string) bool { return ending(name, binaryEndings) != "" }

// useful reports whether a layout uses files with this name.
func useful(name string) bool {
	base := path.Base(name)
	if strings.HasPrefix(base, ".") {
		return false
	}
	return isImage(base) || isBinary(base) || base == cifar10Names || base == cifar100Names || ending(base, archiveEndings) != ""
}

// hidden reports whether a folder of the path starts with a dot.
func hidden(name string) bool {
	return strings.HasPrefix(name, ".") || strings.Contains(name, "/.")
}

// openTree lists the files at a path. A compressed archive is unpacked into at
// most maxMemory bytes.
func openTree(ctx context.Context, p string, maxMemory int64, progress func(string, int64, int64)) (*tree, error) {
	info, err := os.Stat(p)
	if err != nil {
		return nil, fmt.Errorf("images: %w", err)
	}
	switch e := ending(p, archiveEndings); {
	case info.IsDir():
		return openFolder(ctx, p)
	case !info.Mode().IsRegular():
		return nil, fmt.Errorf("images: %w: %s is no ordinary file or folder", ErrNoImages, p)
	case e == ".tar":
		f, err := os.Open(p)
		if err != nil {
			return nil, fmt.Errorf("images: %w", err)
		}
		t, err := openTar(ctx, p, f, info.Size())
		if err != nil {
			f.Close()
			return nil, err
		}
		t.close = f.Close
		return t, nil
	case e != "":
		unpacked, err := unpack(ctx, p, info.Size(), maxMemory, progress)
		if err != nil {
			return nil, err
		}
		return openTar(ctx, p, bytes.NewReader(unpacked), int64(len(unpacked)))
	case isBinary(p):
		return openBinary(p, info.Size()), nil
	}
	return nil, fmt.Errorf("images: %w: %s is no folder of images, .bin, .tar, .tar.gz or .tgz", ErrNoImages, p)
}

// openBinary returns a tree of one CIFAR file and the file of class names in
// its folder.
func openBinary(p string, size int64) *tree {
	root := filepath.Dir(p)
	t := &tree{path: p, files: []file{{root: root, name: filepath.Base(p), size: size}}}
	for _, name := range []string{cifar10Names, cifar100Names} {
		if info, err := os.Stat(filepath.Join(root, name)); err == nil && info.Mode().IsRegular() {
			t.files = append(t.files, file{root: root, name: name, size: info.Size()})
		}
	}
	return t
}

func openFolder(ctx context.Context, p string) (*tree, error) {
	root, err := filepath.EvalSymlinks(p)
	if err != nil {
		return nil, fmt.Errorf("images: %w", err)
	}
	t := &tree{path: p}
	err = filepath.WalkDir(root, func(at string, d fs.DirEntry, err error) error {
		if err != nil || at == root {
			return err
		}
		if d.IsDir() {
			if strings.HasPrefix(d.Name(), ".") {
				return fs.SkipDir
			}
			return ctx.Err()
		}
		if !d.Type().IsRegular() || !useful(d.Name()) {
			return nil
		}
		info, err := d.Info()
		if err != nil {
			return err
		}
		rel, err := filepath.Rel(root, at)
		if err != nil {
			return err
		}
		t.files = append(t.files, file{root: root, name: filepath.ToSlash(rel), size: info.Size()})
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("images: list %s: %w", p, err)
	}
	return t.sorted(), nil
}

// openTar lists an archive of size bytes. Only headers are read; the files stay
// where they are.
func openTar(ctx context.Context, p string, in io.ReaderAt, size int64) (*tree, error) {
	t := &tree{path: p}
	section := io.NewSectionReader(in, 0, size)
	archive := tar.NewReader(section)
	for {
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		h, err := archive.Next()
		if err == io.EOF {
			break
		}
		if err != nil {
			return nil, fmt.Errorf("images: %s: %w: after %d usable files: %v; make or download the archive again", p, ErrCorrupt, len(t.files), err)
		}
		name := path.Clean(h.Name)
		if h.Typeflag != tar.TypeReg || !useful(name) || hidden(name) {
			continue
		}
		for key := range h.PAXRecords {
			if strings.HasPrefix(key, "GNU.sparse.") { // the archive does not have its bytes in one piece
				return nil, fmt.Errorf("images: %s: %w: %s is a sparse file; make the archive without --sparse", p, ErrCorrupt, name)
			}
		}
		offset, err := section.Seek(0, io.SeekCurrent)
		if err != nil {
			return nil, err
		}
		t.files = append(t.files, file{root: p, name: name, in: in, offset: offset, size: h.Size})
	}
	return t.sorted(), nil
}

func (t *tree) sorted() *tree {
	slices.SortFunc(t.files, func(a, b file) int { return strings.Compare(a.name, b.name) })
	return t
}

// unpack returns the bytes of a gzip file, at most limit.
func unpack(ctx context.Context, p string, size, limit int64, progress func(string, int64, int64)) ([]byte, error) {
	f, err := os.Open(p)
	if err != nil {
		return nil, fmt.Errorf("images: %w", err)
	}
	defer f.Close()
	corrupt := func(err error) error {
		return fmt.Errorf("images: %s: %w: %v; make or download the archive again", p, ErrCorrupt, err)
	}
	z, err := gzip.NewReader(f)
	if err != nil {
		return nil, corrupt(err)
	}
	var all bytes.Buffer
	for {
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		n, err := io.CopyN(&all, z, 4<<20)
		if int64(all.Len()) > limit {
			return nil, fmt.Errorf("images: %s: %w: it unpacks to more than %d bytes of memory; unpack it on disk, or allow more memory", p, ErrTooLarge, limit)
		}
		if done, err := f.Seek(0, io.SeekCurrent); err == nil && progress != nil {
			progress("unpacking", done, size)
		}
		if err == io.EOF {
			return all.Bytes(), nil
		}
		if err != nil || n == 0 {
			return nil, corrupt(err)
		}
	}
}
