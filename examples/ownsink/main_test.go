package main

import "testing"

// TestRun: the sink sees the gradients of head, blocks and tables in every step, the model learns, and its losses are the same
// without the sink, bit for bit.
func TestRun(t *testing.T) {
	t.Parallel()
	const steps = 30
	seen := map[int][]float64{}
	watched, err := run(seen, steps)
	if err != nil {
		t.Fatal(err)
	}
	plain, err := run(nil, steps)
	if err != nil {
		t.Fatal(err)
	}
	if watched.LastVal != plain.LastVal || !(plain.LastVal.Loss < plain.FirstVal.Loss/2) {
		t.Errorf("loss %v watched, %v without, %v at first", watched.LastVal, plain.LastVal, plain.FirstVal)
	}
	if len(seen) != steps {
		t.Errorf("%d steps seen, want %d", len(seen), steps)
	}
	for step, norms := range seen {
		if len(norms) != 6 {
			t.Errorf("step %d: %v, want norms of the head, of 4 blocks and of the tables", step, norms)
		}
		for _, n := range norms {
			if !(n > 0) {
				t.Errorf("step %d: norms %v", step, norms)
			}
		}
	}
}
