package main

import (
	"testing"

	"github.com/bdia-go/bdia"
)

// TestRun: the model learns, the reversible mode gives the bits of stored activations, and takes less memory.
func TestRun(t *testing.T) {
	t.Parallel()
	reversible, err := run(bdia.Reversible, 100)
	if err != nil {
		t.Fatal(err)
	}
	store, err := run(bdia.Store, 100)
	if err != nil {
		t.Fatal(err)
	}
	if !(reversible.LastVal.Loss < 0.1) {
		t.Errorf("loss %v, then %v", reversible.FirstVal.Loss, reversible.LastVal.Loss)
	}
	if reversible.FirstVal != store.FirstVal || reversible.LastVal != store.LastVal {
		t.Errorf("reversible %v, stored %v", reversible.LastVal, store.LastVal)
	}
	if reversible.Peak.Total >= store.Peak.Total {
		t.Errorf("reversible takes %d bytes, stored activations %d", reversible.Peak.Total, store.Peak.Total)
	}
}
