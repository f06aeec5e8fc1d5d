package text

import (
	"runtime"
	"testing"

	"github.com/bdia-go/bdia/backend"
	"github.com/bdia-go/bdia/model"
)

// goldenBits are the fingerprints of weights and optimiser after 20 steps of
// TestGoldenBits, by the precision of products. They change only with the arithmetic
// of training: a change that is meant says so in CHANGELOG.md, since runs of earlier
// versions then resume with other bits. An optimisation must not change them.
var goldenBits = map[backend.Precision]string{
	backend.Float32:  "2e687ba226ba31f9",
	backend.BFloat16: "5b72b943deb1321d",
}

// TestGoldenBits trains a fixed setting on fixed text.
func TestGoldenBits(t *testing.T) {
	t.Parallel()
	if runtime.GOARCH != "amd64" {
		t.Skip("initial weights go through math.Log and math.Cos, whose last bit depends on the architecture")
	}
	for precision, want := range goldenBits {
		cfg := tinyConfig()
		cfg.Model = model.GPTConfig{Vocab: 13, Context: 40, Layers: 5, Heads: 3, Width: 48, ResidualDropout: 0.1}
		cfg.Schedule.Steps = 20
		cfg.Engine.Threads, cfg.Engine.Precision = 2, precision
		if got, _ := steps(t, cfg, 20); got != want {
			t.Errorf("after 20 steps in %v: %s, want %s", precision, got, want)
		}
	}
}
