package images

import (
	"archive/tar"
	"archive/zip"
	"bytes"
	"compress/gzip"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"strings"
)

// openArchive lists the archive of the tree, of size bytes. A compressed tar archive is unpacked into memory, if it
// fits by o; of others only the headers are read.
func (t *tree) openArchive(ctx context.Context, size int64, o Options, progress func(string, int64, int64)) error {
	var err error
	switch e := ending(t.path, archiveEndings); e {
	case ".tar", ".zip":
		var f *os.File
		if f, err = os.Open(t.path); err != nil {
			return fmt.Errorf("images: %w", err)
		}
		if e == ".zip" {
			err = t.openZip(ctx, f, size, o)
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
	u := &unpacked{}
	if err = u.unpack(ctx, t.path, size, o, progress); err == nil {
		t.unpacked = u.size
		err = t.openTar(ctx, u, u.size)
	}
	if err != nil {
		u.Close()
		return err
	}
	t.close = u.Close
	return nil
}

// openTar lists an archive of size bytes. The files stay where they are.
func (t *tree) openTar(ctx context.Context, in io.ReaderAt, size int64) error {
	section, at := io.NewSectionReader(in, 0, size), &place{t.path, in}
	archive := tar.NewReader(section)
	type link struct{ name, target string }
	var links []link
	for {
		if err := t.goOn(ctx); err != nil {
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
		t.member(&file{place: at, name: name, offset: offset, size: h.Size})
		for key := range h.PAXRecords {
			if strings.HasPrefix(key, "GNU.sparse.") && len(t.files) > before { // the archive does not have its bytes in one piece
				return fmt.Errorf("images: %s: %w: %.80s is a sparse file; make the archive without --sparse", t.path, ErrCorrupt, name)
			}
		}
	}
	if len(links) > 0 && t.reading.latest() {
		targets := map[string]*file{}
		for _, f := range t.files {
			targets[f.name] = f
		}
		for _, l := range links {
			if f, ok := targets[l.target]; ok {
				again := *f
				again.name = l.name
				t.member(&again)
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
func (t *tree) member(f *file) {
	if t.reading.latest() && (strings.HasPrefix(f.name, "/") || strings.HasPrefix(f.name, "../")) {
		t.ledger.files++
		t.leave("files", "with a name that leads out of the archive", path.Join(t.path, f.name))
		return
	}
	t.add(f)
}

// openZip lists an archive of size bytes. Compressed images are unpacked one by one when they are read; compressed
// files of many images at once, into memory, if they fit by o.
func (t *tree) openZip(ctx context.Context, in io.ReaderAt, size int64, o Options) error {
	corrupt := func(err error) error {
		return fmt.Errorf("images: %s: %w: %v; make or download the archive again", t.path, ErrCorrupt, err)
	}
	archive, err := zip.NewReader(&headers{ReaderAt: in, tree: t}, size)
	if errors.Is(err, ErrTooLarge) {
		return err
	}
	if err != nil {
		return corrupt(err)
	}
	at := &place{t.path, in}
	for i, m := range archive.File {
		archive.File[i] = nil // it takes more than what is kept of it
		if err := t.goOn(ctx); err != nil {
			return err
		}
		name := path.Clean(strings.ReplaceAll(m.Name, `\`, "/"))
		where := path.Join(t.path, name)
		switch {
		case strings.HasSuffix(m.Name, "/") || strings.HasSuffix(m.Name, `\`):
			continue
		case m.Flags&1 != 0:
			return fmt.Errorf("images: %s: %w: %.80s is encrypted; unpack the archive with its password", t.path, ErrCorrupt, name)
		case m.Mode()&fs.ModeSymlink != 0:
			t.leave("links", "in a zip archive, not followed", where)
			continue
		case m.Method != zip.Store && m.Method != zip.Deflate:
			t.ledger.files++
			t.leave("files", fmt.Sprintf("compressed by method %d of zip, which is not read: unpack the archive", m.Method), where)
			continue
		case m.CompressedSize64 > uint64(size), m.UncompressedSize64 > 1040*m.CompressedSize64+1024: // more than deflate can do
			return corrupt(fmt.Errorf("%.80s has %d bytes of %d compressed ones", name, m.UncompressedSize64, m.CompressedSize64))
		}
		f := &file{place: at, name: strings.Clone(name), size: int64(m.UncompressedSize64)}
		if m.Method == zip.Deflate {
			f.packed, f.sum = int64(m.CompressedSize64), m.CRC32
		}
		if f.offset, err = m.DataOffset(); err != nil {
			return corrupt(err)
		}
		t.member(f)
	}
	for _, f := range t.files {
		if f.packed == 0 || f.image() || IsArchive(f.name) {
			continue
		}
		if most := o.MaxMemory - t.unpacked; f.size > most || o.Fits != nil && !o.Fits(t.taken()+f.size) {
			return largeError(f.where(), min(most, f.size-1))
		}
		b, err := f.bytes(f.size)
		if err != nil {
			return err
		}
		t.unpacked += f.size
		f.place, f.packed, f.offset = &place{t.path, bytes.NewReader(b)}, 0, 0
	}
	t.sorted()
	return nil
}

// unpack reads a gzip file of size bytes, if the result fits by o.
func (u *unpacked) unpack(ctx context.Context, p string, size int64, o Options, progress func(string, int64, int64)) error {
	f, err := os.Open(p)
	if err != nil {
		return fmt.Errorf("images: %w", err)
	}
	defer f.Close()
	corrupt := func(err error) error {
		return fmt.Errorf("images: %s: %w: %v; make or download the archive again", p, ErrCorrupt, err)
	}
	z, err := gzip.NewReader(f)
	if err != nil {
		return corrupt(err)
	}
	for {
		if err := ctx.Err(); err != nil {
			return err
		}
		if u.full() {
			if o.Fits != nil && !o.Fits(u.size+unpackedPiece) {
				return largeError(p, u.size)
			}
			if done, err := f.Seek(0, io.SeekCurrent); err == nil && progress != nil {
				progress("unpacking", done, size)
			}
			if err := u.grow(); err != nil {
				return fmt.Errorf("images: %s: memory to unpack it: %w; unpack it on disk", p, err)
			}
		}
		n, err := z.Read(u.rest())
		if u.size += int64(n); u.size > o.MaxMemory {
			return largeError(p, o.MaxMemory)
		}
		if err == io.EOF {
			return nil
		}
		if err != nil {
			return corrupt(err)
		}
	}
}

// largeError is the error of an archive that does not fit into the memory that is free for it.
func largeError(path string, most int64) error {
	return fmt.Errorf("images: %s: %w: it unpacks to more than the %d bytes of memory that are free for it; unpack it on disk, or allow more memory", path, ErrTooLarge, most)
}
