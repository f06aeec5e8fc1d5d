package train_test

import (
	"errors"
	"math"
	"os"
	"path/filepath"
	"testing"

	"github.com/bdia-go/bdia/optim"
	"github.com/bdia-go/bdia/train"
	_ "github.com/bdia-go/bdia/train/images"
	_ "github.com/bdia-go/bdia/train/pairs"
	"github.com/bdia-go/bdia/train/text"
	_ "github.com/bdia-go/bdia/train/tune"
)

// TestChoose: what is open gets a value, what was set stays, 0 included where it means something.
func TestChoose(t *testing.T) {
	t.Parallel()
	d := train.Choice{LR: 0.5, Steps: 200, Warmup: 0.05, Clip: 1, EvalEvery: 10, Patience: 5}
	var open, set train.Common
	open.OpenLoop()
	open.Choose(d)
	if want := (optim.Schedule{LR: 0.5, Steps: 200, Warmup: 10}); open.Schedule != want {
		t.Errorf("schedule %+v, want %+v", open.Schedule, want)
	}
	if l := open.Loop; l.Clip != 1 || l.EvalEvery != 10 || l.Patience != 5 {
		t.Errorf("loop %+v", l)
	}
	set.Schedule = optim.Schedule{LR: 0.25, Steps: 7}
	was := set
	set.Choose(d)
	if set != was {
		t.Errorf("%+v became %+v", was, set)
	}
	now := train.Common{Loop: train.LoopConfig{Update: train.WhenNow, Clip: train.Auto}}
	now.Choose(d)
	if now.Loop.Clip != 0 {
		t.Errorf("a run that updates in the reverse walk is clipped at %v", now.Loop.Clip)
	}
}

// TestAssume: default settings are open and valid, and assumed ones are settled, whatever the task.
func TestAssume(t *testing.T) {
	t.Parallel()
	for _, name := range train.Tasks() {
		task, err := train.New(name)
		if err != nil {
			t.Fatal(err)
		}
		var open *train.OpenError
		if err := train.Settled(task); !errors.As(err, &open) {
			t.Errorf("%s: defaults are settled: %v", name, err)
		}
		if err := task.Validate(); err != nil {
			t.Errorf("%s: %v", name, err)
		}
		train.Assume(task)
		if err := train.Settled(task); err != nil {
			t.Errorf("%s: %v", name, err)
		}
		if s := task.Common().Schedule; s.Steps != 2000 || s.LR == 0 {
			t.Errorf("%s: schedule %+v", name, s)
		}
	}
}

// TestReadRunIsSettled: a run in which a setting is open is damaged, and one that an old version wrote, without some
// keys, has what they were then.
func TestReadRunIsSettled(t *testing.T) {
	t.Parallel()
	for settings, want := range map[string]string{
		"task: text\n":                               "",
		"task: text\nschedule:\n  lr: 0\n":           "schedule.lr",
		"task: text\nloop:\n  patience: -1\n":        "loop.patience",
		"task: text\nmodel:\n  layers: 0\n":          "model.layers",
		"task: translation\nschedule:\n  steps: 0\n": "schedule.steps",
	} {
		path := filepath.Join(t.TempDir(), "bdia.yaml")
		if err := os.WriteFile(path, []byte(settings+"engine:\n  threads: 1\n"), 0o666); err != nil {
			t.Fatal(err)
		}
		task, err := train.ReadRun(path)
		var open *train.OpenError
		if errors.As(err, &open) != (want != "") || open != nil && open.Setting != want {
			t.Errorf("%q: %v, want %q", settings, err, want)
		}
		if want == "" && (err != nil || task.Common().Loop.Patience != 0 || task.(*text.Task).Settings.Data.Tokenizer != "char") {
			t.Errorf("%q: %+v, %v", settings, task, err)
		}
	}
}

func TestReadable(t *testing.T) {
	t.Parallel()
	for x, want := range map[float64]float64{0.00104166: 0.001, 0.003125: 0.0031, 20: 20, 12.34: 12, 123456: 120000, 0: 0} {
		if got := train.Readable(x); got != want {
			t.Errorf("%v is %v, want %v", x, got, want)
		}
	}
	if got := train.Readable(math.Inf(1)); !math.IsInf(got, 1) {
		t.Error(got)
	}
}

func TestFitBatch(t *testing.T) {
	t.Parallel()
	for _, c := range [][3]int{{16, 0, 16}, {16, 5, 15}, {3, 5, 5}, {0, 0, 1}} {
		if got := train.FitBatch(c[0], c[1]); got != c[2] {
			t.Errorf("at most %d in micro-batches of %d: %d, want %d", c[0], c[1], got, c[2])
		}
	}
	if n := train.Evaluations(7, 20); n != 1 {
		t.Error(n)
	}
	if n := train.Evaluations(2000, 20); n != 100 {
		t.Error(n)
	}
}
