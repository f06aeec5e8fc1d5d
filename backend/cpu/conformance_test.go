package cpu

import (
	"fmt"
	"testing"

	"github.com/bdia-go/bdia/backend"
	"github.com/bdia-go/bdia/backend/backendtest"
	"github.com/bdia-go/bdia/internal/cpufeat"
)

// TestConformance holds the backend to its contract on every instruction set, with one, two
// and three threads, and all of them against each other in bits.
func TestConformance(t *testing.T) {
	t.Parallel()
	var first backendtest.Results
	for _, level := range cpufeat.Supported() {
		for threads := 1; threads <= 3; threads++ {
			if level == cpufeat.Portable && threads != 3 {
				continue // slow, and it has the task code of the others
			}
			t.Run(fmt.Sprintf("%v/%d", level, threads), func(t *testing.T) {
				got := backendtest.Run(t, func(t testing.TB, arenaBytes int64) backend.Backend {
					b, err := New(Options{Threads: threads, ISA: level.String(), ArenaBytes: ScratchBytes(threads) + arenaBytes})
					if err != nil {
						t.Fatal(err)
					}
					t.Cleanup(b.Close)
					return b
				})
				if first == nil {
					first = got
				}
				backendtest.Same(t, got, first)
			})
		}
	}
}
