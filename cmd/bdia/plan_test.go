package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/bdia-go/bdia/cmd/bdia/internal/cli"
)

// TestPlanOfMode: --memory plans that mode alone, with a budget too, and the batch to use is told.
func TestPlanOfMode(t *testing.T) {
	t.Parallel()
	all := mustCall(t, "plan", "--preset", "nano", "--threads", "1").out
	store := mustCall(t, "plan", "--preset", "nano", "--threads", "1", "--memory", "store").out
	if !strings.Contains(all, "reversible") || strings.Contains(store, "reversible") || !strings.Contains(store, "10,770,816 parameters.") {
		t.Errorf("all modes:\n%s\nstore:\n%s", all, store)
	}
	for _, budget := range []string{"2g", "2GiB", "2 gib"} {
		r := mustCall(t, "plan", "--preset", "nano", "--threads", "1", "--memory", "store", "--budget", budget)
		if strings.Contains(r.out, "recompute") || !strings.Contains(r.out, "Largest batch in 2.0 GiB:") || !strings.Contains(r.out, "\nUse --batch ") {
			t.Errorf("--budget %s:\n%s", budget, r.out)
		}
	}
	if r := call("plan", "--preset", "nano", "--budget", "8"); r.code != cli.ExitUsage || !strings.Contains(r.err, "write it as 8GiB") {
		t.Errorf("--budget 8: exit code %d, %q", r.code, r.err)
	}
}

// TestPlanOfTuning: adapters, frozen blocks and windows of a preset, of a model folder, and of data.
func TestPlanOfTuning(t *testing.T) {
	t.Parallel()
	preset := func(more ...string) string {
		return mustCall(t, append([]string{"plan", "--preset", "nano", "--batch", "2", "--memory", "reversible"}, more...)...).out
	}
	for _, c := range []struct{ args, want string }{
		{"--freeze 4", "training changes 3,5"},
		{"--lora-rank 8", "training changes 73,728."},
		{"--lora-rank 8 --lora-targets all", "training changes 294,912."},
		{"--lora-rank 8 --freeze 3", "training changes 36,864."},
	} {
		if out := preset(strings.Fields(c.args)...); !strings.Contains(out, c.want) {
			t.Errorf("%s: no %q in\n%s", c.args, c.want, out)
		}
	}
	if preset("--window", "32") == preset("--window", "64") {
		t.Error("--window changes nothing")
	}
	run, dir := trainedRun(t), t.TempDir()
	model := mustCall(t, "plan", "--from", filepath.Join(run, "best"), "--memory", "store", "--batch", "2")
	if !strings.Contains(model.out, "width 16") || !strings.Contains(model.out, "batch 2;") {
		t.Errorf("a model folder:\n%s", model.out)
	}
	data := write(t, dir, "text.txt", strings.Repeat("ab cd ", 500))
	if r := mustCall(t, "plan", "--data", data, "--memory", "reversible"); !strings.Contains(r.out, "vocabulary 5;") {
		t.Errorf("a text of five characters:\n%s", r.out)
	}
	if left, _ := filepath.Glob(filepath.Join(os.TempDir(), "bdia-plan-*")); len(left) > 8 { // others may be at work
		t.Errorf("plans leave folders: %v", left)
	}
	for _, c := range []struct {
		args []string
		want string
	}{
		{[]string{"plan", run, "--from", run}, "leave out --from and --data"},
		{[]string{"plan", "--lora-rank", "8", "--data", data}, "name it with --from"},
		{[]string{"plan", "--lora-targets", "all", "--task", "translation"}, "--lora-targets is for task"},
	} {
		if r := call(c.args...); r.code != cli.ExitUsage || !strings.Contains(r.err, c.want) {
			t.Errorf("bdia %s: exit code %d, %q", strings.Join(c.args, " "), r.code, r.err)
		}
	}
}

// TestPlanTime measures steps.
func TestPlanTime(t *testing.T) {
	t.Parallel()
	r := mustCall(t, "plan", trainedRun(t), "--memory", "reversible", "--time", "--threads", "1")
	if !strings.Contains(r.out, "A step takes") || !strings.Contains(r.out, "evaluations come on top") {
		t.Errorf("%s", r.out)
	}
	if o := object(t, mustCall(t, "plan", trainedRun(t), "--time", "--json")); o["seconds_per_step"].(float64) <= 0 || o["parameters"].(float64) <= 0 {
		t.Errorf("%v", o)
	}
}
