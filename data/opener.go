package data

import (
	"archive/tar"
	"archive/zip"
	"bufio"
	"compress/gzip"
	"fmt"
	"io"
	"os"

	"github.com/bdia-go/bdia/internal/textfile"
)

// opener opens the files of a Source. It keeps the last archive open. A tar archive, which may be compressed, is read
// from its beginning on, so its files come fast in their order only.
type opener struct {
	path string
	zip  *zip.ReadCloser // or nil
	file *os.File        // of a tar archive, or nil
	tar  *tar.Reader
	next int // file of tar that comes next
}

// open opens a file, or an entry of an archive.
func (o *opener) open(f *File) (io.ReadCloser, error) {
	if f.entry < 0 {
		return textfile.OpenFile(f.Path)
	}
	if err := o.archive(f.archive, f.tar); err != nil {
		return nil, err
	}
	if f.tar {
		return o.member(f)
	}
	if f.entry >= len(o.zip.File) {
		return nil, fmt.Errorf("%s: the archive has changed", f.archive)
	}
	r, err := o.zip.File[f.entry].Open()
	if err != nil {
		return nil, fmt.Errorf("%s: %w", f.Path, err)
	}
	return r, nil
}

// archive opens the archive at path, if it is not the one that is open.
func (o *opener) archive(path string, isTar bool) (err error) {
	if (o.zip != nil || o.tar != nil) && o.path == path {
		return nil
	}
	o.close()
	o.path = path
	if isTar {
		return o.openTar()
	}
	if o.zip, err = zip.OpenReader(path); err != nil {
		return fmt.Errorf("%s: %w", path, err)
	}
	return nil
}

// openTar goes to the beginning of the tar archive.
func (o *opener) openTar() (err error) {
	if o.file, err = os.Open(o.path); err != nil {
		return err
	}
	var text io.Reader = bufio.NewReaderSize(o.file, 64<<10)
	if magic, _ := text.(*bufio.Reader).Peek(2); string(magic) == "\x1f\x8b" {
		if text, err = gzip.NewReader(text); err != nil {
			return fmt.Errorf("%s: %w", o.path, err)
		}
	}
	o.tar, o.next = tar.NewReader(text), 0
	return nil
}

// header goes to the next file of the tar archive that is open, or returns io.EOF.
func (o *opener) header() (*tar.Header, error) {
	h, err := o.tar.Next()
	if err != nil && err != io.EOF {
		return nil, fmt.Errorf("%s: after %d files: %w; make or download the archive again", o.path, o.next, err)
	}
	o.next++
	return h, err
}

// member opens a file of the tar archive that is open.
func (o *opener) member(f *File) (io.ReadCloser, error) {
	if o.next > f.entry+1 {
		o.close()
		if err := o.openTar(); err != nil {
			return nil, err
		}
	}
	for o.next <= f.entry {
		if _, err := o.header(); err == io.EOF {
			return nil, fmt.Errorf("%s: the archive has changed", f.archive)
		} else if err != nil {
			return nil, err
		}
	}
	return io.NopCloser(o.tar), nil
}

func (o *opener) close() {
	if o.zip != nil {
		o.zip.Close()
	}
	if o.file != nil {
		o.file.Close()
	}
	o.zip, o.file, o.tar = nil, nil, nil
}
