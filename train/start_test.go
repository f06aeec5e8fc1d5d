package train

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/bdia-go/bdia"
	"github.com/bdia-go/bdia/backend"
	"github.com/bdia-go/bdia/checkpoint"
	"github.com/bdia-go/bdia/hub"
	"github.com/bdia-go/bdia/model"
)

// TestStartSettings: the folder of a run that Start made is a run directory: its settings are there, hub knows its best
// weights and its grid, and Open says that another program goes on with it.
func TestStartSettings(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(t.TempDir(), "run")
	o := ownOptions()
	o.Method.Grid = 10
	finish(t, start(t, dir, o))
	s, err := hub.ReadSettings(dir)
	if err != nil || s.Task != "own" || s.Grid != 10 || hub.RunOf(filepath.Join(dir, bestDir)) == "" {
		t.Errorf("%+v, %v", s, err)
	}
	if best, err := hub.BestOf(dir); err != nil || best != filepath.Join(dir, bestDir) {
		t.Errorf("%s, %v", best, err)
	}
	if _, err := Open(dir); !errors.Is(err, ErrOwn) || strings.Contains(err.Error(), "\n") {
		t.Errorf("Open: %v", err)
	}
}

// TestStartCompares: what may change when a run goes on, and what may not; before the first checkpoint all may.
func TestStartCompares(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(t.TempDir(), "run")
	o := ownOptions()
	o.Method.Gamma = 0.25
	start(t, dir, o)
	finish(t, start(t, dir, ownOptions()))
	for _, tc := range []struct {
		change func(*Options)
		want   string // setting; empty: it may change
	}{
		{func(o *Options) {
			o.Schedule.Steps, o.Schedule.LR, o.Method.Memory, o.Engine.Threads = 9, 1, bdia.Store, 2
		}, ""},
		{func(o *Options) { o.Method.Gamma = 0.25 }, "method.gamma"},
		{func(o *Options) { o.Method.Grid = 10 }, "method.grid"},
		{func(o *Options) { o.Loop.Seed = 2 }, "loop.seed"},
		{func(o *Options) { o.Loop.EMA = 0.5 }, "loop.ema"},
		{func(o *Options) { o.Optimizer.Name = "sgd" }, "optimizer.name"},
		{func(o *Options) { o.Optimizer.StateBits = 8 }, "optimizer.state_bits"},
	} {
		o := ownOptions()
		tc.change(&o)
		run, err := Start(dir, ownLearner, o)
		var change *ChangeError
		if tc.want == "" && (err != nil || run.Common().Schedule.Steps != o.Schedule.Steps) ||
			tc.want != "" && (!errors.As(err, &change) || change.Setting != tc.want || run != nil) {
			t.Errorf("%v, want %q", err, tc.want)
		}
	}
	if err := os.WriteFile(filepath.Join(dir, configFile), []byte("task: own\nmethod: [\n"), 0o666); err != nil {
		t.Fatal(err)
	}
	if _, err := Start(dir, ownLearner, ownOptions()); err == nil || strings.Contains(err.Error(), "\n") {
		t.Errorf("settings that are none: %v", err)
	}
}

// TestStartLocked: a run does not begin in a folder that another process is writing.
func TestStartLocked(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	unlock, err := checkpoint.Lock(dir)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := Start(dir, ownLearner, ownOptions()); !errors.Is(err, checkpoint.ErrLocked) {
		t.Errorf("%v", err)
	}
	unlock()
	finish(t, start(t, dir, ownOptions()))
}

// TestTrainAgain: Train takes the state from the folder, which another run may have changed; without a folder it begins
// again.
func TestTrainAgain(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(t.TempDir(), "run")
	early, o := start(t, dir, ownOptions()), ownOptions()
	finish(t, start(t, dir, o))
	weights := filepath.Join(dir, WeightsFile)
	want, err := os.ReadFile(weights)
	if err != nil {
		t.Fatal(err)
	}
	if sum := finish(t, early); sum.Steps != 8 || !early.Done() {
		t.Errorf("%+v", sum)
	}
	if got, err := os.ReadFile(weights); err != nil || string(got) != string(want) {
		t.Errorf("the weights have changed: %v", err)
	}
	none := start(t, "", ownOptions())
	if first, second := finish(t, none), finish(t, none); first.LastVal != second.LastVal || first.FirstVal != second.FirstVal {
		t.Errorf("%+v, then %+v", first, second)
	}
}

// TestStartWithoutBuild: a function that is missing or returns nothing is an error.
func TestStartWithoutBuild(t *testing.T) {
	t.Parallel()
	if _, err := Start("", nil, ownOptions()); err == nil {
		t.Error("no function")
	}
	run, err := Start("", func(backend.Backend) (Learner, error) { return nil, nil }, ownOptions())
	if err != nil {
		t.Fatal(err)
	}
	if _, err := run.Train(t.Context(), nil); err == nil {
		t.Error("no Learner")
	}
}

// growing is a source with a batch in step 3 that is larger than the first.
type growing struct{ ownSource }

func (s growing) Size(step int) (samples, losses int, err error) {
	if step == 3 {
		s.samples *= 8
	}
	return s.ownSource.Size(step)
}

// TestMoreThanPlanned: a batch that is larger than the planned one is an error, and the folder is free afterwards.
func TestMoreThanPlanned(t *testing.T) {
	t.Parallel()
	build := func(be backend.Backend) (Learner, error) {
		m, err := model.NewGPT(be, model.GPTConfig{Vocab: 13, Context: 8, Layers: 2, Heads: 2, Width: 24}, bdia.DefaultOptions())
		return Learn(m, growing{ownSource{T: 8, samples: 6, vocab: 13}}), err
	}
	run, err := Start(filepath.Join(t.TempDir(), "run"), build, ownOptions())
	if err != nil {
		t.Fatal(err)
	}
	for range 2 {
		if _, err := run.Train(t.Context(), nil); !errors.As(err, new(*backend.ArenaError)) || strings.Contains(err.Error(), "\n") {
			t.Errorf("error %v", err)
		}
	}
}
