package main

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/bdia-go/bdia/cmd/bdia/internal/cli"
)

func TestCompare(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	for name, records := range map[string]string{
		"plain": `{"step":0,"time":"2026-01-01T00:00:00.000Z","val/loss":4}
{"step":10,"time":"2026-01-01T00:00:00.000Z","train/loss":9}
{"step":19,"time":"2026-01-01T00:00:00.000Z","train/loss":1}
{"step":20,"time":"2026-01-01T00:00:00.000Z","train/loss":2}
{"step":20,"time":"2026-01-01T00:00:00.000Z","val/loss":2.5}
{"step":40,"time":"2026-01-01T00:00:00.000Z","train/loss":0.5}
{"step":40,"time":"2026-01-01T00:00:00.000Z","val/loss":3,"val/accuracy":0.75}
`,
		"young": "",
	} {
		if err := os.Mkdir(filepath.Join(dir, name), 0o777); err != nil {
			t.Fatal(err)
		}
		write(t, filepath.Join(dir, name), "metrics.jsonl", records)
	}
	plain, young, figure := filepath.Join(dir, "plain"), filepath.Join(dir, "young"), filepath.Join(dir, "loss.svg")
	golden(t, "compare", mustCall(t, "compare", plain, young, "--figure", figure).out)
	if svg, err := os.ReadFile(figure); err != nil || !strings.Contains(string(svg), "plain") {
		t.Errorf("the figure does not name the run: %v", err)
	}
	var report struct{ Runs []comparedRun }
	if err := json.Unmarshal([]byte(mustCall(t, "compare", plain, "--json").out), &report); err != nil {
		t.Fatal(err)
	}
	if r := report.Runs[0]; r.BestLoss != 2.5 || r.BestStep != 20 || r.LastLoss != 3.0 || r.TrainLoss != 0.5 || r.Accuracy != 0.75 || r.Steps != 40 {
		t.Errorf("read %+v", r)
	}
}

// A run's summary and the comparison agree.
func TestCompareReadsRuns(t *testing.T) {
	t.Parallel()
	r := mustCall(t, "compare", trainedRun(t))
	if !strings.Contains(r.out, "trained") || strings.Contains(r.out, " - ") {
		t.Errorf("something of the run is not known:\n%s", r.out)
	}
}

func TestCompareBadInput(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	write(t, dir, "metrics.jsonl", "no record\n")
	for _, c := range []struct {
		args []string
		code int
		want string
	}{
		{[]string{"compare"}, cli.ExitUsage, "needs one or more runs"},
		{[]string{"compare", t.TempDir()}, cli.ExitFailure, "there is no metrics.jsonl"},
		{[]string{"compare", dir}, cli.ExitFailure, "metrics.jsonl"},
		{[]string{"compare", trainedRun(t), "--figure", "loss.gif"}, cli.ExitUsage, ".png or .svg"},
	} {
		if r := call(c.args...); r.code != c.code || !strings.Contains(r.err, c.want) {
			t.Errorf("bdia %s: exit code %d, %q; want %d and %q", strings.Join(c.args, " "), r.code, r.err, c.code, c.want)
		}
	}
}
