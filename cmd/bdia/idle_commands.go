package main

import (
	"slices"
	"strings"

	"github.com/bdia-go/bdia/export"
	"github.com/bdia-go/bdia/train"
	"github.com/bdia-go/bdia/train/images"
	"github.com/bdia-go/bdia/train/pairs"
)

// idle lists the flags that do nothing beside the others of o.
func (o evalOptions) idle() []idle {
	return []idle{
		{o.text != "", "is a part of the run's own data, and --text is another text; give one of them", []string{"split"}},
		{o.source != "", "is a part of the run's own data, and --source names other sentences; give one of them", []string{"split"}},
		{o.text == "", "is for the text of --text; give that too", []string{"special-tokens"}},
		{o.data == "", "is for the images of --data; give that too", []string{"on-corrupt"}},
		{o.gammas == "", "is drawn of --gamma; give that too", []string{"figure"}},
		{o.source == "", "is for translating --source; give that too", []string{"beam", "length-penalty"}},
		idleOfBeam(o.search.Beam, false),
	}
}

// idleOf lists the flags that do nothing with a run of the task e.
func (o evalOptions) idleOf(e evaluated) []idle {
	lacks := func(what string) bool { return !slices.Contains(e.evaluates(), what) }
	return []idle{
		{o.split == "test" && lacks("test"), "test is for runs of translations", []string{"split"}},
		{lacks("stride"), "is for text", []string{"stride"}},
		{lacks("adapter"), "is for language models", []string{"adapter"}},
		{lacks("data"), "is for runs of images", []string{"data"}},
	}
}

// idleOfBeam is for a search of one hypothesis; scored: its score is shown.
func idleOfBeam(beam int, scored bool) idle {
	return idle{beam == 1 && !scored, "orders hypotheses, and --beam 1 follows one", []string{"length-penalty"}}
}

// idle lists the flags that do nothing beside the others of o.
func (o *generateOptions) idle() []idle {
	return []idle{
		{!o.beam && o.Temperature == 0, "is for choices by chance, and the likeliest token is taken", []string{"top-k", "top-p", "min-p", "seed"}},
		{o.input == "", "is for the prompts of --input", []string{"batch"}},
		{o.promptIDs != "", "is for prompts in words, and --prompt-ids are tokens", []string{"verbatim"}},
		idleOfBeam(o.search.Beam, o.asJSON),
	}
}

// idle lists the flags that do nothing beside the others of o.
func (o *chatOptions) idle() []idle {
	return []idle{{o.Temperature == 0, "is for choices by chance, and the likeliest token is taken", []string{"top-k", "top-p", "min-p", "seed"}}}
}

// idleOfExport lists the flags that do nothing for a format.
func idleOfExport(o export.Options) []idle {
	return []idle{{o.Format != "onnx", "is for --format onnx", []string{"no-cache"}}}
}

// idle lists the flags that do nothing in a plan of t.
func (o planOptions) idle(t train.Synthetic) []idle {
	size := strings.TrimPrefix(viewOf(t).words().size, "--")
	return []idle{
		{true, "changes nothing that bdia plan prints; leave it out", []string{"seed"}},
		{!o.timed, "changes the time of a step and not its memory; measure it with --time", []string{
			"isa", "gelu", "dropout", "embedding-dropout", "attention-dropout", "residual-dropout", "stochastic-depth", "label-smoothing"}},
		{o.budget != "" && !o.timed, "is what --budget looks for; give one of them", []string{size}},
		{o.budget != "" && !o.timed && size == "batch", "is for a batch of a given size, and --budget looks for the largest", []string{"micro-batch"}},
		{o.data != "", "comes from --data", []string{"vocab", "classes"}},
	}
}

// ofSteps are flags of sizes that only a step of training heeds.
var ofSteps = []string{"optimizer", "state-bits", "table-bits", "update", "clip"}

// idleOfCheck lists the flags that do nothing in a check of t beside the others of o.
func idleOfCheck(t train.Task, o overrides) []idle {
	image, ok := t.(*images.Task)
	list := []idle{
		{true, "is for training, and bdia verify makes no step; leave it out", ofSteps},
		{t.Name() != pairs.Name, "is for task translation; this is task " + t.Name(), []string{"encoder"}},
		{t.Name() == pairs.Name, "cuts the batch of a step, and a check of translations takes it whole", []string{"micro-batch"}},
		{ok, "is for the loss of training, and a check of images has none", []string{"label-smoothing"}},
		{o.has("float"), "is for the exact check, and --float measures the error without a grid", []string{"fault", "memory", "grid"}},
	}
	if ok && image.Settings.ViT.TwoStream {
		list = append(list, idle{true, "is for the exact check, and RevViT is not exact", []string{"fault", "memory"}})
	}
	return list
}
