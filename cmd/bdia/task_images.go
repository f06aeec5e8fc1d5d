package main

import (
	"context"
	"errors"
	"fmt"
	"io"

	"github.com/bdia-go/bdia"
	"github.com/bdia-go/bdia/cmd/bdia/internal/cli"
	"github.com/bdia-go/bdia/convert"
	imagedata "github.com/bdia-go/bdia/data/images"
	"github.com/bdia-go/bdia/hub"
	"github.com/bdia-go/bdia/model"
	"github.com/bdia-go/bdia/train"
	"github.com/bdia-go/bdia/train/images"
)

// imageView is a classifier that learns images.
type imageView struct{ *images.Task }

func (v imageView) words() words {
	return words{command: "bdia train images", prefix: "vit", unit: "images", measure: "accuracy", batch: "Largest batch", size: "--batch", length: "--epochs",
		try: []string{"bdia eval RUN PART", "bdia classify RUN IMAGE"}}
}

func (v imageView) flags() []group {
	return append(imageGroups(&v.Settings), imageSizes(&v.Settings)...)
}

func (v imageView) sizes() []group { return imageSizes(&v.Settings) }

func (v imageView) expand(o overrides) error {
	c := &v.Settings
	if dir, ok := o["from"]; ok {
		if o.has("preset") {
			return cli.Usage(errors.New("--preset and --from both say what the model is; give one of them"))
		}
		from, err := openFolder(dir, hub.Options{Kind: convert.ViT})
		if err != nil {
			return err
		}
		c.ViT, c.Pixels = from.ViTInfo.Config, imagedata.Norm{Mean: from.ViTInfo.Mean, Std: from.ViTInfo.Std}
	}
	m := &c.ViT
	if err := expandPreset(o, v.Name(), m, model.ViTPreset); err != nil {
		return err
	}
	if o.has("two-stream") && c.Method == bdia.DefaultOptions() {
		c.Method.Gamma, c.Method.Grid = 0, bdia.NoGrid
	}
	if o.has("steps") {
		c.Images.Epochs = 0
	}
	return o.dropout(&m.EmbeddingDropout, &m.AttentionDropout, &m.ResidualDropout)
}

func (v imageView) needData() error {
	if v.Settings.Images.Path != "" {
		return nil
	}
	return cli.Usage(errors.New("no images to train on; name a file or folder with --data"))
}

func (v imageView) paths() []*string {
	d := &v.Settings.Images
	return []*string{&d.Path, &d.Test, &d.From}
}

// move opens the images of a run where its new settings have them, before these are saved.
func (v imageView) move(ctx context.Context, to train.Task) error {
	is, at := v.Settings.Images, viewOf(to).(imageView).Settings.Images
	if is.Path == at.Path && is.Test == at.Test {
		return nil
	}
	return v.OpenAt(ctx, at.Path, at.Test, false, nil)
}

func (v imageView) model() string {
	m, name := v.Settings.ViT, "ViT"
	if m.TwoStream {
		name = "RevViT"
	}
	return fmt.Sprintf("%s of %d blocks, width %d, %d heads, images of %d pixels in patches of %d, %d classes",
		name, m.Layers, m.Width, m.Heads, m.Image, m.Patch, m.Classes)
}

func (v imageView) batch() string { return cli.Count(int64(v.Settings.Loop.Batch)) + " images" }

func (v imageView) printScores(w io.Writer, sum train.Summary) {
	fmt.Fprintf(w, "  validation loss  %.4f\n", sum.LastVal.Loss)
	fmt.Fprintf(w, "  accuracy         %.2f%%, best %.2f%% at step %d\n", 100*sum.LastVal.Accuracy, 100*sum.BestVal.Accuracy, sum.BestStep)
}

func (v imageView) printNotes(w io.Writer) {
	n, first := v.Skipped()
	if n == 0 {
		return
	}
	fmt.Fprintf(w, "  images left out  %d that cannot be decoded, such as:\n", n)
	for _, line := range first {
		fmt.Fprintf(w, "    %s\n", line)
	}
}

func (v imageView) addJSON(j map[string]any, sum train.Summary) {
	j["val_accuracy"], j["val_top5"] = share(sum.LastVal, sum.LastVal.Accuracy), share(sum.LastVal, sum.LastVal.Top5)
	j["best_val_accuracy"], j["train_eval_accuracy"] = share(sum.BestVal, sum.BestVal.Accuracy), share(sum.LastTrain, sum.LastTrain.Accuracy)
	j["images_left_out"], _ = v.Skipped()
}

// share is v of the score s for JSON: null if nothing was evaluated.
func share(s train.Score, v float64) any {
	if cli.Number(s.Loss) == nil {
		return nil
	}
	return v
}
