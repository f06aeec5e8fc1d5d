package data

import (
	"fmt"
	"io"
	"path/filepath"
	"slices"
	"strings"

	"github.com/bdia-go/bdia/data/tally"
)

// Encoder is the part of a tokenizer that this package needs.
type Encoder interface {
	// EncodeStream encodes the text of r and calls emit with the ids in pieces, in order. A piece is valid only
	// during the call. If emit returns an error, encoding stops with it.
	EncodeStream(r io.Reader, emit func(ids []int32) error) error
	// VocabSize returns the number of tokens; ids are below it.
	VocabSize() int
}

// SourceOptions choose the files of a Source. The zero value takes every text
// file.
type SourceOptions struct {
	// Extensions are the endings to keep, with their dot (".go"); empty keeps every file. A path that is itself a
	// file is always kept.
	Extensions []string
	// SkipDirs are names of folders to leave out at any depth ("testdata").
	SkipDirs []string
	// MaxBytes limits the text in bytes; the last file is cut between characters. 0 means no limit.
	MaxBytes int64
	// TextKey is the key or the column that holds the text of JSON or of a table; empty: one with a known name, as
	// text or content.
	TextKey string
	// AsText reads JSON and tables as they are, marks and all, as one text.
	AsText bool
	// SkipBad leaves out texts that are not UTF-8, and counts them. Otherwise the first is an EncodingError.
	SkipBad bool
	// Progress, if set, is called with the number of bytes looked at so far. Its error ends Open.
	Progress func(bytes int64) error
}

// Validate returns an error for the first invalid option.
func (o SourceOptions) Validate() error {
	if o.MaxBytes < 0 {
		return fmt.Errorf("data: MaxBytes %d is negative: give 0 for no limit", o.MaxBytes)
	}
	if o.AsText && o.TextKey != "" {
		return fmt.Errorf("data: the text is under %q, and the file is the text: choose one of them", o.TextKey)
	}
	for _, e := range o.Extensions {
		if len(e) < 2 || e[0] != '.' {
			return fmt.Errorf("data: extension %q must start with a dot, as in \".txt\"", e)
		}
	}
	return nil
}

// takes reports whether a file in a folder has one of the extensions. A compressed file qualifies with or without its
// .gz.
func (o SourceOptions) takes(name string) bool {
	has := func(name string) bool { return slices.Contains(o.Extensions, filepath.Ext(name)) }
	return len(o.Extensions) == 0 || has(name) || has(strings.TrimSuffix(name, ".gz"))
}

// File is one file of a Source.
type File struct {
	Path      string // in an archive: its path, and the one within
	Size      int64  // bytes of text taken, from the start
	Documents int64  // texts in it: rows of JSON or of a table, or one

	archive string // path of the archive around it
	tar     bool   // which is a tar archive
	entry   int    // number of the file there; below 0: there is no archive
	form    form
	key     string // TextKey
}

// Source is an ordered list of text files.
type Source struct {
	Files   []File
	Found   int64      // files that were seen, those that were left out as well
	LeftOut tally.List // what was not used, or not as it was
	Notes   []string   // what else a user should know, a sentence each

	skipBad bool
}

// Add appends the files of another source, and what is known of them.
func (s *Source) Add(other *Source) {
	s.Files = append(s.Files, other.Files...)
	s.Found += other.Found
	s.skipBad = s.skipBad || other.skipBad
	for _, l := range other.LeftOut {
		s.LeftOut.Count(l.Count, l.What, l.Reason, l.First, l.Kept)
	}
	for _, n := range other.Notes {
		s.note(n)
	}
}

// note adds a note, once.
func (s *Source) note(text string) {
	if !slices.Contains(s.Notes, text) {
		s.Notes = append(s.Notes, text)
	}
}

// Bytes returns the number of bytes of text.
func (s *Source) Bytes() int64 {
	var n int64
	for _, f := range s.Files {
		n += f.Size
	}
	return n
}

// Documents returns the number of texts.
func (s *Source) Documents() int64 {
	var n int64
	for _, f := range s.Files {
		n += f.Documents
	}
	return n
}

// walk reads the documents of all files in order. It opens one file at a time.
type walk struct {
	files   []File
	skipBad bool
	opener  opener
	current *documents
}

// next returns the next document, or io.EOF. The one before it ends.
func (w *walk) next() (document, error) {
	for {
		if w.current == nil {
			if len(w.files) == 0 {
				return document{}, io.EOF
			}
			var err error
			if w.current, err = openDocuments(&w.opener, &w.files[0], w.skipBad); err != nil {
				return document{}, err
			}
			w.files = w.files[1:]
		}
		d, err := w.current.next()
		if err != io.EOF {
			return d, err
		}
		if err := w.closeFile(); err != nil {
			return document{}, err
		}
	}
}

func (w *walk) closeFile() error {
	if w.current == nil {
		return nil
	}
	err := w.current.close()
	w.current = nil
	return err
}

func (w *walk) close() error {
	err := w.closeFile()
	w.opener.close()
	return err
}

// Reader returns the text of all documents as one stream, with nothing between files and a line break after each row
// of a file of rows. It opens one file at a time; reading to the end or Close closes it.
func (s *Source) Reader() io.ReadCloser {
	return &sourceReader{walk: walk{files: s.Files, skipBad: s.skipBad}}
}

type sourceReader struct {
	walk walk
	text io.Reader // of the document at hand
}

func (r *sourceReader) Read(p []byte) (int, error) {
	for {
		if r.text == nil {
			d, err := r.walk.next()
			if err != nil {
				r.Close()
				return 0, err
			}
			r.text = d.lines()
		}
		n, err := r.text.Read(p)
		if err == io.EOF {
			r.text, err = nil, nil
		}
		if n > 0 || err != nil || len(p) == 0 {
			return n, err
		}
	}
}

func (r *sourceReader) Close() error { return r.walk.close() }

// lines is the text, with a line break after a row.
func (d document) lines() io.Reader {
	if d.row {
		return io.MultiReader(d.text, strings.NewReader("\n"))
	}
	return d.text
}

// EncodeOptions are the options of Encode.
type EncodeOptions struct {
	// Separator is put between two documents: usually the end-of-text id, or no ids. Without it rows of a file end
	// in a line break.
	Separator []int32
	// Before is put before each document, for example the token that begins a text.
	Before []int32
	// Progress, if set, is called with the number of bytes read so far.
	Progress func(bytes int64)
	// Document, if set, is called before the ids of each document, with its place.
	Document func(place string) error
}

// Encode encodes each document on its own and calls emit with the ids in pieces, in order. A piece is valid only during
// the call. emit may be a ShardWriter's Write. Memory does not grow with the text.
func (s *Source) Encode(enc Encoder, opts EncodeOptions, emit func(ids []int32) error) error {
	w := walk{files: s.Files, skipBad: s.skipBad}
	defer w.close()
	var done int64
	for i := 0; ; i++ {
		d, err := w.next()
		if err == io.EOF {
			return nil
		}
		if err != nil {
			return err
		}
		if i > 0 && len(opts.Separator) > 0 {
			if err := emit(opts.Separator); err != nil {
				return err
			}
		}
		if opts.Document != nil {
			if err := opts.Document(d.place); err != nil {
				return err
			}
		}
		if len(opts.Before) > 0 {
			if err := emit(opts.Before); err != nil {
				return err
			}
		}
		text := d.text
		if len(opts.Separator) == 0 {
			text = d.lines()
		}
		if err := enc.EncodeStream(&countingReader{text, &done, opts.Progress}, emit); err != nil {
			return fmt.Errorf("data: encode %s: %w", d.place, err)
		}
	}
}

type countingReader struct {
	r        io.Reader
	done     *int64
	progress func(int64)
}

func (c *countingReader) Read(p []byte) (int, error) {
	n, err := c.r.Read(p)
	*c.done += int64(n)
	if n > 0 && c.progress != nil {
		c.progress(*c.done)
	}
	return n, err
}
