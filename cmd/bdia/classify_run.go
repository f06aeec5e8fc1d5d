package main

import (
	"context"
	"os"
	"slices"

	"github.com/bdia-go/bdia/data/images"
	"github.com/bdia-go/bdia/data/tally"
	"github.com/bdia-go/bdia/metric"
	"github.com/bdia-go/bdia/model"
)

// findImages lists the images that args name. folders reports whether one of them is a folder. leftOut hears of the
// files that are passed over.
func findImages(args []string, leftOut func(tally.LeftOut)) (paths []string, folders bool, err error) {
	for _, arg := range args {
		info, err := os.Stat(arg)
		if err != nil {
			return nil, false, err
		}
		found, others, err := images.Find(arg)
		if err != nil {
			return nil, false, err
		}
		for _, o := range others {
			leftOut(o)
		}
		folders = folders || info.IsDir()
		paths = append(paths, found...)
	}
	return paths, folders, nil
}

// classify shows the answers for the images at paths, in order, and complains of
// those that cannot be read.
func (c *classifier) classify(ctx context.Context, paths []string, o classifyOptions, show func(answer) error, complain func(error)) (unreadable int, err error) {
	norm := images.Norm{Mean: c.Mean, Std: c.Std}
	pixels, classes := c.Config.Pixels(), c.Config.Classes
	var names []string // of the images in the batch
	flush := func() error {
		if len(names) == 0 {
			return nil
		}
		logits, err := c.logits(model.ImageBatch{Size: len(names), Pixels: c.buffers.Images.Pixels[:len(names)*pixels]}, c.grid, o.gamma)
		if err != nil {
			return err
		}
		for i, name := range names {
			if err := show(c.answer(name, logits[i*classes:][:classes], o.top)); err != nil {
				return err
			}
		}
		names = names[:0]
		return nil
	}
	for _, path := range paths {
		if err := ctx.Err(); err != nil {
			return unreadable, err
		}
		planes, err := images.ReadFile(path, c.Config.Image, c.Crop, c.reading)
		if err != nil {
			unreadable++
			complain(err)
			continue
		}
		norm.Apply(planes, c.buffers.Images.Pixels[len(names)*pixels:][:pixels])
		if names = append(names, path); len(names) == c.buffers.Images.Size {
			if err := flush(); err != nil {
				return unreadable, err
			}
		}
	}
	return unreadable, flush()
}

// answer names the likeliest classes. It spoils logits.
func (c *classifier) answer(path string, logits []float32, top int) answer {
	metric.Softmax(logits, logits)
	order := make([]int, len(logits))
	for k := range order {
		order[k] = k
	}
	slices.SortStableFunc(order, func(a, b int) int {
		switch {
		case logits[a] > logits[b]:
			return -1
		case logits[a] < logits[b]:
			return 1
		}
		return 0
	})
	a := answer{path: path}
	for _, k := range order[:top] {
		a.classes, a.shares = append(a.classes, c.name(k)), append(a.shares, logits[k])
	}
	return a
}
