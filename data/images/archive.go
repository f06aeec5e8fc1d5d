package images

import (
	"archive/tar"
	"archive/zip"
	"bytes"
	"compress/gzip"
	"context"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"strings"
)

// openArchive lists the archive of the tree, of size bytes. A compressed tar archive is unpacked into at most
// maxMemory bytes; of others only the headers are read.
func (t *tree) openArchive(ctx context.Context, size, maxMemory int64, progress func(string, int64, int64)) error {
	var err error
	switch e := ending(t.path, archiveEndings); e {
	case ".tar", ".zip":
		var f *os.File
		if f, err = os.Open(t.path); err != nil {
			return fmt.Errorf("images: %w", err)
		}
		if e == ".zip" {
			err = t.openZip(ctx, f, size, maxMemory)
		} else {
			err = t.openTar(ctx, f, size)
		}
		if err != nil {
			f.Close()
			return err
		}
		t.close = f.Close
		return nil
	}
	unpacked, err := unpack(ctx, t.path, size, maxMemory, progress)
	if err != nil {
		return err
	}
	return t.openTar(ctx, bytes.NewReader(unpacked), int64(len(unpacked)))
}

// openTar lists an archive of size bytes. The files stay where they are.
func (t *tree) openTar(ctx context.Context, in io.ReaderAt, size int64) error {
	section := io.NewSectionReader(in, 0, size)
	archive := tar.NewReader(section)
	type link struct{ name, target string }
	var links []link
	for {
		if err := ctx.Err(); err != nil {
			return err
		}
		h, err := archive.Next()
		if err == io.EOF {
			break
		}
		if err != nil {
			return fmt.Errorf("images: %s: %w: after %d usable files: %v; make or download the archive again", t.path, ErrCorrupt, len(t.files), err)
		}
		name := path.Clean(h.Name)
		switch h.Typeflag {
		case tar.TypeReg:
		case tar.TypeLink:
			links = append(links, link{name, path.Clean(h.Linkname)})
			continue
		case tar.TypeSymlink:
			links = append(links, link{name, path.Join(path.Dir(name), h.Linkname)})
			continue
		default:
			continue
		}
		before := len(t.files)
		offset, err := section.Seek(0, io.SeekCurrent)
		if err != nil {
			return err
		}
		t.member(file{root: t.path, name: name, in: in, offset: offset, size: h.Size})
		for key := range h.PAXRecords {
			if strings.HasPrefix(key, "GNU.sparse.") && len(t.files) > before { // the archive does not have its bytes in one piece
				return fmt.Errorf("images: %s: %w: %s is a sparse file; make the archive without --sparse", t.path, ErrCorrupt, name)
			}
		}
	}
	if len(links) > 0 && t.reading.latest() {
		targets := map[string]file{}
		for _, f := range t.files {
			targets[f.name] = f
		}
		for _, l := range links {
			if f, ok := targets[l.target]; ok {
				f.name = l.name
				t.member(f)
			} else if !litter(l.name) {
				t.leave("links", "leading nowhere", path.Join(t.path, l.name))
			}
		}
	}
	t.sorted()
	return nil
}

// member takes a file of an archive. Nothing is unpacked to disk, so a name that leads out of the archive does no
// harm, but it has no place among the class folders.
func (t *tree) member(f file) {
	if t.reading.latest() && (strings.HasPrefix(f.name, "/") || strings.HasPrefix(f.name, "../")) {
		t.ledger.files++
		t.leave("files", "with a name that leads out of the archive", path.Join(t.path, f.name))
		return
	}
	t.add(f)
}

// openZip lists an archive of size bytes. Compressed images are unpacked one by one when they are read; compressed
// files of many images at once, into memory, of which there are at most maxMemory bytes.
func (t *tree) openZip(ctx context.Context, in io.ReaderAt, size, maxMemory int64) error {
	corrupt := func(err error) error {
		return fmt.Errorf("images: %s: %w: %v; make or download the archive again", t.path, ErrCorrupt, err)
	}
	archive, err := zip.NewReader(in, size)
	if err != nil {
		return corrupt(err)
	}
	for _, m := range archive.File {
		if err := ctx.Err(); err != nil {
			return err
		}
		name := path.Clean(strings.ReplaceAll(m.Name, `\`, "/"))
		where := path.Join(t.path, name)
		switch {
		case strings.HasSuffix(m.Name, "/") || strings.HasSuffix(m.Name, `\`):
			continue
		case m.Flags&1 != 0:
			return fmt.Errorf("images: %s: %w: %s is encrypted; unpack the archive with its password", t.path, ErrCorrupt, name)
		case m.Mode()&fs.ModeSymlink != 0:
			t.leave("links", "in a zip archive, not followed", where)
			continue
		case m.Method != zip.Store && m.Method != zip.Deflate:
			t.ledger.files++
			t.leave("files", fmt.Sprintf("compressed by method %d of zip, which is not read: unpack the archive", m.Method), where)
			continue
		case m.CompressedSize64 > uint64(size), m.UncompressedSize64 > 1040*m.CompressedSize64+1024: // more than deflate can do
			return corrupt(fmt.Errorf("%s has %d bytes of %d compressed ones", name, m.UncompressedSize64, m.CompressedSize64))
		}
		f := file{root: t.path, name: name, in: in, size: int64(m.UncompressedSize64)}
		if m.Method == zip.Deflate {
			f.in, f.open = nil, m.Open
		} else if f.offset, err = m.DataOffset(); err != nil {
			return corrupt(err)
		}
		t.member(f)
	}
	for i := range t.files {
		f := &t.files[i]
		if f.open == nil || f.image() || IsArchive(f.name) {
			continue
		}
		b, err := f.bytes(maxMemory)
		if err != nil {
			return err
		}
		maxMemory -= f.size
		f.open, f.in = nil, bytes.NewReader(b)
	}
	t.sorted()
	return nil
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
