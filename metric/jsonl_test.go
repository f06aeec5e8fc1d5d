package metric

import (
	"bytes"
	"encoding/json"
	"errors"
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/bdia-go/bdia/internal/testkit"
)

func readFile(t testing.TB, path string) string {
	t.Helper()
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

func TestRecordLines(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "metrics.jsonl")
	w, _, err := OpenJSONL(path, -1, nil)
	if err != nil {
		t.Fatal(err)
	}
	defer w.Close()
	when := time.Date(2026, 1, 2, 3, 4, 5, 6_000_000, time.FixedZone("", 3600))
	if err := w.Record(0, when, Field{"loss", 10.8125}, Field{"accuracy", 0}, Field{`a "b"`, 1e-9}); err != nil {
		t.Fatal(err)
	}
	want := `{"step":0,"time":"2026-01-02T02:04:05.006Z","loss":10.8125,"accuracy":0,"a \"b\"":1e-09}` + "\n"
	if got := readFile(t, path); got != want {
		t.Errorf("record before close\n%s\nwant\n%s", got, want)
	}
	for _, err := range []error{
		w.Record(-1, when), w.Record(1, when, Field{"", 1}), w.Record(1, when, Field{"step", 1}), w.Record(1, when, Field{"time", 1}),
	} {
		if err == nil {
			t.Error("a bad record is no error")
		}
	}
	if err := w.Record(1, when, Field{"loss", math.NaN()}, Field{"up", math.Inf(1)}, Field{"down", math.Inf(-1)}); err != nil {
		t.Fatal(err)
	}
	lines := strings.Split(readFile(t, path), "\n")
	if len(lines) != 3 || !strings.HasSuffix(lines[1], `"loss":"NaN","up":"+Inf","down":"-Inf"}`) {
		t.Errorf("lines %q", lines)
	}
	for _, l := range lines[:2] {
		if !json.Valid([]byte(l)) {
			t.Errorf("not JSON: %s", l)
		}
	}
}

// sample has records of steps 0, 10, 10, 20 and an unfinished one.
const sample = `{"step":0,"time":"2026-01-02T03:04:05.000Z","loss":4,"note":"by hand","more":{"x":[1]}}
{"step":10,"loss":3,"lr":0.5}
{"loss":2.5,"val":"NaN","step":10}
{"step":20,"loss":"-Inf","ok":true}
{"step":30,"lo`

func TestResumeDropsLaterRecords(t *testing.T) {
	t.Parallel()
	for lastStep, lines := range map[int]int{-1: 0, 0: 1, 9: 1, 10: 3, 19: 3, 20: 4, 99: 4} {
		path := filepath.Join(t.TempDir(), "metrics.jsonl")
		if err := os.WriteFile(path, []byte(sample), 0o644); err != nil {
			t.Fatal(err)
		}
		w, _, err := OpenJSONL(path, lastStep, nil)
		if err != nil {
			t.Fatal(err)
		}
		if err := errors.Join(w.Record(100, testTime, Field{"loss", 1}), w.Close()); err != nil {
			t.Fatal(err)
		}
		all := strings.SplitAfter(sample, "\n")
		want := strings.Join(all[:lines], "") + `{"step":100,"time":"2023-11-14T22:13:20.500Z","loss":1}` + "\n"
		if got := readFile(t, path); got != want {
			t.Errorf("after step %d:\n%s\nwant\n%s", lastStep, got, want)
		}
	}
}

func TestResumeDropsRecordsToMakeAgain(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "metrics.jsonl")
	text := `{"step":3,"val":1}` + "\n" + `{"step":4,"loss":1}` + "\n" + `{"step":4,"val":1}` + "\n"
	if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
	w, _, err := OpenJSONL(path, 4, func(f []Field) bool { return f[0].Name == "val" })
	if err == nil {
		err = w.Close()
	}
	if got := readFile(t, path); err != nil || got != text[:len(text)-19] {
		t.Errorf("%v; left are\n%s", err, got)
	}
}

func TestReadSeries(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "metrics.jsonl")
	if err := os.WriteFile(path, []byte(sample), 0o644); err != nil {
		t.Fatal(err)
	}
	got, bad, err := ReadSeries(path)
	if err != nil || bad.Lines > 0 {
		t.Fatal(bad, err)
	}
	want := []Series{
		{Name: "loss", Points: []Point{{0, 4}, {10, 3}, {10, 2.5}, {20, math.Inf(-1)}}},
		{Name: "lr", Points: []Point{{10, 0.5}}},
		{Name: "val", Points: []Point{{10, math.NaN()}}},
	}
	if d := cmp.Diff(want, got, cmpopts.EquateNaNs()); d != "" {
		t.Error(d)
	}
}

func TestForeignFileIsLeftAlone(t *testing.T) {
	t.Parallel()
	for name, text := range map[string]string{
		"prose": "Dear diary\n", "array": "[1]\n", "no step": `{"loss":1}` + "\n", "negative step": `{"step":-1}` + "\n",
		"fractional step": `{"step":1.5}` + "\n", "step as text": `{"step":"1"}` + "\n", "two objects": `{"step":1}{"step":2}` + "\n",
		"zero bytes": "\x00\x00\n", "empty line": "\n", "huge number": `{"step":1,"x":1e999}` + "\n",
		"endless line": strings.Repeat("x", maxLine+1),
	} {
		path := filepath.Join(t.TempDir(), "metrics.jsonl")
		if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
		if _, _, err := OpenJSONL(path, 100, nil); !errors.Is(err, ErrCorrupt) {
			t.Errorf("%s: open: error %v", name, err)
		}
		if _, _, err := ReadSeries(path); !errors.Is(err, ErrCorrupt) {
			t.Errorf("%s: read: error %v", name, err)
		}
		if got := readFile(t, path); got != text {
			t.Errorf("%s: the file was changed", name)
		}
	}
	if _, _, err := ReadSeries(filepath.Join(t.TempDir(), "absent")); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("absent file: error %v", err)
	}
}

// TestDamagedLines: lines that are no records are counted, and neither stop reading nor resuming.
func TestDamagedLines(t *testing.T) {
	t.Parallel()
	long := strings.Repeat("x", 2*maxLine)
	text := `{"step":1,"v":1}` + "\n" + `{"step":2,"v"2}` + "\n" + `{"step":3,"v":3}` + "\n" + long + "\n" + `{"step":4,"v":4}` + "\n" + `{"step":5,"v":5}` + "\n"
	path := filepath.Join(t.TempDir(), "metrics.jsonl")
	if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
	series, bad, err := ReadSeries(path)
	if err != nil || bad.Lines != 2 || bad.First != 2 || bad.Err == nil {
		t.Errorf("%+v, %v", bad, err)
	}
	if d := cmp.Diff([]Series{{"v", []Point{{1, 1}, {3, 3}, {4, 4}, {5, 5}}}}, series); d != "" {
		t.Error(d)
	}
	w, bad, err := OpenJSONL(path, 4, nil)
	if err != nil || bad.Lines != 2 {
		t.Fatal(bad, err)
	}
	if err := errors.Join(w.Record(5, testTime, Field{"v", 6}), w.Close()); err != nil {
		t.Fatal(err)
	}
	want := strings.Replace(text, `{"step":5,"v":5}`, `{"step":5,"time":"2023-11-14T22:13:20.500Z","v":6}`, 1)
	if got := readFile(t, path); got != want {
		t.Errorf("%d bytes, want %d", len(got), len(want))
	}
}

func FuzzScanRecords(f *testing.F) {
	f.Add([]byte(sample))
	f.Add([]byte("{\"step\":1,\"a\":-0.5e3}\n{}"))
	for _, text := range testkit.Longer([]byte("{\"step\":1,\"a\":-0.5e3}\n{\"a\":\"b\"}\n")) {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		_, err := scanRecords(bytes.NewReader(b), func(r record, end int64) bool {
			if r.step < 0 || end > int64(len(b)) || b[end-1] != '\n' {
				t.Errorf("record %+v ends at %d", r, end)
			}
			return true
		})
		testkit.Refused(t, err)
		if err != nil && !errors.Is(err, ErrCorrupt) {
			t.Errorf("error %v is not ErrCorrupt", err)
		}
	})
}

func TestRun(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	open := func(lastStep int) *Run {
		r, err := OpenRun(dir, Start{After: lastStep, TensorBoard: true})
		if err != nil {
			t.Fatal(err)
		}
		r.now = func() time.Time { return testTime }
		return r
	}
	record := func(r *Run, steps ...int) {
		for _, s := range steps {
			if err := r.Record(s, Field{"loss", float64(s)}); err != nil {
				t.Fatal(err)
			}
		}
		if err := r.Close(); err != nil {
			t.Fatal(err)
		}
	}
	// steps are those of the records, eventSteps those of the newest event file.
	check := func(files int, steps, eventSteps []int64) {
		t.Helper()
		series, _, err := ReadSeries(filepath.Join(dir, JSONLName))
		if err != nil || len(series) != 1 {
			t.Fatalf("series %v, error %v", series, err)
		}
		var got []int64
		for _, p := range series[0].Points {
			got = append(got, int64(p.X))
		}
		if d := cmp.Diff(steps, got); d != "" {
			t.Errorf("records: %s", d)
		}
		events, err := os.ReadDir(filepath.Join(dir, "tensorboard"))
		if err != nil || len(events) != files {
			t.Fatalf("%d event files, want %d, error %v", len(events), files, err)
		}
		last, err := ReadEvents(strings.NewReader(readFile(t, filepath.Join(dir, "tensorboard", events[files-1].Name()))))
		if err != nil {
			t.Fatal(err)
		}
		got = nil
		for _, e := range last[1:] {
			got = append(got, e.Step)
		}
		if d := cmp.Diff(eventSteps, got); d != "" {
			t.Errorf("events: %s", d)
		}
	}
	record(open(-1), 1, 2, 3)
	check(1, []int64{1, 2, 3}, []int64{1, 2, 3})
	record(open(2), 3, 4)
	check(2, []int64{1, 2, 3, 4}, []int64{3, 3, 4}) // the first 3 is the start that voids the old step 3
	record(open(-1), 1)
	check(1, []int64{1}, []int64{1})

	plain := t.TempDir()
	r, err := OpenRun(plain, Start{After: -1})
	if err != nil {
		t.Fatal(err)
	}
	record(r, 1)
	if entries, err := os.ReadDir(plain); err != nil || len(entries) != 1 {
		t.Errorf("without TensorBoard: %v, error %v", entries, err)
	}
	if _, err := OpenRun(filepath.Join(plain, "absent"), Start{After: -1, TensorBoard: true}); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("absent folder: error %v", err)
	}
}

func TestPerplexityAndBits(t *testing.T) {
	t.Parallel()
	if got := Perplexity(math.Log(50257)); math.Abs(got-50257) > 1e-6 {
		t.Errorf("perplexity of a uniform guess = %v", got)
	}
	// 100 tokens of 8 ln 2 nats are 800 bits, over 400 bytes.
	if got := BitsPerByte(8*math.Ln2, 100, 400); math.Abs(got-2) > 1e-12 {
		t.Errorf("bits per byte = %v, want 2", got)
	}
}
