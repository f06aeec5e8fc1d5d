package main

import (
	"encoding/json"
	"path/filepath"
	"strings"
	"testing"

	"github.com/bdia-go/bdia/cmd/bdia/internal/cli"
	"github.com/bdia-go/bdia/metric"
	"github.com/bdia-go/bdia/train"
)

// TestReplayAndDiff: a step of a run is computed again and agrees; with a changed record it does not, and diff names the
// step.
func TestReplayAndDiff(t *testing.T) {
	t.Parallel()
	was, dir := trainedRun(t), copyRun(t)
	if r := mustCall(t, "verify", "--replay", dir, "--step", "4", "--threads", "2"); !strings.Contains(r.out, "Equal") || !strings.Contains(r.out, "again from the checkpoint of step 3") {
		t.Errorf("replay:\n%s", r.out)
	}
	if r := mustCall(t, "diff", was, dir); r.out != "  records: equal\n" {
		t.Errorf("diff of equal runs:\n%s", r.out)
	}
	var cut strings.Builder
	printReplay(&cut, &train.Replayed{Step: 5, Against: "loss", Compared: 2, Uncertified: 5})
	if !strings.Contains(cut.String(), "5 of the steps have no certificate: certificate.jsonl was cut short") {
		t.Errorf("without certificates:\n%s", cut.String())
	}
	records := string(readFile(t, dir, metric.JSONLName))
	i := strings.Index(records, `{"step":5`)
	write(t, dir, metric.JSONLName, records[:i]+strings.Replace(records[i:], `"train/loss":`, `"train/loss":1`, 1))
	var report struct {
		Equal      bool
		Difference *metric.Difference
		Records    *metric.Difference
	}
	for _, args := range [][]string{{"verify", "--replay", dir, "--step", "5", "--json"}, {"diff", was, dir, "--json"}} {
		r := call(args...)
		if err := json.Unmarshal([]byte(r.out), &report); err != nil {
			t.Fatal(err)
		}
		at := report.Difference
		if args[0] == "diff" {
			at = report.Records
		}
		if r.code != cli.ExitFailure || report.Equal || at == nil || at.Step != 5 || !strings.HasSuffix(at.What, "loss") {
			t.Errorf("%s: exit code %d\n%s", args[0], r.code, r.out)
		}
	}
	for want, args := range map[string][]string{
		"--step is for --replay":      {"verify", dir, "--step", "2"},
		"--replay needs a run":        {"verify", "--replay", dir},
		"--fault cannot stand beside": {"verify", "--replay", dir, "--step", "2", "--fault", "none"},
		"the run has steps 1 to 6":    {"verify", "--replay", dir, "--step", "9"},
		"needs two runs":              {"diff", dir},
		filepath.Join(dir, "missing"): {"diff", dir, filepath.Join(dir, "missing")},
	} {
		if r := call(args...); r.code == cli.ExitOK || !strings.Contains(r.err, want) {
			t.Errorf("%v: %d %s", args, r.code, r.err)
		}
	}
}
