package main

import (
	"cmp"
	"fmt"

	"github.com/bdia-go/bdia"
	"github.com/bdia-go/bdia/backend"
	"github.com/bdia-go/bdia/convert"
	"github.com/bdia-go/bdia/data/images"
	"github.com/bdia-go/bdia/eval"
	"github.com/bdia-go/bdia/hub"
	"github.com/bdia-go/bdia/model"
	trainimages "github.com/bdia-go/bdia/train/images"
)

// classifier is a vision transformer ready for inference.
type classifier struct {
	convert.ViTInfo
	be      backend.Device
	model   *model.ViT
	grid    bdia.Grid
	reading images.Reading
	buffers eval.Buffers // for the largest batch
}

// loadClassifier loads the model of a run directory, or of any timm or Hugging
// Face ViT folder, for batches of the given size and inference with gammas up to
// the given one, for which a state more is kept.
func loadClassifier(dir string, batch int, gamma float64, engine device) (*classifier, error) {
	f, err := openFolder(dir, hub.Options{Kind: convert.ViT})
	if err != nil {
		return nil, err
	}
	info := f.ViTInfo
	if err := (images.Norm{Mean: info.Mean, Std: info.Std}).Validate(); err != nil {
		return nil, fmt.Errorf("%s: %w", dir, err)
	}
	reading, err := trainimages.ReadingOf(cmp.Or(hub.RunOf(dir), dir))
	if err != nil {
		return nil, err
	}
	batch = min(batch, trainimages.MostImages(info.Config))
	c := &classifier{ViTInfo: info, grid: f.Grid, reading: reading, buffers: eval.NewBuffers(info.Config, batch)}
	m, err := f.ViT(engine.of(f), func(m *model.ViT) error { return m.Logits(c.buffers.Logits, c.buffers.Images, c.grid, gamma) })
	if err != nil {
		return nil, err
	}
	c.be, c.model = m.Device, m.ViT
	return c, nil
}

// logits returns the logits of the images of b, valid until the next call.
func (c *classifier) logits(b model.ImageBatch, grid bdia.Grid, gamma float64) ([]float32, error) {
	out := c.buffers.Logits[:b.Size*c.Config.Classes]
	return out, c.model.Logits(out, b, grid, gamma)
}

// name returns the name of class k.
func (c *classifier) name(k int) string {
	if k < len(c.Labels) {
		return c.Labels[k]
	}
	return fmt.Sprint(k)
}
