package train

import (
	"testing"

	"github.com/bdia-go/bdia"
	"github.com/bdia-go/bdia/backend"
)

// TestStepAllocates holds a step to allocating nothing once the first is done.
// Not parallel: testing.AllocsPerRun forbids it.
func TestStepAllocates(t *testing.T) {
	for name, cfg := range map[string]Config{"text": tinyConfig(), "images": tinyImageConfig()} {
		for _, memory := range []bdia.Memory{bdia.Reversible, bdia.Store} {
			cfg := cfg.WithMemory(memory)
			cfg.Engine.Threads = 2
			planned, err := Plan(cfg)
			if err != nil {
				t.Fatal(err)
			}
			be, err := backend.Open(cfg.Engine, planned.Total)
			if err != nil {
				t.Fatal(err)
			}
			s, err := newSession(be, cfg, Random(cfg))
			if err != nil {
				t.Fatal(err)
			}
			if err := s.Init(); err != nil {
				t.Fatal(err)
			}
			step := 0
			if n := testing.AllocsPerRun(5, func() {
				step++
				if _, err := s.Step(step); err != nil {
					t.Fatal(err)
				}
			}); n != 0 {
				t.Errorf("%s, %v: %v allocations a step", name, memory, n)
			}
			be.Close()
		}
	}
}
