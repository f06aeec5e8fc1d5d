package main

import (
	"encoding/json"
	"testing"
)

// TestBench times a tiny step and reads the numbers that scripts rely on.
func TestBench(t *testing.T) {
	t.Parallel()
	for _, memory := range []string{"reversible", "store", "recompute"} {
		r := call("bench", "--memory", memory, "--layers", "3", "--heads", "2", "--width", "16", "--seq", "8", "--batch", "2", "--steps", "2", "--json")
		if r.code != exitOK {
			t.Fatalf("%s: exit code %d: %s", memory, r.code, r.err)
		}
		var step map[string]any
		if err := json.Unmarshal([]byte(r.out), &step); err != nil {
			t.Fatalf("%s: %v in %s", memory, err, r.out)
		}
		for _, key := range []string{"seconds_per_step", "tokens_per_second", "peak_arena_bytes", "matrix_flops_per_step"} {
			if v, ok := step[key].(float64); !ok || v <= 0 {
				t.Errorf("%s: %s is %v", memory, key, step[key])
			}
		}
		for _, key := range []string{"peak_rss_mb", "fma_peak_gflops", "flop_utilisation"} {
			if _, ok := step[key].(float64); !ok {
				t.Errorf("%s: %s is missing", memory, key)
			}
		}
	}
}
