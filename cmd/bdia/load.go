package main

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"github.com/bdia-go/bdia"
	"github.com/bdia-go/bdia/backend"
	"github.com/bdia-go/bdia/backend/cpu"
	"github.com/bdia-go/bdia/backend/plan"
	"github.com/bdia-go/bdia/checkpoint"
	"github.com/bdia-go/bdia/convert"
	"github.com/bdia-go/bdia/generate"
	"github.com/bdia-go/bdia/model"
	"github.com/bdia-go/bdia/tokenizer"
	"github.com/bdia-go/bdia/train"
)

// loaded is a model ready for inference.
type loaded struct {
	be    *cpu.Backend
	model *model.GPT
	tok   tokenizer.Tokenizer
	grid  bdia.Grid
}

// loadDir loads the model of a run directory, or of any Hugging Face GPT-2 folder.
func loadDir(dir string, batch int, engine train.EngineConfig) (*loaded, error) {
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
	tok, err := tokenizer.Load(dir)
	if err != nil {
		return nil, err
	}
	if tok.VocabSize() > cfg.Vocab {
		return nil, fmt.Errorf("%s: the tokenizer has %d tokens, the model only %d; they do not belong together", dir, tok.VocabSize(), cfg.Vocab)
	}
	l := &loaded{tok: tok}
	if l.grid, err = gridOf(home); err != nil {
		return nil, err
	}
	return l, l.fill(cfg, dir, batch, engine)
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

// loadRun loads the weights in dir with the configuration of r.
func loadRun(r *train.Run, dir string) (*loaded, error) {
	l := &loaded{tok: r.Text.Tokenizer, grid: r.Config.Method.Grid}
	return l, l.fill(r.Config.Model, dir, r.Config.Loop.SamplesAtOnce(), r.Config.Engine)
}

// fill plans inference on batches of the given size, then loads the weights.
func (l *loaded) fill(cfg model.GPTConfig, dir string, batch int, engine train.EngineConfig) error {
	opt := bdia.Options{Memory: bdia.Store, Grid: l.grid}
	peak, err := planInference(cfg, opt, batch, engine.Threads)
	if err != nil {
		return err
	}
	if err := plausible(dir, peak.ByComponent[backend.Weights]); err != nil {
		return err
	}
	if l.be, err = cpu.New(cpu.Options{Threads: engine.Threads, ISA: engine.ISA, ArenaBytes: peak.Total}); err != nil {
		return err
	}
	if l.model, err = model.NewGPT(l.be, cfg, opt); err == nil {
		err = train.LoadWeights(l.be, l.model, dir)
	}
	if err != nil {
		l.be.Close()
	}
	return err
}

// plausible refuses, before memory is taken, weights of so many bytes for which
// the file in dir is far too short: a hostile or mixed-up description.
func plausible(dir string, weights int64) error {
	const slack = 8 // half precision, and room for small tensors
	info, err := os.Stat(filepath.Join(dir, "model.safetensors"))
	if err == nil && weights/slack > info.Size() {
		return fmt.Errorf("%s: the configuration describes %s of weights, but model.safetensors has only %s; they do not belong together",
			dir, bytesText(weights), bytesText(info.Size()))
	}
	return nil
}

// planInference returns the memory that losses of batches, and sampling, take.
func planInference(cfg model.GPTConfig, opt bdia.Options, batch, threads int) (backend.Usage, error) {
	planner := plan.New(cpu.ScratchBytes(threads))
	m, err := model.NewGPT(planner, cfg, opt)
	if err != nil {
		return backend.Usage{}, err
	}
	if err := m.Loss(model.NewBatch(batch, cfg.Context), opt.Grid, new(float64)); err != nil {
		return backend.Usage{}, err
	}
	m.NextLogits(make([]float32, cfg.Vocab), make([]int32, cfg.Context), opt.Grid)
	return planner.Peak(), nil
}

// sampleOf continues the beginning of the run's held-out text.
func sampleOf(r *train.Run) (string, error) {
	l, err := loadRun(r, r.Dir)
	if err != nil {
		return "", err
	}
	defer l.be.Close()
	ids, err := r.Text.Prompt()
	if err != nil {
		return "", err
	}
	o := generate.DefaultOptions()
	o.MaxTokens, o.Grid = 120, l.grid
	return generate.Text(l.model, l.tok, ids, o)
}
