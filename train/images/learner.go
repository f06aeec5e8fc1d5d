package images

import (
	"context"
	"io"
	"strings"

	"github.com/bdia-go/bdia"
	"github.com/bdia-go/bdia/backend"
	"github.com/bdia-go/bdia/convert"
	"github.com/bdia-go/bdia/data/images"
	"github.com/bdia-go/bdia/eval"
	"github.com/bdia-go/bdia/hub"
	"github.com/bdia-go/bdia/internal/rng"
	"github.com/bdia-go/bdia/metric"
	"github.com/bdia-go/bdia/model"
	"github.com/bdia-go/bdia/train"
)

// vision is a ViT that learns images.
type vision struct {
	*model.ViT
	be            backend.Backend
	config        Config
	batches       pixelSource
	classes       []string     // names
	val, training *images.Set  // to be evaluated; nil: there are none
	buffers       eval.Buffers // of a micro-batch
	remarks       []string
}

func newVision(be backend.Backend, cfg Config, batches pixelSource) (*vision, error) {
	m, err := model.NewViT(be, cfg.ViT, cfg.Method)
	if err != nil {
		return nil, err
	}
	n := cfg.Loop.SamplesAtOnce()
	return &vision{ViT: m, be: be, config: cfg, batches: batches, buffers: eval.NewBuffers(cfg.ViT, n)}, nil
}

func (v *vision) Initialise(seed uint64) error {
	v.Init(seed)
	if v.config.Images.From == "" {
		return nil
	}
	return hub.ReadWeights(v.config.Images.From, func(f convert.Tensors) error {
		changes, err := convert.AdaptViT(v.be, v.ViT, f)
		v.remarks = append(v.remarks, strings.Join(append([]string{"Starting from " + v.config.Images.From}, changes...), ", with "))
		return err
	})
}

func (v *vision) Notes() []string { return v.remarks }

// Size returns the size of every batch; an image has one loss.
func (v *vision) Size(int) (samples, losses int, err error) {
	return v.config.Loop.Batch, v.config.Loop.Batch, nil
}

func (v *vision) MicroStep(pass backend.Pass, n int, scale float32, sink bdia.Sink) ([]float32, error) {
	b := v.first(n)
	if err := v.batches.Batch(pass.Step, pass.Sample, n, b.Pixels, b.Targets); err != nil {
		return nil, err
	}
	return v.ViT.MicroStep(b, pass, scale, sink)
}

// first returns the first n images of the buffers.
func (v *vision) first(n int) model.ImageBatch {
	return model.ImageBatch{Size: n, Pixels: v.buffers.Images.Pixels[:n*v.config.ViT.Pixels()], Targets: v.buffers.Images.Targets[:n*v.config.ViT.Classes]}
}

// Evaluate measures the ordinary transformer (gamma 0) on the run's grid.
func (v *vision) Evaluate(ctx context.Context, training bool) (train.Score, bool, error) {
	set := v.val
	if training {
		set = v.training
	}
	if set == nil {
		return train.Unmeasured, false, nil
	}
	counts, err := eval.Images(ctx, v.ViT, set, v.config.Loop.EvalSamples, v.buffers, eval.Inference{Grid: v.config.Method.Grid})
	c := counts[0]
	if err == nil {
		err = eval.CheckLoss(c)
	}
	return train.Score{Loss: c.Loss(), Accuracy: c.Accuracy(), Top5: c.Top5Accuracy()}, true, err
}

// Piece measures one batch of an evaluation.
func (v *vision) Piece(training bool) (batches float64, err error) {
	set := v.val
	if training {
		set = v.training
	}
	if set == nil {
		return 0, nil
	}
	n, atOnce := set.Len(), v.buffers.Images.Size
	if most := v.config.Loop.EvalSamples; most > 0 {
		n = min(n, most)
	}
	_, err = eval.Images(context.Background(), v.ViT, set, atOnce, v.buffers, eval.Inference{Grid: v.config.Method.Grid})
	return float64(n) / float64(min(atOnce, set.Len())), err
}

// Unit is images.
func (v *vision) Unit() string { return "images" }

// Record records the loss and both accuracies.
func (v *vision) Record(prefix string, s train.Score) []metric.Field {
	return []metric.Field{{Name: prefix + "loss", Value: s.Loss}, {Name: prefix + "accuracy", Value: s.Accuracy}, {Name: prefix + "top5", Value: s.Top5}}
}

func (v *vision) Rehearse() error {
	return v.Logits(v.buffers.Logits, v.buffers.Images, v.config.Method.Grid, 0)
}

func (v *vision) Files() []train.File {
	return []train.File{{Name: train.ConfigFile, Write: v.writeConfig}, {Name: train.WeightsFile, Params: v.Params(), Write: v.WriteWeights}}
}

func (v *vision) ReadModel(dir string) error { return hub.ReadWeights(dir, v.ReadWeights) }

func (v *vision) writeConfig(w io.Writer) error {
	return convert.WriteViTConfig(w, convert.ViTInfo{Config: v.config.ViT, Labels: v.classes, Mean: v.config.Pixels.Mean, Std: v.config.Pixels.Std})
}

func (v *vision) WriteWeights(w io.Writer) error      { return convert.WriteViT(w, v.be, v.ViT) }
func (v *vision) ReadWeights(f convert.Tensors) error { return convert.ReadViT(v.be, v.ViT, f) }

// pixelSource fills the samples first..first+n-1 of a step's batch.
type pixelSource interface {
	Batch(step, first, n int, pixels, targets []float32) error
}

// randomPixels gives uniform pixels and classes. It does not fail.
type randomPixels struct {
	seed    uint64
	classes int
}

func (r randomPixels) Batch(step, first, n int, pixels, targets []float32) error {
	clear(targets)
	image := len(pixels) / n
	for i := range n {
		images.Random(pixels[i*image:][:image], r.seed, step, first+i)
		key := rng.Key{Seed: r.seed, Step: uint32(step), Sample: uint32(first + i), Site: rng.SiteData}
		targets[i*r.classes+int(key.At(1 << 31)[0]%uint32(r.classes))] = 1
	}
	return nil
}

// noPixels leaves images as they are.
type noPixels struct{}

func (noPixels) Batch(_, _, _ int, _, _ []float32) error { return nil }
