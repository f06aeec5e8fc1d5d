package main

import (
	"bufio"
	"io"
	"os"
	"strings"
	"testing"

	"github.com/bdia-go/bdia/internal/disk"
)

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
	f, err := disk.OpenFile(write(t, t.TempDir(), "read-only", ""), os.O_RDONLY, 0)
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
