package checkpoint

import (
	"bytes"
	"errors"
	"io/fs"
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/bdia-go/bdia/internal/testkit"
)

func TestStateRoundTrip(t *testing.T) {
	t.Parallel()
	for _, want := range []State{
		{BestLoss: math.Inf(1)},
		{Step: 12, Tokens: 1<<62 + 1, BestLoss: 0.1 + 0.2, BestStep: 8, BadEvals: 2, Elapsed: 1.0 / 3,
			Seed: math.MaxUint64, EvalDue: true},
		{Step: 7, BestLoss: 1, Window: Window{Steps: 2, Losses: 0.1 + 0.7}, Planned: 6, Skipped: 4, SkippedInRow: 1, Rewinds: 3,
			Records: map[string]RecordMark{"metrics.jsonl": {Size: 123, Hash: "ab"}}},
	} {
		var b bytes.Buffer
		if err := WriteState(&b, want); err != nil {
			t.Fatal(err)
		}
		path := filepath.Join(t.TempDir(), "state.json")
		if err := os.WriteFile(path, b.Bytes(), 0o644); err != nil {
			t.Fatal(err)
		}
		got, err := ReadState(path)
		if err != nil {
			t.Fatal(err)
		}
		want.Version = StateVersion
		if d := cmp.Diff(want, got); d != "" {
			t.Error(d)
		}
	}
}

func TestStateText(t *testing.T) {
	t.Parallel()
	var b bytes.Buffer
	if err := WriteState(&b, State{Step: 3, BestLoss: 2.5, BestStep: 1, Seed: 7}); err != nil {
		t.Fatal(err)
	}
	want := `{
  "version": 1,
  "step": 3,
  "tokens": 0,
  "best_step": 1,
  "bad_evals": 0,
  "elapsed": 0,
  "seed": 7,
  "best_loss": 2.5
}
`
	if d := cmp.Diff(want, b.String()); d != "" {
		t.Error(d)
	}
}

func TestStateRefuses(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{
		``:                                     "end of JSON",
		`{}`:                                   "unknown version 0",
		`{"version":2,"other":1}`:              "unknown version 2",
		`{"version":1,"steps":3}`:              "steps",
		`{"version":1} {}`:                     "after top-level",
		`{"version":1,"step":-1}`:              "negative",
		`{"version":1,"step":1,"best_step":2}`: "after step 1",
		`{"version":1,"elapsed":-1}`:           "elapsed",
		`{"version":1,"planned":1}`:            "after step 0",
		`{"version":1,"rewinds":-1}`:           "negative",
		`{"version":1,"records":{"a":{"size":-1}}}`: `"a"`,
		`{"version":1,"best_loss":1e999}`:           "1e999",
		strings.Repeat(" ", maxState+1):             "is larger than 1 MiB",
	} {
		path := filepath.Join(t.TempDir(), "state.json")
		if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
		_, err := ReadState(path)
		if err == nil || !strings.Contains(err.Error(), want) || !strings.Contains(err.Error(), path) {
			t.Errorf("%.40q: got %v, want %q", text, err, want)
		}
		if strings.HasPrefix(want, "unknown version") != errors.Is(err, ErrVersion) {
			t.Errorf("%.40q: ErrVersion: %v", text, err)
		}
	}
	if _, err := ReadState(filepath.Join(t.TempDir(), "absent")); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("absent file: %v", err)
	}
	for _, s := range []State{{Step: -1}, {BestLoss: math.NaN()}, {BestLoss: math.Inf(-1)}, {Elapsed: math.Inf(1)}, {BestStep: 1}} {
		var b bytes.Buffer
		if err := WriteState(&b, s); err == nil || b.Len() > 0 {
			t.Errorf("%+v was written", s)
		}
	}
}

func FuzzState(f *testing.F) {
	f.Add([]byte(`{"version":1,"step":3,"best_loss":null,"best_step":1}`))
	for _, text := range testkit.Longer([]byte(`{"version":1,"step":3,"best_loss":null,"best_step":1,"x":"y"}`)) {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		s, err := parseState(text)
		testkit.Refused(t, err)
		if err != nil {
			return
		}
		var b bytes.Buffer
		if err := WriteState(&b, s); err != nil {
			t.Fatalf("%+v was read but cannot be written: %v", s, err)
		}
		back, err := parseState(b.Bytes())
		if err != nil {
			t.Fatal(err)
		}
		if d := cmp.Diff(s, back); d != "" {
			t.Fatal(d)
		}
	})
}
