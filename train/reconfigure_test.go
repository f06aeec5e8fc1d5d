package train_test

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/bdia-go/bdia"
	"github.com/bdia-go/bdia/train"
	"github.com/bdia-go/bdia/train/images"
	"github.com/bdia-go/bdia/train/pairs"
	"github.com/bdia-go/bdia/train/text"
	"github.com/bdia-go/bdia/train/tune"
)

// TestSameYAML: the settings of runs that earlier versions made are written byte for byte as they were read.
func TestSameYAML(t *testing.T) {
	t.Parallel()
	files, err := filepath.Glob("testdata/oldruns/*/bdia.yaml")
	if err != nil || len(files) < 4 {
		t.Fatal(files, err)
	}
	for _, file := range files {
		was, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		want := strings.ReplaceAll(string(was), "@DIR@", "/dir")
		path := filepath.Join(t.TempDir(), "bdia.yaml")
		if err := os.WriteFile(path, []byte(want), 0o666); err != nil {
			t.Fatal(err)
		}
		task, err := train.ReadRun(path)
		if err != nil {
			t.Error(err)
			continue
		}
		if got, err := train.Marshal(task); err != nil || string(got) != want {
			t.Errorf("%s is written as\n%s%v", file, got, err)
		}
	}
}

// TestUnchanged: what may change when a run goes on, and what may not.
func TestUnchanged(t *testing.T) {
	t.Parallel()
	ofText := func(change func(*text.Config)) train.Task { c := text.Default(); change(&c); return text.New(c) }
	ofImages := func(change func(*images.Config)) train.Task {
		c := images.Default()
		c.Images.Epochs, c.Schedule.Steps = 20, 2000
		change(&c)
		return images.New(c)
	}
	ofPairs := func(change func(*pairs.Config)) train.Task { c := pairs.Default(); change(&c); return pairs.New(c) }
	tuned := func(change func(*tune.Config)) train.Task { c := tune.Default(); change(&c); return tune.New(c) }
	for _, tc := range []struct {
		to   train.Task
		want string // setting; empty: it may change
	}{
		{ofText(func(c *text.Config) {
			c.Loop.LogEvery, c.Schedule.LR, c.Method.Memory, c.Optimizer.Decay = 7, 1, bdia.Store, 0.2
		}), ""},
		{ofText(func(c *text.Config) { c.Model.ResidualDropout, c.Tune.AutoGrid, c.Engine.Threads = 0.5, true, 3 }), ""},
		{ofText(func(c *text.Config) { c.Data.Extensions = text.Extensions{".go", ".md"} }), `data.extensions is "" in this run and cannot become ".go,.md"`},
		{ofText(func(c *text.Config) { c.Model.Width = 7 }), "model.width"},
		{ofText(func(c *text.Config) { c.Tune.LoRA.Rank = 2 }), "tune.lora.rank is 0 in this run and cannot become 2"},
		{ofText(func(c *text.Config) { c.Loop.EMA = 0.5 }), "loop.ema"},
		{ofText(func(c *text.Config) { c.Optimizer.Name = "sgd" }), `optimizer.name is "adamw"`},
		{ofText(func(c *text.Config) { c.Optimizer.StateBits = 8 }), "optimizer.state_bits"},
		{ofText(func(c *text.Config) { c.Optimizer.TableBits = 32 }), "optimizer.table_bits"},
		{ofImages(func(c *images.Config) {
			c.Augment.Crop, c.ViT.StochasticDepth, c.Images.LabelSmoothing, c.Images.Epochs = 3, 0.5, 0.1, 0
		}), ""},
		{ofImages(func(c *images.Config) { c.ViT.Patch = 2 }), "vit.patch"},
		{ofImages(func(c *images.Config) { c.Pixels.Mean[1] = 0.5 }), "pixels.mean"},
		{ofImages(func(c *images.Config) { c.Images.Epochs = 40 }), "20 epochs is 2000 steps long; for 40 epochs make it 4000"},
		{ofPairs(func(c *pairs.Config) { c.Seq2Seq.LabelSmoothing, c.Pairs.Epochs = 0.3, 0 }), ""},
		{ofPairs(func(c *pairs.Config) { c.Pairs.Split.Val = 0.5 }), "pairs.val"},
		{ofPairs(func(c *pairs.Config) { c.Seq2Seq.Shared = !c.Seq2Seq.Shared }), "seq2seq.shared"},
		{tuned(func(c *tune.Config) { c.Tune.AutoGrid = false }), ""},
		{tuned(func(c *tune.Config) { c.Tune.Separator = " " }), `tune.separator is "\n"`},
	} {
		from, err := train.New(tc.to.Name())
		if err != nil {
			t.Fatal(err)
		}
		if of, ok := from.Config().(*images.Config); ok {
			of.Images.Epochs, of.Schedule.Steps = 20, 2000
		}
		err = train.Unchanged(from, tc.to)
		if (tc.want == "") != (err == nil) || err != nil && !strings.Contains(err.Error(), tc.want) {
			t.Errorf("%s: %v, want %q", tc.to.Name(), err, tc.want)
		}
		var change *train.ChangeError
		var epochs *train.EpochsError
		if err != nil && !errors.As(err, &change) && !errors.As(err, &epochs) {
			t.Errorf("%T", err)
		}
	}
	if err := train.Unchanged(text.New(text.Default()), images.New(images.Default())); err == nil {
		t.Error("another task is no change")
	}
	steps := images.Default()
	epochs := steps
	epochs.Images.Epochs = 20
	err := train.Unchanged(images.New(steps), images.New(epochs))
	if e := new(train.EpochsError); !errors.As(err, &e) || e.Want() != 0 {
		t.Error(fmt.Sprint(err))
	}
}
