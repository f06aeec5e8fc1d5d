package data

import (
	"archive/tar"
	"archive/zip"
	"bytes"
	"compress/gzip"
	"io"
	"strings"
	"testing"

	"github.com/bdia-go/bdia/internal/testkit"
)

// textNames are names by which a text's file is read in another way.
var textNames = []string{"a.txt", "a.txt.gz", "a.jsonl", "a.json", "a.csv", "a.tsv", "a.zip", "a.tar", "a.tar.gz", "a.html"}

// FuzzText: whatever a file of text, of rows or an archive of texts holds, what Open lists can be read, and the rest is an
// error.
func FuzzText(f *testing.F) {
	packed := func(w io.WriteCloser, b []byte) {
		if _, err := w.Write(b); err != nil {
			f.Fatal(err)
		}
		w.Close()
	}
	var z, g, tape bytes.Buffer
	gz := gzip.NewWriter(&g)
	packed(gz, []byte("a text\n"))
	zw := zip.NewWriter(&z)
	if m, err := zw.Create("../a.txt"); err == nil {
		m.Write([]byte("a text"))
	}
	zw.Close()
	tw := tar.NewWriter(&tape)
	if tw.WriteHeader(&tar.Header{Name: "a/b.txt", Size: 4, Mode: 0o644}) == nil {
		packed(tw, []byte("text"))
	}
	for i, b := range [][]byte{[]byte("a text"), g.Bytes(), []byte(`{"text":"a"}` + "\n"), []byte(`[{"text":"a"},{"content":1}]`), []byte("text,id\n\"a\",1\n"),
		[]byte("id\ttext\n1\ta\n"), z.Bytes(), tape.Bytes(), g.Bytes(), []byte("<p>a</p>")} {
		f.Add(b, uint8(i))
	}
	long := strings.Repeat("x", 50_000)
	f.Add([]byte(`{"`+long+`":"a"}`), uint8(2))
	f.Add([]byte(long+",b\n1,2\n"), uint8(4))
	f.Fuzz(func(t *testing.T, b []byte, kind uint8) {
		name := textNames[int(kind)%len(textNames)]
		path := testkit.Folder(t, map[string][]byte{name: b}) + "/" + name
		_, err := HasRows(path, SourceOptions{})
		testkit.Refused(t, err)
		for _, o := range []SourceOptions{{}, {SkipBad: true, MaxBytes: 9}, {AsText: true}} {
			s, err := Open(path, o)
			testkit.Refused(t, err)
			if err != nil {
				continue
			}
			r := s.Reader()
			_, err = io.Copy(io.Discard, io.LimitReader(r, 1<<20))
			testkit.Refused(t, err)
			r.Close()
		}
	})
}
