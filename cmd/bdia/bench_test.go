package main

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/bdia-go/bdia/cmd/bdia/internal/cli"
	"github.com/bdia-go/bdia/internal/traintest"
	"github.com/bdia-go/bdia/model"
)

// TestBench times tiny steps and reads the numbers that scripts rely on.
func TestBench(t *testing.T) {
	t.Parallel()
	gpt := []string{"--seq", "8", "--vocab", "11"}
	vit := []string{"--image", "8", "--patch", "4", "--classes", "3", "--mlp", "16"}
	for _, c := range []struct {
		model, speed string
		sizes        []string
	}{{"gpt", "tokens_per_second", gpt}, {"vit", "images_per_second", vit}, {"revvit", "images_per_second", vit}} {
		for _, memory := range []string{"reversible", "store", "recompute"} {
			name := c.model + ", " + memory
			r := call(append([]string{"bench", "--model", c.model, "--memory", memory, "--layers", "3", "--heads", "2", "--width", "16", "--batch", "2", "--steps", "2", "--json"}, c.sizes...)...)
			if r.code != cli.ExitOK {
				t.Fatalf("%s: exit code %d: %s", name, r.code, r.err)
			}
			var step map[string]any
			if err := json.Unmarshal([]byte(r.out), &step); err != nil {
				t.Fatalf("%s: %v in %s", name, err, r.out)
			}
			for _, key := range []string{"seconds_per_step", c.speed, "peak_arena_bytes", "matrix_flops_per_step"} {
				if v, ok := step[key].(float64); !ok || v <= 0 {
					t.Errorf("%s: %s is %v", name, key, step[key])
				}
			}
			for _, key := range []string{"peak_rss_mb", "fma_peak_gflops", "flop_utilisation"} {
				if _, ok := step[key].(float64); !ok {
					t.Errorf("%s: %s is missing", name, key)
				}
			}
		}
	}
}

// TestBenchSizes: a size of another model is an error of usage.
func TestBenchSizes(t *testing.T) {
	t.Parallel()
	for args, part := range map[string]string{
		"--model rnn":               "use gpt, vit or revvit",
		"--model vit --seq 8":       "--seq is not a size of vit",
		"--patch 4":                 "--patch is not a size of gpt",
		"--model vit --patch 5":     "cannot be cut into patches of 5",
		"--model revvit --vocab 10": "--vocab is not a size of revvit",
	} {
		r := call(append([]string{"bench", "--memory", "store"}, strings.Fields(args)...)...)
		if r.code != cli.ExitUsage || !strings.Contains(r.err, part) {
			t.Errorf("%s: exit code %d, %s", args, r.code, r.err)
		}
	}
}

// TestBenchOf times the model of a run, and of a preset of any task.
func TestBenchOf(t *testing.T) {
	t.Parallel()
	for args, speed := range map[string]string{
		"--from " + unweighted(t) + " --seq 8 --batch 1 --state-bits 8":              "tokens_per_second",
		"--from " + unweighted(t) + " --seq 8 --batch 1 --lora-rank 2":               "tokens_per_second",
		"--preset llama-nano --layers 3 --heads 2 --width 16 --seq 8 --lora-rank 2 ": "tokens_per_second",
		trainedRun(t): "tokens_per_second", "--preset images/tiny --layers 3 --batch 1": "images_per_second", "--preset gpt2 --layers 3 --heads 2 --width 16 --seq 8 --vocab 11 --batch 1": "tokens_per_second",
	} {
		r := mustCall(t, append(strings.Fields("bench --memory store --steps 1 --json"), strings.Fields(args)...)...)
		if v, ok := object(t, r)[speed].(float64); !ok || v <= 0 {
			t.Errorf("bench %s: %s", args, r.out)
		}
	}
}

// unweighted is the folder of a language model without weights.
func unweighted(t *testing.T) string {
	t.Helper()
	from, to := traintest.FamilyFolder(t, model.Llama), t.TempDir()
	text, err := os.ReadFile(filepath.Join(from, "config.json"))
	if err == nil {
		err = os.WriteFile(filepath.Join(to, "config.json"), text, 0o666)
	}
	if err != nil {
		t.Fatal(err)
	}
	return to
}
