package main

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/bdia-go/bdia/cmd/bdia/internal/cli"
	"github.com/bdia-go/bdia/optim"
	"github.com/bdia-go/bdia/train"
	"github.com/bdia-go/bdia/train/images"
	"github.com/bdia-go/bdia/train/text"
)

// benchSizes are the flags of a benchmark's model, and what they are called as settings of a task. benchWays say how it
// is trained.
var benchSizes = []struct{ name, setting, usage string }{
	{"layers", "layers", "blocks"},
	{"heads", "heads", "attention heads"},
	{"width", "width", "channels of the residual stream"},
	{"mlp", "mlp", "hidden width of the MLP; 0 for four times the width"},
	{"batch", "batch", "samples of a step"},
	{"seq", "context", "gpt: tokens of a sample"},
	{"vocab", "vocab", "gpt: vocabulary"},
	{"image", "image", "vit: pixels of an image's side"},
	{"patch", "patch", "vit: pixels of a patch's side"},
	{"classes", "classes", "vit: classes"},
}

var benchWays = []struct{ name, usage string }{
	{"optimizer", "`name`: " + strings.Join(optim.Names(), ", ")},
	{"state-bits", "`bits` of the optimiser's moments: 32, or 8"},
	{"table-bits", "`bits` of the moments of tables beside 8: 32 or 8"},
	{"micro-batch", "`samples` at a time; 0: the batch"},
	{"update", "`when` weights change: auto, now (in the reverse walk) or end"},
	{"weights", "gpt: `type` of trained weights: f32 or bf16"},
	{"lora-rank", "gpt: `rank` of adapters; 0: train all weights"},
	{"lora-targets", "gpt: `layers` with adapters, with commas between, or all"},
	{"freeze", "gpt: first `blocks` that stay as they are"},
}

// architectures are the models of --model: a task, and the flags of its settings that make it.
var architectures = map[string]struct {
	task  string
	flags overrides
}{
	"gpt":    {text.Name, nil},
	"vit":    {images.Name, overrides{"preset": "vit-paper"}},
	"revvit": {images.Name, overrides{"preset": "vit-paper", "two-stream": "true"}},
}

// benched is the task to time: of the run that args name, or of a preset or an architecture, with the sizes that o has.
func benched(o overrides, architecture string, args []string) (train.Synthetic, error) {
	set := overrides{}
	var t train.Task
	name := architecture // in errors
	switch a, known := architectures[architecture]; {
	case !known:
		return nil, cli.Usage(fmt.Errorf("--model %q; use gpt, vit or revvit", architecture))
	case len(args) == 1 && (o.has("preset") || o.has("model") || o.has("from")):
		return nil, cli.Usage(errors.New("a run says what the model is; leave out --preset, --model and --from"))
	case o.has("from") && o.has("preset"):
		return nil, cli.Usage(errors.New("--from and --preset both say what the model is; give one of them"))
	case len(args) == 1:
		var err error
		if t, err = readRun(args[0]); err != nil {
			return nil, err
		}
		name = args[0]
	case o.has("from") || o.has("lora-rank") || o.has("lora-targets") || o.has("freeze"):
		var err error
		if t, err = o.planTask(nil); err != nil {
			return nil, err
		}
		for _, flag := range []string{"from", "preset"} {
			if o.has(flag) {
				name, set[flag] = o[flag], o[flag]
			}
		}
	case o.has("preset"):
		task, err := o.task()
		if err != nil {
			return nil, err
		}
		if o.has("model") {
			task = a.task
			maps.Copy(set, a.flags)
		}
		name, t, set["preset"] = o["preset"], newTask(task), o["preset"]
	default:
		t = newTask(a.task)
		maps.Copy(set, a.flags)
	}
	own := flagSet(viewOf(t).flags())
	settings := map[string]string{} // by flag
	for _, s := range benchSizes {
		settings[s.name] = s.setting
	}
	for _, w := range benchWays {
		settings[w.name] = w.name
	}
	for _, flag := range slices.Sorted(maps.Keys(settings)) {
		if !o.has(flag) {
			continue
		}
		if own.Lookup(settings[flag]) == nil {
			return nil, cli.Usage(fmt.Errorf("--%s is not a setting of %s", flag, name))
		}
		set[settings[flag]] = o[flag]
	}
	if seq, ok := o["seq"]; ok && o.has("from") { // its context is longer
		delete(set, "context")
		set["window"] = seq
	}
	for _, flag := range []string{"threads", "isa", "precision"} {
		if o.has(flag) {
			set[flag] = o[flag]
		}
	}
	t, err := set.settle(t)
	if err != nil {
		return nil, err
	}
	train.Assume(t)
	return t.(train.Synthetic), nil
}
