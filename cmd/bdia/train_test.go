package main

import (
	"strings"
	"testing"

	"github.com/bdia-go/bdia/cmd/bdia/internal/cli"
)

// TestCommandFor: flags without a command are for the task that they name.
func TestCommandFor(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	image, pairs := write(t, dir, "image.yaml", "task: image\n"), write(t, dir, "pairs.yaml", "task: completion\n")
	for args, want := range map[string]string{
		"":                                   "train text",
		"--data x --layers 3":                "train text",
		"--flip --task image --data x":       "train images",
		"--task=images":                      "train images",
		"--data x --task translation":        "train translation",
		"--preset vit-paper":                 "train images",
		"--preset gpt2":                      "train text",
		"--preset translation/tiny":          "train translation",
		"--preset huge":                      "train text",
		"--config " + image:                  "train images",
		"--config " + pairs:                  "finetune",
		"--config " + dir + "/missing":       "train text",
		"--config " + image + " --task text": "train text",
		"--resume x --steps 4":               "train resume",
		"--resume x --task image":            "train resume",
		"--task image --help":                "train images",
	} {
		if got, err := commandFor(strings.Fields(args)); err != nil || got != want {
			t.Errorf("bdia train %s: %q, %v, want %q", args, got, err, want)
		}
	}
	imageRun(t)
	// A flag without a value before --task.
	r := call("train", "--data", photos(), "--dry-run", "--task", "image", "--image", "8")
	if r.code != cli.ExitOK || !strings.Contains(r.out, "images of 8 pixels") {
		t.Errorf("exit %d: %s%s", r.code, r.out, r.err)
	}
	for _, args := range []string{"--task sound", "--preset tiny", "--preset images/huge"} {
		if got, err := commandFor(strings.Fields(args)); err == nil {
			t.Errorf("bdia train %s: %q", args, got)
		}
	}
}
