package main

import (
	"math"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/bdia-go/bdia"
	"github.com/bdia-go/bdia/cmd/bdia/internal/cli"
	"github.com/bdia-go/bdia/model"
	"github.com/bdia-go/bdia/train"
	"github.com/bdia-go/bdia/train/images"
	"github.com/bdia-go/bdia/train/text"
)

// resolved parses flags of any task and settles them on top of the defaults.
func resolved(t *testing.T, args ...string) (train.Task, error) {
	t.Helper()
	c := &cobra.Command{Use: "test"}
	cli.Group(c, "Run", func(f *pflag.FlagSet) { taskFlag(f); configFlag(f) })
	addHidden(c)
	if err := c.ParseFlags(args); err != nil {
		t.Fatal(err)
	}
	o := given(c.Flags())
	name, err := o.task()
	if err != nil {
		return nil, err
	}
	return o.settle(newTask(name))
}

// settings returns the settings of type C that args make, or fails the test.
func settings[C any](t *testing.T, args string) (c C) {
	t.Helper()
	task, err := resolved(t, strings.Fields(args)...)
	if err != nil {
		t.Fatalf("%s: %v", args, err)
	}
	p, ok := task.Config().(*C)
	if !ok {
		t.Fatalf("%s: settings %T", args, task.Config())
	}
	return *p
}

func TestPrecedence(t *testing.T) {
	t.Parallel()
	file := write(t, t.TempDir(), "c.yaml", `
model: {layers: 3, width: 48, heads: 4, residual_dropout: 0.3}
method: {gamma: 0.25}
optimizer: {name: sgd, momentum: 0.5}
loop: {batch: 7}
`)
	preset := func(c *text.Config) {
		c.Model.Vocab, c.Model.Context, c.Model.Layers, c.Model.Heads, c.Model.Width = 50257, 1024, 12, 12, 768
	}
	fromFile := func(c *text.Config) {
		c.Model.Layers, c.Model.Width, c.Model.Heads, c.Model.ResidualDropout = 3, 48, 4, 0.3
		c.Method.Gamma, c.Loop.Batch = 0.25, 7
		c.Optimizer.Name, c.Optimizer.Momentum = "sgd", 0.5
	}
	for _, c := range []struct {
		name, args string
		want       func(*text.Config)
	}{
		{"defaults", "", func(*text.Config) {}},
		{"file over defaults", "--config FILE", fromFile},
		{"preset over file", "--config FILE --preset gpt2", func(c *text.Config) { fromFile(c); c.Model.ResidualDropout = 0; preset(c) }},
		{"flag over preset", "--layers 2 --preset gpt2", func(c *text.Config) { preset(c); c.Model.Layers = 2 }},
		{"flag over file", "--batch 5 --gamma 0.5 --config FILE", func(c *text.Config) { fromFile(c); c.Loop.Batch, c.Method.Gamma = 5, 0.5 }},
		{"flag as its default over file", "--config FILE --layers 6", func(c *text.Config) { fromFile(c); c.Model.Layers = 6 }},
		{"same optimiser keeps the file's constants", "--config FILE --optimizer sgd", fromFile},
		{"optimiser brings its constants", "--optimizer set-adam", func(c *text.Config) {
			c.Optimizer.Name, c.Optimizer.Eps, c.Optimizer.Decay, c.Optimizer.TableBits = "set-adam", 1e-16, 0, 0
		}},
		{"flag over optimiser", "--weight-decay 0.2 --optimizer set-adam", func(c *text.Config) {
			c.Optimizer.Name, c.Optimizer.Eps, c.Optimizer.Decay, c.Optimizer.TableBits = "set-adam", 1e-16, 0.2, 0
		}},
		{"dropout for all", "--dropout 0.1 --attention-dropout 0", func(c *text.Config) { c.Model.EmbeddingDropout, c.Model.ResidualDropout = 0.1, 0.1 }},
		{"the ordinary transformer", "--memory store --gamma 0 --grid none", func(c *text.Config) {
			c.Method = bdia.Options{Memory: bdia.Store, Gamma: 0, Grid: bdia.NoGrid}
		}},
	} {
		want := text.Default()
		c.want(&want)
		got := settings[text.Config](t, strings.ReplaceAll(c.args, "FILE", file))
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%s:\n%s", c.name, diff)
		}
	}
}

func TestImagePrecedence(t *testing.T) {
	t.Parallel()
	file := write(t, t.TempDir(), "c.yaml", `
task: image
vit: {layers: 3, residual_dropout: 0.3}
augment: {crop: 2}
loop: {batch: 7, ema: 0.5}
`)
	fromFile := func(c *images.Config) {
		c.ViT.Layers, c.ViT.ResidualDropout, c.Augment.Crop, c.Loop.Batch, c.Loop.EMA = 3, 0.3, 2, 7, 0.5
	}
	for _, c := range []struct {
		name, args string
		want       func(*images.Config)
	}{
		{"defaults", "--task image", func(*images.Config) {}},
		{"the file's task", "--config FILE", fromFile},
		{"preset over file", "--config FILE --preset vit-ti", func(c *images.Config) {
			fromFile(c)
			c.ViT, _ = model.ViTPreset("vit-ti")
		}},
		{"shared flags", "--task image --layers 2 --data photos --val-fraction 0.2 --dropout 0.1 --attention-dropout 0", func(c *images.Config) {
			c.ViT.Layers, c.Images.Path, c.Images.ValFraction, c.ViT.EmbeddingDropout, c.ViT.ResidualDropout = 2, "photos", 0.2, 0.1, 0.1
		}},
		{"steps for epochs", "--task image --steps 7", func(c *images.Config) { c.Schedule.Steps, c.Images.Epochs = 7, 0 }},
		{"two streams", "--task image --two-stream", func(c *images.Config) {
			c.ViT.TwoStream, c.Method = true, bdia.Options{Memory: bdia.Reversible, Grid: bdia.NoGrid}
		}},
		{"two streams, stored", "--memory store --task image --two-stream", func(c *images.Config) {
			c.ViT.TwoStream, c.Method = true, bdia.Options{Memory: bdia.Store, Grid: bdia.NoGrid}
		}},
		{"normalisation", "--task image --mean 0.1,0.2,0.3 --std 1,2,3e-1", func(c *images.Config) {
			c.Pixels.Mean, c.Pixels.Std = [3]float64{0.1, 0.2, 0.3}, [3]float64{1, 2, 0.3}
		}},
	} {
		want := images.Default()
		c.want(&want)
		got := settings[images.Config](t, strings.ReplaceAll(c.args, "FILE", file))
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%s:\n%s", c.name, diff)
		}
	}
}

func TestParseSweep(t *testing.T) {
	t.Parallel()
	for text, want := range map[string][]float64{"0.3": {0.3}, "-0.5:0.5:0.25": {-0.5, -0.25, 0, 0.25, 0.5}, "0:0.3:0.1": {0, 0.1, 0.2, 0.3}, "0.1:0.1:1": {0.1}} {
		if got, err := parseSweep(text); err != nil || !slices.Equal(got, want) || math.Signbit(got[len(got)/2]) {
			t.Errorf("%q: %v, %v, want %v", text, got, err, want)
		}
	}
	for _, text := range []string{"", "x", "1", "-1:0:0.1", "0:0.5", "0.5:0:0.1", "0:0.5:0", "0:0.5:-1", "0:0.5:NaN", "0:0.9:1e-9", "0:0.5:0.1:2"} {
		if got, err := parseSweep(text); err == nil {
			t.Errorf("%q: %v", text, got)
		}
	}
}

func TestConfigFilesWithoutSettings(t *testing.T) {
	t.Parallel()
	for name, content := range map[string]string{"empty": "", "blank": "\n \n", "comment": "# nothing yet\n", "empty section": "loop:\n"} {
		got := settings[text.Config](t, "--config "+write(t, t.TempDir(), "c.yaml", content))
		if diff := cmp.Diff(text.Default(), got); diff != "" {
			t.Errorf("%s file:\n%s", name, diff)
		}
	}
}
