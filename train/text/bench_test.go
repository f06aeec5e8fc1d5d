package text

import (
	"testing"

	"github.com/bdia-go/bdia"
	"github.com/bdia-go/bdia/internal/traintest"
)

// BenchmarkStep times whole optimiser steps of the setting of the project's
// performance figures: 6 blocks, width 384, context 256, 65 characters.
func BenchmarkStep(b *testing.B) {
	for _, memory := range []bdia.Memory{bdia.Reversible, bdia.Store, bdia.Recompute} {
		b.Run(memory.String(), func(b *testing.B) {
			cfg := Default()
			cfg.Loop.Batch = 16
			traintest.BenchmarkStep(b, New(withMemory(cfg, memory)))
		})
	}
}
