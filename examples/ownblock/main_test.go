package main

import (
	"slices"
	"testing"
)

// TestRun: the model of own blocks learns to count.
func TestRun(t *testing.T) {
	t.Parallel()
	loss, text, err := run(100)
	if want := []int32{4, 5, 6, 7, 8}; err != nil || !(loss < 0.1) || !slices.Equal(text, want) {
		t.Errorf("loss %v, after 3 come %v, error %v", loss, text, err)
	}
}
