package train_test

import (
	"context"
	"errors"
	"fmt"
	"hash/crc32"
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/bdia-go/bdia"
	"github.com/bdia-go/bdia/backend"
	_ "github.com/bdia-go/bdia/backend/cpu"
	"github.com/bdia-go/bdia/checkpoint"
	"github.com/bdia-go/bdia/internal/traintest"
	"github.com/bdia-go/bdia/metric"
	"github.com/bdia-go/bdia/model"
	"github.com/bdia-go/bdia/tensor"
	"github.com/bdia-go/bdia/train"
)

// moody is a model with steps that diverge.
type moody struct {
	*model.GPT
	be   backend.Backend
	mood func(m *moody, step int) trouble
}

// trouble is where a step diverges.
type trouble struct {
	forward  bool
	gradient int // number of the sink's Close whose gradients have a NaN, from 1; 0: none
}

func (m *moody) MicroStep(b model.Batch, pass backend.Pass, scale float32, sink bdia.Sink) ([]float32, error) {
	t := m.mood(m, pass.Step)
	if t.forward {
		return nil, fmt.Errorf("step %d: %w", pass.Step, model.ErrDiverged)
	}
	return m.GPT.MicroStep(b, pass, scale, &poison{sink, m.be, t.gradient})
}

// weights is a fingerprint of the first weights.
func (m *moody) weights() uint32 {
	host := make([]float32, m.Params()[0].Value.Len())
	m.be.Download(host, m.Params()[0].Value)
	return crc32.ChecksumIEEE(fmt.Append(nil, host))
}

// poison is a sink that damages a gradient.
type poison struct {
	bdia.Sink
	be backend.Backend
	at int
}

func (p *poison) Close(params []*tensor.Param) {
	if p.at--; p.at == 0 {
		bad := make([]float32, params[0].Grad.Len())
		bad[len(bad)-1] = float32(math.NaN())
		p.be.Upload(params[0].Grad, bad)
	}
	p.Sink.Close(params)
}

// counting gives tokens that count up.
func counting(step, sample, t int) int32 { return int32((31*step + 7*sample + t) % 13) }

// moodyRun begins or resumes a run in dir.
func moodyRun(t *testing.T, dir string, mood func(m *moody, step int) trouble, change func(*train.LoopConfig)) *train.Run {
	t.Helper()
	o := train.Options{Common: train.DefaultCommon(9)}
	o.Engine.Threads, o.Loop.EvalEvery, o.Loop.SaveEvery, o.Loop.LogEvery, o.Loop.TensorBoard = 1, 4, 2, 2, true
	o.Loop.Certificate, o.Loop.CheckEvery = true, 1
	change(&o.Loop)
	r, err := train.Start(dir, func(be backend.Backend) (train.Learner, error) {
		c := model.GPTConfig{Vocab: 13, Context: 8, Layers: 4, Heads: 2, Width: 24, ResidualDropout: 0.1}
		gpt, err := model.NewGPT(be, c, bdia.DefaultOptions())
		if err != nil {
			return nil, err
		}
		m := &moody{gpt, be, mood}
		s := train.Sequences(6, 8, counting)
		return train.Learn(m, s, train.Measure(m, s, 2, 9)), nil
	}, o)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// at is trouble in some steps.
func at(tr trouble, steps ...int) func(*moody, int) trouble {
	return func(_ *moody, step int) trouble {
		for _, s := range steps {
			if s == step {
				return tr
			}
		}
		return trouble{}
	}
}

// once is trouble in a step as long as it finds the weights that it first finds there.
func once(tr trouble, step int) func(*moody, int) trouble {
	var first uint32
	return func(m *moody, now int) trouble {
		if now != step {
			return trouble{}
		}
		if sum := m.weights(); first == 0 || first == sum {
			first = sum
			return tr
		}
		return trouble{}
	}
}

// TestDivergence: a run goes on after a step that diverged as it was told to, counts it, and one that is interrupted
// anywhere and resumed ends with the same files, counters and records.
func TestDivergence(t *testing.T) {
	t.Parallel()
	const blocks = 4
	for _, tc := range []struct {
		name             string
		how              train.OnDivergence
		mood             func() func(*moody, int) trouble
		update           train.When
		skipped, rewinds int
		to               int // step of the checkpoint that the run goes back to
	}{
		{"skip, loss", train.SkipDiverged, func() func(*moody, int) trouble { return at(trouble{forward: true}, 3, 4, 7) }, "", 3, 0, 0},
		{"skip, the first gradient of an update in the reverse walk", train.SkipDiverged, func() func(*moody, int) trouble { return at(trouble{gradient: 1}, 5) }, train.WhenNow, 1, 0, 0},
		{"skip, updates at the end", train.SkipDiverged, func() func(*moody, int) trouble { return at(trouble{gradient: 1}, 5) }, train.WhenEnd, 1, 0, 0},
		{"skip, too late", train.SkipDiverged, func() func(*moody, int) trouble { return once(trouble{gradient: blocks}, 6) }, train.WhenNow, 0, 1, 4},
		{"rewind", train.RewindDiverged, func() func(*moody, int) trouble { return once(trouble{forward: true}, 8) }, "", 0, 1, 6},
		{"rewind, right after a checkpoint", train.RewindDiverged, func() func(*moody, int) trouble { return at(trouble{forward: true}, 5) }, "", 1, 0, 0},
		{"rewind, right after a checkpoint and too late", train.RewindDiverged, func() func(*moody, int) trouble { return at(trouble{gradient: blocks}, 5) }, train.WhenNow, 1, 1, 4},
		{"rewind to the beginning", train.RewindDiverged, func() func(*moody, int) trouble { return once(trouble{forward: true}, 2) }, "", 0, 1, 0},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			mood := tc.mood()
			change := func(l *train.LoopConfig) {
				l.OnDivergence = tc.how
				if tc.update != "" {
					l.Update = tc.update
				}
			}
			whole := moodyRun(t, filepath.Join(t.TempDir(), "run"), mood, change)
			var d traintest.Diary
			sum := traintest.Trained(t, whole, &d)
			if sum.Steps != 9 || sum.Skipped != tc.skipped || sum.Rewinds != tc.rewinds || len(d.Rescues) != tc.skipped+tc.rewinds {
				t.Errorf("%d steps, %d skipped, %d rewinds, heard of %d", sum.Steps, sum.Skipped, sum.Rewinds, len(d.Rescues))
			}
			for _, r := range d.Rescues {
				if r.Action == train.RewindDiverged && r.To != tc.to {
					t.Errorf("went back to step %d, want %d", r.To, tc.to)
				}
			}
			late := tc.skipped > 0 && tc.rewinds > 0 // the weights of before are not there to go on from
			for _, step := range []int{4, 5, 6, 9} {
				p, err := whole.Replay(context.Background(), step, nil)
				if late && errors.Is(err, model.ErrDiverged) && p.Step == 4 {
					continue
				}
				if err != nil || p.Difference != nil {
					t.Fatalf("step %d again: %+v, %v", step, p, err)
				}
			}
			for stop := 1; stop < 9; stop++ {
				r := moodyRun(t, filepath.Join(t.TempDir(), "run"), mood, change)
				ctx, obs := traintest.CancelAt(stop)
				if sum, err := r.Train(ctx, obs); err != nil || sum.Interrupted && sum.Saved != sum.Steps {
					t.Fatalf("stopped at step %d: %+v, %v", stop, sum, err)
				}
				r = moodyRun(t, r.Dir, mood, change)
				traintest.Trained(t, r, nil)
				for _, name := range []string{train.WeightsFile, traintest.OptimizerFile, "best/" + train.WeightsFile, metric.CertificateName} {
					traintest.SameFile(t, name, r.Dir, whole.Dir)
				}
				traintest.SameState(t, r.State, whole.State)
				traintest.SameMetrics(t, r.Dir, whole.Dir)
				if t.Failed() {
					t.Fatalf("stopped at step %d", stop)
				}
			}
		})
	}
}

// TestPlannedCheckpointGone: a run cannot go back to a checkpoint that someone removed, and does not take another for it.
func TestPlannedCheckpointGone(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(t.TempDir(), "run")
	change := func(l *train.LoopConfig) { l.OnDivergence = train.RewindDiverged }
	ctx, obs := traintest.CancelAt(7)
	if sum, err := moodyRun(t, dir, at(trouble{}), change).Train(ctx, obs); err != nil || sum.Saved != 7 {
		t.Fatalf("%+v, %v", sum, err)
	}
	if err := os.RemoveAll(filepath.Join(dir, checkpoint.KeptDir)); err != nil {
		t.Fatal(err)
	}
	_, err := moodyRun(t, dir, at(trouble{forward: true}, 8), change).Train(context.Background(), nil)
	if err == nil || !strings.Contains(err.Error(), "the checkpoint of step 6 is not in") {
		t.Errorf("%v", err)
	}
}

// TestDivergenceEnds: what does not get better ends the run, with the step, and its checkpoint stays.
func TestDivergenceEnds(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		how  train.OnDivergence
		mood func(*moody, int) trouble
		says string
	}{
		{train.StopDiverged, at(trouble{forward: true}, 5), "step 5"},
		{train.StopDiverged, at(trouble{gradient: 2}, 5), "not finite at step 5"},
		{train.SkipDiverged, at(trouble{forward: true}, 4, 5, 6, 7, 8, 9), "5 steps in a row"},
		{train.RewindDiverged, at(trouble{forward: true}, 6), "went back 10 times"},
	} {
		dir := filepath.Join(t.TempDir(), "run")
		change := func(l *train.LoopConfig) { l.OnDivergence = tc.how }
		_, err := moodyRun(t, dir, tc.mood, change).Train(context.Background(), nil)
		if !errors.Is(err, model.ErrDiverged) || !strings.Contains(err.Error(), tc.says) || !strings.Contains(err.Error(), "is intact") {
			t.Errorf("%s: %v", tc.how, err)
		}
		if r := moodyRun(t, dir, at(trouble{}), change); r.State.Step < 4 {
			t.Errorf("%s: the run goes on from step %d", tc.how, r.State.Step)
		}
	}
}
