package main

import (
	"fmt"
	"path/filepath"
	"strings"
	"testing"
)

// TestFinetuneRamp: a run on a ramp of gamma keeps it, says what it does to the model, goes on with it, is exact, is
// computed again to the same bits, and is a model like others.
func TestFinetuneRamp(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(t.TempDir(), "run")
	r := mustCall(t, finetune(t, dir, "--gamma", "0.0625/0.125..0.5", "--steps", "6", "--certificate", "--json")...)
	c := object(t, r)["calibration"].(map[string]any)
	if d := c["train_loss"].(float64) - c["grid_loss"].(float64); d == 0 || !(d < 1) || !strings.Contains(r.err, "in training, with gamma ±0.0625/0.125..0.5@6: ") {
		t.Errorf("calibration %v\n%s", c, r.err)
	}
	ramp := "  ramp:\n    from: \"0.125\"\n    steps: 6\n    lower: \"0.0625\"\n"
	if text := string(readFile(t, dir, "bdia.yaml")); !strings.Contains(text, ramp) || !strings.Contains(text, "gamma: \"0.5\"") {
		t.Errorf("the run has\n%s", text)
	}
	mustCall(t, "finetune", "--resume", dir, "--steps", "8")
	if text := string(readFile(t, dir, "bdia.yaml")); !strings.Contains(text, ramp) {
		t.Errorf("a longer run has\n%s", text)
	}
	if r := mustCall(t, "verify", "--replay", dir, "--step", "5"); !strings.Contains(r.out, "Equal") {
		t.Errorf("replay:\n%s", r.out)
	}
	mustCall(t, "verify", dir)
	mustCall(t, "generate", dir, "--prompt", "a", "--max-tokens", "2")
	if r := mustCall(t, "finetune", "--resume", dir, "--gamma", "0.25", "--steps", "9", "--json"); r.code != 0 {
		t.Error(r.err)
	}
	if text := string(readFile(t, dir, "bdia.yaml")); strings.Contains(text, "ramp") || !strings.Contains(text, "gamma: \"0.25\"") {
		t.Errorf("with another gamma it has\n%s", text)
	}
	mustCall(t, "finetune", "--resume", dir, "--gamma", "0.125..0.5", "--steps", "12")
	if text := string(readFile(t, dir, "bdia.yaml")); !strings.Contains(text, "  ramp:\n    from: \"0.125\"\n    steps: 12\n") {
		t.Errorf("with another ramp it has\n%s", text)
	}
	if r := mustCall(t, "verify", "--replay", dir, "--step", "12"); !strings.Contains(r.out, "Equal") {
		t.Errorf("replay:\n%s", r.out)
	}
	for flag, want := range map[string]string{"0.2..0.5": "doubles", "0.3..0.6": "not 0.3..0.6", "0.25..0.5@x": "follows @"} {
		if r := call(finetune(t, filepath.Join(t.TempDir(), "run"), "--gamma", flag)...); r.code != 2 || !strings.Contains(r.err, want) {
			t.Errorf("--gamma %s: exit code %d, %s", flag, r.code, r.err)
		}
	}
}

// TestGammaOfConfig: settings of a run from nothing, used to go on with a trained model, get the gamma of fine-tuning, and
// a line says so. With --gamma, or another one in the file, nothing is said.
func TestGammaOfConfig(t *testing.T) {
	t.Parallel()
	from, tmp := baseModel(t), t.TempDir()
	path := write(t, tmp, "more.txt", strings.Repeat("The river finds the morning, and the letter keeps the road. ", 80))
	for config, want := range map[string]string{
		"":                         " is for a run from nothing, and has 0.5. --gamma 0.5 takes that.",
		"method:\n  gamma: 0.5\n":  "Gamma is 0.125..0.5, as bdia finetune takes it for a trained model: ",
		"method:\n  gamma: 0.25\n": "gamma 0.25, ",
		"--gamma":                  "gamma 0.5, ",
	} {
		args := []string{"train", "text", "--from", from, "--data", path, "--steps", "1", "--batch", "2", "--threads", "1", "--dry-run"}
		if config == "--gamma" {
			args, config = append(args, "--gamma", "0.5"), ""
		}
		args = append(args, "--config", write(t, tmp, fmt.Sprintf("%d.yaml", len(config)+len(args)), "task: text\n"+config))
		r := mustCall(t, args...)
		if !strings.Contains(r.out+r.err, want) || strings.Contains(want, "Gamma is") != strings.Contains(r.err, "Gamma is") && want[0] != ' ' {
			t.Errorf("%q: %s%s, want %q", config, r.err, r.out, want)
		}
	}
}
