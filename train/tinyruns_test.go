package train_test

import (
	"context"
	"errors"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	_ "github.com/bdia-go/bdia/backend/cpu"
	"github.com/bdia-go/bdia/checkpoint"
	"github.com/bdia-go/bdia/internal/traintest"
	"github.com/bdia-go/bdia/model"
	"github.com/bdia-go/bdia/optim"
	"github.com/bdia-go/bdia/train"
	"github.com/bdia-go/bdia/train/images"
	"github.com/bdia-go/bdia/train/pairs"
	"github.com/bdia-go/bdia/train/text"
	"github.com/bdia-go/bdia/train/tune"
)

// tinyRun makes the task of a run of a fraction of a second, on data that lie beside it.
type tinyRun struct {
	name string
	task func(t *testing.T) func() train.Task
}

// tinyRuns are runs of every kind, with evaluations, best weights, records and event files.
var tinyRuns = []tinyRun{
	{"text", func(t *testing.T) func() train.Task {
		path := traintest.TextFile(t, traintest.Text(1500))
		return func() train.Task {
			c := text.Default()
			c.Data.Path, c.Data.Tokenizer = path, "char"
			c.Model = model.GPTConfig{Vocab: 13, Context: 8, Layers: 2, Heads: 2, Width: 8, ResidualDropout: 0.1}
			c.Common = short(c.Common)
			c.Loop.EMA = 0.8
			return text.New(c)
		}
	}},
	{"image", func(t *testing.T) func() train.Task {
		path := traintest.ImageFolder(t, 4)
		return func() train.Task {
			c := images.Default()
			c.Images.Path, c.Images.ValFraction, c.Images.Epochs = path, 0.25, 0
			c.ViT = model.ViTConfig{Image: 8, Patch: 4, Classes: 3, Layers: 2, Heads: 2, Width: 8, GELU: c.ViT.GELU}
			c.Common = short(c.Common)
			return images.New(c)
		}
	}},
	{"translation", func(t *testing.T) func() train.Task {
		source, target := traintest.Sentences(t, 40)
		return func() train.Task {
			c := pairs.Default()
			c.Pairs.Source, c.Pairs.Target = source, target
			c.Pairs.BPEVocab, c.Pairs.BatchTokens, c.Pairs.Split.Val, c.Pairs.Epochs = 270, 60, 0.1, 0
			c.Seq2Seq = model.Seq2SeqConfig{SourceVocab: 40, TargetVocab: 40, SourceContext: 24, TargetContext: 20, EncoderLayers: 1, DecoderLayers: 1, Heads: 2, Width: 8, MLP: 8, Shared: true}
			c.Common = short(c.Common)
			c.Loop.Batch = 0
			return pairs.New(c)
		}
	}},
	{"LoRA", func(t *testing.T) func() train.Task {
		from := traintest.GPTFolder(t, nil)
		source, target := traintest.Sentences(t, 40)
		return func() train.Task {
			c := tune.Default()
			if err := c.StartFrom(from); err != nil {
				panic(err)
			}
			c.Pairs.Source, c.Pairs.Target = source, target
			c.Pairs.BatchTokens, c.Pairs.Split.Val, c.Pairs.Epochs = 60, 0.1, 0
			c.Tune.LoRA = model.LoRAConfig{Rank: 2, Alpha: 4, Targets: model.Targets{"all"}}
			c.Common = short(c.Common)
			c.Loop.Batch = 0
			return tune.New(c)
		}
	}},
}

// short is c for a run of 6 steps: records at each, a checkpoint at every other, evaluations at every third.
func short(c train.Common) train.Common {
	c.Schedule = optim.Schedule{Kind: "cosine", LR: 1e-2, Final: 0.1, Warmup: 2, Steps: 6}
	c.Loop = train.LoopConfig{Batch: 3, Update: train.WhenAuto, Seed: 7, EvalEvery: 3, EvalSamples: 2, SaveEvery: 2, LogEvery: 1, Keep: 2, TensorBoard: true}
	c.Engine.Threads = 1
	return c
}

// stopped is a clock that stands still, so that runs have the same times in their records. Only waits take time.
type stopped struct{ waited time.Duration }

func (s *stopped) Now() time.Time                          { return time.Unix(1700000000, 0).Add(s.waited) }
func (s *stopped) Wait(_ context.Context, d time.Duration) { s.waited += d }

// notBegun is the step of a run that is none yet.
const notBegun = -1

// goOn does in dir what a user does after a fault: it goes on with the run that is there, or begins it there again. It
// returns the step from which it goes on. kept hears of each step that is promised to last; step 0 is the new run.
func goOn(dir string, task func() train.Task, kept func(step int)) (from int, err error) {
	r, err := train.Open(dir)
	if errors.Is(err, fs.ErrNotExist) {
		from = notBegun
		r, err = train.Create(context.Background(), dir, task(), nil)
	}
	if err != nil {
		return from, err
	}
	defer r.Close()
	if from != notBegun {
		from = r.State.Step
	}
	kept(r.State.Step)
	r.Clock = &stopped{}
	_, err = r.Train(context.Background(), listener{kept: kept})
	return from, err
}

// listener hears of checkpoints.
type listener struct {
	train.Quiet
	kept func(step int)
}

func (l listener) Saved(step int, _ string) { l.kept(step) }

// nobody does not listen.
func nobody(int) {}

// content is what a run directory holds: the bytes of every file.
func content(t *testing.T, dir string) map[string]string {
	t.Helper()
	files := map[string]string{}
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.Name() == ".lock" { // which names the process
			return err
		}
		name, err := filepath.Rel(dir, path)
		if err != nil {
			return err
		}
		if name = filepath.ToSlash(name); d.IsDir() {
			files[name+"/"] = ""
			return nil
		}
		b, err := os.ReadFile(path)
		files[name] = string(b)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return files
}

// numbers are the weights and moments at the end of a run.
func numbers(files map[string]string) map[string]string {
	some := map[string]string{}
	for name, text := range files {
		if strings.HasSuffix(name, ".safetensors") && !strings.HasPrefix(name, traintest.Best) && !strings.HasPrefix(name, checkpoint.KeptDir) {
			some[name] = text
		}
	}
	return some
}

// difference reports where got differs from want: one line, or nothing.
func difference(got, want map[string]string) string {
	got = maps.Clone(got)
	for name, text := range want {
		switch have, ok := got[name]; {
		case !ok:
			return name + " is missing"
		case have != text:
			return name + " differs"
		}
		delete(got, name)
	}
	for name := range got {
		return name + " is left over"
	}
	return ""
}

// scratch is a folder for many small runs: in memory if the system has such a place, since each of their writes is
// synced.
func scratch(t *testing.T) string {
	t.Helper()
	dir, err := os.MkdirTemp("/dev/shm", "bdia-test-")
	if err != nil {
		return t.TempDir()
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	return dir
}
