package main

import (
	"encoding/json"
	"fmt"
	"math"
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
	r := mustCall(t, "compare", plain, young, "--figure", figure)
	golden(t, "compare", r.out)
	if want := "Figure written to " + figure + "\n"; r.err != want {
		t.Errorf("told %q, want %q", r.err, want)
	}
	if svg, err := os.ReadFile(figure); err != nil || !strings.Contains(string(svg), "plain") || strings.Contains(string(svg), "young") {
		t.Errorf("the figure has not the one run with points: %v", err)
	}
	var report struct{ Runs []comparedRun }
	if err := json.Unmarshal([]byte(mustCall(t, "compare", plain, "--json").out), &report); err != nil {
		t.Fatal(err)
	}
	if r := report.Runs[0]; r.BestLoss != 2.5 || r.BestStep != 20 || r.LastLoss != 3.0 || r.TrainLoss != 0.5 || r.LastAcc != 0.75 || r.Steps != 40 {
		t.Errorf("read %+v", r)
	}
}

// A run's summary and the comparison agree.
func TestCompareReadsRuns(t *testing.T) {
	t.Parallel()
	r := mustCall(t, "compare", trainedRun(t))
	if !strings.Contains(r.out, "trained") || strings.Contains(r.out, " - ") || !strings.Contains(r.out, "bits/byte") {
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
		{[]string{"compare", dir, t.TempDir()}, cli.ExitFailure, "none of these folders is a run"},
		{[]string{"compare", trainedRun(t), "--format", "word"}, cli.ExitUsage, "use table, md, csv, latex, json"},
		{[]string{"compare", trainedRun(t), "--format", "md", "--json"}, cli.ExitUsage, "give one of them"},
		{[]string{"compare", trainedRun(t), "--figure", "loss.gif"}, cli.ExitUsage, ".png or .svg"},
	} {
		if r := call(c.args...); r.code != c.code || !strings.Contains(r.err, c.want) {
			t.Errorf("bdia %s: exit code %d, %q; want %d and %q", strings.Join(c.args, " "), r.code, r.err, c.code, c.want)
		}
	}
}

// TestCompareForms compares runs that differ in their seeds, in a setting, in their vocabulary and in their task, with a
// folder that is none: rows are means, and what does not compare stands apart, in every form.
func TestCompareForms(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	record := func(name, settings, records string) {
		if err := os.Mkdir(filepath.Join(dir, name), 0o777); err != nil {
			t.Fatal(err)
		}
		write(t, filepath.Join(dir, name), "metrics.jsonl", records)
		write(t, filepath.Join(dir, name), "bdia.yaml", settings+"engine: {threads: 1}\n") // memory is planned by threads
	}
	losses := func(last string) string {
		return `{"step":0,"time":"2026-01-01T00:00:00.000Z","val/loss":4}
{"step":20,"time":"2026-01-01T00:00:00.000Z","train/loss":2,"tokens_per_second":1000}
{"step":20,"time":"2026-01-01T00:00:00.000Z","val/loss":` + last + "}\n"
	}
	const model = "model: {layers: 1, heads: 1, width: 8, context: 8, vocab: "
	record("plain-1", "task: text\n"+model+"20}\n", losses("3"))
	record("plain-2", "task: text\n"+model+"20}\nloop: {seed: 2}\n", losses("3.2"))
	record("lr_2", "task: text\n"+model+"20}\nschedule: {lr: 0.002}\n", losses("2.5"))
	record("bytes", "task: text\n"+model+"300}\n", losses("5"))
	record("photos", "task: image\nvit: {layers: 1, heads: 1, width: 8, image: 8, patch: 4, classes: 3}\n",
		`{"step":20,"time":"2026-01-01T00:00:00.000Z","val/loss":1,"val/accuracy":0.75}`+"\n")
	args := []string{"compare"}
	for _, name := range []string{"plain-1", "plain-2", "lr_2", "bytes", "photos"} {
		args = append(args, filepath.Join(dir, name))
	}
	var b strings.Builder
	for _, more := range []string{"", "--each", "--format md", "--format csv", "--format latex"} {
		r := mustCall(t, append(args, strings.Fields(more)...)...)
		b.WriteString("$ compare " + more + "\n" + r.out + "\n")
	}
	golden(t, "compare-forms", b.String())
	r := mustCall(t, append(args, t.TempDir(), "--json", "--figure", filepath.Join(dir, "loss.png"))...)
	if !strings.Contains(r.err, "left out") || strings.Count(r.err, "Figure written to") != 3 {
		t.Errorf("told %q", r.err)
	}
	var report struct {
		Groups []struct {
			Title string
			Rows  []struct {
				Name    string
				Runs    []string
				Numbers map[string]struct{ Mean, SD float64 }
			}
		}
	}
	if err := json.Unmarshal([]byte(r.out), &report); err != nil {
		t.Fatal(err)
	}
	row := report.Groups[0].Rows[0]
	if got := row.Numbers["best_val_loss"]; len(report.Groups) != 3 || len(row.Runs) != 2 || math.Abs(got.Mean-3.1) > 1e-9 || math.Abs(got.SD-math.Sqrt(0.02)) > 1e-9 {
		t.Errorf("%+v", report)
	}
}

// TestCompareOwn: the run of a program with its own loop or Learner has records, and they are compared.
func TestCompareOwn(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	for i, settings := range []string{"", "task: own\n"} {
		run := filepath.Join(dir, fmt.Sprint("run", i))
		if err := os.Mkdir(run, 0o777); err != nil {
			t.Fatal(err)
		}
		write(t, run, "metrics.jsonl", `{"step":0,"val/loss":3}`+"\n"+`{"step":10,"val/loss":2.5}`+"\n")
		if settings != "" {
			write(t, run, "bdia.yaml", settings)
		}
	}
	got := mustCall(t, "compare", filepath.Join(dir, "run0"), filepath.Join(dir, "run1"))
	if strings.Count(got.out, "2.5000") != 4 || got.err != "" {
		t.Errorf("%s%s", got.out, got.err)
	}
}
