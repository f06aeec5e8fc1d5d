package data

import (
	"archive/tar"
	"io"
	"path"
	"slices"
	"strings"
)

// IsArchive reports the name of an archive that Open looks into.
func IsArchive(name string) bool {
	return isTar(name) || strings.HasSuffix(strings.ToLower(name), ".zip")
}

// isTar reports the name of a tar archive.
func isTar(name string) bool {
	name = strings.ToLower(name)
	return strings.HasSuffix(name, ".tar") || strings.HasSuffix(name, ".tar.gz") || strings.HasSuffix(name, ".tgz")
}

// zip looks at the files of a zip archive.
func (l *lister) zip(archive string) error {
	if err := l.opener.archive(archive, false); err != nil {
		return err
	}
	files := l.opener.zip.File
	var names []string
	for _, f := range files {
		names = append(names, f.Name)
	}
	if name := office(names); name != "" {
		const remedy = "save it as plain text"
		l.leave(archive, "of "+name, l.or("it is a file of "+name+": "+remedy, remedy))
		return nil
	}
	l.single = false
	for i, name := range names {
		if strings.HasSuffix(name, "/") {
			continue
		}
		if files[i].Flags&1 != 0 {
			l.leave(archive+"/"+name, "encrypted", "")
			continue
		}
		if err := l.member(File{Path: archive + "/" + name, archive: archive, entry: i}, name); err != nil {
			return err
		}
	}
	return nil
}

// tar looks at the files of a tar archive, in their order, without unpacking it to memory.
func (l *lister) tar(archive string) error {
	if err := l.opener.archive(archive, true); err != nil {
		return err
	}
	l.single = false
	for i := 0; ; i++ {
		h, err := l.opener.header()
		if err == io.EOF {
			return nil
		}
		if err != nil {
			return err
		}
		name := path.Clean(h.Name)
		switch h.Typeflag {
		case tar.TypeReg:
			if err := l.member(File{Path: archive + "/" + name, archive: archive, entry: i, tar: true}, name); err != nil {
				return err
			}
		case tar.TypeLink, tar.TypeSymlink:
			l.src.LeftOut.Count(1, "links", "in an archive", archive+"/"+name, false)
		}
	}
}

// member looks at a file of an archive.
func (l *lister) member(f File, name string) error {
	switch base := path.Base(name); {
	case strings.HasPrefix(base, ".") || strings.HasPrefix(name, "__MACOSX/") || slices.Contains(litter, strings.ToLower(base)):
		l.leave(f.Path, reasonHidden, "")
	case !l.o.takes(base):
		l.leave(f.Path, reasonEnding, "")
	default:
		return l.take(f)
	}
	return nil
}
