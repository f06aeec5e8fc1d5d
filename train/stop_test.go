package train_test

import (
	"context"
	"path/filepath"
	"testing"

	"github.com/bdia-go/bdia/internal/traintest"
	"github.com/bdia-go/bdia/metric"
	"github.com/bdia-go/bdia/tensor"
	"github.com/bdia-go/bdia/train"
)

// TestBrokenOffStep: a run that is told to stop in the midst of a step breaks it off, and saves what it had before.
// Resumed, it does the step again and ends with the bits of a run that was not stopped. Once updates have begun the step
// is finished.
func TestBrokenOffStep(t *testing.T) {
	t.Parallel()
	const stopped = 5
	for _, tc := range []struct {
		name   string
		update train.When
		micro  int
		at     int // state at which the run is told to stop, counted over the passes of the step: up, then back
		broken bool
	}{
		{"forward, updates in the reverse walk", train.WhenNow, 0, 2, true},
		{"reverse walk, before the first update", train.WhenNow, 0, 4, true},
		{"reverse walk, after updates", train.WhenNow, 0, 6, false},
		{"forward, updates at the end", train.WhenEnd, 0, 2, true},
		{"reverse walk, updates at the end", train.WhenEnd, 0, 6, true},
		{"second micro-batch", train.WhenEnd, 3, 9, true},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			change := func(l *train.LoopConfig) { l.Update, l.Batch, l.MicroBatch = tc.update, 6, tc.micro }
			whole := moodyRun(t, filepath.Join(t.TempDir(), "run"), calm, change)
			traintest.Trained(t, whole, nil)

			ctx, cancel := context.WithCancel(t.Context())
			defer cancel()
			seen, latest := 0, 0
			watch := func(m *moody, step int) trouble {
				if step != latest {
					seen, latest = 0, step
				}
				m.Stack.Observe = func(int, tensor.Tensor) {
					if seen++; step == stopped && seen-1 == tc.at {
						cancel()
					}
				}
				return trouble{}
			}
			dir := filepath.Join(t.TempDir(), "run")
			sum, err := moodyRun(t, dir, watch, change).Train(ctx, nil)
			done := stopped
			if tc.broken {
				done--
			}
			if err != nil || !sum.Interrupted || sum.Steps != done || sum.Saved != done {
				t.Fatalf("%+v, %v; want to stop after step %d", sum, err, done)
			}
			traintest.Trained(t, moodyRun(t, dir, calm, change), nil)
			for _, name := range []string{train.WeightsFile, traintest.OptimizerFile, "best/" + train.WeightsFile, metric.CertificateName} {
				traintest.SameFile(t, name, dir, whole.Dir)
			}
			traintest.SameMetrics(t, dir, whole.Dir)
		})
	}
}
