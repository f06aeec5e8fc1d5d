package parquet

import (
	"bytes"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/bdia-go/bdia/data"
	"github.com/bdia-go/bdia/data/pairs"
)

// lines reads all rows of a file.
func lines(b []byte) (string, error) {
	r, err := open(bytes.NewReader(b), int64(len(b)))
	if err != nil {
		return "", err
	}
	text, err := io.ReadAll(io.LimitReader(r, 4<<20)) // a damaged file may have rows without end
	return string(text), err
}

// want are the rows of the files in testdata with the given columns beside the four that all have.
func want(more func(i int) [2]string) string {
	var b strings.Builder
	for i := range 5 {
		m := more(i)
		fmt.Fprintf(&b, `{%s"even":%t,"id":%d,"messages":[{"content":"What is %d + 1?","role":"user"},{"content":"It is \"%d\", né?","role":"assistant"}],%s"text":"A text of %d in two\nlines."}`+"\n",
			m[0], i%2 == 0, i, i, i+1, m[1], i)
	}
	return b.String()
}

// TestFiles reads what DuckDB (in each of its compressions) and Arrow's Rust writer wrote.
func TestFiles(t *testing.T) {
	t.Parallel()
	names, err := filepath.Glob("testdata/*.parquet")
	if err != nil || len(names) < 8 {
		t.Fatal(names, err)
	}
	duckdb := want(func(i int) [2]string {
		score := "null" // one is not a number
		if i%2 == 0 {
			score = "1.5"
		}
		return [2]string{fmt.Sprintf(`"bytes":null,"counts":{"a":%d,"b":2},"deep":[["p","q"],[],null],"empty":[],`, i), `"none":null,"score":` + score + `,`}
	})
	for _, name := range names {
		if strings.HasSuffix(name, "groups.parquet") {
			continue
		}
		w := duckdb
		if strings.Contains(name, "arrow") {
			w = want(func(int) [2]string { return [2]string{} })
		}
		got, err := lines(content(t, name))
		if err != nil || got != w {
			t.Errorf("%s: %v\n%s, want\n%s", name, err, got, w)
		}
	}
}

// TestText checks that a column of texts is documents, through several groups of rows.
func TestText(t *testing.T) {
	t.Parallel()
	src, err := data.Open("testdata/duckdb-groups.parquet", data.SourceOptions{})
	if err != nil {
		t.Fatal(err)
	}
	if f := src.Files[0]; f.Documents != 3000 {
		t.Errorf("%d documents, want 3000", f.Documents)
	}
	// The name need not say what the file is.
	other := filepath.Join(t.TempDir(), "documents.bin")
	if err := os.WriteFile(other, content(t, "testdata/duckdb-groups.parquet"), 0o666); err != nil {
		t.Fatal(err)
	}
	if src, err = data.Open(other, data.SourceOptions{}); err != nil || src.Files[0].Documents != 3000 {
		t.Errorf("under another name: %v, %v", src, err)
	}
}

// TestConversations checks that a column of messages is conversations.
func TestConversations(t *testing.T) {
	t.Parallel()
	for _, name := range []string{"testdata/duckdb-snappy.parquet", "testdata/arrow-rs.parquet"} {
		if kind, err := pairs.Sniff(name); err != nil || kind != pairs.KindPairs {
			t.Errorf("%s: %q, %v, want pairs", name, kind, err)
		}
		r, err := pairs.NewReader(pairs.Options{Files: pairs.Files{Source: name}})
		if err != nil {
			t.Fatal(err)
		}
		p, err := r.Next()
		if err != nil || p.Source != "user: What is 0 + 1?\nassistant:" || p.Target != `It is "1", né?` {
			t.Errorf("%s: %+v, %v", name, p, err)
		}
		for err == nil {
			_, err = r.Next()
		}
		if n := r.Report().Conversations; err != io.EOF || n != 5 {
			t.Errorf("%s: %d conversations, %v, want 5", name, n, err)
		}
		if done, size := r.Progress(); done != size || size == 0 {
			t.Errorf("%s: at the end %d of %d bytes are read", name, done, size)
		}
		r.Close()
	}
}

// TestDamaged cuts a file short and flips its bytes: there is an error, or rows, and no panic.
func TestDamaged(t *testing.T) {
	t.Parallel()
	whole := content(t, "testdata/duckdb-zstd.parquet")
	for n := 0; n < len(whole); n += 37 {
		if _, err := lines(whole[:n]); err == nil {
			t.Errorf("the first %d bytes are read without an error", n)
		}
	}
	for i := 4; i < len(whole); i += 5 {
		b := bytes.Clone(whole)
		b[i] ^= 0x41
		lines(b)
	}
	name := filepath.Join(t.TempDir(), "cut.parquet")
	if err := os.WriteFile(name, whole[:len(whole)/2], 0o666); err != nil {
		t.Fatal(err)
	}
	if _, err := data.Open(name, data.SourceOptions{}); err == nil || !strings.Contains(err.Error(), "cut.parquet: it is a file of Parquet that cannot be read") {
		t.Errorf("a file that is cut short: %v", err)
	}
}

// FuzzRead checks that no file panics, and that rows are lines.
func FuzzRead(f *testing.F) {
	names, _ := filepath.Glob("testdata/*.parquet")
	for _, name := range names {
		f.Add(content(f, name))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		text, err := lines(b)
		if err == nil && text != "" && !strings.HasSuffix(text, "}\n") && !strings.HasSuffix(text, "null\n") {
			t.Errorf("%q", text)
		}
	})
}

func content(t testing.TB, name string) []byte {
	t.Helper()
	b, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	return b
}
