package main

import (
	"bytes"
	"cmp"
	"compress/gzip"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/bdia-go/bdia/cmd/bdia/internal/cli"
	"github.com/bdia-go/bdia/generate"
	"github.com/bdia-go/bdia/internal/textfile"
)

// bilingual are n made-up sentences and their translations.
func bilingual(n int) (source, target string) {
	english := strings.Fields("one two three four dogs cats red")
	french := strings.Fields("un deux trois quatre chiens chats rouge")
	var s, t strings.Builder
	for i := range n {
		for j := range 1 + i%4 {
			k := (i*7 + j*(i%5+1) + i/11) % len(english)
			s.WriteString(english[k] + " ")
			t.WriteString(french[k] + " ")
		}
		s.WriteByte('\n')
		t.WriteByte('\n')
	}
	return s.String(), t.String()
}

// trainedTranslator is a finished run of translation that tests may read but not
// change: sentences of at most 31 characters, of those of bilingual.
var trainedTranslator = sync.OnceValues(func() (string, error) {
	source, target := bilingual(150)
	files, dir := [2]string{filepath.Join(scratch, "source.txt"), filepath.Join(scratch, "target.txt")}, filepath.Join(scratch, "translator")
	for i, text := range []string{source, target} {
		if err := os.WriteFile(files[i], []byte(text), 0o666); err != nil {
			return "", err
		}
	}
	var errOut bytes.Buffer
	if run(context.Background(), []string{"train", "--task", "translation", "--source", files[0], "--target", files[1], "--out", dir,
		"--keep-duplicates", "--tokenizer", "char", "--layers", "2", "--heads", "2", "--width", "16", "--context", "32", "--batch-tokens", "256",
		"--steps", "60", "--warmup", "5", "--lr", "0.01", "--eval-every", "30", "--threads", "1"}, nil, io.Discard, &errOut) != cli.ExitOK {
		return "", fmt.Errorf("training: %s", &errOut)
	}
	return dir, nil
})

func translatorRun(t *testing.T) string {
	t.Helper()
	dir, err := trainedTranslator()
	if err != nil {
		t.Fatal(err)
	}
	return dir
}

// TestTranslate: sentences as arguments, from a file, packed or not, and from
// standard input get the same translations, in batches of any size, and so do those
// of the best weights where these are the last ones.
func TestTranslate(t *testing.T) {
	t.Parallel()
	dir, tmp := translatorRun(t), t.TempDir()
	source, _ := bilingual(40)
	sentences := strings.Split(strings.TrimSuffix(source, "\n"), "\n")
	want := mustCall(t, append([]string{"translate", dir}, sentences...)...)
	if n := strings.Count(want.out, "\n"); n != len(sentences) || want.err != "" {
		t.Fatalf("%d sentences give %d lines; %q", len(sentences), n, want.err)
	}
	if lines := strings.Split(want.out, "\n"); slices.Equal(lines[1:20], lines[:19]) {
		t.Errorf("all translations are %q", lines[0])
	}
	var packed bytes.Buffer
	z := gzip.NewWriter(&packed)
	io.WriteString(z, source)
	z.Close()
	plain, zipped, odd := write(t, tmp, "plain", source), write(t, tmp, "zipped.gz", packed.String()),
		write(t, tmp, "odd", "\ufeff"+strings.TrimSuffix(strings.ReplaceAll(source, "\n", "\r\n"), "\r\n"))
	out := filepath.Join(tmp, "out")
	for _, args := range [][]string{
		{"--input", plain}, {"--input", zipped}, {"--input", odd}, {"--input", plain, "--batch-tokens", "1"}, {"--input", plain, "--batch-tokens", "700", "--threads", "2"},
		{}, {"--input", "-"}, {"--input", plain, "--output", "-"}, {"--input", plain, "--output", out},
	} {
		r := callWith(t.Context(), source, append([]string{"translate", dir}, args...)...)
		if len(args) == 4 && args[3] == out {
			r.out = string(readFile(t, out))
		}
		if r != want {
			t.Errorf("%v: exit code %d, %q, %q, want %q", args, r.code, r.err, r.out, want.out)
		}
	}
	last, best := readFile(t, dir, "model.safetensors"), readFile(t, dir, "best", "model.safetensors")
	if r := mustCall(t, "translate", filepath.Join(dir, "best"), "--input", plain); bytes.Equal(last, best) != (r == want) {
		t.Errorf("best weights: %q", r.out)
	}
	if r := mustCall(t, "translate", dir, "one\ntwo\r\n"); strings.Count(r.out, "\n") != 1 {
		t.Errorf("a sentence with line breaks gives %q", r.out)
	}
}

// objects decodes a line each.
func objects(t *testing.T, text string) (all []generate.Sentence) {
	t.Helper()
	for d := json.NewDecoder(strings.NewReader(text)); d.More(); {
		var one generate.Sentence
		if err := d.Decode(&one); err != nil {
			t.Fatal(err)
		}
		all = append(all, one)
	}
	return all
}

// TestTranslateNBest: columns and JSON have the same translations, by falling
// scores, the first of which is what is printed alone.
func TestTranslateNBest(t *testing.T) {
	t.Parallel()
	dir := translatorRun(t)
	args := []string{"translate", dir, "one two", "", "red cats", "--length-penalty", "0.6"}
	single := strings.Split(mustCall(t, args...).out, "\n")
	args = append(args, "--n-best", "3")
	var columns strings.Builder
	for i, r := range objects(t, mustCall(t, append(args, "--json")...).out) {
		if r.Line != i+1 || r.Source != []string{"one two", "", "red cats"}[i] || (r.Note == generate.NoteEmpty) != (i == 1) {
			t.Errorf("line %d: %+v", i+1, r)
		}
		if i == 1 {
			columns.WriteString("2\t\t\n")
			continue
		}
		if len(r.Translations) != 3 || r.Translations[0].Text != single[i] {
			t.Errorf("line %d: %+v, alone %q", i+1, r.Translations, single[i])
		}
		if !slices.IsSortedFunc(r.Translations, func(a, b generate.Translation) int { return cmp.Compare(b.Score, a.Score) }) {
			t.Errorf("line %d: scores of %+v", i+1, r.Translations)
		}
		for _, one := range r.Translations {
			fmt.Fprintf(&columns, "%d\t%.4f\t%s\n", r.Line, one.Score, one.Text)
		}
	}
	if got := mustCall(t, args...).out; got != columns.String() {
		t.Errorf("columns %q, want %q", got, columns.String())
	}
}

// TestTranslateBadLines: what cannot be translated gives an empty line and is
// counted, is cut, or ends the command, by option.
func TestTranslateBadLines(t *testing.T) {
	t.Parallel()
	dir, tmp := translatorRun(t), t.TempDir()
	long := strings.Repeat("two ", 12)
	in := write(t, tmp, "in", "one\n\n"+long+"\ncaf\xe9\n  \nred\nüü\n"+long+"\n")
	for _, c := range []struct {
		args  string
		empty string // which lines of the output are, . or e
		says  string
	}{
		{"", ".eeee.ee", "Of 8 lines: 2 empty (first in line 2), 2 not UTF-8 or with unknown characters (first in line 4), 2 too long (first in line 3)\n"},
		{"--on-long truncate", ".e.ee.e.", "Of 8 lines: 2 empty (first in line 2), 2 not UTF-8 or with unknown characters (first in line 4), 2 truncated (first in line 3)\n"},
	} {
		r := mustCall(t, append([]string{"translate", dir, "--input", in}, strings.Fields(c.args)...)...)
		empty := ""
		for _, line := range strings.Split(strings.TrimSuffix(r.out, "\n"), "\n") {
			if line == "" {
				empty += "e"
			} else {
				empty += "."
			}
		}
		if empty != c.empty || r.err != c.says {
			t.Errorf("%s: %q and %q, want %q and %q", c.args, empty, r.err, c.empty, c.says)
		}
	}
	cut := mustCall(t, "translate", dir, long, "--on-long", "truncate").out
	if whole := mustCall(t, "translate", dir, long[:31]).out; cut != whole {
		t.Errorf("truncated %q, cut by hand %q", cut, whole)
	}
	for _, r := range objects(t, mustCall(t, "translate", dir, "--input", in, "--json").out) {
		if (r.Note == "") != (len(r.Translations) == 1) {
			t.Errorf("%+v", r)
		}
	}
}

// TestTranslateErrors is the table of wrong calls: one line of error each.
func TestTranslateErrors(t *testing.T) {
	t.Parallel()
	run, dir := translatorRun(t), t.TempDir()
	write(t, dir, "text", "one\n")
	write(t, dir, "long", strings.Repeat("two ", 12)+"\n")
	write(t, dir, "latin1", "caf\xe9\none\n")
	write(t, dir, "huge", "one\n"+strings.Repeat("x", textfile.MaxLine+1)+"\n")
	write(t, dir, "bad.gz", "\x1f\x8b\x08rubbish")
	var b strings.Builder
	for _, c := range []struct {
		code int
		args string
	}{
		{2, "translate"},
		{1, "translate DIR/missing one"},
		{1, "translate DIR one"},
		{1, "translate GPT one"},
		{2, "translate RUN one --input DIR/text"},
		{1, "translate RUN --input DIR/missing"},
		{1, "translate RUN --input DIR"},
		{1, "translate RUN --input DIR/huge"},
		{1, "translate RUN --input DIR/bad.gz"},
		{1, "translate RUN --input DIR/text --output DIR/missing/out"},
		{2, "translate RUN --input DIR/text --output DIR/text"},
		{1, "translate RUN --input DIR/long --on-long fatal"},
		{1, "translate RUN --input DIR/latin1 --on-bad fatal"},
		{1, "translate RUN é --on-bad fatal"},
		{2, "translate RUN one --on-bad truncate"},
		{2, "translate RUN one --on-long ignore"},
		{2, "translate RUN one --beam 0"},
		{2, "translate RUN one --beam 100000"},
		{2, "translate RUN one --beam 2 --n-best 3"},
		{2, "translate RUN one --length-penalty NaN"},
		{2, "translate RUN one --max-tokens -1"},
		{2, "translate RUN one --batch-tokens 0"},
		{2, "translate RUN one --isa neon"},
	} {
		gpt := trainedRun(t)
		r := call(strings.Fields(strings.NewReplacer("DIR", dir, "RUN", run, "GPT", gpt).Replace(c.args))...)
		b.WriteString(strings.ReplaceAll(failure(t, c.args, c.code, r, dir, run), gpt, "GPT"))
	}
	golden(t, "translate-errors", b.String())
	if text := string(readFile(t, dir, "text")); text != "one\n" {
		t.Errorf("the input has become %q", text)
	}
}

func TestTranslateHelp(t *testing.T) {
	t.Parallel()
	golden(t, "translate-help", mustCall(t, "translate", "--help").out)
}

// slowly gives a line when it is asked for the next one.
type slowly struct {
	lines    chan string
	answered chan struct{}
}

func (s slowly) Read(b []byte) (int, error) {
	line, more := <-s.lines
	if !more {
		return 0, io.EOF
	}
	return copy(b, line), nil
}

func (s slowly) Write(b []byte) (int, error) {
	s.answered <- struct{}{}
	return len(b), nil
}

// TestTranslateLineByLine: each line is answered before the next one is written, and
// Ctrl-C does not wait for another.
func TestTranslateLineByLine(t *testing.T) {
	t.Parallel()
	dir := translatorRun(t)
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	s, code := slowly{make(chan string), make(chan struct{}, 1)}, make(chan int)
	go func() { code <- run(ctx, []string{"translate", dir}, s, s, io.Discard) }()
	late := time.After(time.Minute)
	for _, line := range []string{"one\n", "\n", "two cats\n"} {
		s.lines <- line
		select {
		case <-s.answered:
		case <-late:
			t.Fatalf("no answer to %q", line)
		}
	}
	cancel()
	select {
	case got := <-code:
		if got != cli.ExitInterrupted {
			t.Errorf("exit code %d after Ctrl-C, want %d", got, cli.ExitInterrupted)
		}
	case <-late:
		t.Fatal("Ctrl-C waits for a line")
	}
	close(s.lines)
}

// stopper is a text whose first write ends something.
type stopper struct {
	strings.Builder
	stop func()
}

func (s *stopper) Write(b []byte) (int, error) {
	s.stop()
	return s.Builder.Write(b)
}

// TestTranslateStops: an interrupt leaves what was done, from the first line on.
func TestTranslateStops(t *testing.T) {
	t.Parallel()
	dir, tmp := translatorRun(t), t.TempDir()
	source, _ := bilingual(2*linesAtOnce + 1)
	args := []string{"translate", dir, "--input", write(t, tmp, "in", source), "--beam", "1", "--max-tokens", "3"}
	whole := mustCall(t, args...).out
	ctx, cancel := context.WithCancel(t.Context())
	var errOut bytes.Buffer
	out := &stopper{stop: cancel}
	code := run(ctx, args, strings.NewReader(""), out, &errOut)
	n := strings.Count(out.String(), "\n")
	if code != cli.ExitInterrupted || !strings.HasPrefix(whole, out.String()) || n < linesAtOnce || n > 2*linesAtOnce {
		t.Errorf("exit code %d after %d lines:\n%s", code, n, out)
	}
	if want := fmt.Sprintf("Lines written: %d\n", n); !strings.Contains(errOut.String(), want) {
		t.Errorf("no %q in %q", want, &errOut)
	}
}

// TestTranslateKeepsOutput: a file is not emptied before there is something to write.
func TestTranslateKeepsOutput(t *testing.T) {
	t.Parallel()
	dir, tmp := translatorRun(t), t.TempDir()
	two := mustCall(t, "translate", dir, "one", "red cats").out
	for _, c := range []struct{ in, want string }{
		{"\xff\none\n", "earlier\n"},
		{"one\nred cats\n\xff\none\n", two},
		{"one\nred cats\n", two},
		{"", ""},
	} {
		out := write(t, tmp, "out", "earlier\n")
		r := callWith(t.Context(), c.in, "translate", dir, "--output", out, "--on-bad", "fatal")
		if bad := strings.Contains(c.in, "\xff"); (r.code == cli.ExitFailure) != bad || strings.Contains(r.err, "Lines written:") != bad {
			t.Errorf("%q: exit code %d, %q", c.in, r.code, r.err)
		}
		if got := string(readFile(t, out)); got != c.want {
			t.Errorf("%q: the file has %q, want %q", c.in, got, c.want)
		}
	}
}
