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
	"github.com/bdia-go/bdia/data/images"
	"github.com/bdia-go/bdia/model"
	"github.com/bdia-go/bdia/train"
)

// classifier is a vision transformer ready for inference.
type classifier struct {
	convert.ViTInfo
	be     *cpu.Backend
	model  *model.ViT
	grid   bdia.Grid
	room   model.ImageBatch // for the largest batch
	output []float32
}

// loadClassifier loads the model of a run directory, or of any timm or Hugging
// Face ViT folder, for batches of the given size and inference with gammas up to
// the given one, for which a state more is kept.
func loadClassifier(dir string, batch int, gamma float64, engine backend.Options) (*classifier, error) {
	home := runOf(dir)
	if err := checkpoint.Settle(home); err != nil {
		return nil, err
	}
	info, err := convert.ReadViTConfig(dir)
	if errors.Is(err, os.ErrNotExist) {
		return nil, noModel(dir)
	}
	if err != nil {
		return nil, err
	}
	if err := (images.Norm{Mean: info.Mean, Std: info.Std}).Validate(); err != nil {
		return nil, fmt.Errorf("%s: %w", dir, err)
	}
	c := &classifier{ViTInfo: info}
	if c.grid, err = gridOf(home); err != nil {
		return nil, err
	}
	opt := bdia.Options{Memory: bdia.Store, Grid: c.grid}
	planner := plan.New(cpu.ScratchBytes(engine.Threads))
	m, err := model.NewViT(planner, info.Config, opt)
	if err == nil {
		err = plausible(dir, planner.Peak().ByComponent[backend.Weights])
	}
	if err != nil {
		return nil, err
	}
	batch = min(batch, train.MostImages(info.Config))
	c.room, c.output = model.NewImageBatch(info.Config, batch), make([]float32, batch*info.Config.Classes)
	if err := m.Logits(c.output, c.room, c.grid, gamma); err != nil {
		return nil, err
	}
	peak := planner.Peak()
	if c.be, err = cpu.New(cpu.Options{Threads: engine.Threads, ISA: engine.ISA, ArenaBytes: peak.Total}); err != nil {
		return nil, err
	}
	if c.model, err = model.NewViT(c.be, info.Config, opt); err == nil {
		err = train.LoadViT(c.be, c.model, dir)
	}
	if err != nil {
		c.be.Close()
		return nil, err
	}
	return c, nil
}

// noModel is the error of a folder without a config.json.
func noModel(dir string) error {
	return fmt.Errorf("%s holds no model: config.json is missing; is it a run directory, and has it saved a checkpoint?", dir)
}

// gridOf returns the grid of the run in home: none, where it is no run.
func gridOf(home string) (bdia.Grid, error) {
	cfg, err := settingsOf(home)
	return cfg.Method.Grid, err
}

// settingsOf are those of the run in home; where there is none, no grid.
func settingsOf(home string) (train.Config, error) {
	cfg := train.DefaultConfig()
	err := train.ReadConfig(filepath.Join(home, configName), &cfg)
	if errors.Is(err, os.ErrNotExist) {
		cfg.Method.Grid = bdia.NoGrid
		err = nil
	}
	return cfg, err
}

// logits returns those of the images of b, until the next call.
func (c *classifier) logits(b model.ImageBatch, grid bdia.Grid, gamma float64) ([]float32, error) {
	out := c.output[:b.Size*c.Config.Classes]
	return out, c.model.Logits(out, b, grid, gamma)
}

// name returns the name of class k.
func (c *classifier) name(k int) string {
	if k < len(c.Labels) {
		return c.Labels[k]
	}
	return fmt.Sprint(k)
}
