package pairs

import (
	"testing"

	"github.com/bdia-go/bdia"
	"github.com/bdia-go/bdia/internal/traintest"
	"github.com/bdia-go/bdia/train"
)

// BenchmarkTranslation times whole optimiser steps of the tiny encoder-decoder, on
// batches of 4096 tokens.
func BenchmarkTranslation(b *testing.B) {
	for _, memory := range []bdia.Memory{bdia.Reversible, bdia.Store, bdia.Recompute} {
		b.Run(memory.String(), func(b *testing.B) { traintest.BenchmarkStep(b, train.WithMemory(New(Default()), memory)) })
	}
}
