package data

import (
	"compress/gzip"
	"io"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
)

// TestKeysAlike: of keys that differ in capitals only, every reading takes the same one.
func TestKeysAlike(t *testing.T) {
	t.Parallel()
	root := tree(t, map[string]string{"a.jsonl": `{"TEXT":"upper","Text":"title","tExt":"other"}` + "\n"})
	for range 50 {
		s, err := Open(root, SourceOptions{})
		if err != nil {
			t.Fatal(err)
		}
		if text, err := io.ReadAll(s.Reader()); err != nil || string(text) != "upper\n" {
			t.Fatalf("%q, %v", text, err)
		}
	}
}

// TestMoreFields: rows whose text may have been cut at a delimiter are counted.
func TestMoreFields(t *testing.T) {
	t.Parallel()
	root := tree(t, map[string]string{"a.csv": "id,text\n1,whole\n2,Hello, world\n3,\"a, b\"\n4,one, two, three\n"})
	s, err := Open(root, SourceOptions{})
	if err != nil {
		t.Fatal(err)
	}
	if s.Documents() != 4 || len(s.LeftOut) != 1 {
		t.Fatalf("%d documents, left out %+v", s.Documents(), s.LeftOut)
	}
	if l := s.LeftOut[0]; l.What != "rows" || l.Reason != moreFields || l.Count != 2 || !l.Kept || !strings.Contains(l.First, "line 3") {
		t.Errorf("%+v", l)
	}
}

// TestDeepJSON: what is passed over in JSON may not be nested without end.
func TestDeepJSON(t *testing.T) {
	path := filepath.Join(t.TempDir(), "a.json.gz")
	f, err := os.Create(path)
	if err != nil {
		t.Fatal(err)
	}
	z := gzip.NewWriter(f)
	_, err = io.WriteString(z, `{"data":{"a":`+strings.Repeat("[", 16<<20))
	if err != nil || z.Close() != nil || f.Close() != nil {
		t.Fatal(err)
	}
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	if _, err := Open(path, SourceOptions{}); err == nil || !strings.Contains(err.Error(), "nested") {
		t.Errorf("%v", err)
	}
	runtime.ReadMemStats(&after)
	if n := after.TotalAlloc - before.TotalAlloc; n > 64<<20 {
		t.Errorf("%d MiB for brackets", n>>20)
	}
}
