package data

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/bdia-go/bdia/internal/textfile"
)

// Reasons for a file to be left out.
const (
	reasonHidden  = "hidden"
	reasonEnding  = "with another ending"
	reasonEmpty   = "empty"
	reasonBinary  = "binary"
	reasonNotUTF8 = "not UTF-8"
	reasonAgain   = "read under another name"
)

// Open lists the text of path: the file itself, or the files of a folder and its sub-folders in lexical order, and the
// files of zip and tar archives. Gzip files are unpacked, and UTF-16 is decoded. Lines of JSON, lists in JSON and
// tables hold a document in each row, under TextKey. Links to files are followed. Every text is read once, so what
// Open lists can be read; what it leaves out, it counts: hidden files, links to folders, empty and binary files, and
// other formats than text. A path without text is ErrNoText.
func Open(path string, opts SourceOptions) (*Source, error) {
	l, err := newLister(path, opts)
	if err != nil {
		return nil, err
	}
	err = l.list(path)
	var encoding *EncodingError
	switch {
	case errors.As(err, &encoding):
		return nil, encoding
	case err != nil && err != fs.SkipAll:
		return nil, err
	case len(l.src.Files) == 0:
		return nil, l.nothing(path)
	}
	return l.src, nil
}

// HasRows reports whether Open would find JSON or a table at path, with keys or columns: it looks at the beginnings of
// files alone. Errors are the ones of looking.
func HasRows(path string, opts SourceOptions) (bool, error) {
	l, err := newLister(path, opts)
	if err != nil {
		return false, err
	}
	l.sniff = true
	if err := l.list(path); err != nil && err != fs.SkipAll {
		return false, err
	}
	return l.rows, nil
}

func newLister(path string, opts SourceOptions) (*lister, error) {
	if err := opts.Validate(); err != nil {
		return nil, err
	}
	root, err := filepath.EvalSymlinks(path)
	if err != nil {
		return nil, fmt.Errorf("data: open text: %w", err)
	}
	return &lister{o: opts, src: &Source{skipBad: opts.SkipBad}, root: root, left: opts.MaxBytes, seen: map[string]bool{}}, nil
}

// list looks at the file, or at the files of the folder, that path names.
func (l *lister) list(path string) error {
	defer l.opener.close()
	info, err := os.Stat(l.root)
	switch {
	case err != nil:
		return fmt.Errorf("data: open text: %w", err)
	case info.IsDir():
		err = filepath.WalkDir(l.root, l.visit)
	case !info.Mode().IsRegular():
		return fmt.Errorf("data: %w in %s: it is no ordinary file: give another path", ErrNoText, path)
	default:
		l.single = true
		err = l.take(File{Path: l.root, entry: -1})
	}
	if err != nil && err != fs.SkipAll && !errors.As(err, new(*EncodingError)) {
		err = fmt.Errorf("data: list the text of %s: %w", path, err)
	}
	return err
}

// lister looks at files.
type lister struct {
	o      SourceOptions
	src    *Source
	root   string
	single bool // root is a file
	left   int64
	read   int64
	seen   map[string]bool // files by their real path, if links were met
	opener opener
	why    error // the first that was left out for its keys

	sniff bool // stop at the first file with rows, and read none
	rows  bool // there was one
}

// leave counts a file that is left out.
func (l *lister) leave(path, reason, more string) {
	l.src.Found++
	if more != "" {
		path += ": " + more
	}
	l.src.LeftOut.Count(1, "files", reason, path, false)
}

// nothing is the error for a path without text.
func (l *lister) nothing(path string) error {
	if l.why != nil {
		return l.why
	}
	if len(l.src.LeftOut) == 0 {
		return fmt.Errorf("data: %w in %s: the folder is empty: give another path", ErrNoText, path)
	}
	var parts []string
	for _, o := range l.src.LeftOut {
		if l.single {
			return fmt.Errorf("data: %w in %s: %s", ErrNoText, path, strings.TrimPrefix(o.First, l.root+": "))
		}
		parts = append(parts, fmt.Sprintf("%d %s (first %s)", o.Count, o.Reason, o.First))
	}
	return fmt.Errorf("data: %w in %s: of the %d files there: %s; give another path or other endings", ErrNoText, path, l.src.Found, strings.Join(parts, ", "))
}

// litter are files that systems leave in folders.
var litter = []string{"thumbs.db", "desktop.ini", "ehthumbs.db"}

// visit looks at a file of a folder.
func (l *lister) visit(p string, d fs.DirEntry, err error) error {
	if err != nil {
		return err
	}
	name := d.Name()
	if d.IsDir() {
		switch {
		case p == l.root:
		case strings.HasPrefix(name, ".") || name == "__MACOSX":
			l.src.LeftOut.Count(1, "folders", reasonHidden, p, false)
			return fs.SkipDir
		case slices.Contains(l.o.SkipDirs, name):
			return fs.SkipDir
		}
		return nil
	}
	real := p
	if d.Type()&fs.ModeSymlink != 0 {
		info, err := os.Stat(p)
		switch {
		case err != nil:
			l.leave(p, "linked to nothing", "")
			return nil
		case info.IsDir():
			l.src.LeftOut.Count(1, "links", "to folders", p, false)
			return nil
		}
		if real, err = filepath.EvalSymlinks(p); err != nil {
			return err
		}
		d = fs.FileInfoToDirEntry(info)
	}
	switch {
	case strings.HasPrefix(name, ".") || slices.Contains(litter, strings.ToLower(name)):
		l.leave(p, reasonHidden, "")
	case !d.Type().IsRegular():
		l.leave(p, "of another kind: devices, pipes", "")
	case !l.o.takes(name) && !IsArchive(name):
		l.leave(p, reasonEnding, "")
	case l.seen[real]:
		l.leave(p, reasonAgain, "")
	default:
		l.seen[real] = true
		return l.take(File{Path: p, entry: -1})
	}
	return nil
}

// take looks at a file, and adds it to the source if it holds text.
func (l *lister) take(f File) error {
	raw, err := l.opener.open(&f)
	if err != nil {
		return err
	}
	defer func() { raw.Close() }()
	d := &documents{file: &f, raw: raw, left: -1, skipBad: l.o.SkipBad}
	text, head, utf16, err := begin(raw)
	if err != nil {
		return d.wrong(err)
	}
	name, remedy := foreign(f.Path, head)
	switch {
	case len(head) == 0:
		l.leave(f.Path, reasonEmpty, l.or("it is empty", ""))
		return nil
	case name == textfile.Zip && f.entry < 0:
		return l.zip(f.Path)
	case (name == textfile.Tar || isTar(f.Path)) && f.entry < 0:
		return l.tar(f.Path)
	case name != "":
		l.leave(f.Path, "of "+name, l.or("it is a file of "+name+": "+remedy, remedy))
		return nil
	case isBinary(head):
		l.leave(f.Path, reasonBinary, l.or("it is binary", ""))
		return nil
	}
	if l.sniff {
		if l.rows = hasRows(raw) || formOf(f.Path, head) != plain; l.rows {
			return fs.SkipAll
		}
		return nil
	}
	switch f.key = l.o.TextKey; {
	case hasRows(raw):
		f.form = jsonLines
	case l.o.AsText:
		f.form = plain
	default:
		f.form = formOf(f.Path, head)
	}
	if l.o.MaxBytes > 0 {
		d.left = l.left
	}
	if err := d.form(text, head); err != nil {
		return err
	}
	return l.add(d, utf16, f.form == plain && markup(head))
}

// hasRows reports a file of another format that is read as lines of JSON.
func hasRows(raw io.Reader) bool {
	f, ok := raw.(*textfile.File)
	return ok && f.HasRows()
}

// or is one text for a path that is a file, and another for files of a folder.
func (l *lister) or(single, among string) string {
	if l.single {
		return single
	}
	return among
}

// add reads the documents of a file, and adds it.
func (l *lister) add(d *documents, utf16, html bool) error {
	f := d.file
	err := l.documents(d)
	if d.clean != nil {
		d.count(d.clean)
	}
	var encoding *EncodingError
	if errors.As(err, &encoding) && l.o.SkipBad {
		l.leave(f.Path, reasonNotUTF8, strings.TrimPrefix(encoding.place(), f.Path+", "))
		return nil
	}
	if err != nil {
		return err
	}
	if f.Documents == 0 {
		l.without(d)
		return nil
	}
	l.src.Found++
	for _, s := range d.seen {
		l.src.LeftOut.Count(s.Count, s.What, s.Reason, s.First, s.Kept)
	}
	if utf16 {
		l.src.LeftOut.Count(1, "files", "of UTF-16, decoded", f.Path, true)
	}
	if html {
		l.src.LeftOut.Count(1, "files", "of HTML, read with its marks", f.Path, true)
	}
	switch r := d.rows.(type) {
	case *lineRows:
		l.keys(r.found)
	case *listRows:
		l.keys(r.found)
	case *tableRows:
		l.src.note(fmt.Sprintf("The column %q of tables is the text: each row is a document.", r.name))
	}
	l.src.Files = append(l.src.Files, *f)
	if l.o.MaxBytes > 0 {
		// A file cut at the limit may end a few bytes before it: stop there too.
		if l.left -= f.Size; l.left < utf8.UTFMax {
			l.src.note(fmt.Sprintf("The text is cut after %d bytes; other files are not looked at.", l.o.MaxBytes))
			return fs.SkipAll
		}
	}
	return nil
}

func (l *lister) keys(found []string) {
	for _, key := range found {
		l.src.note(fmt.Sprintf("The key %q of JSON is the text: each row is a document.", key))
	}
}

// without counts a file that has no document.
func (l *lister) without(d *documents) {
	f := d.file
	if d.rows == nil {
		l.leave(f.Path, reasonEmpty, l.or("it is empty", ""))
		return
	}
	keys := d.rows.keys()
	if f.form == table || len(keys) > 0 {
		why := &KeysError{Path: f.Path, Table: f.form == table, Asked: f.key, Keys: keys}
		if l.why == nil {
			l.why = why
		}
		l.leave(f.Path, "without a text among their keys", quoted(keys))
		return
	}
	detail := "it has no rows"
	if len(d.seen) > 0 {
		detail = fmt.Sprintf("its rows are left out: %d %s, first: %s", d.seen[0].Count, d.seen[0].Reason, d.seen[0].First)
	}
	l.leave(f.Path, "without a document", detail)
}

// documents reads all documents of a file, and sets its size.
func (l *lister) documents(d *documents) error {
	buf := make([]byte, 64<<10)
	var last []byte // of a file that is one document
	for {
		doc, err := d.next()
		if err == io.EOF {
			break
		}
		if err != nil {
			return err
		}
		d.file.Documents++
		for err == nil {
			var n int
			n, err = doc.text.Read(buf)
			last = append(last, buf[max(0, n-utf8.UTFMax):n]...)
			last = last[max(0, len(last)-utf8.UTFMax):]
			l.read += int64(n)
			if l.o.Progress != nil && n > 0 {
				if err := l.o.Progress(l.read); err != nil {
					return err
				}
			}
		}
		if err != io.EOF {
			return err
		}
	}
	d.file.Size = d.taken
	if d.rows == nil {
		if d.left == 0 { // it may be cut in a character
			d.file.Size -= unfinished(last)
		}
		if d.file.Size == 0 {
			d.file.Documents = 0
		}
	}
	return nil
}

// unfinished returns how many bytes at the end of text begin a character that is not whole.
func unfinished(text []byte) int64 {
	for back := 1; back < utf8.UTFMax && back <= len(text); back++ {
		if utf8.RuneStart(text[len(text)-back]) {
			if !utf8.FullRune(text[len(text)-back:]) {
				return int64(back)
			}
			break
		}
	}
	return 0
}
