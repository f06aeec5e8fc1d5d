package bench

import (
	"context"
	"errors"
	"testing"

	_ "github.com/bdia-go/bdia/backend/cpu"
	"github.com/bdia-go/bdia/train"
	"github.com/bdia-go/bdia/train/text"
)

// TestTimeStep times a tiny step and holds it against a made-up machine.
func TestTimeStep(t *testing.T) {
	t.Parallel()
	cfg := text.Default()
	m := &cfg.Model
	m.Layers, m.Heads, m.Width, m.Context, m.Vocab = 3, 2, 16, 8, 11
	cfg.Loop.Batch, cfg.Engine.Threads = 2, 1
	planned, err := train.Plan(text.New(cfg))
	if err != nil {
		t.Fatal(err)
	}
	s, err := TimeStep(context.Background(), text.New(cfg), 2)
	if err != nil {
		t.Fatal(err)
	}
	if s.PeakArenaBytes != planned.Total {
		t.Errorf("peak %d, planned %d", s.PeakArenaBytes, planned.Total)
	}
	if s.SecondsPerStep <= 0 {
		t.Errorf("%v seconds a step", s.SecondsPerStep)
	}
	done, cancel := context.WithCancel(context.Background())
	cancel()
	if _, err := TimeStep(done, text.New(cfg), 2); err == nil {
		t.Error("no error from a context that is done")
	}
	timed := 0
	if _, err := MeasureKernels(done, Machine{Threads: 1}, func(Kernel) { timed++ }); !errors.Is(err, context.Canceled) || timed != 0 {
		t.Errorf("a context that is done: %d kernels timed, error %v", timed, err)
	}
	s.Against(Machine{GFLOPS: 1, Products: 2})
	if want := float64(s.MatrixFLOPs) / (s.SecondsPerStep * 2e9); s.Utilisation != want || want <= 0 {
		t.Errorf("utilisation %v, want %v", s.Utilisation, want)
	}
	if s.Against(Machine{}); s.FMAPeakGFLOPS != 0 {
		t.Error("the peak of another machine stayed")
	}
}
