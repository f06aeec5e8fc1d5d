package disk

import (
	"io"
	"io/fs"
	"os"
	"path/filepath"
)

// Root is os.Root: an open folder. Every access stays inside, even through symbolic links, and follows the folder when
// that is renamed. Names are relative to it.
type Root struct {
	root *os.Root
}

// OpenRoot is os.OpenRoot.
func OpenRoot(path string) (Root, error) {
	r, err := os.OpenRoot(path)
	return Root{r}, err
}

// Open opens a file or a folder for reading, as OpenRegular does.
func (r Root) Open(name string) (*os.File, error) {
	return openRegular(name, r.root.Stat, r.root.Open)
}

// ReadFile is os.ReadFile, of an ordinary file.
func (r Root) ReadFile(name string) ([]byte, error) {
	f, err := r.Open(name)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	return io.ReadAll(f)
}

// The other methods that read are os.Root's.

func (r Root) Name() string                           { return r.root.Name() }
func (r Root) Stat(name string) (fs.FileInfo, error)  { return r.root.Stat(name) }
func (r Root) Lstat(name string) (fs.FileInfo, error) { return r.root.Lstat(name) }
func (r Root) FS() fs.FS                              { return r.root.FS() }
func (r Root) Close() error                           { return r.root.Close() }

// path is where name was when the root was opened.
func (r Root) path(name string) string { return filepath.Join(r.Name(), name) }

// OpenFile is os.OpenFile, for writing and without os.O_APPEND.
func (r Root) OpenFile(name string, flag int, perm fs.FileMode) (*File, error) {
	id := opened.Add(1)
	if err := before(Op{Kind: Open, Path: r.path(name), File: id, Flag: flag}); err != nil {
		return nil, named("open", name, err)
	}
	f, err := r.root.OpenFile(name, flag, perm)
	if err != nil {
		return nil, err
	}
	return &File{f: f, path: r.path(name), id: id}, nil
}

// Rename is os.Rename.
func (r Root) Rename(from, to string) error {
	if err := before(Op{Kind: Move, Path: r.path(from), To: r.path(to)}); err != nil {
		return &os.LinkError{Op: "rename", Old: from, New: to, Err: err}
	}
	return r.root.Rename(from, to)
}

// Link is os.Link.
func (r Root) Link(from, to string) error {
	if err := before(Op{Kind: Link, Path: r.path(from), To: r.path(to)}); err != nil {
		return &os.LinkError{Op: "link", Old: from, New: to, Err: err}
	}
	return r.root.Link(from, to)
}

// Remove is os.Remove.
func (r Root) Remove(name string) error {
	if err := before(Op{Kind: Delete, Path: r.path(name)}); err != nil {
		return named("remove", name, err)
	}
	return r.root.Remove(name)
}

// RemoveAll is os.RemoveAll.
func (r Root) RemoveAll(name string) error {
	if !tapped() {
		return r.root.RemoveAll(name)
	}
	list := func(name string) ([]fs.DirEntry, error) { return fs.ReadDir(r.FS(), filepath.ToSlash(name)) }
	return removeAll(name, r.Lstat, list, r.Remove)
}

// Mkdir is os.Mkdir.
func (r Root) Mkdir(name string, perm fs.FileMode) error {
	if err := before(Op{Kind: Folder, Path: r.path(name)}); err != nil {
		return named("mkdir", name, err)
	}
	return r.root.Mkdir(name, perm)
}

// MkdirAll is os.MkdirAll.
func (r Root) MkdirAll(name string, perm fs.FileMode) error {
	if !tapped() {
		return r.root.MkdirAll(name, perm)
	}
	return mkdirAll(filepath.Clean(name), r.Stat, func(name string) error { return r.Mkdir(name, perm) })
}

// SyncFolder is the function SyncFolder for a folder inside.
func (r Root) SyncFolder(name string) error {
	return syncFolder(r.path(name), func() (*os.File, error) { return r.Open(name) })
}
