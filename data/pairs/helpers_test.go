package pairs

import (
	"bytes"
	"compress/gzip"
	"errors"
	"io"
	"os"
	"path/filepath"
	"testing"
)

// write writes a file into a folder of its own and returns its path.
func write(t testing.TB, name, text string) string {
	t.Helper()
	p := filepath.Join(t.TempDir(), name)
	if err := os.WriteFile(p, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
	return p
}

func packed(t testing.TB, text string) string {
	t.Helper()
	var b bytes.Buffer
	w := gzip.NewWriter(&b)
	_, err := io.WriteString(w, text)
	if err := errors.Join(err, w.Close()); err != nil {
		t.Fatal(err)
	}
	return b.String()
}

func newReader(t testing.TB, o Options) *Reader {
	t.Helper()
	r, err := NewReader(o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { r.Close() })
	return r
}

// readAll returns the remaining pairs and the error that ended them, nil at the end.
func readAll(r *Reader) (all []Pair, err error) {
	for {
		p, err := r.Next()
		if err == io.EOF {
			return all, nil
		}
		if err != nil {
			return all, err
		}
		all = append(all, p)
	}
}

// undrawn are pairs without their draws.
func undrawn(all []Pair) []Pair {
	for i := range all {
		all[i].Draw, all[i].Whole = 0, 0
	}
	return all
}

// texts are the sentences of pairs, by turns source and target.
func texts(all []Pair) []string {
	var s []string
	for _, p := range all {
		s = append(s, p.Source, p.Target)
	}
	return s
}

// writeSet stores pairs of ids as the set "train" and opens it.
func writeSet(t testing.TB, dir string, source, target Vocabulary, all [][2][]int32) *Set {
	t.Helper()
	w, err := Create(dir, "train", source, target)
	if err != nil {
		t.Fatal(err)
	}
	defer w.Abort()
	for _, p := range all {
		if err := w.Add(p[0], p[1]); err != nil {
			t.Fatal(err)
		}
	}
	if w.Len() != len(all) {
		t.Fatalf("the writer counts %d of %d pairs", w.Len(), len(all))
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return openSet(t, dir, OpenOptions{Checksum: true, Source: source, Target: target})
}

func openSet(t testing.TB, dir string, o OpenOptions) *Set {
	t.Helper()
	s, err := Open(dir, "train", o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	return s
}

// someIDs are n pairs of sentences of 0 to 40 tokens or so, the two of a pair of
// similar lengths.
func someIDs(n, vocabulary int) [][2][]int32 {
	all := make([][2][]int32, n)
	x := uint64(1)
	draw := func(below int) int {
		x = x*6364136223846793005 + 1442695040888963407
		return int(x >> 33 % uint64(below))
	}
	for i := range all {
		length := draw(33)
		for side := range all[i] {
			ids := make([]int32, length+draw(8))
			for j := range ids {
				ids[j] = int32(draw(vocabulary))
			}
			all[i][side] = ids
		}
	}
	return all
}
