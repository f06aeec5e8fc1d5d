package main

import (
	"io"
	"slices"
	"strings"

	"github.com/spf13/pflag"

	"github.com/bdia-go/bdia/train"
	"github.com/bdia-go/bdia/train/images"
	"github.com/bdia-go/bdia/train/pairs"
	"github.com/bdia-go/bdia/train/text"
	"github.com/bdia-go/bdia/train/tune"
)

// view is a task on the command line: its flags, and what is printed about it.
type view interface {
	words() words
	// flags are the flags of all settings, bound to them.
	flags() []group
	// sizes are the flags of a model without data, of its method and its batch.
	sizes() []group
	// expand sets the settings that flags stand for, such as the sizes of --preset.
	expand(o overrides) error
	// needData is an error unless the settings name data.
	needData() error
	// paths are the settings that a run keeps as absolute paths.
	paths() []*string
	// idle lists the flags that do nothing with the settings.
	idle() []idle
	// kind names the runs with losses that compare with the ones of the run in dir.
	kind(dir string) string
	// model and batch describe the model, and the data of a step.
	model() string
	batch() string
	// printScores tells what the evaluations of a run measured, printNotes and addJSON what is told of this task only.
	printScores(w io.Writer, sum train.Summary)
	printNotes(w io.Writer)
	addJSON(j map[string]any, sum train.Summary)
}

// words are names for a task.
type words struct {
	command string   // that trains it
	prefix  string   // of its run folders
	unit    string   // of speed
	measure string   // of the best weights
	batch   string   // what --budget prints
	size    string   // flag of the size of a batch
	length  string   // flag of the length of a run
	try     []string // commands to go on with; RUN is its folder, PART a flag if nothing is held out
}

// views are the tasks, by their names in bdia.yaml.
var views = map[string]func(train.Task) view{
	text.Name:   func(t train.Task) view { return textView{t.(*text.Task)} },
	images.Name: func(t train.Task) view { return imageView{t.(*images.Task)} },
	pairs.Name:  func(t train.Task) view { return translationView{t.(*pairs.Task)} },
	tune.Name:   func(t train.Task) view { return tuneView{t.(*tune.Task)} },
}

// viewOf returns the view of t.
func viewOf(t train.Task) view { return views[t.Name()](t) }

// fromScratch are the tasks of models that have learned nothing yet: names in bdia.yaml, and on the command line.
var fromScratch = []struct{ name, word string }{{text.Name, "text"}, {images.Name, "images"}, {pairs.Name, "translation"}}

// taskWords lists the words that --task takes: names, and what tasks are called on the command line.
func taskWords() []string {
	words := taskNames()
	for _, t := range fromScratch {
		if !slices.Contains(words, t.word) {
			words = append(words, t.word)
		}
	}
	return words
}

// taskNames lists the tasks that --task names.
func taskNames() (names []string) {
	for _, t := range fromScratch {
		names = append(names, t.name)
	}
	return names
}

// taskNamed returns the task that --task names, by either name; empty if there is none.
func taskNamed(name string) string {
	for _, t := range fromScratch {
		if name == t.name || name == t.word {
			return t.name
		}
	}
	return ""
}

// newTask returns the named task, which is registered, with default settings.
func newTask(name string) train.Task {
	t, err := train.New(name)
	if err != nil {
		panic(err)
	}
	return t
}

// tasksWith lists the tasks that have a flag.
func tasksWith(flag string) (names []string) {
	for _, t := range fromScratch {
		if flagSet(viewOf(newTask(t.name)).flags()).Lookup(flag) != nil {
			names = append(names, t.name)
		}
	}
	if len(names) == 0 && flagSet(viewOf(newTask(tune.Name)).flags()).Lookup(flag) != nil {
		names = append(names, tune.Name)
	}
	return names
}

// joinOr names tasks.
func joinOr(names []string) string {
	last := len(names) - 1
	if last == 0 {
		return names[0]
	}
	return strings.Join(names[:last], ", ") + " or " + names[last]
}

// taskFlag is --task, and the task that it names in a command for all tasks.
func taskFlag(f *pflag.FlagSet) {
	f.String("task", "", "`what` is learned: "+joinOr(taskNames()))
}
