package pairs

import (
	"encoding/binary"
	"errors"
	"hash/crc32"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/bdia-go/bdia/internal/idfile"
	"github.com/bdia-go/bdia/internal/testkit"
)

// past32 is more than 32 bits hold; where an int has no more, it is negative.
var past32 int64 = 1 << 31

func checkSet(t testing.TB, s *Set, want [][2][]int32) {
	t.Helper()
	if s.Len() != len(want) {
		t.Fatalf("%d pairs, want %d", s.Len(), len(want))
	}
	most := make([]int32, 100)
	for i, p := range want {
		if a, b := s.Lengths(i); a != len(p[0]) || b != len(p[1]) {
			t.Fatalf("pair %d: lengths %d and %d, want %d and %d", i, a, b, len(p[0]), len(p[1]))
		}
		n, err := s.Source(most, i)
		if err != nil || !slices.Equal(most[:n], p[0]) {
			t.Fatalf("pair %d: source %v, error %v, want %v", i, most[:n], err, p[0])
		}
		if n, err = s.Target(most, i); err != nil || !slices.Equal(most[:n], p[1]) {
			t.Fatalf("pair %d: target %v, error %v, want %v", i, most[:n], err, p[1])
		}
	}
}

func TestSetRoundTrip(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name                  string
		n                     int
		source, target, width int
	}{
		{"narrow", 5000, 256, 256, 2},
		{"one pair", 1, 3, 1, 2},
		{"largest 16-bit vocabularies", 300, 1 << 16, 1 << 16, 2},
		{"wide source", 300, 1<<16 + 1, 10, 4},
		{"wide target", 300, 10, 1<<31 - 1, 4},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			dir := filepath.Join(t.TempDir(), "made", "here")
			all := someIDs(c.n, min(c.source, c.target))
			all[0] = [2][]int32{{int32(c.source - 1)}, {int32(c.target - 1), 0}}
			source, target := Vocabulary{c.source, [32]byte{1}}, Vocabulary{c.target, [32]byte{31: 2}}
			s := writeSet(t, dir, source, target, all)
			if a, b := s.Vocabularies(); a != source || b != target || s.h.width != c.width {
				t.Errorf("vocabularies %v and %v, width %d", a, b, s.h.width)
			}
			checkSet(t, s, all)
			if n, err := s.Target(make([]int32, 1), 0); n != 1 || err != nil {
				t.Errorf("one token of a target: %d, error %v", n, err)
			}
			var tokens int64
			for _, p := range all {
				tokens += int64(len(p[0]) + len(p[1]))
			}
			if s.Tokens() != tokens {
				t.Errorf("%d tokens, want %d", s.Tokens(), tokens)
			}
			if err := errors.Join(s.Close(), s.Close()); err != nil || s.Len() != 0 {
				t.Errorf("closed: %d pairs, error %v", s.Len(), err)
			}
		})
	}
}

// The documented layout, assembled by hand.
func TestSetBytes(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	writeSet(t, dir, Vocabulary{600, [32]byte{9}}, Vocabulary{70_000, [32]byte{8}}, [][2][]int32{{{1, 0x203}, {69_999}}, {{}, {5}}})
	got, err := os.ReadFile(filepath.Join(dir, "train.pairs"))
	if err != nil {
		t.Fatal(err)
	}
	crc := func(b []byte) []byte {
		return binary.LittleEndian.AppendUint32(nil, crc32.Checksum(b, crc32.MakeTable(crc32.Castagnoli)))
	}
	body := []byte{1, 0, 0, 0, 3, 2, 0, 0, 0x6f, 0x11, 1, 0, 5, 0, 0, 0, 2, 0, 1, 0, 0, 0, 1, 0}
	want := slices.Concat([]byte("BDIAPAIR"), []byte{1, 0, 0, 0, 4, 0, 0, 0, 0x58, 2, 0, 0, 0x70, 0x11, 1, 0},
		[]byte{2, 0, 0, 0, 0, 0, 0, 0, 4, 0, 0, 0, 0, 0, 0, 0}, []byte{9}, make([]byte, 31), []byte{8}, make([]byte, 31), crc(body), make([]byte, 16))
	want = slices.Concat(want, crc(want), body)
	if !slices.Equal(got, want) {
		t.Errorf("bytes\n% x\nwant\n% x", got, want)
	}
}

func TestSetReplacedAsAWhole(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(t.TempDir(), "[odd") // which is no pattern
	v := Vocabulary{Size: 50}
	first, second := someIDs(5000, 50), someIDs(300, 50)
	before := writeSet(t, dir, v, v, first)
	for _, end := range []func(w *Writer){func(w *Writer) { w.Abort() }, func(w *Writer) { w.f.Close() }} { // the second as when killed
		w, err := Create(dir, "train", v, v)
		if err != nil {
			t.Fatal(err)
		}
		for _, p := range first {
			if err := w.Add(p[0], p[1]); err != nil {
				t.Fatal(err)
			}
		}
		end(w)
		checkSet(t, openSet(t, dir, OpenOptions{Checksum: true}), first)
	}
	checkSet(t, writeSet(t, dir, v, v, second), second)
	checkSet(t, before, first) // opened earlier, it stays as it was
	left, err := os.ReadDir(dir)
	if err != nil || len(left) != 1 || left[0].Name() != "train.pairs" {
		t.Errorf("files %v, error %v", left, err)
	}
}

func TestWriterRefuses(t *testing.T) {
	t.Parallel()
	dir, v := t.TempDir(), Vocabulary{Size: 5}
	for _, c := range []struct {
		name           string
		source, target Vocabulary
	}{{"train", v, Vocabulary{}}, {"train", Vocabulary{Size: int(past32)}, v}, {"", v, v}, {"a/b", v, v}, {"tr*", v, v}, {"../x", v, v}} {
		if _, err := Create(dir, c.name, c.source, c.target); err == nil {
			t.Errorf("%q, %v, %v is no error", c.name, c.source, c.target)
		}
	}
	for _, p := range [][2][]int32{{{0, 5}, {0}}, {{0}, {-1}}, {make([]int32, MaxTokens+1), {0}}} {
		w, err := Create(dir, "train", v, v)
		if err != nil {
			t.Fatal(err)
		}
		err = errors.Join(w.Add(make([]int32, MaxTokens), []int32{4}))
		if err != nil {
			t.Fatal(err)
		}
		err = w.Add(p[0], p[1])
		if err == nil || !strings.Contains(err.Error(), "pair 1 of train") {
			t.Errorf("error %v", err)
		}
		if again := w.Add(nil, nil); again != err || w.Close() != err {
			t.Errorf("first %v, then %v", err, again)
		}
	}
	w, err := Create(dir, "train", v, v)
	if err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); !errors.Is(err, ErrNoPairs) {
		t.Errorf("an empty set: error %v", err)
	}
	if err := w.Close(); err == nil {
		t.Error("a second Close is no error")
	}
	if left, err := os.ReadDir(dir); err != nil || len(left) != 0 {
		t.Errorf("files %v, error %v", left, err)
	}
}

func TestSetRefuses(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	v := Vocabulary{50, [32]byte{1}}
	writeSet(t, dir, v, v, someIDs(20, 50))
	path := filepath.Join(dir, "train.pairs")
	good, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	for _, o := range []OpenOptions{{Source: Vocabulary{Size: 51}}, {Target: Vocabulary{Size: 49}},
		{Source: Vocabulary{50, [32]byte{2}}}, {Target: Vocabulary{50, [32]byte{2}}}} {
		if _, err := Open(dir, "train", o); !errors.Is(err, ErrTokenizer) {
			t.Errorf("%v: error %v", o, err)
		}
	}
	if _, err := Open(dir, "val", OpenOptions{}); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("absent: error %v", err)
	}
	try := func(what string, b []byte) {
		t.Helper()
		s := &Set{path: path}
		if err := s.parse(b, OpenOptions{Checksum: true}); !errors.Is(err, ErrCorrupt) {
			t.Errorf("%s: error %v", what, err)
		}
	}
	for i := range good {
		b := slices.Clone(good)
		b[i] ^= 1 << (i % 8)
		try("a changed bit", b)
	}
	for i := range good {
		try("a cut file", good[:i])
	}
	try("a longer file", append(slices.Clone(good), 0))
	if err := os.WriteFile(path, good[:100], 0o644); err != nil {
		t.Fatal(err)
	}
	if _, err := Open(dir, "train", OpenOptions{}); !errors.Is(err, ErrCorrupt) || !strings.Contains(err.Error(), path) {
		t.Errorf("a cut file: error %v", err)
	}
}

// Whatever the bytes, with checksums mended, a set is refused or can be read.
func FuzzSet(f *testing.F) {
	dir := f.TempDir()
	v := Vocabulary{Size: 300}
	writeSet(f, dir, v, v, someIDs(3, 300))
	good, err := os.ReadFile(filepath.Join(dir, "train.pairs"))
	if err != nil {
		f.Fatal(err)
	}
	f.Add(good)
	f.Fuzz(func(t *testing.T, b []byte) {
		if len(b) >= idfile.HeaderSize {
			binary.LittleEndian.PutUint32(b[104:], idfile.Sum(b[idfile.HeaderSize:]))
			idfile.Seal(b)
		}
		s := &Set{path: "fuzz"}
		err := s.parse(b, OpenOptions{Checksum: true})
		dst := make([]int32, MaxTokens)
		for i := 0; i < s.Len() && err == nil; i++ {
			if _, err = s.Source(dst, i); err == nil {
				_, err = s.Target(dst, i)
			}
		}
		testkit.Refused(t, err)
		if err != nil && !errors.Is(err, ErrCorrupt) {
			t.Errorf("error %v", err)
		}
	})
}
