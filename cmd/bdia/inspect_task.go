package main

import (
	"context"
	"errors"
	"fmt"
	"maps"

	"github.com/bdia-go/bdia/cmd/bdia/internal/cli"
	"github.com/bdia-go/bdia/data"
	"github.com/bdia-go/bdia/tokenizer"
	"github.com/bdia-go/bdia/train"
	"github.com/bdia-go/bdia/train/images"
	trainpairs "github.com/bdia-go/bdia/train/pairs"
	"github.com/bdia-go/bdia/train/text"
	"github.com/bdia-go/bdia/train/tune"
)

// aRun is what inspect calls a run.
const aRun = "run"

// learnable are the data that inspect shows, by what it calls them.
var learnable = map[string]struct {
	name   string              // of the task that learns them
	flags  overrides           // of a run without a model
	pairs  func() inCharacters // how pairs are shown without a model; nil: a run prepares them
	halves [2]string           // flags of the two files of pairs
}{
	"text":        {text.Name, overrides{"tokenizer": tokenizer.KindChar}, nil, [2]string{}},
	"images":      {images.Name, nil, nil, [2]string{}},
	"translation": {trainpairs.Name, nil, translationsInCharacters, [2]string{"source", "target"}},
	"completion":  {tune.Name, nil, completionsInCharacters, [2]string{"prompts", "completions"}},
}

// lenients are settings that show what there is in data that a run could not learn from, the strictest first.
var lenients = []overrides{
	{"val-fraction": "0"},
	{"val-fraction": "0", "context": "8", "window": "8", "on-bad": "skip", "on-corrupt": "skip"},
}

// look completes one, of the input that it names. The error is what would stop a run.
func (o inspection) look(ctx context.Context, one *inspected, p *cli.Progress) (err error) {
	if holds(one.Path, configName) {
		run := idle{true, "is for data, and " + one.Path + " is a run; leave it out", []string{"task", "from"}}
		if err := o.given.refuse([]idle{run}); err != nil {
			return err
		}
	}
	if one.Task, err = o.kind(one.Path); err != nil {
		return err
	}
	if one.Task == aRun {
		return o.lookAtRun(ctx, one, p)
	}
	if in := learnable[one.Task].pairs; in != nil && o.from == "" {
		return o.lookAtPairs(ctx, one, in(), p)
	}
	given := o.settings(*one)
	stops := o.create(ctx, one, given, p)
	if errors.As(stops, new(*data.KeysError)) && o.task == "" { // a folder of tables may be one of pairs
		if _, err := kindOf(one.Path); err != nil {
			return err
		}
	}
	if stops != nil && ctx.Err() == nil { // what there is, all the same
		for _, lenient := range lenients {
			with := maps.Clone(given)
			t, err := o.taskFor(one.Task, with)
			if err != nil {
				break
			}
			flags := flagSet(viewOf(t).flags())
			for name, value := range lenient {
				if flags.Lookup(name) != nil {
					with[name] = value
				}
			}
			if o.create(ctx, one, with, p) == nil {
				break
			}
		}
	}
	return stops
}

// settings are the flags of a run that would learn one.
func (o inspection) settings(one inspected) overrides {
	given := overrides{"data": one.Path}
	if of := learnable[one.Task]; one.Target != "" {
		given = overrides{of.halves[0]: one.Path, of.halves[1]: one.Target}
	}
	if o.from != "" {
		given["from"] = o.from
	} else {
		maps.Copy(given, learnable[one.Task].flags)
	}
	return given
}

// taskFor returns the task that learns what is called word, with the settings that given says.
func (o inspection) taskFor(word string, given overrides) (train.Task, error) {
	t := newTask(learnable[word].name)
	if word == "text" && o.from != "" {
		t = text.New(text.DefaultTuned())
	}
	return given.settle(t)
}

// create prepares the run of given in a temporary folder, and takes its picture.
func (o inspection) create(ctx context.Context, one *inspected, given overrides, p *cli.Progress) error {
	t, err := o.taskFor(one.Task, given)
	if err != nil {
		return err
	}
	return inTemporary(func(dir string) error {
		r, err := train.Create(ctx, dir, t, p.Preparing)
		if err != nil {
			return err
		}
		defer r.Close()
		return o.picture(one, r)
	})
}

// picture takes the picture of a run with open data.
func (o inspection) picture(one *inspected, r *train.Run) error {
	t, ok := r.Task.(train.Pictured)
	if !ok {
		return fmt.Errorf("task %s does not show its data", r.Task.Name())
	}
	picture, err := t.Picture(o.samples)
	if err != nil {
		return err
	}
	if one.Data = &picture; learnable[one.Task].flags != nil && o.from == "" {
		one.Data = ofCharacters(picture)
	}
	return nil
}

// lookAtRun takes the picture of a run.
func (o inspection) lookAtRun(ctx context.Context, one *inspected, p *cli.Progress) error {
	r, err := openRun(one.Path)
	if err != nil {
		return err
	}
	defer r.Close()
	one.Task, one.Precision = aRun+" of task "+r.Task.Name(), r.Common().Engine.Precision.String()
	if err := r.Task.Open(ctx, p.Preparing); err != nil {
		return err
	}
	return o.picture(one, r)
}
