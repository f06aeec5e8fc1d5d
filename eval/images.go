package eval

import (
	"context"
	"fmt"
	"math"

	"github.com/bdia-go/bdia"
	"github.com/bdia-go/bdia/data/images"
	"github.com/bdia-go/bdia/internal/rng"
	"github.com/bdia-go/bdia/metric"
	"github.com/bdia-go/bdia/model"
)

// Inference is one way to run a classifier: on a grid, with a fixed gamma. Gamma 0 is
// the ordinary transformer; others are figure 1 of the paper.
type Inference struct {
	Grid  bdia.Grid
	Gamma float64
}

// Buffers holds the memory of a classifier's batches, on the host.
type Buffers struct {
	Images model.ImageBatch
	Logits []float32 // (batch, classes)
}

// NewBuffers returns buffers for n images at a time.
func NewBuffers(c model.ViTConfig, n int) Buffers {
	return Buffers{Images: model.NewImageBatch(c, n), Logits: make([]float32, n*c.Classes)}
}

// Images counts the answers of m on up to most images of set (0: all), once for each
// way of inference. If ctx is done, it stops with the context's error.
func Images(ctx context.Context, m *model.ViT, set *images.Set, most int, buf Buffers, ways ...Inference) ([]*metric.Classification, error) {
	counts := make([]*metric.Classification, len(ways))
	for i := range counts {
		counts[i] = metric.NewClassification(m.Config.Classes)
	}
	err := eachImageBatch(ctx, set, most, buf.Images, func(b model.ImageBatch, labels []int32) error {
		for i, way := range ways {
			if err := ctx.Err(); err != nil {
				return err
			}
			c := counts[i]
			logits := buf.Logits[:b.Size*c.Classes]
			if err := m.Logits(logits, b, way.Grid, way.Gamma); err != nil {
				return err
			}
			for j, label := range labels {
				c.Add(logits[j*c.Classes:][:c.Classes], int(label))
			}
		}
		return nil
	})
	return counts, err
}

// CheckLoss fails with model.ErrDiverged when the loss of c is not finite.
func CheckLoss(c *metric.Classification) error {
	if loss := c.Loss(); math.IsNaN(loss) || math.IsInf(loss, 0) {
		return fmt.Errorf("eval: evaluation: %w (%v); lower the learning rate, lengthen the warm-up or clip gradients", model.ErrDiverged, loss)
	}
	return nil
}

// eachImageBatch calls do with batches of up to most images spread over set (0: all),
// until ctx is done. Batches overwrite buf and have its size.
func eachImageBatch(ctx context.Context, set *images.Set, most int, buf model.ImageBatch, do func(b model.ImageBatch, labels []int32) error) error {
	all := set.Len()
	n := all
	if most > 0 {
		n = min(n, most)
	}
	labels, image := make([]int32, buf.Size), len(buf.Pixels)/buf.Size
	for first := 0; first < n; first += buf.Size {
		if err := ctx.Err(); err != nil {
			return err
		}
		b := model.ImageBatch{Size: min(buf.Size, n-first)}
		b.Pixels = buf.Pixels[:b.Size*image]
		run := b.Size // images that follow each other
		if n < all {
			run = 1
		}
		for i := 0; i < b.Size; i += run {
			if err := set.Fill(pick(first+i, n, all), run, b.Pixels[i*image:][:run*image], labels[i:i+run]); err != nil {
				return err
			}
		}
		if err := do(b, labels[:b.Size]); err != nil {
			return err
		}
	}
	return nil
}

// pick chooses the i-th of n samples among all: a random one of the i-th of n equal
// stretches. Even distances could hit one class only, for example in CIFAR's order.
func pick(i, n, all int) int {
	low, high := int64(i)*int64(all)/int64(n), int64(i+1)*int64(all)/int64(n)
	key := rng.Key{Sample: uint32(i), Site: rng.SiteData}
	return int(low + int64(key.Uint64(0)%uint64(high-low)))
}
