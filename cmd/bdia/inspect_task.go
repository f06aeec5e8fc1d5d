package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"strings"

	"github.com/bdia-go/bdia/cmd/bdia/internal/cli"
	"github.com/bdia-go/bdia/convert"
	"github.com/bdia-go/bdia/data/pairs"
	"github.com/bdia-go/bdia/train"
	"github.com/bdia-go/bdia/train/images"
	trainpairs "github.com/bdia-go/bdia/train/pairs"
	"github.com/bdia-go/bdia/train/text"
	"github.com/bdia-go/bdia/train/tune"
)

// A run, among the tasks that inspect tells apart.
const aRun = "run"

// look completes one, of the input that it names. The error is what would stop a run.
func (o inspection) look(ctx context.Context, one *inspected, p *cli.Progress) (err error) {
	if one.Task, err = o.kind(one.Path); err != nil {
		return err
	}
	switch {
	case one.Task == aRun:
		return o.lookAtRun(ctx, one, p)
	case o.from == "" && (one.Task == "completion" || one.Task == "translation"):
		return o.lookAtPairs(ctx, one, p)
	}
	given, err := o.settings(*one)
	if err != nil {
		return err
	}
	stops := o.create(ctx, one, given, p)
	if stops != nil && ctx.Err() == nil { // what there is, all the same
		for _, lenient := range []overrides{{"val-fraction": "0"}, {"val-fraction": "0", "context": "8", "window": "8", "on-bad": "skip", "on-corrupt": "skip"}} {
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

// kind says what is at path: the word of a task, or a run.
func (o inspection) kind(path string) (string, error) {
	switch o.task {
	case "":
	case "text", "images", "translation", "completion":
		return o.task, nil
	case "image":
		return "images", nil
	default:
		return "", cli.Usage(fmt.Errorf("unknown task %q; use text, images, translation or completion", o.task))
	}
	info, err := os.Stat(path)
	switch {
	case path == "go" && errors.Is(err, fs.ErrNotExist):
		return "text", nil
	case err != nil:
		return "", err
	case info.IsDir():
		if _, err := os.Stat(filepath.Join(path, configName)); err == nil {
			return aRun, nil
		}
		return folderKind(path)
	case isArchive(path):
		return "images", nil
	}
	what, err := kindOf(path)
	switch {
	case err != nil:
		return "", err
	case what == pairs.KindPairs:
		if kind, err := convert.KindOf(o.from); o.from != "" && err == nil && kind == convert.Seq2Seq {
			return "translation", nil
		}
		return "completion", nil
	}
	return "text", nil
}

// isArchive reports a file that holds images, by its name.
func isArchive(path string) bool {
	path = strings.ToLower(path)
	for _, ending := range []string{".tar", ".tar.gz", ".tgz", ".zip", ".bin"} {
		if strings.HasSuffix(path, ending) {
			return true
		}
	}
	return false
}

// mostEntries is how many files of a folder are looked at to say what it holds.
const mostEntries = 2000

// folderKind says whether most files of a folder are images.
func folderKind(dir string) (string, error) {
	found, all := 0, 0
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case d.IsDir() || strings.HasPrefix(d.Name(), "."):
			return nil
		}
		switch strings.ToLower(filepath.Ext(path)) {
		case ".jpg", ".jpeg", ".png", ".gif", ".bmp", ".tif", ".tiff", ".webp", ".bin":
			found++
		}
		if all++; all == mostEntries {
			return fs.SkipAll
		}
		return nil
	})
	if 2*found > all {
		return "images", err
	}
	return "text", err
}

// settings are the flags of a run that would learn one.
func (o inspection) settings(one inspected) (overrides, error) {
	given := overrides{"data": one.Path}
	if o.from != "" {
		given["from"] = o.from
	} else if one.Task == "text" {
		given["tokenizer"] = "char"
	}
	return given, nil
}

// taskFor returns the task of a word, with the settings that given says.
func (o inspection) taskFor(word string, given overrides) (train.Task, error) {
	name := map[string]string{"text": text.Name, "images": images.Name, "translation": trainpairs.Name, "completion": tune.Name}[word]
	t := newTask(name)
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
	if err == nil {
		one.Data = &picture
	}
	return err
}

// lookAtRun takes the picture of a run.
func (o inspection) lookAtRun(ctx context.Context, one *inspected, p *cli.Progress) error {
	r, err := openRun(one.Path)
	if err != nil {
		return err
	}
	defer r.Close()
	one.Task = aRun + " of task " + r.Task.Name()
	if err := r.Task.Open(ctx, p.Preparing); err != nil {
		return err
	}
	return o.picture(one, r)
}
