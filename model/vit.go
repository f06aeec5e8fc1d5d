package model

import (
	"fmt"
	"math"

	"github.com/bdia-go/bdia"
	"github.com/bdia-go/bdia/backend"
	"github.com/bdia-go/bdia/nn"
	"github.com/bdia-go/bdia/tensor"
)

// Stack is what trains the blocks of a ViT: a *bdia.Stack, or a *bdia.TwoStream.
type Stack interface {
	Begin(shape tensor.Shape, pass backend.Pass) tensor.Tensor
	Forward() (tensor.Tensor, error)
	Grad() tensor.Tensor
	Reverse(sink bdia.Sink) error
	SetStop(stop func() error)
	SetCheck(on bool)
	AppendDigests(sums []uint64) []uint64
	MaxAbs() float64
	Drift(report func(k int, rms, largest float64)) error
}

// layer is a block, or branch of one, with initial weights.
type layer interface {
	bdia.Block
	Init(seed uint64, residual float64)
}

// ViT is a vision transformer on one backend, with the stack that trains it.
type ViT struct {
	Config ViTConfig
	Stack  Stack

	be        backend.Backend
	embedding *nn.PatchEmbedding
	drop      nn.Dropout
	blocks    []layer // of a Stack, or branches of a TwoStream
	head      *nn.ClassHead
	outer     []*tensor.Param // everything outside the blocks
	params    []*tensor.Param
	losses    lossBuffer
	infer     func(x tensor.Tensor, grid bdia.Grid, gamma float64)
	host      struct {
		patches []float32 // (B*N,3*P*P)
		ids     []int32   // (B,T)
	}
}

// ImageBatch is Size images and what they show.
type ImageBatch struct {
	Size    int
	Pixels  []float32 // (Size,3,I,I): normalised, by channel, row and column
	Targets []float32 // (Size,V): a probability for each class: one-hot, smoothed or mixed
}

// NewImageBatch returns size images of zeros, of the first class, for a model of c.
func NewImageBatch(c ViTConfig, size int) ImageBatch {
	b := ImageBatch{Size: size, Pixels: make([]float32, size*c.Pixels()), Targets: make([]float32, size*c.Classes)}
	for i := range size {
		b.Targets[i*c.Classes] = 1
	}
	return b
}

// NewViT allocates a model on be. Its weights are unspecified until Init or
// until they are loaded.
func NewViT(be backend.Backend, c ViTConfig, opt bdia.Options) (*ViT, error) {
	if err := c.Validate(); err != nil {
		return nil, err
	}
	if err := c.Fits(be.Limits()); err != nil {
		return nil, err
	}
	m := &ViT{Config: c, be: be, drop: nn.NewDropout(be, float32(c.EmbeddingDropout))}
	m.embedding = nn.NewPatchEmbedding(be, c.Patches(), channels*c.Patch*c.Patch, c.Width, !c.MeanPool)
	m.params = append(m.params, m.embedding.Params()...)
	for k := range c.Layers {
		prefix := fmt.Sprintf("blocks.%d.", k)
		cfg := c.block(k)
		if c.TwoStream {
			m.blocks = append(m.blocks, nn.NewAttention(be, prefix, k, cfg), nn.NewMLP(be, prefix, k, cfg))
		} else {
			m.blocks = append(m.blocks, nn.NewBlock(be, prefix, k, cfg))
		}
	}
	for _, b := range m.blocks {
		m.params = append(m.params, b.Params()...)
	}
	pooled := 1
	if c.MeanPool {
		pooled = c.Positions()
	}
	m.head = nn.NewClassHead(be, c.Width, c.Classes, float32(c.Epsilon()), pooled)
	m.params = append(m.params, m.head.Params()...)
	m.outer = append(m.embedding.Params(), m.head.Params()...)
	return m.WithOptions(opt)
}

// WithOptions returns the same model, parameters included, with other choices
// of memory, gamma and grid.
func (m *ViT) WithOptions(opt bdia.Options) (*ViT, error) {
	blocks := make([]bdia.Block, len(m.blocks))
	for k, b := range m.blocks {
		blocks[k] = b
	}
	other := *m
	if m.Config.TwoStream {
		stack, err := bdia.NewTwoStream(m.be, blocks, opt)
		if err != nil {
			return nil, err
		}
		other.Stack, other.infer = stack, func(x tensor.Tensor, _ bdia.Grid, _ float64) { stack.Infer(x) }
		return &other, nil
	}
	stack, err := bdia.NewStack(m.be, blocks, opt)
	if err != nil {
		return nil, err
	}
	other.Stack, other.infer = stack, stack.Infer
	return &other, nil
}

// Params lists every parameter, in the order of the forward pass.
func (m *ViT) Params() []*tensor.Param { return m.params }

// Trainable is Params: every parameter learns.
func (m *ViT) Trainable() []*tensor.Param { return m.params }

// MaxAbs returns the largest |x| of the residual stream in the latest MicroStep on a grid.
func (m *ViT) MaxAbs() float64 { return m.Stack.MaxAbs() }

// Init draws timm's initial weights from seed.
func (m *ViT) Init(seed uint64) {
	m.embedding.Init(seed, 0)
	for _, b := range m.blocks {
		b.Init(seed, 1)
	}
	m.head.Init(seed, 8)
}

// CountLosses returns how many losses b has: one for each image.
func (m *ViT) CountLosses(b ImageBatch) int { return b.Size }

// SetStop sets a function that is asked between the blocks of MicroStep (see bdia.Stack.SetStop).
func (m *ViT) SetStop(stop func() error) { m.Stack.SetStop(stop) }

// SetCheck makes the passes of MicroStep checked ones, or no longer (see bdia.Stack.SetCheck).
func (m *ViT) SetCheck(on bool) { m.Stack.SetCheck(on) }

// AppendDigests appends the digests of the states of the latest checked MicroStep to sums (see
// bdia.Stack.AppendDigests).
func (m *ViT) AppendDigests(sums []uint64) []uint64 { return m.Stack.AppendDigests(sums) }

// MicroStep runs one micro-batch forward and back and hands the gradients of scale times the sum of its losses to
// sink. For the gradients of the mean loss, scale is 1 over the images of the whole batch, of which b may be a part.
// MicroStep returns the loss of every image in nats (Size), in memory that the model's next pass overwrites (see
// AddLosses). It fails, before any gradient reaches sink, when the model cannot take b (ErrBatch), the loss is not
// finite (ErrDiverged) or a state left the exact range (bdia.ErrRange). Afterwards a checked pass can fail
// (bdia.ErrCorrupt).
func (m *ViT) MicroStep(b ImageBatch, pass backend.Pass, scale float32, sink bdia.Sink) ([]float32, error) {
	if err := m.check(b, true); err != nil {
		return nil, err
	}
	mark := m.be.Mark()
	defer m.be.Release(mark)
	sink.Open(m.outer)
	patches, ids := m.upload(b)
	targets, losses := m.uploadTargets(b)
	xK, err := m.forward(patches, ids, pass)
	if err != nil {
		return nil, err
	}
	m.head.LossBackward(m.Stack.Grad(), losses, xK, targets, scale)
	host, err := m.losses.read(m.be, losses, pass)
	if err != nil {
		return nil, err
	}
	if err := m.Stack.Reverse(sink); err != nil {
		return nil, err
	}
	dx0 := m.Stack.Grad()
	m.drop.Apply(dx0, pass, 0, backend.SiteEmbedding)
	m.embedding.Backward(dx0, patches, ids)
	sink.Close(m.outer)
	return host, nil
}

// forward runs a training pass up to x_K.
func (m *ViT) forward(patches, ids tensor.Tensor, pass backend.Pass) (tensor.Tensor, error) {
	x0 := m.Stack.Begin(tensor.Shape{ids.Shape[0], ids.Shape[1], m.Config.Width}, pass)
	m.embedding.Forward(x0, patches, ids)
	m.drop.Apply(x0, pass, 0, backend.SiteEmbedding)
	return m.Stack.Forward()
}

// Drift runs the forward pass of a training step and measures how far off the
// states are when they are solved for in floating point (see bdia.Stack.Drift and
// bdia.TwoStream.Drift).
func (m *ViT) Drift(b ImageBatch, pass backend.Pass, report func(k int, rms, largest float64)) error {
	if err := m.check(b, false); err != nil {
		return err
	}
	mark := m.be.Mark()
	defer m.be.Release(mark)
	patches, ids := m.upload(b)
	if _, err := m.forward(patches, ids, pass); err != nil {
		return err
	}
	return m.Stack.Drift(report)
}

// Loss returns the losses of b as MicroStep does, without training. States are rounded to grid, or not for
// bdia.NoGrid. It fails when the model cannot take b (ErrBatch) or the loss is not finite (ErrDiverged).
func (m *ViT) Loss(b ImageBatch, grid bdia.Grid) ([]float32, error) {
	if err := m.checkInference(b, true, grid, 0); err != nil {
		return nil, err
	}
	mark := m.be.Mark()
	defer m.be.Release(mark)
	patches, ids := m.upload(b)
	targets, losses := m.uploadTargets(b)
	m.head.Loss(losses, m.run(patches, ids, grid, 0), targets)
	return m.losses.read(m.be, losses, backend.Pass{})
}

// Logits writes the logits (Size,V) of b's images to dst. States are rounded to
// grid, or not for bdia.NoGrid; gamma, of magnitude below 1, is one value for all
// blocks and images (bdia.Stack.Infer), 0 for the ordinary transformer. It fails
// for a batch that is not one for this model (ErrBatch), and a grid or gamma that
// it does not have.
func (m *ViT) Logits(dst []float32, b ImageBatch, grid bdia.Grid, gamma float64) error {
	if err := m.checkInference(b, false, grid, gamma); err != nil {
		return err
	}
	mark := m.be.Mark()
	defer m.be.Release(mark)
	patches, ids := m.upload(b)
	logits := m.be.Alloc(backend.Logits, tensor.F32, tensor.Shape{b.Size, m.Config.Classes})
	m.head.Rows(logits, m.run(patches, ids, grid, gamma))
	m.be.Download(dst, logits)
	return nil
}

// run returns x_K (B,T,C) without training.
func (m *ViT) run(patches, ids tensor.Tensor, grid bdia.Grid, gamma float64) tensor.Tensor {
	x := m.be.Alloc(backend.States, tensor.F32, tensor.Shape{ids.Shape[0], ids.Shape[1], m.Config.Width})
	m.embedding.Forward(x, patches, ids)
	m.infer(x, grid, gamma)
	return x
}

func (m *ViT) checkInference(b ImageBatch, targets bool, grid bdia.Grid, gamma float64) error {
	if !(math.Abs(gamma) < 1) {
		return fmt.Errorf("model: inference with gamma %v; its magnitude must be below 1", gamma)
	}
	if m.Config.TwoStream && (grid != bdia.NoGrid || gamma != 0) {
		return fmt.Errorf("model: a two-stream model: %w", &bdia.OptionsError{Options: bdia.Options{Gamma: bdia.Gamma(gamma), Grid: grid}, TwoStream: true})
	}
	return m.check(b, targets)
}

// check returns an error for a batch that the model cannot take.
func (m *ViT) check(b ImageBatch, targets bool) error {
	c := m.Config
	if b.Size < 1 || len(b.Pixels) != b.Size*c.Pixels() {
		return fmt.Errorf("model: %w: %d values for %d images of 3x%dx%d", ErrBatch, len(b.Pixels), b.Size, c.Image, c.Image)
	}
	if !targets {
		return nil
	}
	if len(b.Targets) != b.Size*c.Classes {
		return fmt.Errorf("model: %w: %d probabilities for %d images and %d classes", ErrBatch, len(b.Targets), b.Size, c.Classes)
	}
	for i := range b.Size {
		var total float64
		for _, p := range b.Targets[i*c.Classes:][:c.Classes] {
			if !(p >= 0) {
				return fmt.Errorf("model: %w: image %d has a class of probability %v", ErrBatch, i, p)
			}
			total += float64(p)
		}
		if !(math.Abs(total-1) < 1e-3) {
			return fmt.Errorf("model: %w: the probabilities of image %d add up to %v", ErrBatch, i, total)
		}
	}
	return nil
}

// upload brings images to the device, cut into patches. The patches of an image are in the order of their rows and
// columns, and the pixels of a patch by channel, row and column.
func (m *ViT) upload(b ImageBatch) (patches, ids tensor.Tensor) {
	c := m.Config
	I, P, side := c.Image, c.Patch, c.Image/c.Patch
	if n := len(b.Pixels); cap(m.host.patches) < n {
		m.host.patches, m.host.ids = make([]float32, n), make([]int32, b.Size*c.Positions())
	}
	host, rows := m.host.patches[:0], m.host.ids[:b.Size*c.Positions()]
	for patch := range b.Size * side * side {
		image, y, x := patch/(side*side), patch/side%side*P, patch%side*P
		for line := range channels * P { // of channel line/P
			at := ((image*channels+line/P)*I+y+line%P)*I + x
			host = append(host, b.Pixels[at:at+P]...)
		}
	}
	m.embedding.Rows(rows, b.Size)
	patches = m.be.Alloc(backend.Data, tensor.F32, tensor.Shape{b.Size * side * side, channels * P * P})
	ids = m.be.Alloc(backend.Data, tensor.I32, tensor.Shape{b.Size, c.Positions()})
	m.be.Upload(patches, host)
	m.be.UploadInts(ids, rows)
	return patches, ids
}

// uploadTargets brings targets to the device, with room for a loss per image.
func (m *ViT) uploadTargets(b ImageBatch) (targets, losses tensor.Tensor) {
	targets = m.be.Alloc(backend.Data, tensor.F32, tensor.Shape{b.Size, m.Config.Classes})
	m.be.Upload(targets, b.Targets)
	return targets, m.be.Alloc(backend.Data, tensor.F32, tensor.Shape{b.Size})
}
