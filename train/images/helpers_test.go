package images

import (
	"context"
	"testing"

	"github.com/bdia-go/bdia"
	_ "github.com/bdia-go/bdia/backend/cpu"
	"github.com/bdia-go/bdia/internal/traintest"
	"github.com/bdia-go/bdia/train"
)

// variant is a change of a run.
type variant struct {
	name   string
	change func(*Config)
}

// create makes a run of cfg.
func create(t testing.TB, cfg Config) *train.Run {
	t.Helper()
	if cfg.Images.Path == "" {
		cfg.Images.Path = imageFolder(t, 20)
	}
	return traintest.Create(t, New(cfg))
}

// task is what a run learns.
func task(r *train.Run) *Task { return r.Task.(*Task) }

// settings returns the settings of a run.
var settings = traintest.Settings[Config]

// withMemory is cfg in another memory mode.
func withMemory(cfg Config, m bdia.Memory) Config {
	return train.WithMemory(New(cfg), m).(*Task).Settings
}

// variants of cfg. Updating now excludes clipping.
func variants(cfg Config) (v []variant) {
	for _, one := range traintest.Variants(cfg.Common) {
		v = append(v, variant{one.Name, func(c *Config) { one.Change(&c.Common) }})
	}
	return v
}

// opened is a task of cfg with open images.
func opened(t testing.TB, cfg Config) *Task {
	t.Helper()
	cfg.Images.Path = imageFolder(t, 20)
	m := New(cfg)
	t.Cleanup(func() { m.Close() })
	if err := m.Open(context.Background(), nil); err != nil {
		t.Fatal(err)
	}
	return m
}

// steps trains a fresh session of cfg for n steps and returns its fingerprint
// and the losses.
func steps(t *testing.T, cfg Config, n int) (hash string, losses []float64) {
	t.Helper()
	return traintest.NewSession(t, New(cfg), opened(t, cfg).Learner).Steps(t, n)
}
