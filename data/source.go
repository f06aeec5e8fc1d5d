package data

import (
	"bytes"
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
}

// Validate returns an error for the first invalid option.
func (o SourceOptions) Validate() error {
	if o.MaxBytes < 0 {
		return fmt.Errorf("data: MaxBytes %d is negative: give 0 for no limit", o.MaxBytes)
	}
	for _, e := range o.Extensions {
		if len(e) < 2 || e[0] != '.' {
			return fmt.Errorf("data: extension %q must start with a dot, as in \".txt\"", e)
		}
	}
	return nil
}

// File is one file of a Source.
type File struct {
	Path string
	Size int64 // bytes taken, from the start of the text
}

// Source is an ordered list of text files.
type Source struct {
	Files []File
}

// Open lists the text of path: the file itself, or the files of a folder and its sub-folders in lexical order. Gzip
// files are unpacked. In a folder, hidden files and folders, links, empty files and binary files (a zero byte in the
// first 8 KiB) are left out. A path without text is ErrNoText.
func Open(path string, opts SourceOptions) (*Source, error) {
	if err := opts.Validate(); err != nil {
		return nil, err
	}
	root, err := filepath.EvalSymlinks(path)
	if err != nil {
		return nil, fmt.Errorf("data: open text: %w", err)
	}
	src := &Source{}
	left := opts.MaxBytes
	seen := 0
	err = filepath.WalkDir(root, func(p string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		name := d.Name()
		if d.IsDir() {
			if p != root && (strings.HasPrefix(name, ".") || slices.Contains(opts.SkipDirs, name)) {
				return fs.SkipDir
			}
			return nil
		}
		if p != root && !opts.takes(name) {
			return nil
		}
		if !d.Type().IsRegular() {
			return nil
		}
		seen++
		size, err := textSize(p, left)
		if err != nil || size == 0 {
			return err
		}
		src.Files = append(src.Files, File{p, size})
		if opts.MaxBytes > 0 {
			// A file cut at the limit may end a few bytes before it: stop there too.
			if left -= size; left < utf8.UTFMax {
				return fs.SkipAll
			}
		}
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("data: list the text of %s: %w", path, err)
	}
	if len(src.Files) == 0 {
		if info, err := os.Stat(root); err == nil && !info.IsDir() {
			return nil, fmt.Errorf("data: %w in %s: it is empty, binary or no ordinary file: give another path", ErrNoText, path)
		}
		return nil, fmt.Errorf("data: %w in %s: of the files there %d qualify by name and those are empty or binary: give another path or other extensions",
			ErrNoText, path, seen)
	}
	return src, nil
}

// takes reports whether a file in a folder has one of the extensions. A compressed file qualifies with or without its
// .gz.
func (o SourceOptions) takes(name string) bool {
	if strings.HasPrefix(name, ".") {
		return false
	}
	has := func(name string) bool { return slices.Contains(o.Extensions, filepath.Ext(name)) }
	return len(o.Extensions) == 0 || has(name) || has(strings.TrimSuffix(name, ".gz"))
}

// textSize returns the number of bytes to take of a file: 0 for a binary file, else its size. With limit > 0 it is at
// most limit, less the beginning of a character that limit would cut.
func textSize(path string, limit int64) (int64, error) {
	f, err := openText(path)
	if err != nil {
		return 0, err
	}
	defer f.Close()
	head := make([]byte, 8<<10)
	n, err := io.ReadFull(f, head)
	if err != nil && err != io.EOF && err != io.ErrUnexpectedEOF {
		return 0, err
	}
	if bytes.IndexByte(head[:n], 0) >= 0 {
		return 0, nil
	}
	size, err := f.size(int64(n), limit)
	if err != nil || limit <= 0 || size <= limit {
		return size, err
	}
	again, err := openText(path)
	if err != nil {
		return 0, err
	}
	defer again.Close()
	tail := make([]byte, min(limit, utf8.UTFMax-1))
	if _, err := io.CopyN(io.Discard, again, limit-int64(len(tail))); err != nil {
		return 0, err
	}
	if _, err := io.ReadFull(again, tail); err != nil {
		return 0, err
	}
	for i := len(tail) - 1; i >= 0; i-- {
		if utf8.RuneStart(tail[i]) {
			if !utf8.FullRune(tail[i:]) {
				return limit - int64(len(tail)-i), nil
			}
			break
		}
	}
	return limit, nil
}

// textFile is an open file of text, unpacked, with its byte order mark.
type textFile struct {
	*textfile.Reader
	file *os.File
}

func openText(path string) (*textFile, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	return &textFile{textfile.New(f, textfile.Options{KeepMark: true}), f}, nil
}

// Read reads the text. The error of damaged data names the file.
func (t *textFile) Read(p []byte) (int, error) {
	n, err := t.Reader.Read(p)
	if errors.Is(err, textfile.ErrDamaged) {
		err = fmt.Errorf("%s: %w", t.file.Name(), err)
	}
	return n, err
}

// Close closes the file.
func (t *textFile) Close() error { return t.file.Close() }

// size returns the length of the text in bytes, after n bytes have been read. In compressed text it stops counting
// beyond limit, if limit > 0.
func (t *textFile) size(n, limit int64) (int64, error) {
	packed, err := t.Packed()
	if err != nil {
		return 0, err
	}
	if !packed {
		info, err := t.file.Stat()
		if err != nil {
			return 0, err
		}
		return info.Size(), nil
	}
	var rest io.Reader = t
	if limit > 0 {
		rest = io.LimitReader(t, limit+1-n)
	}
	more, err := io.Copy(io.Discard, rest)
	return n + more, err
}

// Bytes returns the number of bytes of text.
func (s *Source) Bytes() int64 {
	var n int64
	for _, f := range s.Files {
		n += f.Size
	}
	return n
}

// Reader returns the text of all files as one stream, with nothing between files. It opens one file at a time;
// reading to the end or Close closes it.
func (s *Source) Reader() io.ReadCloser { return &sourceReader{files: s.Files} }

type sourceReader struct {
	files []File
	f     *textFile
	left  int64
}

func (r *sourceReader) Read(p []byte) (int, error) {
	for {
		if r.f == nil {
			if len(r.files) == 0 {
				return 0, io.EOF
			}
			f, err := openText(r.files[0].Path)
			if err != nil {
				return 0, fmt.Errorf("data: read text: %w", err)
			}
			r.f, r.left, r.files = f, r.files[0].Size, r.files[1:]
		}
		n, err := r.f.Read(p[:min(int64(len(p)), r.left)])
		r.left -= int64(n)
		if r.left == 0 || err == io.EOF {
			err = r.Close()
		}
		if n > 0 || err != nil || len(p) == 0 {
			return n, err
		}
	}
}

func (r *sourceReader) Close() error {
	if r.f == nil {
		return nil
	}
	err := r.f.Close()
	r.f = nil
	return err
}

// EncodeOptions are the options of Encode.
type EncodeOptions struct {
	// Separator is put between two files: usually the end-of-text id, or no ids.
	Separator []int32
	// Progress, if set, is called with the number of bytes read so far.
	Progress func(bytes int64)
}

// Encode encodes each file on its own and calls emit with the ids in pieces, in order. A piece is valid only during
// the call. emit may be a ShardWriter's Write. Memory does not grow with the text.
func (s *Source) Encode(enc Encoder, opts EncodeOptions, emit func(ids []int32) error) error {
	var done int64
	for i, file := range s.Files {
		if i > 0 && len(opts.Separator) > 0 {
			if err := emit(opts.Separator); err != nil {
				return err
			}
		}
		r := &sourceReader{files: []File{file}}
		err := enc.EncodeStream(&countingReader{r, &done, opts.Progress}, emit)
		r.Close()
		if err != nil {
			return fmt.Errorf("data: encode %s: %w", file.Path, err)
		}
	}
	return nil
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
