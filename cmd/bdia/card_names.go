package main

import (
	"cmp"
	"path/filepath"

	"github.com/bdia-go/bdia/convert"
	"github.com/bdia-go/bdia/export"
	"github.com/bdia-go/bdia/hub"
	"github.com/bdia-go/bdia/tokenizer"
	"github.com/bdia-go/bdia/train"
)

// originOf returns the folder of the model that a run started from, or the run that it started from, and so on: the
// first that is no run.
func originOf(dir string) string {
	for range 16 {
		run := hub.RunOf(dir)
		if run == "" {
			return dir
		}
		r, err := train.Open(run)
		if err != nil {
			return dir
		}
		s, ok := r.Task.(train.Starter)
		r.Close()
		if !ok || s.StartsFrom() == "" {
			return dir
		}
		dir = s.StartsFrom()
	}
	return dir
}

// nameOfModel is the name of the model in a folder: of a checkpoint in a run directory, the run's.
func nameOfModel(dir string) string {
	return filepath.Base(filepath.Clean(cmp.Or(hub.RunOf(dir), dir)))
}

// dataNames are the names of the files or folders that a task learns from, without their folders.
func dataNames(t train.Task) (names []string) {
	view := viewOf(t)
	from := ""
	if s, ok := t.(train.Starter); ok {
		from = s.StartsFrom()
	}
	paths := view.paths()
	if text, ok := view.(textView); ok {
		paths = []*string{&text.Settings.Data.Path}
		for i := range text.Settings.Data.More {
			paths = append(paths, &text.Settings.Data.More[i])
		}
	}
	for _, path := range paths {
		if *path != "" && *path != from {
			names = append(names, filepath.Base(*path))
		}
	}
	return names
}

// ownCommands are commands that use the exported folder of a language model.
func ownCommands(f *hub.Folder, o export.Options) []string {
	if o.Format != "hf" || f.Kind != convert.GPT {
		return nil
	}
	use := "bdia generate {}"
	if o.Talk || tokenizer.ChatTemplate(f.Tokenizer) != "" {
		use = "bdia chat {}"
	}
	return []string{use, "bdia export {} --format gguf --out model.gguf  # for llama.cpp"}
}
