package main

import (
	"strings"
	"testing"

	trainimages "github.com/bdia-go/bdia/train/images"
	trainpairs "github.com/bdia-go/bdia/train/pairs"
	"github.com/bdia-go/bdia/train/text"
)

// TestPresetSaysTask: the name of a size is enough, unless two tasks have it.
func TestPresetSaysTask(t *testing.T) {
	t.Parallel()
	for args, want := range map[string]string{
		"--preset gpt2": text.Name, "--preset vit-paper": trainimages.Name, "--preset images/tiny": trainimages.Name,
		"--preset translation/tiny": trainpairs.Name, "--preset base": trainpairs.Name, "--preset text/nano": text.Name,
		"--task image --preset tiny": trainimages.Name, "--task translation --preset tiny": trainpairs.Name,
	} {
		got, err := resolved(t, strings.Fields(args)...)
		if err != nil || got.Name() != want {
			t.Errorf("%s: task %v, %v, want %s", args, got, err, want)
		}
	}
}

// TestPlanOfRun: a run is planned with its own settings, and flags change them.
func TestPlanOfRun(t *testing.T) {
	t.Parallel()
	run := trainedRun(t)
	if r := mustCall(t, "plan", run); !strings.HasPrefix(r.out, "GPT of 4 blocks, width 16, 2 heads, context 16, vocabulary 24; batch 4; adamw; precision float32.") {
		t.Errorf("plan of a run: %s", r.out)
	}
	if r := mustCall(t, "plan", run, "--batch", "8"); !strings.Contains(r.out, "; batch 8; adamw; precision float32.") {
		t.Errorf("plan of a run with another batch: %s", r.out)
	}
}

// TestResumeRun: bdia train resume RUN goes on as bdia train --resume RUN does.
func TestResumeRun(t *testing.T) {
	t.Parallel()
	one, two := copyRun(t), copyRun(t)
	mustCall(t, "train", "resume", one, "--steps", "9")
	mustCall(t, "train", "--resume", two, "--steps", "9")
	if a, b := readFile(t, one+"/model.safetensors"), readFile(t, two+"/model.safetensors"); string(a) != string(b) {
		t.Error("the weights differ")
	}
}
