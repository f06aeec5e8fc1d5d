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
		"--model rnn":                "use gpt, vit or revvit",
		"--model vit --seq 8":        "--seq is not a setting of vit",
		"--model vit --weights bf16": "--weights is not a setting of vit",
		"--weights f8":               "use f32 or bf16",
		"--patch 4":                  "--patch is not a setting of gpt",
		"--model vit --patch 5":      "cannot be cut into patches of 5",
		"--model revvit --vocab 10":  "--vocab is not a setting of revvit",
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
		"--from " + unweighted(t) + " --seq 8 --batch 1 --state-bits 8":                                                                          "tokens_per_second",
		"--from " + unweighted(t) + " --seq 8 --batch 1 --lora-rank 2":                                                                           "tokens_per_second",
		"--preset llama-nano --layers 3 --heads 2 --width 16 --seq 8 --lora-rank 2 ":                                                             "tokens_per_second",
		"--preset llama-nano --layers 3 --heads 2 --width 16 --seq 8 --weights bf16 --optimizer set-adam --batch 2 --micro-batch 1 --update end": "tokens_per_second",
		"--preset llama-nano --layers 3 --heads 2 --width 16 --seq 8 --weights bf16 --lora-rank 2 --lora-targets all --freeze 1":                 "tokens_per_second",
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

// TestBenchWeights: a step takes the memory that is planned for weights of its type.
func TestBenchWeights(t *testing.T) {
	t.Parallel()
	sizes := " --preset llama-nano --layers 3 --heads 2 --width 64 --batch 1 --memory reversible"
	for _, weights := range []string{"f32", "bf16"} {
		step := object(t, mustCall(t, strings.Fields("bench --steps 1 --json --threads 1 --seq 8 --weights "+weights+sizes)...))
		plan := mustCall(t, strings.Fields("plan --json --threads 1 --context 8 --weights "+weights+sizes)...)
		var want struct {
			Weights string
			Modes   struct {
				Reversible struct {
					Total float64 `json:"total_bytes"`
				}
			}
		}
		if err := json.Unmarshal([]byte(plan.out), &want); err != nil {
			t.Fatal(err)
		}
		if got := step["peak_arena_bytes"]; got != want.Modes.Reversible.Total || want.Weights != weights {
			t.Errorf("a step in %s takes %v bytes; planned are %v in %s", weights, got, want.Modes.Reversible.Total, want.Weights)
		}
	}
}
