package main

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/bdia-go/bdia"
	"github.com/bdia-go/bdia/backend"
	"github.com/bdia-go/bdia/backend/cpu"
	"github.com/bdia-go/bdia/backend/plan"
	"github.com/bdia-go/bdia/checkpoint"
	"github.com/bdia-go/bdia/cmd/bdia/internal/cli"
	"github.com/bdia-go/bdia/convert"
	"github.com/bdia-go/bdia/generate"
	"github.com/bdia-go/bdia/model"
	"github.com/bdia-go/bdia/tokenizer"
	"github.com/bdia-go/bdia/train"
)

// loaded is a model ready for inference.
type loaded struct {
	cfg   model.GPTConfig
	dir   string              // of the weights
	lora  string              // folder of adapters to merge into them; empty for none
	after *train.Separator    // of the prompts that the run learned to complete; nil where it did not
	tok   tokenizer.Tokenizer // nil for a foreign folder without one
	grid  bdia.Grid
	be    *cpu.Backend // and model: nil until load
	model *model.GPT
}

// openDir reads all but the weights of a run directory, or of any Hugging Face GPT-2
// folder, which without text need have no tokenizer. Adapters are those in lora, or its
// own.
func openDir(dir, lora string, text bool) (*loaded, error) {
	home := runOf(dir)
	if err := checkpoint.Settle(home); err != nil {
		return nil, err
	}
	cfg, err := convert.ReadGPT2Config(filepath.Join(dir, "config.json"))
	if errors.Is(err, os.ErrNotExist) {
		return nil, noModel(dir)
	}
	if err != nil {
		return nil, err
	}
	l := &loaded{cfg: cfg}
	if l.dir, l.lora, err = weightsOf(dir, lora); err != nil {
		return nil, err
	}
	if l.tok, err = tokenizer.Load(dir); err != nil && (text || !errors.Is(err, tokenizer.ErrNotFound)) {
		return nil, err
	}
	if l.tok != nil && l.tok.VocabSize() > cfg.Vocab {
		return nil, fmt.Errorf("%s: the tokenizer has %d tokens, the model only %d; they do not belong together", dir, l.tok.VocabSize(), cfg.Vocab)
	}
	run, err := settingsOf(home)
	l.grid = run.Method.Grid
	if run.Task == train.TaskCompletion {
		l.after = &run.Tune.Separator
	}
	return l, err
}

// weightsOf returns the folder that has the weights of the model folder dir, and that
// of the adapters to merge into them: those named lora, or its own.
func weightsOf(dir, lora string) (weights, adapters string, err error) {
	weights, err = train.WeightsDir(dir)
	switch {
	case err != nil || weights == dir:
		return weights, lora, err
	case lora != "":
		return "", "", cli.Usage(fmt.Errorf("%s has adapters of its own; leave out --adapter, or merge them first with bdia export", dir))
	}
	return weights, dir, nil
}

// runOf returns the run directory whose best weights dir holds, or dir itself.
func runOf(dir string) string {
	home, name := filepath.Split(filepath.Clean(dir))
	if name == "best" {
		if _, err := os.Stat(filepath.Join(home, configName)); err == nil {
			return filepath.Clean(home)
		}
	}
	return dir
}

// bestOf returns the folder of a run's best weights.
func bestOf(run string) (string, error) {
	if _, err := os.Stat(run); err != nil {
		return "", err
	}
	dir := filepath.Join(run, "best")
	if _, err := os.Stat(dir); errors.Is(err, fs.ErrNotExist) {
		return "", fmt.Errorf("%s has no best weights: none that were evaluated are better than those that it started from; use the latest", run)
	}
	return dir, nil
}

// loadRun loads the weights in dir with the configuration of r, and the adapters in
// lora, for what use does.
func loadRun(r *train.Run, dir, lora string, use func(m *model.GPT) error) (*loaded, error) {
	l := &loaded{cfg: r.Config.Model, tok: r.Tokenizer(), grid: r.Config.Method.Grid}
	var err error
	if l.dir, l.lora, err = weightsOf(dir, lora); err != nil {
		return nil, err
	}
	return l, l.load(r.Config.Engine, use)
}

// load takes the memory for what use does with a model, then loads the weights.
func (l *loaded) load(engine backend.Options, use func(m *model.GPT) error) error {
	opt := bdia.Options{Memory: bdia.Store, Grid: l.grid}
	planner := plan.New(cpu.ScratchBytes(engine.Threads))
	m, err := model.NewGPT(planner, l.cfg, opt)
	if err == nil {
		err = plausible(l.dir, planner.Peak().ByComponent[backend.Weights])
	}
	if err == nil {
		err = merge(planner, m, l.lora)
	}
	if err == nil {
		err = use(m)
	}
	if err != nil {
		return err
	}
	if l.be, err = cpu.New(cpu.Options{Threads: engine.Threads, ISA: engine.ISA, ArenaBytes: planner.Peak().Total}); err != nil {
		return err
	}
	if l.model, err = model.NewGPT(l.be, l.cfg, opt); err == nil {
		err = train.LoadWeights(l.be, l.model, l.dir)
	}
	if err == nil {
		err = merge(l.be, l.model, l.lora)
	}
	if err != nil {
		l.be.Close()
	}
	return err
}

// merge merges the adapters in dir, if that names a folder, into the weights of m.
func merge(be backend.Backend, m *model.GPT, dir string) error {
	if dir == "" {
		return nil
	}
	if err := convert.AddAdapter(be, m, dir); err != nil {
		return err
	}
	m.MergeLoRA()
	return nil
}

// plausible refuses, before memory is taken, weights of so many bytes for which
// the files in dir are far too short: a hostile or mixed-up description.
func plausible(dir string, weights int64) error {
	const slack = 8 // half precision, and room for small tensors
	w, err := convert.OpenWeights(dir)
	if err != nil {
		return err
	}
	if weights/slack > w.Bytes() {
		err = fmt.Errorf("%s: the configuration describes %s of weights, but %s has only %s; they do not belong together",
			dir, cli.Bytes(weights), filepath.Base(w.Path()), cli.Bytes(w.Bytes()))
	}
	return errors.Join(err, w.Close())
}

// sampleOf continues the beginning of the run's held-out text.
func sampleOf(r *train.Run) (string, error) {
	ids, err := r.Text.Prompt()
	if err != nil {
		return "", err
	}
	o := generate.DefaultOptions()
	o.MaxTokens, o.Grid = 120, r.Config.Method.Grid
	l, err := loadRun(r, r.Dir, "", func(m *model.GPT) error { return generate.Rehearse(m, len(ids), o) })
	if err != nil {
		return "", err
	}
	defer l.be.Close()
	return generate.Text(l.model, l.tok, ids, o)
}
