package pairs

import (
	"errors"
	"io"
	"math"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/bdia-go/bdia/internal/testkit"
)

// One text through every format.
func TestFormats(t *testing.T) {
	t.Parallel()
	want := []string{"A dog.", "Un chien.", "Two, or 3?", "Deux ou 3\u00a0?", `He said "no".`, "Il a dit «\u00a0non\u00a0»."}
	source, target := want[0]+"\n"+want[2]+"\n"+want[4]+"\n", want[1]+"\n"+want[3]+"\n"+want[5]
	crlf := func(s string) string { return strings.ReplaceAll(s, "\n", "\r\n") }
	tsv := "A dog.\tUn chien.\nTwo, or 3?\tDeux ou 3\u00a0?\nHe said \"no\".\tIl a dit «\u00a0non\u00a0».\n"
	table := "A dog.,1,Un chien.\n\"Two, or 3?\",2,Deux ou 3\u00a0?\n\"He said \"\"no\"\".\",,Il a dit «\u00a0non\u00a0».\n"
	for name, f := range map[string]Files{
		"lines":             {Source: write(t, "a", source), Target: write(t, "b", target)},
		"packed lines":      {Source: write(t, "a", packed(t, source)), Target: write(t, "b.txt", target), Format: Lines},
		"lines in CR LF":    {Source: write(t, "a", "\ufeff"+crlf(source)), Target: write(t, "b", packed(t, "\ufeff"+crlf(target)))},
		"TSV":               {Source: write(t, "a.tsv", tsv)},
		"TSV in CR LF":      {Source: write(t, "a.TSV.gz", packed(t, "\ufeff"+crlf(tsv)))},
		"TSV with header":   {Source: write(t, "a", "en\tfr\n"+tsv), Format: TSV, Header: HeaderYes, SourceColumn: "en", TargetColumn: "fr"},
		"CSV":               {Source: write(t, "a.csv", "en,n, fr\n"+table), SourceColumn: "en", TargetColumn: "fr"},
		"CSV by number":     {Source: write(t, "a.csv.gz", packed(t, "en,n,fr\n"+table)), SourceColumn: "1", TargetColumn: "3"},
		"CSV in CR LF":      {Source: write(t, "a", "\ufeff"+crlf("en,n,fr\n"+table)), Format: CSV, SourceColumn: "en", TargetColumn: "3"},
		"CSV, column \"1\"": {Source: write(t, "a.csv", "3,n,1\n"+table), SourceColumn: "3", TargetColumn: "1"},
	} {
		all, err := readAll(newReader(t, Options{Files: f}))
		if err != nil || !slices.Equal(texts(all), want) {
			t.Errorf("%s: %q, error %v", name, texts(all), err)
		}
	}
}

func TestRowsOverSeveralLines(t *testing.T) {
	t.Parallel()
	text := "en,fr\n\"one\r\ntwo\",un\n\n\"three\",\"trois,\n\nquatre\"\nfive,cinq\n"
	all, err := readAll(newReader(t, Options{Files: Files{Source: write(t, "a.csv", text)}}))
	want := []Pair{{"one\ntwo", "un", Train, 2, 0, 0, nil}, {"three", "trois,\n\nquatre", Train, 5, 0, 0, nil}, {"five", "cinq", Train, 8, 0, 0, nil}}
	if err != nil || !slices.Equal(undrawn(all), want) {
		t.Errorf("%+v, error %v", all, err)
	}
}

func TestUnreadable(t *testing.T) {
	t.Parallel()
	long := strings.Repeat("x", MaxLine+1)
	gz := packed(t, strings.Repeat("some text\n", 1000))
	bad := []byte(gz)
	bad[len(bad)/2] ^= 0xff
	for _, c := range []struct {
		name string
		f    Files
		want error
		says string
	}{
		{"shorter target", Files{Source: write(t, "a", "1\n2\n3\n"), Target: write(t, "b", "1\n2")}, ErrLineCounts, "a has 3, "},
		{"shorter source", Files{Source: write(t, "a", ""), Target: write(t, "b", "\n\n")}, ErrLineCounts, "b has 2"},
		{"long tail", Files{Source: write(t, "a", "1\n"), Target: write(t, "b", "1\n2\n"+long)}, ErrLineCounts, "a has 1, "},
		{"long key", Files{Source: write(t, "a.json", `{"b": [{"prompt": "c"}], "`+long+`": 2}`)}, ErrTooLong, "a key"},
		{"no such column", Files{Source: write(t, "a.csv", "a,b\nx,y\n"), SourceColumn: "c"}, ErrFormat, `"c" among "a", "b"`},
		{"no such number", Files{Source: write(t, "a.csv", "a;b\nx;y\n"), Header: HeaderYes, TargetColumn: "3"}, ErrColumns, `column 3, and there are 2: "a", "b"`},
		{"one column", Files{Source: write(t, "a.csv", "text\nx y\n")}, ErrColumns, "it has one column"},
		{"three columns", Files{Source: write(t, "a.csv", "a,b,c\nx y.,y.,z\n")}, ErrColumns, `of its columns "a", "b", "c", none`},
		{"name without header", Files{Source: write(t, "a.tsv", "a\tb\n"), SourceColumn: "a", Header: HeaderNone}, ErrFormat, "without a header"},
		{"cut gzip", Files{Source: write(t, "a.tsv.gz", gz[:len(gz)-9])}, ErrFormat, "damaged"},
		{"changed gzip", Files{Source: write(t, "a.tsv.gz", string(bad))}, ErrFormat, "damaged"},
		{"gzip header only", Files{Source: write(t, "a.tsv.gz", gz[:5])}, ErrFormat, "damaged"},
	} {
		r, err := NewReader(Options{Files: c.f})
		if err == nil {
			_, err = readAll(r)
			if _, again := r.Next(); again != err {
				t.Errorf("%s: first %v, then %v", c.name, err, again)
			}
			r.Close()
		}
		if !errors.Is(err, c.want) || !strings.Contains(err.Error(), c.says) || strings.Contains(err.Error(), "\n") {
			t.Errorf("%s: error %v", c.name, err)
		}
	}
	if all, err := readAll(newReader(t, Options{Files: Files{Source: write(t, "a", long[1:]+"\r\nx\r\n"), Target: write(t, "b", "1\n2\n")}})); err != nil || len(all) != 2 {
		t.Errorf("a line of %d bytes: %d pairs, error %v", MaxLine, len(all), err)
	}
}

func TestOptionsThatCannotBe(t *testing.T) {
	t.Parallel()
	f := Files{Source: write(t, "a.tsv", "a\tb\n")}
	for _, o := range []Options{
		{},
		{Files: Files{Source: "a.txt"}},
		{Files: Files{Source: "a", Format: "xml"}},
		{Files: Files{Source: "a", Format: Lines}},
		{Files: Files{Source: "a.csv", Target: "b.csv", Format: CSV}},
		{Files: Files{Source: "a", Target: "b", SourceColumn: "1"}},
		{Files: Files{Source: f.Source, SourceColumn: "1", TargetColumn: "1"}},
		{Files: Files{Source: f.Source, Delimiter: ";"}},
		{Files: Files{Source: "a.csv", Delimiter: "x"}},
		{Files: Files{Source: f.Source, TargetColumn: "0"}},
		{Files: Files{Source: f.Source + "x", Format: TSV}},
		{Files: Files{Source: filepath.Dir(f.Source), Format: TSV}}, // a folder
		{Files: f, OnBad: Truncate},
		{Files: f, Filter: Filter{MinChars: 2, MaxChars: 1}},
		{Files: f, Filter: Filter{MaxRatio: 0.5}},
		{Files: f, Filter: Filter{MaxRatio: math.NaN()}},
		{Files: f, Split: Split{Val: 0.5, Test: 0.5}},
		{Files: f, Split: Split{Val: Share(math.NaN())}},
	} {
		if r, err := NewReader(o); err == nil {
			r.Close()
			t.Errorf("%+v is no error", o)
		} else if !strings.HasPrefix(err.Error(), "pairs: ") {
			t.Errorf("%+v: error %v", o, err)
		}
	}
}

// One pair for each reason, between pairs that are kept.
func TestFilter(t *testing.T) {
	t.Parallel()
	text := "one hat\tun chapeau\n" + // 1
		" \t \u00a0\n" + // 2: empty
		"only one column\n" + // 3: incomplete
		"two\xff hats\tdeux chapeaux\n" + // 4: not UTF-8
		"no\tnon, non\n" + // 5: short
		"ééééé\t日本日本日本日本\n" + // 6: characters, not bytes, are counted
		"twenty characters ok\t" + strings.Repeat("y", 21) + "\n" + // 7: long
		"123456\t1234567890123\n" + // 8: ratio
		"one hat\tdeux chapeaux\n" + // 9
		"  one hat \t un chapeau\u3000\n" + // 10: as 1
		"\t\n" // 11: empty
	o := Options{Files: Files{Source: write(t, "a.tsv", text)}, Filter: Filter{MinChars: 3, MaxChars: 20, MaxRatio: 2}}
	r := newReader(t, o)
	all, err := readAll(r)
	if err != nil {
		t.Fatal(err)
	}
	var kept []int
	for _, p := range all {
		kept = append(kept, p.Line)
	}
	if !slices.Equal(kept, []int{1, 6, 9}) {
		t.Errorf("kept lines %v", kept)
	}
	const says = "11 pairs read, 3 kept; 1 with a column missing (first in line 3: it has 1 of the columns 1 and 2), 1 not UTF-8 (first in line 4: byte 0xff), 2 empty (first in line 2), " +
		"1 too short (first in line 5), 1 too long (first in line 7), 1 of too different lengths (first in line 8), 1 duplicate (first in line 10)"
	if got := r.Report().String(); got != says {
		t.Errorf("report %q", got)
	}
	if got := r.Report().Why[Empty].First; len(got) != 2 || got[1].Line != 11 {
		t.Errorf("examples of empty pairs %v", got)
	}

	o.Filter.KeepDuplicates = true
	if all, err := readAll(newReader(t, o)); err != nil || len(all) != 4 || all[3].Source != "one hat" {
		t.Errorf("with duplicates: %v, error %v", all, err)
	}
	o.OnBad = Fatal
	r = newReader(t, o)
	if all, err := readAll(r); !errors.Is(err, ErrText) || !strings.Contains(err.Error(), "line 3") || len(all) != 1 {
		t.Errorf("a column missing: %d pairs, error %v", len(all), err)
	}
	o.Files.Source = write(t, "b.tsv", "a\tb\n\xe9\tc\n")
	if _, err := readAll(newReader(t, o)); !errors.Is(err, ErrText) || !strings.Contains(err.Error(), "line 2") {
		t.Errorf("not UTF-8: error %v", err)
	}
}

func TestReportKeepsLittle(t *testing.T) {
	t.Parallel()
	r := newReader(t, Options{Files: Files{Source: write(t, "a.tsv", strings.Repeat(strings.Repeat("é", 1000)+"\tx\n", 100))}})
	if _, err := readAll(r); err != nil {
		t.Fatal(err)
	}
	dup := r.Report().Why[Duplicate]
	if dup.Count != 99 || len(dup.First) != maxExamples || dup.First[0].Source != strings.Repeat("é", 50) {
		t.Errorf("%d duplicates, examples %v", dup.Count, dup.First)
	}
}

func TestSplit(t *testing.T) {
	t.Parallel()
	var lines []string
	for i := range 20_000 {
		lines = append(lines, "sentence "+strconv.Itoa(i/2)+"\ttranslation "+strconv.Itoa(i))
	}
	split := Split{Val: 0.1, Test: 0.05, Seed: 7}
	parts := func(lines []string) map[string]Part {
		r := newReader(t, Options{Files: Files{Source: write(t, "a.tsv", strings.Join(lines, "\n"))}, Split: split})
		all, err := readAll(r)
		if err != nil {
			t.Fatal(err)
		}
		of := map[string]Part{}
		var count [3]int
		for _, p := range all {
			if before, ok := of[p.Source]; ok && before != p.Part {
				t.Fatalf("%q is in %v and in %v", p.Source, before, p.Part)
			}
			of[p.Source] = p.Part
			count[p.Part]++
		}
		if count != r.Report().Kept {
			t.Errorf("read %v, report %v", count, r.Report().Kept)
		}
		return of
	}
	forth := parts(lines)
	var count [3]float64
	for _, p := range forth {
		count[p]++
	}
	if count != [3]float64{Train: 8500, Val: 1000, Test: 500} {
		t.Errorf("%v of the sentences in the parts", count)
	}
	slices.Reverse(lines)
	back := parts(lines)
	for source, p := range back {
		if forth[source] != p {
			t.Fatalf("%q is in %v, in another order in %v", source, forth[source], p)
		}
	}
	changed := 0
	for source, p := range parts(lines[5000:]) {
		if forth[source] != p {
			changed++
		}
	}
	if changed > 300 {
		t.Errorf("of 7500 sentences %d change their part without the others", changed)
	}
	split.Seed = 8
	moved := 0
	for source, p := range parts(lines) {
		if forth[source] != p {
			moved++
		}
	}
	if moved < 1500 || moved > 3500 { // 0.85*0.15+0.1*0.9+0.05*0.95 of 10,000 are 2650
		t.Errorf("another seed moves %d of 10000 sentences", moved)
	}
}

// The order in which sentences are held out may not change: models are compared on the
// same test set. The expected parts come from a separate computation of
// SHA-256 and Philox in Python.
func TestSplitIsPinned(t *testing.T) {
	t.Parallel()
	var got strings.Builder
	for i := range 40 {
		got.WriteByte("-vt"[Cuts{0.3, 0.6}.Part(Split{Seed: 1 << 40}.Draw("Sentence "+strconv.Itoa(i)+"."))])
	}
	if want := "v--vvtvvt-t-v--v-tv-t---t--tt--tt-vvvt-t"; got.String() != want {
		t.Errorf("parts %q, want %q", got.String(), want)
	}
}

func TestText(t *testing.T) {
	t.Parallel()
	var tsv, sources, both strings.Builder
	split := Split{Val: 0.5}
	var draws []float64
	for i := range 1000 {
		draws = append(draws, split.Draw("phrase "+strconv.Itoa(i)))
	}
	cuts := split.Cut(draws)
	for i := range 1000 {
		s, v := "phrase "+strconv.Itoa(i), "traduction "+strconv.Itoa(i)
		tsv.WriteString(s + "\t" + v + "\n")
		if cuts.Part(split.Draw(s)) == Train {
			both.WriteString(s + "\n" + v + "\n")
		} else {
			sources.WriteString(s + "\n")
		}
	}
	o := Options{Files: Files{Source: write(t, "a.tsv", tsv.String())}, Split: split}
	for _, c := range []struct {
		part           Part
		source, target bool
		want           string
	}{{Train, true, true, both.String()}, {Val, true, false, sources.String()}, {Test, true, true, ""}} {
		got, err := io.ReadAll(newReader(t, o).Text(c.part, c.source, c.target))
		if err != nil || string(got) != c.want {
			t.Errorf("%v: %d bytes of text, want %d, error %v", c.part, len(got), len(c.want), err)
		}
	}
}

func TestProgressAndClose(t *testing.T) {
	t.Parallel()
	r := newReader(t, Options{Files: Files{Source: write(t, "a", "1\n2\n"), Target: write(t, "b", "3\n4\n")}})
	if _, err := r.Next(); err != nil {
		t.Fatal(err)
	}
	if done, total := r.Progress(); done != 8 || total != 8 {
		t.Errorf("%d of %d bytes, want 8 of 8", done, total)
	}
	if err := r.Close(); err != nil {
		t.Error(err)
	}
	if _, err := r.Next(); err == nil || err == io.EOF {
		t.Errorf("after Close: error %v", err)
	}
}

// The public sets that translation is measured on.
func TestPublicSets(t *testing.T) {
	t.Parallel()
	multi := testkit.SharedPath(t, "data", "multi30k")
	french := testkit.SharedPath(t, "data", "eng-fra", "eng_-french.csv")
	for _, c := range []struct {
		o                Options
		read, duplicates int
	}{
		{Options{Files: Files{Source: multi + "/train.en.gz", Target: multi + "/train.fr.gz"}}, 29000, 5},
		{Options{Files: Files{Source: multi + "/val.en.gz", Target: multi + "/val.de.gz"}}, 1014, 0},
		{Options{Files: Files{Source: french, SourceColumn: "English words/sentences", TargetColumn: "French words/sentences"},
			Split: Split{Val: 0.01, Test: 0.01}}, 175621, 0},
	} {
		r := newReader(t, c.o)
		of := map[string]Part{}
		all, err := readAll(r)
		if err != nil {
			t.Fatal(err)
		}
		for _, p := range all {
			if before, ok := of[p.Source]; ok && before != p.Part {
				t.Fatalf("%q is in %v and in %v", p.Source, before, p.Part)
			}
			of[p.Source] = p.Part
		}
		if got := r.Report(); got.Read != c.read || got.Why[Duplicate].Count != c.duplicates || got.Skipped() != c.duplicates {
			t.Errorf("%s: %v", c.o.Files.Source, got)
		}
	}
}

// Whatever the bytes, reading ends with pairs that are as promised or with one of
// the errors, and compression changes nothing.
func FuzzReader(f *testing.F) {
	f.Add(strings.Repeat("\xf9", 69), "")
	f.Add(strings.Repeat("a name of a column\t", 60)+"\n", "")
	f.Add("a b\nc\n", "d\n\xef\xbb\xbfe\r\n")
	f.Add("a\tb\nc\td\n\n", "")
	f.Add("\ufeffen,fr\n\"x,\"\"y\",\"z\n\"\n", "")
	f.Add("\x1f\x8b\x08\x00", "\x1f\x8b")
	f.Add(`{"prompt": "a", "completion": "b"}`+"\n\n"+`{"prompt": null, "completion": [1]}`, "")
	f.Add(`{"messages": [{"role": "user", "content": "a"}, {"role": "assistant", "content": "b"}]}`, "")
	f.Add(`{"conversations": [{"from": "human", "value": "a"}, {"from": "gpt", "value": "b"}]}`, "")
	f.Add(`[{"instruction": "a", "input": "b\ud83d", "output": 1}, {"prompt": [{"role": "user", "content": "a"}], "completion": "b"}]`, "")
	f.Add(`{"n": [1], "data": [{"question": "a", "answer": true}], "x": {}}`+"\n", "")
	f.Add("question;answer;id\n\"a\"\"b;\nc\"d;e;1\n\"f;g\n", "")
	f.Add(",a b\n0|1|2\n1|2|3\n", "")
	for _, text := range []string{"a\tb\nc\td\te\n", "en,fr\n\"x,\"\"y\",\"z\n\"\n", "question;answer;id\n\"a\"\"b;\n", `{"prompt": "a", "completion": {"b":1}}`,
		`{"messages": [{"role": "user", "content": "a"}, {"role": "assistant", "content": "b"}]}`, `{"conversations": [{"from": "human", "value": "a"}]}`,
		`[{"instruction": "a", "input": "b", "output": 1}]`, `{"n": [1], "data": [{"question": "a", "answer": true}], "x": {}}`} {
		for _, longer := range testkit.Longer(text) {
			f.Add(longer, "")
			f.Add(longer+"\xff", "b\n")
		}
	}
	f.Fuzz(func(t *testing.T, a, b string) {
		for _, format := range Formats() {
			all, err := fuzzRead(t, format, a, b)
			testkit.Refused(t, err)
			if strings.HasPrefix(a, "\x1f\x8b") {
				continue
			}
			again, err2 := fuzzRead(t, format, packed(t, a), b)
			if !slices.Equal(all, again) || (err == nil) != (err2 == nil) {
				t.Errorf("%+v, error %v; compressed %+v, error %v", all, err, again, err2)
			}
		}
	})
}

// FuzzSniff: whatever a file begins with, looking at it ends.
func FuzzSniff(f *testing.F) {
	for _, head := range []string{"", "[{", "{\"a\": [{", "{\"text\": \"a\"}", "{\n\"a\": 1}\n{\"a\"", "[He said]", "PAR1"} {
		f.Add([]byte(head))
	}
	f.Fuzz(func(t *testing.T, head []byte) {
		format := jsonFormat(head)
		if format != "" && format != JSON && format != JSONL {
			t.Errorf("format %q", format)
		}
		holdsText(head)
		testkit.Refused(t, foreign("fuzz", append([]byte{}, head...)))
	})
}

func fuzzRead(t *testing.T, format Format, a, b string) ([]Pair, error) {
	t.Helper()
	r := &Reader{o: Options{Files: Files{Format: format}}, cuts: Cuts{0.3, 0.6}, seen: map[[16]byte]struct{}{}}
	for _, text := range []string{a, b} {
		r.inputs = append(r.inputs, newInput("fuzz", strings.NewReader(text)))
	}
	r.err = r.begin(format)
	all, err := readAll(r)
	report, left := r.Report(), 0
	for _, why := range report.Why {
		left += why.Count
	}
	if n := report.Kept[Train] + report.Kept[Val] + report.Kept[Test]; n != len(all) || n+left != report.Read {
		t.Errorf("%d pairs, %d left out, report %v", len(all), left, report)
	}
	known := []error{ErrFormat, ErrLineCounts, ErrTooLong}
	if err != nil && !slices.ContainsFunc(known, func(k error) bool { return errors.Is(err, k) }) {
		t.Errorf("error %v", err)
	}
	seen := map[string]bool{}
	for _, p := range all {
		for _, s := range []string{p.Source, p.Target} {
			if s == "" || s != strings.TrimSpace(s) || !utf8.ValidString(s) {
				t.Errorf("sentence %q", s)
			}
		}
		if key := p.Source + "\xff" + p.Target; seen[key] {
			t.Errorf("%+v comes twice", p)
		} else {
			seen[key] = true
		}
	}
	return all, err
}

func BenchmarkReader(b *testing.B) {
	path := testkit.SharedPath(b, "data", "eng-fra", "eng_-french.csv")
	for b.Loop() {
		r := newReader(b, Options{Files: Files{Source: path}})
		all, err := readAll(r)
		if err != nil || len(all) == 0 {
			b.Fatal(err)
		}
		_, n := r.Progress()
		b.SetBytes(n)
	}
}
