package text

import (
	"testing"

	"github.com/bdia-go/bdia"
	"github.com/bdia-go/bdia/internal/traintest"
)

// TestStepAllocates holds a step to allocating nothing once the first is done.
// Not parallel: testing.AllocsPerRun forbids it.
func TestStepAllocates(t *testing.T) {
	for _, memory := range []bdia.Memory{bdia.Reversible, bdia.Store} {
		cfg := withMemory(tinyConfig(), memory)
		cfg.Engine.Threads = 2
		traintest.StepAllocates(t, New(cfg))
		cfg.Loop.CheckEvery, cfg.Loop.Certificate = 1, true
		traintest.StepAllocates(t, New(cfg))
	}
}
