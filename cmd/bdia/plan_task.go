package main

import (
	"errors"
	"fmt"

	"github.com/spf13/cobra"

	"github.com/bdia-go/bdia/cmd/bdia/internal/cli"
	"github.com/bdia-go/bdia/convert"
	"github.com/bdia-go/bdia/internal/disk"
	"github.com/bdia-go/bdia/model"
	"github.com/bdia-go/bdia/train"
	"github.com/bdia-go/bdia/train/images"
	"github.com/bdia-go/bdia/train/pairs"
	"github.com/bdia-go/bdia/train/text"
)

// someModel stands for the trained model that adapters and frozen blocks are of, if a plan names none.
const someModel = "a trained model"

// planned is the task that o describes, on top of the run that args name, if they do, and what it takes beside the
// arena. Data are read into a folder of
// their own that is gone afterwards.
func planned(cmd *cobra.Command, o overrides, args []string) (train.Synthetic, train.Host, error) {
	t, err := o.planTask(args)
	if err != nil {
		return nil, train.Host{}, err
	}
	if t, err = o.settle(t); err != nil {
		return nil, train.Host{}, err
	}
	if !o.has("data") {
		train.Assume(t)
		return t.(train.Synthetic), train.HostOf(t), nil
	}
	dir, err := disk.MkdirTemp("", "bdia-plan-")
	if err != nil {
		return nil, train.Host{}, err
	}
	defer disk.RemoveAll(dir)
	p := cli.NewProgress(cmd)
	defer p.Clear()
	r, err := train.Create(train.PlanOnly(cmd.Context()), dir, t, p.Preparing)
	if err != nil {
		return nil, train.Host{}, err
	}
	defer r.Close()
	return r.Task.(train.Synthetic).Clone(), train.HostOf(r.Task), nil
}

// planTask is the task that o and args are of, with its defaults or the settings of a run.
func (o overrides) planTask(args []string) (train.Task, error) {
	tuning := o.has("lora-rank") || o.has("freeze") || o.has("window") || o.has("lora-targets")
	if len(args) == 1 {
		if o.has("from") || o.has("data") {
			return nil, cli.Usage(errors.New("a run says what is trained; leave out --from and --data"))
		}
		return readRun(args[0])
	}
	if dir := o["from"]; dir != "" {
		kind, err := convert.KindOf(dir)
		switch {
		case err == nil && kind == convert.ViT:
			return newTask(images.Name), nil
		case err == nil && kind == convert.Seq2Seq:
			return newTask(pairs.Name), nil
		case o.has("data"):
			return o.tuned()
		}
		return text.New(text.DefaultTuned()), nil // which says what is wrong with dir
	}
	name, err := o.task()
	switch {
	case err != nil:
		return nil, err
	case tuning && name == text.Name && o.has("data"):
		return nil, cli.Usage(fmt.Errorf("adapters, frozen blocks and windows are of a trained model; name it with --from"))
	case tuning && name == text.Name:
		c := text.DefaultTuned()
		c.Tune.From, c.Tune.AutoGrid = someModel, false
		if o["weights"] == string(model.WeightsBF16) {
			c.Tune.BaseWeights = model.WeightsBF16
		}
		return text.New(c), nil
	}
	return newTask(name), nil
}
