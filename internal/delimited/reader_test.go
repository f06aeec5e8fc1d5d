package delimited

import (
	"io"
	"slices"
	"strings"
	"testing"

	"github.com/bdia-go/bdia/internal/testkit"
)

// readerOf reads the lines of text, the last without an end.
func readerOf(text string, limit int) *Reader {
	lines := strings.Split(text, "\n")
	r := NewReader(func() (string, error) {
		if len(lines) == 0 {
			return "", io.EOF
		}
		line := lines[0]
		lines = lines[1:]
		return line, nil
	}, limit)
	r.ahead = 3
	return r
}

// spelt is all rows of r: fields between bars, after the numbers of their lines.
func spelt(t *testing.T, r *Reader) string {
	t.Helper()
	var b strings.Builder
	for {
		row, err := r.Read()
		if err == io.EOF {
			return b.String()
		}
		if err != nil {
			t.Fatal(err)
		}
		b.WriteByte(byte('0' + row.Line))
		if row.Open {
			b.WriteString(" open")
		}
		if row.Long {
			b.WriteString(" long")
		}
		b.WriteString(" " + strings.Join(row.Fields, "|") + "/")
	}
}

// TestRead: marks that are text, and marks without an end, cost nothing but their own row.
func TestRead(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		text, want string
		limit      int
	}{
		{"a,b\n1,2", "1 a|b/2 1|2/", 99},
		{"a,\"b, \"\"c\"\"\nd\"\n\n1,2", "1 a|b, \"c\"\nd/4 1|2/", 99},
		{"a,5\" pipe\n1, \"2,\"", "1 a|5\" pipe/2 1|2,/", 99},
		{"a,\"b\n1,2\n3,4", "1 open /2 1|2/3 3|4/", 99},
		{"a,\"b\n1,2\n3,\"4\"", "1 open /2 1|2/3 3|4/", 99},
		{"a,\"b\n1,\"2\n3,4", "1 open /2 open /3 3|4/", 99},
		{"a,\"b\n1,2\n3,4\"", "1 a|b\n1,2\n3,4/", 99},
		{"a,\"b\n1,2\n3,4\"\n5,6", "1 long /4 5|6/", 5},
		{"a,\"b\n1,2\n3,4\n5,6\"", "1 open long /2 1|2/3 3|4/4 5|6\"/", 4},
		{"a,\"b\n1,2\"3\n4,5", "1 open /2 1|2\"3/3 4|5/", 5},
		{"", "", 99},
	} {
		if got := spelt(t, readerOf(c.text, c.limit)); got != c.want {
			t.Errorf("%q: %q, want %q", c.text, got, c.want)
		}
	}
	bare := readerOf("\"a\t5\"\n\nb", 99)
	bare.Comma, bare.Bare = '\t', true
	if got, want := spelt(t, bare), "1 \"a|5\"/2 /3 b/"; got != want {
		t.Errorf("%q, want %q", got, want)
	}
}

// TestAhead: what was looked at is read all the same, under the numbers of its lines.
func TestAhead(t *testing.T) {
	t.Parallel()
	r := readerOf("sep=;\na;b\n1;\"2\n3\"\n4;5", 99)
	if !r.Declared() || r.Comma != ';' {
		t.Fatal("the delimiter is not read")
	}
	lines, err := r.Peek(2, 99)
	if want := []string{"a;b", "1;\"2"}; err != nil || !slices.Equal(lines, want) {
		t.Fatalf("%q, %v", lines, err)
	}
	if rows := r.Ahead(); len(rows) != 2 || rows[1].Line != 3 || rows[1].Fields[1] != "2\n3" {
		t.Errorf("%+v", rows)
	}
	if got, want := spelt(t, r), "5 4|5/"; got != want {
		t.Errorf("%q, want %q", got, want)
	}
	if readerOf("a;b", 99).Declared() {
		t.Error("a row declares a delimiter")
	}
	if (Record{Fields: []string{"a", "", ""}}).Exceeds(1) || !(Record{Fields: []string{"a", "", "b"}}).Exceeds(1) {
		t.Error("only text is more than the header")
	}
}

// TestQuotedTabs: marks in TSV are marks of fields only if all of them fit.
func TestQuotedTabs(t *testing.T) {
	t.Parallel()
	for line, want := range map[string]bool{"a\t\"b \"\"c\"\"\"": true, "a\t\"b\"": false, "\"a\t\"b \"\"c\"\"\"": false, "a\tb": false} {
		if got := QuotedTabs([]string{line}); got != want {
			t.Errorf("%q: %v", line, got)
		}
	}
}

// FuzzRead: whatever the text, every line is in a row or empty, and reading ends.
func FuzzRead(f *testing.F) {
	f.Add("a,\"b\n1,2\n\"3,4\"\n", byte(','))
	for _, text := range testkit.Longer("a,\"b\"c\n1,2,3\n\"3,4\"\n") {
		f.Add(text, byte(','))
	}
	f.Fuzz(func(t *testing.T, text string, comma byte) {
		r := readerOf(text, 50)
		r.Comma = comma
		last := 0
		for n := 0; ; n++ {
			row, err := r.Read()
			if err == io.EOF {
				return
			}
			testkit.Refused(t, err)
			if row.Line <= last || n > strings.Count(text, "\n") {
				t.Fatalf("row %d is in line %d, after line %d", n, row.Line, last)
			}
			last = row.Line
		}
	})
}
