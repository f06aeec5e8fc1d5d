package text

import (
	"testing"

	"github.com/bdia-go/bdia"
	"github.com/bdia-go/bdia/backend"
	_ "github.com/bdia-go/bdia/backend/cpu"
	"github.com/bdia-go/bdia/data"
	"github.com/bdia-go/bdia/internal/traintest"
	"github.com/bdia-go/bdia/model"
	"github.com/bdia-go/bdia/optim"
	"github.com/bdia-go/bdia/train"
)

// Names inside a run directory.
const (
	bestDir       = traintest.Best
	configFile    = "bdia.yaml"
	optimizerFile = traintest.OptimizerFile
)

// tinyConfig is a run of a few hundred tokens a step, with every source of
// randomness in use. Widths are no multiples of vector lengths.
func tinyConfig() Config {
	c := Default()
	c.Model = model.GPTConfig{Vocab: 13, Context: 8, Layers: 4, Heads: 2, Width: 24,
		EmbeddingDropout: 0.1, AttentionDropout: 0.1, ResidualDropout: 0.1}
	c.Schedule = optim.Schedule{Kind: "cosine", LR: 1e-2, Final: 0.1, Warmup: 2, Steps: 8}
	c.Loop = train.LoopConfig{Batch: 6, Update: train.WhenAuto, Seed: 7, EvalEvery: 3, EvalSamples: 4, SampleTokens: 5, LogEvery: 1}
	c.Engine.Threads = 1
	return c
}

// create makes a run of cfg, on 4,000 characters of text unless cfg names one.
func create(t testing.TB, cfg Config) *train.Run {
	t.Helper()
	if cfg.Data.Path == "" {
		cfg.Data.Path = traintest.TextFile(t, traintest.Text(4000))
	}
	return traintest.Create(t, New(cfg))
}

// settings returns the settings of a run.
var settings = traintest.Settings[Config]

// ids are tokens in memory.
type ids []int32

func (t ids) Len() int64 { return int64(len(t)) }

func (t ids) Read(dst []int32, offset int64) error {
	copy(dst, t[offset:])
	return nil
}

// someIDs returns n tokens below vocab.
func someIDs(n, vocab int) ids {
	t := make(ids, n)
	for i, r := 0, uint32(5); i < n; i++ {
		r = r*1664525 + 1013904223
		t[i] = int32(r>>8) % int32(vocab)
	}
	return t
}

func sampler(t testing.TB, cfg Config) *data.Sampler {
	t.Helper()
	s, err := data.NewSampler(someIDs(500, cfg.Model.Vocab), cfg.Model.Context, cfg.Loop.Seed)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// session returns a planned session of cfg with initial weights.
func session(t testing.TB, cfg Config) *traintest.Session {
	t.Helper()
	return traintest.NewSession(t, New(cfg), func(be backend.Backend) (train.Learner, error) {
		return newLanguage(be, cfg, windows{batches: sampler(t, cfg)})
	})
}

// withMemory is cfg in another memory mode.
func withMemory(cfg Config, m bdia.Memory) Config {
	return train.WithMemory(New(cfg), m).(*Task).Settings
}
