package main

import (
	"errors"
	"fmt"
	"strconv"
	"strings"

	"github.com/spf13/pflag"

	imagedata "github.com/bdia-go/bdia/data/images"
	"github.com/bdia-go/bdia/model"
	"github.com/bdia-go/bdia/train/images"
)

// imageGroups are the flags of a classifier that learns images.
func imageGroups(c *images.Config) []group {
	d, m := &c.Images, &c.ViT
	return append([]group{
		{"Images", false, func(f *pflag.FlagSet) {
			f.StringVar(&d.Path, "data", d.Path, "`file` or folder of images")
			f.StringVar(&d.Test, "test", d.Test, "validation `set`; without it, --data has one, or a part")
			f.StringVar(&d.From, "from", d.From, "`folder` of the model that the run starts from")
			f.IntVar(&c.Augment.Crop, "crop", c.Augment.Crop, "random crop after padding by so many `pixels`")
			f.BoolVar(&c.Augment.Flip, "flip", c.Augment.Flip, "mirror half of the images")
		}},
		{modelHeading, false, func(f *pflag.FlagSet) { vitFlags(f, m); dropoutFlag(f) }},
	}, append(commonGroups(&c.Common, func(f *pflag.FlagSet) {
		batchFlag(f, &c.Loop)
		epochsFlag(f, &d.Epochs, "images")
	}),
		group{"more of the images", true, func(f *pflag.FlagSet) { moreImageFlags(f, c) }},
		group{"more augmentation", true, func(f *pflag.FlagSet) { augmentFlags(f, &c.Augment) }},
		group{moreModel, true, func(f *pflag.FlagSet) { moreViTFlags(f, m) }})...)
}

func moreImageFlags(f *pflag.FlagSet, c *images.Config) {
	d := &c.Images
	f.Float64Var(&d.ValFraction, "val-fraction", d.ValFraction, "`share` of each class held out, if there is no validation set")
	f.IntVar(&d.Subset, "subset", d.Subset, "learn only so many images, as many of each class; 0 for all")
	f.Uint64Var(&d.SplitSeed, "split-seed", d.SplitSeed, "seed of the subset and of the images held out")
	f.StringVar((*string)(&d.OnCorrupt), "on-corrupt", string(d.OnCorrupt), "`policy` for images that cannot be decoded: fatal or skip")
	f.Float64Var(&d.LabelSmoothing, "label-smoothing", d.LabelSmoothing, "`share` of a target spread over all classes")
	f.Var((*channelsValue)(&c.Pixels.Mean), "mean", "`R,G,B` that normalise pixels of 0 to 1; without, measured on the training images")
	f.Var((*channelsValue)(&c.Pixels.Std), "std", "standard deviations `R,G,B`, with --mean")
}

func augmentFlags(f *pflag.FlagSet, a *imagedata.Augment) {
	f.IntVar(&a.RandOps, "rand-ops", a.RandOps, "RandAugment: operations on each image")
	f.IntVar(&a.RandMagnitude, "rand-magnitude", a.RandMagnitude, "RandAugment: strength, 0 to 30")
	f.Float64Var(&a.Erase, "erase", a.Erase, "`probability` that a random rectangle is erased")
	f.Float64Var(&a.Mixup, "mixup", a.Mixup, "`alpha` of mixup; 0 for none")
	f.Float64Var(&a.CutMix, "cutmix", a.CutMix, "`alpha` of CutMix; 0 for none")
}

// vitFlags are the sizes of a vision transformer.
func vitFlags(f *pflag.FlagSet, m *model.ViTConfig) {
	presetFlag(f, model.ViTPresets())
	shapeFlags(f, &m.Heads, &m.Width, &m.Layers)
	f.IntVar(&m.Image, "image", m.Image, "`pixels` of an image's side")
	f.IntVar(&m.Patch, "patch", m.Patch, "`pixels` of a patch's side")
}

func moreViTFlags(f *pflag.FlagSet, m *model.ViTConfig) {
	blockFlags(f, &m.MLP, &m.GELU, &m.EmbeddingDropout, &m.AttentionDropout, &m.ResidualDropout)
	f.BoolVar(&m.MeanPool, "mean-pool", m.MeanPool, "classify the mean of the patches, not a class token")
	f.Float64Var(&m.StochasticDepth, "stochastic-depth", m.StochasticDepth, "`probability` of dropping a branch of the last block")
	f.BoolVar(&m.TwoStream, "two-stream", m.TwoStream, "RevViT, which has neither gamma nor grid")
}

// imageSizes are the flags of a vision transformer without images.
func imageSizes(c *images.Config) []group {
	return sizeGroups(&c.Common, func(f *pflag.FlagSet) {
		vitFlags(f, &c.ViT)
		f.IntVar(&c.ViT.Classes, "classes", c.ViT.Classes, "images: classes")
	}, func(f *pflag.FlagSet) { batchFlag(f, &c.Loop) }, func(f *pflag.FlagSet) { moreViTFlags(f, &c.ViT) })
}

// channelsValue is a flag of three numbers, for red, green and blue.
type channelsValue [3]float64

func (v *channelsValue) Type() string { return "numbers" }

func (v *channelsValue) String() string {
	if *v == (channelsValue{}) {
		return ""
	}
	return fmt.Sprintf("%v,%v,%v", v[0], v[1], v[2])
}

func (v *channelsValue) Set(text string) error {
	parts := strings.Split(text, ",")
	if len(parts) != len(v) {
		return errors.New("give three numbers with commas between them")
	}
	for i, part := range parts {
		x, err := strconv.ParseFloat(part, 64)
		if err != nil {
			return fmt.Errorf("%q is not a number", part)
		}
		v[i] = x
	}
	return nil
}
