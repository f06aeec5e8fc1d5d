package train

import (
	"testing"

	"github.com/bdia-go/bdia"
	"github.com/bdia-go/bdia/backend"
)

// BenchmarkStep times whole optimiser steps of the setting of the project's
// performance figures: 6 blocks, width 384, context 256, 65 characters.
func BenchmarkStep(b *testing.B) {
	for _, memory := range []bdia.Memory{bdia.Reversible, bdia.Store, bdia.Recompute} {
		b.Run(memory.String(), func(b *testing.B) {
			cfg := DefaultConfig()
			cfg.Loop.Batch = 16
			benchmarkStep(b, cfg.WithMemory(memory))
		})
	}
}

// BenchmarkTranslation times whole optimiser steps of the tiny encoder-decoder, on
// batches of 4096 tokens.
func BenchmarkTranslation(b *testing.B) {
	for _, memory := range []bdia.Memory{bdia.Reversible, bdia.Store, bdia.Recompute} {
		b.Run(memory.String(), func(b *testing.B) { benchmarkStep(b, DefaultTranslationConfig().WithMemory(memory)) })
	}
}

func benchmarkStep(b *testing.B, cfg Config) {
	planned, err := Plan(cfg)
	if err != nil {
		b.Fatal(err)
	}
	be, err := backend.Open(cfg.Engine, planned.Total)
	if err != nil {
		b.Fatal(err)
	}
	defer be.Close()
	s, err := newSession(be, cfg, Random(cfg))
	if err != nil {
		b.Fatal(err)
	}
	s.Init()
	if _, err := s.Step(1); err != nil {
		b.Fatal(err)
	}
	b.ReportAllocs()
	tokens := 0
	for step := 2; b.Loop(); step++ {
		r, err := s.Step(step)
		if err != nil {
			b.Fatal(err)
		}
		tokens += r.Losses
	}
	b.ReportMetric(float64(tokens)/b.Elapsed().Seconds(), "tokens/s")
	b.ReportMetric(float64(planned.Total)/(1<<20), "MiB")
}
