package main

import (
	"context"
	"reflect"

	"github.com/bdia-go/bdia/cmd/bdia/internal/cli"
	"github.com/bdia-go/bdia/data/images"
	"github.com/bdia-go/bdia/model"
	"github.com/bdia-go/bdia/train"
	trainimages "github.com/bdia-go/bdia/train/images"
	trainpairs "github.com/bdia-go/bdia/train/pairs"
	"github.com/bdia-go/bdia/train/text"
	"github.com/bdia-go/bdia/train/tune"
)

// config has the settings of any task, for flags that several tasks share.
type config struct {
	Task    string
	Data    text.DataConfig
	Model   model.GPTConfig
	Tune    tune.Settings
	Images  trainimages.DataConfig
	Augment images.Augment
	Pixels  images.Norm
	ViT     model.ViTConfig
	Pairs   trainpairs.DataConfig
	Seq2Seq model.Seq2SeqConfig
	train.Common
}

// task is the task of c, with its settings alone.
func (c config) task() train.Synthetic {
	switch c.Task {
	case trainimages.Name:
		return trainimages.New(trainimages.Config{Images: c.Images, Augment: c.Augment, Pixels: c.Pixels, ViT: c.ViT, Common: c.Common})
	case trainpairs.Name:
		return trainpairs.New(trainpairs.Config{Pairs: c.Pairs, Seq2Seq: c.Seq2Seq, Common: c.Common})
	case tune.Name:
		return tune.New(tune.Config{Model: c.Model, Tune: c.Tune, Pairs: c.Pairs, Common: c.Common})
	}
	return text.New(text.Config{Data: c.Data, Model: c.Model, Tune: c.Tune, Common: c.Common})
}

// configOf has the settings of t.
func configOf(t train.Task) config {
	c := config{Task: t.Name(), Common: *t.Common()}
	switch t := t.(type) {
	case *trainimages.Task:
		s := t.Settings
		c.Images, c.Augment, c.Pixels, c.ViT = s.Images, s.Augment, s.Pixels, s.ViT
	case *trainpairs.Task:
		c.Pairs, c.Seq2Seq = t.Settings.Pairs, t.Settings.Seq2Seq
	case *tune.Task:
		c.Model, c.Tune, c.Pairs = t.Settings.Model, t.Settings.Tune, t.Settings.Pairs
	case *text.Task:
		c.Data, c.Model, c.Tune = t.Settings.Data, t.Settings.Model, t.Settings.Tune
	}
	return c
}

// defaults returns the settings of a run of the named task that names nothing but its data.
func defaults(task string) config {
	t, err := train.New(task)
	if err != nil {
		t = text.New(text.Default())
	}
	return configOf(t)
}

// ForTask returns c without the settings of other tasks.
func (c config) ForTask() config { return configOf(c.task()) }

// Validate reports the first setting, or combination, that cannot be.
func (c config) Validate() error { return c.task().Validate() }

// Equal reports whether both have the same settings.
func (c config) Equal(other config) bool { return reflect.DeepEqual(c, other) }

// Window is the most tokens of a sample of text.
func (c config) Window() int { return c.Tune.SampleLength(c.Model) }

// Absolute makes the paths absolute that a run keeps.
func (c *config) Absolute() error {
	if err := c.Pairs.Absolute(); err != nil {
		return err
	}
	return train.Absolute(&c.Images.Path, &c.Images.Test, &c.Images.From, &c.Tune.From)
}

// StartFrom makes the model the one of the folder dir.
func (c *config) StartFrom(dir string) error {
	err := c.Tune.StartFrom(dir, &c.Model)
	if err == nil && c.Task == text.Name {
		c.Data.Tokenizer = dir
	}
	return err
}

// Unit names what a run's speed is counted in, and says how many of them a sample is; 0 if that depends on the sample.
func (c config) Unit() (name string, perSample int) {
	switch c.Task {
	case trainimages.Name:
		return "images", 1
	case text.Name:
		return "tokens", c.Window()
	}
	return "tokens", 0
}

// readConfig sets the settings that the file at path names.
func readConfig(path string, c *config) error {
	t, err := train.ReadConfig(path, c.task())
	if err == nil {
		*c = configOf(t)
	}
	return err
}

// oneRun is a run with its settings and data by their kind.
type oneRun struct {
	*train.Run
	Config config
	Text   *text.Task
	Images *trainimages.Task
	Pairs  *trainpairs.Sets // of translation, and of prompts and completions
	Tuned  *tune.Task       // of prompts and completions
}

// runOf is r by its kind.
func runOf(r *train.Run) *oneRun {
	one := &oneRun{Run: r, Config: configOf(r.Task)}
	one.Text, _ = r.Task.(*text.Task)
	one.Images, _ = r.Task.(*trainimages.Task)
	one.Tuned, _ = r.Task.(*tune.Task)
	if t, ok := r.Task.(*trainpairs.Task); ok {
		one.Pairs = &t.Sets
	}
	if one.Tuned != nil {
		one.Pairs = &one.Tuned.Sets
	}
	return one
}

// openedRun opens the run in dir.
func openedRun(dir string) (*oneRun, error) {
	r, err := train.Open(dir)
	if err != nil {
		return nil, err
	}
	return runOf(r), nil
}

// createRun prepares a new run in dir.
func createRun(ctx context.Context, dir string, c config, progress train.Progress) (*oneRun, error) {
	r, err := train.Create(ctx, dir, c.task(), progress)
	if err != nil {
		return nil, err
	}
	return runOf(r), nil
}

// Reconfigure gives the run other settings.
func (r *oneRun) Reconfigure(c config) error {
	err := r.Run.Reconfigure(c.task())
	r.Config = configOf(r.Task)
	return err
}

// Train runs the remaining steps.
func (r *oneRun) Train(ctx context.Context, obs train.Observer) (train.Summary, error) {
	sum, err := r.Run.Train(ctx, obs)
	r.Config = configOf(r.Task)
	return sum, err
}

// unchanged refuses changes, by flags or a file, of what a run's weights, tokens and optimiser state depend on.
func unchanged(from, to config) error { return cli.Usage(train.Unchanged(from.task(), to.task())) }
