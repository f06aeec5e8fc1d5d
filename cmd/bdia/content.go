package main

import (
	"archive/tar"
	"archive/zip"
	"compress/gzip"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"strings"

	"github.com/bdia-go/bdia/data/images"
	"github.com/bdia-go/bdia/internal/disk"
)

// content counts the files of a path, or of an archive, by what their names say.
type content struct {
	all, images, archives int
	archive               string // the first
}

// mostEntries is how many files are looked at to say what a folder or an archive holds.
const mostEntries = 2000

// isImage reports a file that is one image.
func isImage(path string) bool {
	info, err := os.Stat(path)
	return err == nil && !info.IsDir() && images.IsImage(path)
}

// add counts a file. The error fs.SkipAll says that enough were seen.
func (c *content) add(name string) error {
	base := path.Base(filepath.ToSlash(name))
	if strings.HasPrefix(base, ".") || base == "batches.meta.txt" || strings.HasSuffix(base, "_label_names.txt") {
		return nil
	}
	switch {
	case images.IsImage(base), images.IsMany(base):
		c.images++
	case images.IsArchive(base):
		if c.archives++; c.archive == "" {
			c.archive = name
		}
	}
	if c.all++; c.all == mostEntries {
		return fs.SkipAll
	}
	return nil
}

// mostly reports that half of the files or more are images.
func (c content) mostly() bool { return c.images > 0 && 2*c.images >= c.all }

// ofImages reports content of images: half of the files of a folder or an archive are images, or most are archives of
// images.
func ofImages(name string) (bool, error) {
	c, err := contentOf(name)
	if err != nil || c.mostly() {
		return err == nil, err
	}
	if 2*c.archives <= c.all || c.archive == name {
		return false, nil
	}
	inner, err := contentOf(c.archive)
	return err == nil && inner.mostly(), nil
}

// contentOf looks at the names of the files of a folder or an archive.
func contentOf(name string) (c content, err error) {
	if info, err := os.Stat(name); err != nil || !info.IsDir() {
		if err == nil && images.IsArchive(name) {
			err = c.unpack(name)
		} else if err == nil {
			err = c.add(name)
		}
		return c, c.enough(err)
	}
	return c, c.enough(filepath.WalkDir(name, func(name string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		return c.add(name)
	}))
}

// enough is err, or nothing if it only says that enough files were seen.
func (c *content) enough(err error) error {
	if errors.Is(err, fs.SkipAll) {
		return nil
	}
	return err
}

// unpack counts the files of an archive.
func (c *content) unpack(name string) error {
	if strings.HasSuffix(strings.ToLower(name), ".zip") {
		z, err := zip.OpenReader(name)
		if err != nil {
			return fmt.Errorf("%s: %w", name, err)
		}
		defer z.Close()
		for _, f := range z.File {
			if f.FileInfo().IsDir() || strings.HasPrefix(f.Name, "__MACOSX/") {
				continue
			}
			if err := c.add(f.Name); err != nil {
				return err
			}
		}
		return nil
	}
	f, err := disk.OpenStream(name)
	if err != nil {
		return err
	}
	defer f.Close()
	var in io.Reader = f
	if !strings.HasSuffix(strings.ToLower(name), ".tar") {
		if in, err = gzip.NewReader(f); err != nil {
			return fmt.Errorf("%s: %w", name, err)
		}
	}
	for t := tar.NewReader(in); ; {
		h, err := t.Next()
		switch {
		case err == io.EOF:
			return nil
		case err != nil:
			return fmt.Errorf("%s: %w", name, err)
		case h.Typeflag == tar.TypeReg:
			if err := c.add(h.Name); err != nil {
				return err
			}
		}
	}
}
