package main

import (
	"bufio"
	"bytes"
	"compress/gzip"
	"io"
	"os"
	"strings"
	"testing"
	"testing/iotest"
)

// FuzzLineInput: the lines are the text, however it arrives and whether or not it is
// packed; what claims to be packed and is not is an error.
func FuzzLineInput(f *testing.F) {
	for _, text := range []string{"", "\n", "a", "a\nb", "a\r\n\n\nb\n", "\ufeffa\n", "\xef", "\xef\xbbx\n", "\x1f", "\x1f\n", "\x1f\x8b\x08", strings.Repeat("x\n", 3000)} {
		f.Add([]byte(text))
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		want := string(bytes.TrimPrefix(text, []byte("\ufeff")))
		var packed bytes.Buffer
		z := gzip.NewWriter(&packed)
		z.Write(text)
		z.Close()
		for name, r := range map[string]io.Reader{"whole": bytes.NewReader(text), "byte by byte": iotest.OneByteReader(bytes.NewReader(text)),
			"end with data": iotest.DataErrReader(bytes.NewReader(text)), "packed": &packed} {
			in := newLines(name, r)
			lines, err := in.rest()
			if bytes.HasPrefix(text, []byte("\x1f\x8b")) && name != "packed" {
				continue // what it unpacks to is gzip's business
			}
			if err != nil {
				t.Fatalf("%s: %v", name, err)
			}
			if got := strings.Join(lines, ""); got != want || len(lines) != in.read {
				t.Errorf("%s: %q in %d lines, want %q", name, got, in.read, want)
			}
			for i, line := range lines {
				if n := strings.Count(line, "\n"); n > 1 || n == 0 && i != len(lines)-1 {
					t.Errorf("%s: line %d is %q", name, i+1, line)
				}
			}
		}
	})
}

// TestLinesAsTheyCome: lines that are there are given together, without waiting for
// more.
func TestLinesAsTheyCome(t *testing.T) {
	t.Parallel()
	r, w := io.Pipe()
	in := newLines("pipe", r)
	for _, text := range []string{"a\n", "\n", "b\nc\n\nd\n"} {
		go io.WriteString(w, text)
		lines, err := in.next()
		if err != nil || strings.Join(lines, "") != text {
			t.Errorf("%q, %v, want %q", lines, err, text)
		}
	}
	go func() {
		io.WriteString(w, "begin")
		io.WriteString(w, "ning")
		w.Close()
	}()
	if lines, err := in.next(); err != nil || strings.Join(lines, "|") != "beginning" {
		t.Errorf("%q, %v of a line that comes in parts", lines, err)
	}
	if _, err := in.next(); err != io.EOF {
		t.Errorf("error %v at the end", err)
	}
}

// TestLinesLost: of a write that fails there is one error, not another of the flush that
// comes after it.
func TestLinesLost(t *testing.T) {
	t.Parallel()
	f, err := os.Open(write(t, t.TempDir(), "read-only", ""))
	if err != nil {
		t.Fatal(err)
	}
	w := newLineWriter(1, false)
	w.file, w.out = &lateFile{File: f}, bufio.NewWriter(f)
	if err := w.add("", []string{"a"}, nil, nil); err != nil {
		t.Fatal(err)
	}
	lost := w.out.Flush()
	if err := w.close(lost); lost == nil || err != lost {
		t.Errorf("%v, after %v", err, lost)
	}
}
