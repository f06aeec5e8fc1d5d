package images

import (
	"cmp"
	"context"
	"fmt"
	"path"
	"slices"
	"strings"
)

// list finds the sets at a path; with only one, val is nil.
func (d *Dataset) list(ctx context.Context, p string, o Options, progress func(string, int64, int64)) (train, val *part, err error) {
	t, err := openTree(ctx, p, &d.ledger, o.beside(d.unpacked+d.listed), progress)
	if err != nil {
		return nil, nil, err
	}
	d.unpacked, d.listed = d.unpacked+t.unpacked, d.listed+t.listed()
	if t.close != nil {
		d.close = append(d.close, t.close)
	}
	if t.has(IsArchive) && !t.has(isBinary) && !slices.ContainsFunc(t.files, func(f *file) bool { return f.image() || isIdx(f.name) }) {
		return d.listArchives(ctx, t, o, progress)
	}
	train, val, err = t.sets(o.MaxMemory)
	if err == nil {
		t.countRest()
	}
	return train, val, err
}

// listArchives finds the sets in a folder of archives.
func (d *Dataset) listArchives(ctx context.Context, t *tree, o Options, progress func(string, int64, int64)) (train, val *part, err error) {
	found := map[role]string{}
	var all []string
	for _, f := range t.files {
		if !IsArchive(f.name) {
			continue
		}
		if f.in != nil {
			return nil, nil, fmt.Errorf("images: %w in %s: it holds the archive %s; unpack it", ErrNoImages, t.path, f.name)
		}
		r := roleOfFile(path.Base(f.name), archiveEndings)
		if !o.Reading.latest() {
			r = firstArchiveRole(f.name)
		}
		if found[r] == "" {
			found[r] = f.where()
		}
		all = append(all, f.name)
	}
	learned := found[trainRole]
	if learned == "" && len(all) == 1 && o.Reading.latest() {
		learned = t.files[slices.IndexFunc(t.files, func(f *file) bool { return IsArchive(f.name) })].where()
	}
	if learned == "" {
		return nil, nil, fmt.Errorf("images: %w in %s: it holds the archives %s; give one of them, or name them train and val", ErrNoImages, t.path, quoted(all))
	}
	if train, _, err = d.list(ctx, learned, o, progress); err != nil {
		return nil, nil, err
	}
	held := ""
	for _, r := range heldRoles {
		held = cmp.Or(held, found[r])
	}
	if held != "" {
		val, _, err = d.list(ctx, held, o, progress)
	}
	return train, val, err
}

// sets finds the sets in the files of t; with only one, val is nil.
func (t *tree) sets(maxMemory int64) (train, val *part, err error) {
	switch {
	case !t.reading.latest() && t.has(isBinary), t.reading.latest() && t.cifarFiles():
		train, val, err = cifar(t)
	case !t.reading.latest():
		train, val, err = firstFolders(t)
	case t.has(isIdx):
		train, val, err = t.mnist(maxMemory)
	default:
		train, val, err = t.classFolders()
	}
	if train == nil {
		train, val = val, nil
	}
	return train, val, err
}

// cifarFiles reports whether the .bin files are CIFAR's: there are no images beside them, or they have CIFAR's names.
func (t *tree) cifarFiles() bool {
	images := slices.ContainsFunc(t.files, func(f *file) bool { return f.image() })
	return slices.ContainsFunc(t.files, func(f *file) bool {
		base := strings.ToLower(path.Base(f.name))
		return isBinary(base) && (!images || strings.HasPrefix(base, "data_batch") || base == "train.bin" || base == "test.bin" || base == "test_batch.bin")
	})
}

// countRest counts the files that the layout of the data set has no use for.
func (t *tree) countRest() {
	if !t.reading.latest() {
		return
	}
	binary, idx := t.cifarFiles(), t.has(isIdx)
	for _, f := range t.files {
		base := path.Base(f.name)
		switch {
		case IsArchive(base):
			t.leave("archives", "among other files: unpack first", f.where())
		case f.image() && binary:
			t.leave("images", "beside CIFAR's files, which are taken", f.where())
		case f.image() && idx:
			t.leave("images", "beside MNIST's files, which are taken", f.where())
		case (isBinary(base) || isNames(base)) && !binary, isIdx(base) && binary:
			t.leave("files", "other than images", f.where())
		}
	}
	for _, f := range t.tables {
		t.leave("files", "other than images", f.where())
	}
}
