package train

import (
	"context"
	"fmt"
	"io"
	"math"
	"strings"

	"github.com/bdia-go/bdia"
	"github.com/bdia-go/bdia/backend"
	"github.com/bdia-go/bdia/convert"
	"github.com/bdia-go/bdia/data/images"
	"github.com/bdia-go/bdia/hub"
	"github.com/bdia-go/bdia/internal/rng"
	"github.com/bdia-go/bdia/metric"
	"github.com/bdia-go/bdia/model"
)

// vision is a ViT that learns images.
type vision struct {
	*model.ViT
	be         backend.Backend
	cfg        Config
	batches    pixelSource
	classes    []string         // names
	val, train *images.Set      // to be evaluated; nil where there are none
	room       model.ImageBatch // for a micro-batch
	logits     []float32
	remarks    []string
}

func newVision(be backend.Backend, cfg Config, batches pixelSource) (*vision, error) {
	m, err := model.NewViT(be, cfg.ViT, cfg.Method)
	if err != nil {
		return nil, err
	}
	n := cfg.Loop.SamplesAtOnce()
	return &vision{ViT: m, be: be, cfg: cfg, batches: batches, room: model.NewImageBatch(cfg.ViT, n),
		logits: make([]float32, n*cfg.ViT.Classes)}, nil
}

func (v *vision) Initialise(seed uint64) error {
	v.Init(seed)
	if v.cfg.Images.From == "" {
		return nil
	}
	return hub.ReadWeights(v.cfg.Images.From, func(f convert.Tensors) error {
		changes, err := convert.AdaptViT(v.be, v.ViT, f)
		v.remarks = append(v.remarks, strings.Join(append([]string{"Starting from " + v.cfg.Images.From}, changes...), ", with "))
		return err
	})
}

func (v *vision) Notes() []string { return v.remarks }

// Size returns the size of every batch; an image has one loss.
func (v *vision) Size(int) (samples, losses int, err error) {
	return v.cfg.Loop.Batch, v.cfg.Loop.Batch, nil
}

// Largest is any step.
func (v *vision) Largest() ([]int, error) { return []int{1}, nil }

func (v *vision) Step(pass backend.Pass, n int, scale float32, sink bdia.Sink) ([]float32, error) {
	b := v.first(n)
	if err := v.batches.Batch(pass.Step, pass.Sample, n, b.Pixels, b.Targets); err != nil {
		return nil, err
	}
	return v.ViT.Step(b, pass, scale, sink)
}

// first is room for n images.
func (v *vision) first(n int) model.ImageBatch {
	return model.ImageBatch{Size: n, Pixels: v.room.Pixels[:n*v.cfg.ViT.Pixels()], Targets: v.room.Targets[:n*v.cfg.ViT.Classes]}
}

// Evaluate measures the ordinary transformer (gamma 0) on the run's grid.
func (v *vision) Evaluate(ctx context.Context, training bool) (Score, bool, error) {
	set := v.val
	if training {
		set = v.train
	}
	if set == nil {
		return unmeasured, false, nil
	}
	c := metric.NewClassification(v.cfg.ViT.Classes)
	err := v.classify(ctx, set, v.cfg.Loop.EvalSamples, c)
	return Score{Loss: c.Loss(), Accuracy: c.Accuracy(), Top5: c.Top5Accuracy()}, true, err
}

// Unit is images.
func (v *vision) Unit() string { return "images" }

// Record records the loss and both accuracies.
func (v *vision) Record(prefix string, s Score) []metric.Field {
	return []metric.Field{{Name: prefix + "loss", Value: s.Loss}, {Name: prefix + "accuracy", Value: s.Accuracy}, {Name: prefix + "top5", Value: s.Top5}}
}

// classify counts the model's answers for most images of set (see EachBatch).
func (v *vision) classify(ctx context.Context, set *images.Set, most int, c *metric.Classification) error {
	return EachBatch(ctx, set, most, v.room, func(b model.ImageBatch, labels []int32) error {
		logits := v.logits[:b.Size*c.Classes]
		if err := v.Logits(logits, b, v.cfg.Method.Grid, 0); err != nil {
			return err
		}
		for i, label := range labels {
			c.Add(logits[i*c.Classes:][:c.Classes], int(label))
		}
		if loss := c.Loss(); math.IsNaN(loss) || math.IsInf(loss, 0) {
			return fmt.Errorf("train: evaluation: %w (%v); lower the learning rate, lengthen the warm-up or clip gradients", model.ErrDiverged, loss)
		}
		return nil
	})
}

// EachBatch calls do for most images of set, spread over it, or for all of them
// where most is 0, until ctx is done. Batches have the size of room, and its memory.
func EachBatch(ctx context.Context, set *images.Set, most int, room model.ImageBatch, do func(b model.ImageBatch, labels []int32) error) error {
	all := set.Len()
	n := all
	if most > 0 {
		n = min(n, most)
	}
	labels, image := make([]int32, room.Size), len(room.Pixels)/room.Size
	for first := 0; first < n; first += room.Size {
		if err := ctx.Err(); err != nil {
			return err
		}
		b := model.ImageBatch{Size: min(room.Size, n-first)}
		b.Pixels = room.Pixels[:b.Size*image]
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

// pick chooses the i-th of n samples of all: any one of the i-th of n stretches,
// for at even distances all could be of one class.
func pick(i, n, all int) int {
	low, high := int64(i)*int64(all)/int64(n), int64(i+1)*int64(all)/int64(n)
	key := rng.Key{Sample: uint32(i), Site: rng.SiteData}
	return int(low + int64(key.Uint64(0)%uint64(high-low)))
}

func (v *vision) Rehearse() error { return v.Logits(v.logits, v.room, v.cfg.Method.Grid, 0) }

func (v *vision) Files() []File {
	return []File{{modelConfig, nil, v.writeConfig}, {weightsFile, v.Params(), v.WriteWeights}}
}

func (v *vision) ReadModel(dir string) error { return hub.ReadWeights(dir, v.ReadWeights) }

func (v *vision) writeConfig(w io.Writer) error {
	return convert.WriteViTConfig(w, convert.ViTInfo{Config: v.cfg.ViT, Labels: v.classes, Mean: v.cfg.Pixels.Mean, Std: v.cfg.Pixels.Std})
}

func (v *vision) WriteWeights(w io.Writer) error      { return convert.WriteViT(w, v.be, v.ViT) }
func (v *vision) ReadWeights(f convert.Tensors) error { return convert.ReadViT(v.be, v.ViT, f) }

// pixelSource fills the samples first..first+n-1 of a step's batch.
type pixelSource interface {
	Batch(step, first, n int, pixels, targets []float32) error
}

// imageSource is images without a data set.
type imageSource struct{ pixelSource }

// Learner returns a ViT that learns the images.
func (s imageSource) Learner(be backend.Backend, cfg Config) (Learner, error) {
	return newVision(be, cfg, s.pixelSource)
}

// RandomImages fills b with uniformly random pixels, of mean 0 and deviation 1,
// and classes: those of a step of Random(cfg).
func RandomImages(cfg Config, step int, b model.ImageBatch) {
	_ = randomPixels{cfg.Loop.Seed, cfg.ViT.Classes}.Batch(step, 0, b.Size, b.Pixels, b.Targets)
}

// randomPixels gives uniform pixels and classes. It does not fail.
type randomPixels struct {
	seed    uint64
	classes int
}

func (r randomPixels) Batch(step, first, n int, pixels, targets []float32) error {
	clear(targets)
	for i := range n {
		key := rng.Key{Seed: r.seed, Step: uint32(step), Sample: uint32(first + i), Site: rng.SiteData}
		image := pixels[i*len(pixels)/n:][:len(pixels)/n]
		for at := 0; at < len(image); at += 4 {
			w := key.At(uint32(at / 4))
			for k := range image[at:min(at+4, len(image))] {
				image[at+k] = (float32(w[k])*0x1p-32 - 0.5) * 3.4641016
			}
		}
		targets[i*r.classes+int(key.At(1 << 31)[0]%uint32(r.classes))] = 1
	}
	return nil
}

// noPixels leaves images as they are.
type noPixels struct{}

func (noPixels) Batch(_, _, _ int, _, _ []float32) error { return nil }
