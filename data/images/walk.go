package images

import (
	"context"
	"fmt"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"

	"github.com/bdia-go/bdia/data/tally"
)

// Links lead at most so deep: into a linked folder, within it through another, and so on.
const maxLinks = 8

// openFolder lists the files of the tree's folder and of the folders below.
func (t *tree) openFolder(ctx context.Context) error {
	root, err := filepath.EvalSymlinks(t.path)
	if err != nil {
		return fmt.Errorf("images: %w", err)
	}
	info, err := os.Stat(root)
	if err == nil {
		err = t.walk(ctx, &place{root: root}, "", []os.FileInfo{info}, 0)
	}
	if err != nil {
		return fmt.Errorf("images: list %s: %w", t.path, err)
	}
	t.sorted()
	return nil
}

// walk lists the folder rel below the root of a place. above are the folders on the way to it.
func (t *tree) walk(ctx context.Context, in *place, rel string, above []os.FileInfo, links int) error {
	entries, err := os.ReadDir(filepath.Join(in.root, filepath.FromSlash(rel)))
	if err != nil {
		if rel != "" && litter(rel) { // lost+found, for example
			t.leave("files", "hidden, or made by the system", filepath.Join(in.root, filepath.FromSlash(rel)))
			return nil
		}
		return err
	}
	if len(entries) == 0 && t.reading.latest() && !litter(rel) {
		t.leave("folders", "with nothing inside", filepath.Join(in.root, filepath.FromSlash(rel)))
	}
	for _, e := range entries {
		if err := t.goOn(ctx); err != nil {
			return err
		}
		if err := t.entry(ctx, in, path.Join(rel, e.Name()), e, above, links); err != nil {
			return err
		}
	}
	return nil
}

// entry takes one entry of a folder.
func (t *tree) entry(ctx context.Context, in *place, rel string, e fs.DirEntry, above []os.FileInfo, links int) error {
	if !t.reading.latest() && (hidden(rel) || !e.IsDir() && !e.Type().IsRegular()) {
		return nil
	}
	at := filepath.Join(in.root, filepath.FromSlash(rel))
	linked := e.Type()&fs.ModeSymlink != 0
	var info os.FileInfo
	var err error
	if linked {
		if info, err = os.Stat(at); err != nil {
			t.leave("links", "leading nowhere", at)
			return nil
		}
		links++
	} else if info, err = e.Info(); err != nil {
		return err
	}
	switch {
	case info.Mode().IsRegular():
		t.add(&file{place: in, name: rel, size: info.Size()})
	case !info.IsDir():
		t.leave("files", "of a special kind, such as a pipe", at)
	case linked && (links > maxLinks || slices.ContainsFunc(above, func(a os.FileInfo) bool { return os.SameFile(a, info) })):
		t.leave("links", "back to a folder above, or through too many links", at)
	default:
		return t.walk(ctx, in, rel, append(slices.Clip(above), info), links)
	}
	return nil
}

// Find lists the images at path for ReadFile: the file itself, or the image files of a folder and its sub-folders in
// lexical order, without hidden ones. Links are followed. If there are no images, the error is ErrNoImages. leftOut
// counts the images of formats that are not read.
func Find(path string) (found []string, leftOut tally.List, err error) {
	info, err := os.Stat(path)
	if err != nil {
		return nil, nil, fmt.Errorf("images: %w", err)
	}
	if info.Mode().IsRegular() {
		return []string{path}, nil, nil
	}
	l := &ledger{}
	t := newTree(path, l, LatestReading)
	if err := t.openFolder(context.Background()); err != nil {
		return nil, nil, err
	}
	t.leaveForeign()
	for _, f := range t.files {
		if f.image() {
			found = append(found, f.where())
		}
	}
	slices.SortFunc(found, strings.Compare)
	if len(found) == 0 {
		return nil, nil, t.noImages("it has no image files")
	}
	return found, slices.DeleteFunc(l.leftOut, func(o tally.LeftOut) bool { return o.What == "files" }), nil
}

// leaveForeign counts and removes the images of formats that are not read.
func (t *tree) leaveForeign() {
	t.files = slices.DeleteFunc(t.files, func(f *file) bool {
		if f.foreign != "" {
			t.leave("images", unreadable(f.foreign), f.where())
		}
		return f.foreign != ""
	})
}

// unreadable is the reason to leave out images of a format.
func unreadable(format string) string {
	return fmt.Sprintf("of the format %s, which is not read: convert to PNG or JPEG", format)
}

// noImages is the error of a path without images. what says so in words.
func (t *tree) noImages(what string) error {
	if t.storage != "" {
		return storageError(t.storage, t.kind)
	}
	for _, o := range t.leftOut {
		if o.What == "images" {
			return fmt.Errorf("images: %w in %s: it has only images %s; the first is %s", ErrNoImages, t.path, o.Reason, o.First)
		}
	}
	return fmt.Errorf("images: %w in %s: %s", ErrNoImages, t.path, what)
}
