package data

import (
	"compress/gzip"
	"fmt"
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

// TestTables: rows of tables that may not be what they seem are left out and counted, as rows of pairs are, and the
// others are read.
func TestTables(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ name, text, want, left string }{
		{"more fields", "id,text\n1,whole\n2,Hello, world\n3,\"a, b\"\n4,one, two, three\n5,trailing,,\n", "whole|a, b|trailing", "2 with more fields than the header, line 3"},
		{"one column", "text\nHello, world\n\"quoted, too\"\nplain\n", "Hello, world|quoted, too|plain", ""},
		{"open mark", "id,text\n1,\"never closed\n2,two\n3,\"three\"\n4,four\n", "two|three|four", "1 with a quotation mark that has no end, line 2"},
		{"mark within", "id,text\n1,a 5\" pipe\n2,\"he said \"\"no\"\"\"\n", "a 5\" pipe|he said \"no\"", ""},
		{"over lines", "id,text\n1,\"two\n\nlines\"\n2,one\n", "two\n\nlines|one", ""},
		{"joined", "id,text\n1,a\nid,text\n2,b\n", "a|b", "1 equal to the header, line 3"},
		{"of Excel", "sep=;\nid;text\n1;a, b\n", "a, b", ""},
		{"of Windows", "id,text\r\n1,\"a\r\nb\"\r\n", "a\nb", ""},
	} {
		root := tree(t, map[string]string{"a.csv": c.text})
		s, err := Open(root, SourceOptions{})
		if err != nil {
			t.Errorf("%s: %v", c.name, err)
			continue
		}
		for range 2 { // the text is read again with the same result
			text, err := io.ReadAll(s.Reader())
			if want := strings.ReplaceAll(c.want, "|", "\n") + "\n"; err != nil || string(text) != want {
				t.Errorf("%s: %q, %v", c.name, text, err)
			}
		}
		left := ""
		for _, l := range s.LeftOut {
			if !l.Kept {
				_, place, _ := strings.Cut(l.First, "a.csv, ")
				place, _, _ = strings.Cut(place, ":")
				left += fmt.Sprintf("%d %s, %s", l.Count, l.Reason, place)
			}
		}
		if left != c.left {
			t.Errorf("%s: left out %q, want %q", c.name, left, c.left)
		}
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

// TestHasRows: JSON and tables are known by their beginnings, in folders and archives too.
func TestHasRows(t *testing.T) {
	t.Parallel()
	dir := tree(t, map[string]string{"plain/a.txt": "One.\nTwo.\n", "mixed/a.txt": "One.\n", "mixed/b.jsonl": "{\"text\": \"Two.\"}\n", "c.csv": "id,text\n1,Three.\n"})
	for name, want := range map[string]bool{"plain": false, "plain/a.txt": false, "mixed": true, "mixed/b.jsonl": true, "c.csv": true} {
		if got, err := HasRows(filepath.Join(dir, name), SourceOptions{}); err != nil || got != want {
			t.Errorf("%s: %v, %v", name, got, err)
		}
	}
	if got, err := HasRows(filepath.Join(dir, "mixed"), SourceOptions{Extensions: []string{".txt"}}); err != nil || got {
		t.Errorf("other endings: %v, %v", got, err)
	}
	if _, err := HasRows(filepath.Join(dir, "none"), SourceOptions{}); err == nil {
		t.Error("no error of a missing file")
	}
}
