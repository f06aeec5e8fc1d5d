package score

import (
	"errors"
	"io"
	"slices"
	"strings"
	"testing"

	"github.com/bdia-go/bdia/internal/testkit"
)

// instances returns the segments of two texts, each as one string.
func instances(hypotheses, name, references string) (segments []string, err error) {
	err = Instances(Stream{"out.txt", strings.NewReader(hypotheses)}, Stream{name, strings.NewReader(references)},
		func(hyp string, refs []string) error {
			segments = append(segments, hyp+" <"+strings.Join(refs, "|")+">")
			return nil
		})
	return segments, err
}

func TestInstances(t *testing.T) {
	t.Parallel()
	long := strings.Repeat("a", maxText+1)
	for _, c := range []struct {
		hypotheses, name, references string
		want                         []string
		err                          error
		message                      string
	}{
		{"h1\n h2 \n", "a.txt", "r1\nr2\n\nr3\n", []string{"h1 <r1|r2>", "h2 <r3>"}, nil, ""},
		{"h1\r\nh2", "a.txt", "\n\nr1\n\n \nr3\r\n\n", []string{"h1 <r1>", "h2 <r3>"}, nil, ""},
		{"h1\n\nh3\n", "a.txt", "r1\nr2\nr3\n", []string{"h1 <r1>", " <r2>", "h3 <r3>"}, nil, ""},
		{"h1\nh2\n", "A.CSV", "mr,ref\n\"x[1], y\",r1\nz,\"r,2\"\n\"x[1], y\",\"r\"\"3\"\n", []string{"h1 <r1|r\"3>", "h2 <r,2>"}, nil, ""},
		{"h1\n", "a.csv", "\ufeffid,Ref,MR\n1,Ł5 at the cafÃ©,m\n2,Â£6\n3,\"£7\nor 8\",m\n", nil, ErrTable, "a.csv: line 3: wrong number of fields; write as many"},
		{"h1\n", "a.csv", "\ufeffid,Ref,MR\n1,Ł5 at the cafÃ©,m\n3,\"Â£7\nor 8\",m\n", []string{"h1 <£5 at the café|£7\nor 8>"}, nil, ""},
		{"h1\n", "a.tsv", "mr\tref\nm\tone, \"two\"\n", []string{"h1 <one, \"two\">"}, nil, ""},
		{"h1\nh2\n", "a.txt", "r1\n\nr2\n\nr3\n", nil, ErrLineCount, "out.txt has 2 lines, a.txt has references for 3 inputs"},
		{"h1\nh2\n", "a.csv", "mr,ref\nm,r1\nm,r2\n", nil, ErrLineCount, "out.txt has 2 lines, a.csv has references for 1 input;"},
		{"h1\n", "a.csv", "mr,text\nm,r\n", nil, ErrTable, "a.csv: no columns mr and ref"},
		{"h1\n", "a.csv", "mr,ref\nm, \n", nil, ErrEmptyReference, "a.csv: line 2 has none"},
		{"h1\n", "a.csv", "mr,ref\n", nil, ErrTable, "a.csv has no rows below the first"},
		{"h1\n", "a.csv", "", nil, ErrTable, "a.csv has no rows below the first"},
		{"h1\n", "a.txt", "", nil, ErrText, "a.txt has no lines"},
		{"h1\n", "a.txt", "\n\n", nil, ErrText, "a.txt has no references"},
		{"", "a.txt", "r\n", nil, ErrText, "out.txt has no lines"},
		{"h\xff\n", "a.txt", "r\n", nil, ErrText, "out.txt: line 1 is not UTF-8"},
		{"h\n", "a.csv", "mr,ref\nm,r\nm,\xff\n", nil, ErrText, "a.csv: line 3 is not UTF-8"},
		{long + "\n", "a.txt", "r\n", nil, ErrText, "out.txt: line 1 has a text longer than 4 KiB"},
		{"h\n", "a.csv", "mr,ref\nm," + long + "\n", nil, ErrText, "a.csv: line 2 has a text longer than 4 KiB"},
		{"h\n", "a.csv.gz", "\x1f\x8b\x08", nil, io.ErrUnexpectedEOF, "a.csv.gz"},
	} {
		got, err := instances(c.hypotheses, c.name, c.references)
		if !slices.Equal(got, c.want) {
			t.Errorf("%.40q: segments %.80q, want %.80q", c.references, got, c.want)
		}
		if !errors.Is(err, c.err) || err != nil && (!strings.Contains(err.Error(), c.message) || strings.Contains(err.Error(), "\n")) {
			t.Errorf("%.40q: %v, want %v: %s", c.references, err, c.err, c.message)
		}
	}
	stop := errors.New("stop")
	if err := Instances(Stream{"h", strings.NewReader("a\n")}, Stream{"r", strings.NewReader("a\n")}, func(string, []string) error { return stop }); err != stop {
		t.Errorf("an error of the caller comes back as %v", err)
	}
}

// TestInstancesTooLarge: files of more bytes than the limit are refused, lines and
// tables.
func TestInstancesTooLarge(t *testing.T) {
	t.Parallel()
	spaces := strings.Repeat(" ", 1<<20-1) + "\n"
	for _, c := range []struct{ hypotheses, name, references string }{
		{strings.Repeat(spaces, 32) + "h\n", "a.txt", "r\n"},
		{"h\n", "a.txt", strings.Repeat(spaces, 32) + "r\n"},
		{"h\n", "a.csv", "mr,ref\n" + strings.Repeat("\n", 32<<20)},
	} {
		if _, err := instances(c.hypotheses, c.name, c.references); err == nil || !strings.Contains(err.Error(), ": the file is longer than 32 MiB; score parts of it") {
			t.Errorf("%s: error %v", c.name, err)
		}
	}
}

// rows repeats a line for ever.
type rows struct{ line, rest string }

func (r *rows) Read(b []byte) (int, error) {
	if r.rest == "" {
		r.rest = r.line
	}
	n := copy(b, r.rest)
	r.rest = r.rest[n:]
	return n, nil
}

// TestInstancesBounded reads files without an end.
func TestInstancesBounded(t *testing.T) {
	t.Parallel()
	line := strings.Repeat("a b ", 1000)
	for name, text := range map[string]io.Reader{
		"a.txt":  &rows{line: line + "\n"},
		"a.csv":  io.MultiReader(strings.NewReader("mr,ref\n"), &rows{line: "m," + line + "\n"}),
		"b.csv":  io.MultiReader(strings.NewReader("mr,ref\nm,\""), &rows{line: line}),
		"c.tsv":  &rows{line: line},
		"a.text": &rows{line: line},
		"b.text": &rows{line: "\n"},
		"c.text": &rows{line: "a\n\n"},
		"d.csv":  io.MultiReader(strings.NewReader("mr,ref\n"), &rows{line: "m,a\n"}),
	} {
		err := Instances(Stream{"h", strings.NewReader("h\n")}, Stream{name, text}, func(string, []string) error { return nil })
		if err == nil || !strings.Contains(err.Error(), name) || strings.Contains(err.Error(), "\n") {
			t.Errorf("%s: %v", name, err)
		}
	}
	_, err := instances(strings.Repeat("\n", maxTexts+1), "r", "a\n")
	if !errors.Is(err, ErrText) || !strings.Contains(err.Error(), "out.txt has more than 1048576 lines") {
		t.Errorf("many hypotheses: %v", err)
	}
}

// FuzzInstances checks that each line meets references, or there is an error.
func FuzzInstances(f *testing.F) {
	f.Add("a\nb\n", "mr,ref\nx,y\nz,w\n", true)
	f.Add("a\nb", "x\ny\n\nz", false)
	f.Add("a", "mr,ref\nx,\"\n", true)
	for _, ref := range testkit.Longer("mr,ref\nx,y\nz\n\"a\"b,c\n") {
		f.Add("a\nb\n", ref, true)
		f.Add(ref, ref, false)
	}
	f.Fuzz(func(t *testing.T, hyp, ref string, table bool) {
		name := "r.txt"
		if table {
			name = "r.csv"
		}
		segments := 0
		err := Instances(Stream{"h", strings.NewReader(hyp)}, Stream{name, strings.NewReader(ref)}, func(hypothesis string, references []string) error {
			segments++
			if len(references) == 0 || slices.Contains(references, "") || strings.Contains(hypothesis, "\n") {
				t.Errorf("segment %d: %q, %q", segments, hypothesis, references)
			}
			return nil
		})
		testkit.Refused(t, err)
		if err != nil && (segments > 0 || strings.Contains(err.Error(), "\n")) {
			t.Errorf("%d segments, and %q", segments, err)
		}
		if lines := strings.Count(strings.TrimSuffix(hyp, "\n"), "\n") + 1; err == nil && segments != lines && !strings.HasPrefix(hyp, "\x1f\x8b") {
			t.Errorf("%d segments of %d lines", segments, lines)
		}
	})
}
