package images

import (
	"math"
	"strings"
	"testing"

	"github.com/bdia-go/bdia"
	"github.com/bdia-go/bdia/train"
)

// TestHugeSizes: sizes that no machine holds are errors before anything of them is allocated.
func TestHugeSizes(t *testing.T) {
	t.Parallel()
	for name, change := range map[string]func(*Config){
		"batch":       func(c *Config) { c.Loop.Batch = math.MaxInt },
		"images":      func(c *Config) { c.ViT.Image, c.ViT.Patch, c.Loop.Batch = 1<<13, 1<<12, 2 },
		"micro-batch": func(c *Config) { c.Loop.Batch, c.Loop.MicroBatch = 1<<20, 1<<19 },
		"image":       func(c *Config) { c.ViT.Image = math.MaxInt },
		"classes":     func(c *Config) { c.ViT.Classes = math.MaxInt },
	} {
		cfg := Default()
		change(&cfg)
		if _, err := train.Plan(New(cfg)); err == nil || strings.Contains(err.Error(), "\n") {
			t.Errorf("%s: error %v", name, err)
		}
	}
}

// TestPlanModesOfTwoStreams: two residual streams have every mode, from whichever
// one plans, and no grid in any.
func TestPlanModesOfTwoStreams(t *testing.T) {
	t.Parallel()
	cfg := Default()
	cfg.ViT.TwoStream, cfg.Method = true, bdia.Options{Memory: bdia.Store, Grid: bdia.NoGrid}
	modes, err := train.PlanModes(New(cfg))
	if err != nil {
		t.Fatal(err)
	}
	if !(modes["reversible"].Total < modes["recompute"].Total && modes["recompute"].Total < modes["store"].Total) {
		t.Errorf("modes %v", modes)
	}
}
