package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"os"

	"github.com/bdia-go/bdia"
	"github.com/bdia-go/bdia/backend"
	"github.com/bdia-go/bdia/cmd/bdia/internal/cli"
	"github.com/bdia-go/bdia/data/images"
	"github.com/bdia-go/bdia/eval"
	"github.com/bdia-go/bdia/train"
)

// imageReport is the result of an evaluation of images.
type imageReport struct {
	Data string `json:"data"` // val, train or a path
	precisionReport
	eval.ImageReport
	LeftOut int `json:"images_left_out"`
}

func (v imageView) evaluates() []string { return []string{"data"} }

// evaluate measures the model of r on its images, or on others.
func (v imageView) evaluate(ctx context.Context, r *train.Run, o evalOptions, _ *cli.Progress) (printer, error) {
	c, err := loadClassifier(o.weights, v.Settings.Loop.SamplesAtOnce(), 0, o.engine)
	if err != nil {
		return nil, err
	}
	defer c.be.Close()
	set, leftOut, done, err := v.imagesOf(ctx, c, o)
	if err != nil {
		return nil, err
	}
	defer done()
	counts, err := eval.Images(ctx, c.model, set, o.samples, c.buffers, eval.Inference{Grid: c.grid}, eval.Inference{Grid: bdia.NoGrid})
	if err != nil {
		return nil, err
	}
	return &imageReport{cmp.Or(o.data, o.split), precisionReport{}, eval.NewImageReport(c.grid, counts[0], counts[1], c.Labels), leftOut}, nil
}

// imagesOf opens the images that o asks for: the run's, or others. done lets go
// of them.
func (v imageView) imagesOf(ctx context.Context, c *classifier, o evalOptions) (set *images.Set, leftOut int, done func(), err error) {
	if o.data != "" && o.split != "train" {
		if set, done := v.movedTo(ctx, o.data); set != nil {
			leftOut, _ = v.Skipped()
			return set, leftOut, done, nil
		}
	}
	if o.data != "" {
		d, err := images.Open(ctx, o.data, images.Options{Size: c.Config.Image, Norm: images.Norm{Mean: c.Mean, Std: c.Std}, Classes: c.Labels, HeldOut: o.split != "train",
			OnCorrupt: cmp.Or(o.onCorrupt, v.Settings.Images.OnCorrupt), Reading: c.reading, Threads: o.engine.Threads,
			Fits: func(bytes int64) bool { return backend.Fits(o.engine.Options, 0, bytes) == nil }}, nil)
		if err != nil {
			return nil, 0, nil, err
		}
		if d.Val == nil {
			if err := o.given.refuse([]idle{{true, "is for images in parts, such as train/ and val/, and " + o.data + " has none", []string{"split"}}}); err != nil {
				d.Close()
				return nil, 0, nil, err
			}
		}
		if set = d.Val; set == nil || o.split == "train" {
			set = d.Train
		}
		return set, d.Skipped, func() { d.Close() }, nil
	}
	if o.split == "train" {
		err = v.Open(ctx, nil)
	} else {
		err = v.OpenHeldOut(ctx)
	}
	if err != nil {
		return nil, 0, nil, err
	}
	if set = v.Set(o.split == "train"); set == nil {
		return nil, 0, nil, cli.Usage(errors.New("this run holds no images out; use --split train"))
	}
	leftOut, _ = v.Skipped()
	return set, leftOut, func() {}, nil
}

// movedTo opens the held-out images of a run without its folder, if they are at path now; else it returns nil.
func (v imageView) movedTo(ctx context.Context, path string) (*images.Set, func()) {
	c := v.Settings.Images
	if _, err := os.Stat(c.Path); err == nil || c.Test != "" || v.OpenAt(ctx, path, "", true, nil) != nil {
		return nil, nil
	}
	return v.Set(false), func() {}
}

// maxConfusion is the most classes with a confusion matrix that fits a screen.
const maxConfusion = 20

func (e *imageReport) loss() float64 { return e.Loss }

func (e *imageReport) print(w io.Writer) {
	name := map[string]string{"val": "Validation", "train": "Training"}[e.Data]
	if name == "" {
		name = e.Data + ":"
	}
	fmt.Fprintf(w, "%s images, %s of %d classes:\n", name, cli.Count(int64(e.Images)), len(e.Classes))
	fmt.Fprintf(w, "  accuracy       %.2f%%, among five guesses %.2f%%\n", 100*e.Accuracy, 100*e.Top5)
	fmt.Fprintf(w, "  loss           %.4f nats an image (%s)\n", e.Loss, e.on(e.Grid))
	plain, short := e.plain()
	fmt.Fprintf(w, "  %-14s %.2f%%, %.4f nats (grid - %s: %+.2g)\n", plain, 100*e.FloatAccuracy, e.FloatLoss, short, e.GridMinFloat)
	e.printGap(w)
	if e.LeftOut > 0 {
		fmt.Fprintf(w, "  left out       %d images that cannot be decoded\n", e.LeftOut)
	}
	width := len("class")
	for _, c := range e.Classes {
		width = max(width, len(c.Name))
	}
	fmt.Fprintf(w, "\n  %-*s %8s %8s %10s\n", width, "class", "images", "found", "precision")
	for _, c := range e.Classes {
		fmt.Fprintf(w, "  %-*s %8d %8s %10s\n", width, c.Name, c.Images, percent(number(c.Recall)), percent(number(c.Precision)))
	}
	if len(e.Classes) > maxConfusion {
		if e.Confusion != nil {
			fmt.Fprintln(w, "\nThe confusion matrix is in the output of --json.")
		}
		return
	}
	fmt.Fprintf(w, "\nConfusion: images of the row's class taken for the column's, in the same order\n")
	for k, row := range e.Confusion {
		fmt.Fprintf(w, "  %-*s", width, e.Classes[k].Name)
		for _, n := range row {
			fmt.Fprintf(w, " %5d", n)
		}
		fmt.Fprintln(w)
	}
}

// percent formats a share, which may be unknown.
func percent(share any) string {
	if v, ok := share.(float64); ok {
		return fmt.Sprintf("%.1f%%", 100*v)
	}
	return "-"
}

// number is a share that may be unknown, for percent.
func number(share *float64) any {
	if share == nil {
		return nil
	}
	return *share
}
