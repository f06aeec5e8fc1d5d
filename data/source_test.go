package data

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"testing/iotest"
	"unicode/utf8"

	"github.com/bdia-go/bdia/internal/testkit"
)

// byteEncoder makes one token of each byte.
type byteEncoder struct{}

func (byteEncoder) VocabSize() int { return 256 }

func (byteEncoder) EncodeStream(r io.Reader, emit func([]int32) error) error {
	buf, ids := make([]byte, 5), make([]int32, 5)
	for {
		n, err := r.Read(buf)
		for i, b := range buf[:n] {
			ids[i] = int32(b)
		}
		if n > 0 {
			if err := emit(ids[:n]); err != nil {
				return err
			}
		}
		if err == io.EOF {
			return nil
		}
		if err != nil {
			return err
		}
	}
}

// tree writes files (path: text) into a new folder.
func tree(t *testing.T, files map[string]string) string {
	t.Helper()
	dir := t.TempDir()
	for name, text := range files {
		p := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(p), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(p, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

func TestOpenFolder(t *testing.T) {
	t.Parallel()
	dir := tree(t, map[string]string{
		"b.txt": "bee", "a.go": "ay", "sub/c.md": "sea", "sub/z.txt": "zed", ".hidden.txt": "no", ".git/x.txt": "no",
		"testdata/d.txt": "dee", "bin.txt": "text\x00", "empty.txt": "", "late.txt": strings.Repeat("x", 8<<10) + "\x00",
	})
	for _, c := range []struct {
		name string
		opts SourceOptions
		want string
	}{
		{"all text", SourceOptions{}, "a.go:2 b.txt:3 late.txt:8192 sub/c.md:3 sub/z.txt:3 testdata/d.txt:3"},
		{"by extension", SourceOptions{Extensions: []string{".md", ".go"}}, "a.go:2 sub/c.md:3"},
		{"without testdata", SourceOptions{Extensions: []string{".txt"}, SkipDirs: []string{"testdata", "sub"}}, "b.txt:3 late.txt:8192"},
		{"cut", SourceOptions{MaxBytes: 15}, "a.go:2 b.txt:3 late.txt:10"},
	} {
		src, err := Open(dir, c.opts)
		if err != nil {
			t.Errorf("%s: %v", c.name, err)
			continue
		}
		var got []string
		for _, f := range src.Files {
			rel, err := filepath.Rel(evalSymlinks(t, dir), f.Path)
			if err != nil {
				t.Fatal(err)
			}
			got = append(got, filepath.ToSlash(rel)+":"+strconv.FormatInt(f.Size, 10))
		}
		if strings.Join(got, " ") != c.want {
			t.Errorf("%s: %q, want %q", c.name, got, c.want)
		}
	}
	if _, err := Open(dir, SourceOptions{Extensions: []string{".pdf"}}); !errors.Is(err, ErrNoText) {
		t.Errorf("no such extension: error %v", err)
	}
	if _, err := Open(filepath.Join(dir, "absent"), SourceOptions{}); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("absent path: error %v", err)
	}
	for _, o := range []SourceOptions{{MaxBytes: -1}, {Extensions: []string{"go"}}} {
		if _, err := Open(dir, o); err == nil {
			t.Errorf("%+v is no error", o)
		}
	}
	// A file named outright is taken whatever its name.
	if src, err := Open(filepath.Join(dir, ".hidden.txt"), SourceOptions{Extensions: []string{".go"}}); err != nil || src.Bytes() != 2 {
		t.Errorf("a named file: %v, error %v", src, err)
	}
}

func evalSymlinks(t *testing.T, p string) string {
	t.Helper()
	p, err := filepath.EvalSymlinks(p)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func TestCutKeepsCharactersWhole(t *testing.T) {
	t.Parallel()
	text := "aé€😀b" // 1+2+3+4+1 bytes
	dir := tree(t, map[string]string{"t.txt": text, "u.txt": "more"})
	ends := map[int64]int64{1: 1, 2: 1, 3: 3, 4: 3, 5: 3, 6: 6, 7: 6, 8: 6, 9: 6, 10: 10, 11: 11, 12: 11}
	for limit, want := range ends {
		src, err := Open(filepath.Join(dir, "t.txt"), SourceOptions{MaxBytes: limit})
		if err != nil {
			t.Fatal(err)
		}
		if src.Bytes() != want {
			t.Errorf("limit %d takes %d bytes, want %d", limit, src.Bytes(), want)
		}
		b, err := io.ReadAll(src.Reader())
		if err != nil || string(b) != text[:want] || !utf8.Valid(b) {
			t.Errorf("limit %d reads %q, error %v", limit, b, err)
		}
	}
	src, err := Open(dir, SourceOptions{MaxBytes: 8})
	if err != nil || len(src.Files) != 1 {
		t.Errorf("after a cut file the source goes on: %v, error %v", src, err)
	}
}

// packed is text as gzip compresses it.
func packed(t *testing.T, text string) string {
	t.Helper()
	var b strings.Builder
	z := gzip.NewWriter(&b)
	z.Write([]byte(text))
	if err := z.Close(); err != nil {
		t.Fatal(err)
	}
	return b.String()
}

// TestPacked: compressed files are the text in them, whatever their names are.
func TestPacked(t *testing.T) {
	t.Parallel()
	long := strings.Repeat("long é ", 5000)
	dir := tree(t, map[string]string{"a.txt.gz": packed(t, "one "), "b": packed(t, long), "c.md.gz": packed(t, "sea"), "d.gz": packed(t, "bin\x00"), "e.gz": packed(t, ""), "f.txt": "plain"})
	for _, c := range []struct {
		o    SourceOptions
		want string
	}{
		{SourceOptions{}, "one " + long + "seaplain"},
		{SourceOptions{Extensions: []string{".txt"}}, "one plain"},
		{SourceOptions{Extensions: []string{".gz"}}, "one sea"},
		{SourceOptions{MaxBytes: 4 + 6}, "one long "}, // an é is cut
		{SourceOptions{MaxBytes: 20_004}, "one " + long[:20_000]},
		{SourceOptions{MaxBytes: 3}, "one"},
	} {
		src, err := Open(dir, c.o)
		if err != nil {
			t.Fatal(err)
		}
		if got, err := io.ReadAll(src.Reader()); err != nil || string(got) != c.want || src.Bytes() != int64(len(c.want)) {
			t.Errorf("%+v: %d bytes, read %d, want %d: %v", c.o, src.Bytes(), len(got), len(c.want), err)
		}
	}
	for _, broken := range []string{packed(t, long)[:60], packed(t, "ab")[:7], packed(t, long)[:40] + "....." + packed(t, long)[45:]} {
		if _, err := Open(filepath.Join(tree(t, map[string]string{"x.gz": broken}), "x.gz"), SourceOptions{}); err == nil || !strings.Contains(err.Error(), "x.gz: its compressed data are damaged") {
			t.Errorf("error %v of damaged data", err)
		}
	}
}

func TestReaderJoinsFiles(t *testing.T) {
	t.Parallel()
	src, err := Open(tree(t, map[string]string{"a": "one ", "b": "two ", "c": "three"}), SourceOptions{})
	if err != nil {
		t.Fatal(err)
	}
	if err := iotest.TestReader(src.Reader(), []byte("one two three")); err != nil {
		t.Error(err)
	}
}

func TestEncode(t *testing.T) {
	t.Parallel()
	src, err := Open(tree(t, map[string]string{"a": "first file", "b": "second"}), SourceOptions{})
	if err != nil {
		t.Fatal(err)
	}
	var got []int32
	var progress int64
	opts := EncodeOptions{Separator: []int32{0}, Progress: func(n int64) { progress = n }}
	if err := src.Encode(byteEncoder{}, opts, func(ids []int32) error { got = append(got, ids...); return nil }); err != nil {
		t.Fatal(err)
	}
	var want []int32
	for _, b := range []byte("first file\x00second") {
		want = append(want, int32(b))
	}
	if !slices.Equal(got, want) || progress != 16 {
		t.Errorf("ids %v after %d bytes, want %v", got, progress, want)
	}
	got, opts.Before = nil, []int32{1, 2}
	if err := src.Encode(byteEncoder{}, opts, func(ids []int32) error { got = append(got, ids...); return nil }); err != nil {
		t.Fatal(err)
	}
	want = slices.Concat([]int32{1, 2}, want[:11], []int32{1, 2}, want[11:])
	if !slices.Equal(got, want) {
		t.Errorf("ids %v, want %v", got, want)
	}
	stop := errors.New("stop")
	if err := src.Encode(byteEncoder{}, EncodeOptions{}, func([]int32) error { return stop }); !errors.Is(err, stop) {
		t.Errorf("error %v", err)
	}
}

// A text goes to disk and comes back as itself.
func TestTextToShards(t *testing.T) {
	t.Parallel()
	path := testkit.SharedPath(t, "data", "tinyshakespeare")
	src, err := Open(path, SourceOptions{Extensions: []string{".txt"}, MaxBytes: 200_000})
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	w, err := CreateShards(dir, "train", ShardOptions{VocabSize: 256, ShardTokens: 30_000})
	if err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(src.Encode(byteEncoder{}, EncodeOptions{}, w.Write), w.Close()); err != nil {
		t.Fatal(err)
	}
	want, err := io.ReadAll(src.Reader())
	if err != nil {
		t.Fatal(err)
	}
	s := openShards(t, dir, OpenOptions{Checksum: true})
	ids := make([]int32, s.Len())
	if err := s.Read(ids, 0); err != nil {
		t.Fatal(err)
	}
	got := make([]byte, len(ids))
	for i, id := range ids {
		got[i] = byte(id)
	}
	if string(got) != string(want) {
		t.Errorf("%d bytes of text came back as %d others", len(want), len(got))
	}
}

func TestGoSource(t *testing.T) {
	t.Parallel()
	src, err := GoSource(1 << 20)
	if errors.Is(err, ErrNoText) {
		t.Skip("no Go source on this machine")
	}
	if err != nil {
		t.Fatal(err)
	}
	if n := src.Bytes(); n > 1<<20 || n < 1<<20-4 {
		t.Errorf("%d bytes of at most %d", n, 1<<20)
	}
	for _, f := range src.Files {
		if filepath.Ext(f.Path) != ".go" || strings.Contains(filepath.ToSlash(f.Path), "/testdata/") {
			t.Errorf("took %s", f.Path)
		}
	}
}

func TestGoRootsAreAbsolute(t *testing.T) {
	t.Setenv("PATH", t.TempDir())
	t.Setenv("GOROOT", "not/absolute")
	for _, r := range goRoots() {
		if !filepath.IsAbs(r) {
			t.Errorf("root %q", r)
		}
	}
}

// TestTar: the files of tar archives are read like those of a folder, packed or not, also in another order.
func TestTar(t *testing.T) {
	t.Parallel()
	var plain, packed bytes.Buffer
	w := tar.NewWriter(&plain)
	add := func(h tar.Header, text string) {
		h.Mode, h.Size = 0o644, int64(len(text))
		if err := w.WriteHeader(&h); err != nil {
			t.Fatal(err)
		}
		if _, err := w.Write([]byte(text)); err != nil {
			t.Fatal(err)
		}
	}
	add(tar.Header{Name: "./set/", Typeflag: tar.TypeDir}, "")
	add(tar.Header{Name: "./set/b.txt"}, "bee\n")
	add(tar.Header{Name: "./set/._b.txt"}, "mac")
	add(tar.Header{Name: "set/link.txt", Linkname: "b.txt", Typeflag: tar.TypeSymlink}, "")
	add(tar.Header{Name: "set/rows.jsonl"}, "{\"text\":\"row one\"}\n{\"text\":\"row two\"}\n")
	add(tar.Header{Name: "set/a.txt"}, "ant\n")
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	z := gzip.NewWriter(&packed)
	if _, err := z.Write(plain.Bytes()); err != nil || z.Close() != nil {
		t.Fatal(err)
	}
	for name, archive := range map[string][]byte{"a.tar": plain.Bytes(), "a.tar.gz": packed.Bytes(), "A.TGZ": packed.Bytes()} {
		root := tree(t, map[string]string{name: string(archive)})
		for _, path := range []string{root, filepath.Join(root, name)} {
			s, err := Open(path, SourceOptions{Extensions: []string{".txt", ".jsonl"}})
			if err != nil {
				t.Errorf("%s: %v", path, err)
				continue
			}
			text, err := io.ReadAll(s.Reader())
			if want := "bee\nrow one\nrow two\nant\n"; err != nil || string(text) != want {
				t.Errorf("%s: %q, %v", path, text, err)
			}
			if got := fmt.Sprint(s.LeftOut); !strings.Contains(got, "hidden") || !strings.Contains(got, "link.txt") || s.Documents() != 4 {
				t.Errorf("%s: %d documents, left out %s", path, s.Documents(), got)
			}
			slices.Reverse(s.Files)
			text, err = io.ReadAll(s.Reader())
			if want := "ant\nrow one\nrow two\nbee\n"; err != nil || string(text) != want {
				t.Errorf("%s: in another order %q, %v", path, text, err)
			}
		}
		half := tree(t, map[string]string{name: string(archive[:len(archive)/3])})
		if _, err := Open(filepath.Join(half, name), SourceOptions{}); err == nil || !strings.Contains(err.Error(), name) || strings.Contains(err.Error(), "\n") {
			t.Errorf("a third of %s: %v", name, err)
		}
	}
}
