package score

import (
	"bytes"
	"compress/gzip"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/bdia-go/bdia/internal/testkit"
	"github.com/bdia-go/bdia/internal/textfile"
)

// read returns the segments of texts, the hypotheses first, each as one string.
func read(allowEmpty bool, texts ...string) (segments []string, err error) {
	streams := make([]Stream, len(texts))
	for i, text := range texts {
		streams[i] = Stream{fmt.Sprintf("file%d", i), strings.NewReader(text)}
	}
	err = Lines(streams[0], streams[1:], allowEmpty, func(hyp string, refs []string) error {
		segments = append(segments, hyp+" <"+strings.Join(refs, "|")+">")
		return nil
	})
	return segments, err
}

func TestLines(t *testing.T) {
	t.Parallel()
	var zipped bytes.Buffer
	z := gzip.NewWriter(&zipped)
	io.WriteString(z, "r1\nr2\n")
	z.Close()
	long := strings.Repeat("a", textfile.MaxLine) + "\n"
	for _, c := range []struct {
		allowEmpty bool
		texts      []string
		want       []string
		err        error
		message    string
	}{
		{false, []string{"h1\nh2\n", "r1\nr2"}, []string{"h1 <r1>", "h2 <r2>"}, nil, ""},
		{false, []string{"h1\nh2\n", zipped.String(), "s1\r\ns2 \t\n"}, []string{"h1 <r1|s1>", "h2 <r2|s2>"}, nil, ""},
		{false, []string{"\n  x\ry\u2028z \n", "r1\nr2\n"}, []string{" <r1>", "  x\ry\u2028z <r2>"}, nil, ""},
		{true, []string{"h1\nh2\n", "\nr2\n"}, []string{"h1 <>", "h2 <r2>"}, nil, ""},
		{false, []string{"h1\nh2\nh3\n", "r1\n\nr3\n"}, []string{"h1 <r1>"}, ErrEmptyReference, "file1: 1 of 3 lines (line 2) is empty"},
		{false, []string{"h\nh\nh\n", "r\nr\nr\n", "\nx\n\n"}, nil, ErrEmptyReference, "file2: 2 of 3 lines (the first is line 1) are empty"},
		{false, []string{"h1\nh2\nh3", "r1\n"}, []string{"h1 <r1>"}, ErrLineCount, "file0 has 3 lines, file1 has 1 line"},
		{false, []string{"h1\n", "r1\n", "s1\n\n"}, []string{"h1 <r1|s1>"}, ErrLineCount, "file0 has 1 line, file2 has 2 lines"},
		{false, []string{"", ""}, nil, ErrText, "file0 has no lines"},
		{false, []string{"", "r\n"}, nil, ErrLineCount, "file0 has 0 lines, file1 has 1 line"},
		{false, []string{"h\n\xff\nh\n\xe9", "r\n"}, []string{"h <r>"}, ErrText, "file0: 2 of 4 lines (the first is line 2) are not UTF-8"},
		{false, []string{"h\n", "\xed\xa0\x80\n"}, nil, ErrText, "file1: 1 of 1 line (line 1) is not UTF-8"},
		{false, []string{long, "r\n"}, []string{long[:textfile.MaxLine] + " <r>"}, nil, ""},
		{false, []string{"h\na" + long, "r\nr\n"}, []string{"h <r>"}, ErrText, "file0: line 2 is longer than 1 MiB"},
		{false, []string{"h\n", "\x1f\x8b\x08"}, nil, io.ErrUnexpectedEOF, "file1: line 1: its compressed data are damaged"},
		{false, []string{"h\nh\n", zipped.String()[:zipped.Len()-9]}, []string{"h <r1>", "h <r2>"}, io.ErrUnexpectedEOF, "file1: line 3"},
	} {
		got, err := read(c.allowEmpty, c.texts...)
		if !slices.Equal(got, c.want) {
			t.Errorf("%.40q: segments %.80q, want %.80q", c.texts, got, c.want)
		}
		if !errors.Is(err, c.err) || err != nil && (!strings.Contains(err.Error(), c.message) || strings.Contains(err.Error(), "\n")) {
			t.Errorf("%.40q: %v, want %v: %s", c.texts, err, c.err, c.message)
		}
	}
	stop := errors.New("stop")
	err := Lines(Stream{"h", strings.NewReader("a\nb\n")}, []Stream{{"r", strings.NewReader("a\nb\n")}}, false,
		func(string, []string) error { return stop })
	if err != stop {
		t.Errorf("an error of the caller comes back as %v", err)
	}
}

// endless is a stream without an end or a line break.
type endless struct{ read int }

func (e *endless) Read(b []byte) (int, error) {
	for i := range b {
		b[i] = 'a'
	}
	e.read += len(b)
	return len(b), nil
}

func TestLinesBounded(t *testing.T) {
	t.Parallel()
	e := &endless{}
	err := Lines(Stream{"h", e}, []Stream{{"r", strings.NewReader("r\n")}}, false, func(string, []string) error { return nil })
	if !errors.Is(err, ErrText) || e.read > textfile.MaxLine+1<<16 {
		t.Errorf("%d bytes read: %v", e.read, err)
	}
}

// FuzzLines checks Lines against splitting whole texts.
func FuzzLines(f *testing.F) {
	f.Add("a\nb\n", "c\nd", true)
	f.Add("a\n\xff\n", "\n\n\n", false)
	f.Add("\x1f\x8b\x08\x00", "x", false)
	f.Add("\x00s\x00q\n", "\x1b\x1b", true)
	for _, text := range testkit.Longer("a b\nc\xff") {
		f.Add(text, "a\n", false)
		f.Add("a\nb", text, true)
	}
	f.Fuzz(func(t *testing.T, hyp, ref string, allowEmpty bool) {
		got, err := read(allowEmpty, hyp, ref)
		testkit.Refused(t, err)
		if strings.Contains(hyp+ref, "\x00") { // UTF-16, perhaps
			return
		}
		if strings.HasPrefix(hyp, "\x1f\x8b") || strings.HasPrefix(ref, "\x1f\x8b") {
			return
		}
		cut := func(s string) []string {
			if s == "" {
				return nil
			}
			return strings.Split(strings.TrimSuffix(s, "\n"), "\n")
		}
		h, r := cut(hyp), cut(ref)
		good := len(h) == len(r) && len(h) > 0 && utf8.ValidString(hyp) && utf8.ValidString(ref)
		for _, line := range r {
			good = good && (allowEmpty || trimRight(line) != "")
		}
		if good != (err == nil) {
			t.Fatalf("%q, %q: %v", hyp, ref, err)
		}
		if good && len(got) != len(h) {
			t.Errorf("%d segments of %d lines", len(got), len(h))
		}
		for i, s := range got {
			if want := trimRight(h[i]) + " <" + trimRight(r[i]) + ">"; s != want {
				t.Errorf("segment %d: %q, want %q", i+1, s, want)
			}
		}
	})
}
