package model

import (
	"cmp"
	"errors"
	"fmt"
	"math"

	"github.com/bdia-go/bdia"
	"github.com/bdia-go/bdia/backend"
	"github.com/bdia-go/bdia/nn"
	"github.com/bdia-go/bdia/tensor"
)

// GPT is a language model on one backend, with the block stack that
// trains it.
type GPT struct {
	Config GPTConfig
	Stack  *bdia.Stack
	*gptParts
}

// gptParts is what the models of WithOptions share.
type gptParts struct {
	LoRA LoRAConfig // of the adapters; zero: there are none

	be        backend.Backend
	embedding *nn.Embedding
	drop      nn.Dropout
	rotation  *nn.Rotation // of the blocks' queries and keys; nil: none
	blocks    []bdia.Block
	head      *nn.Head
	tables    []*tensor.Param // of the embedding, trainable
	end       []*tensor.Param // of the head, trainable: the norm, and unless it is tied the logits' weight
	params    []*tensor.Param
	frozen    int             // first blocks, which are frozen
	adapters  []*tensor.Param // of the others
	losses    lossBuffer
	lookups   lookups
}

// Batch is Size samples of one length: Inputs and Targets are (Size,T). A target
// of backend.Ignore has no loss.
type Batch struct {
	Size            int
	Inputs, Targets []int32
}

// NewBatch returns an empty batch of size samples of T tokens.
func NewBatch(size, T int) Batch {
	return Batch{Size: size, Inputs: make([]int32, size*T), Targets: make([]int32, size*T)}
}

// NewGPT allocates a model on be, which has room for it when backend.Fit has opened it. The weights are unspecified
// until Init or until they are loaded. It fails for a configuration that cannot be, or is too large for the device.
func NewGPT(be backend.Backend, c GPTConfig, opt bdia.Options) (*GPT, error) {
	if err := c.Validate(); err != nil {
		return nil, err
	}
	if err := c.Fits(be.Limits()); err != nil {
		return nil, err
	}
	var rotation *nn.Rotation
	if c.Family != GPT2 {
		frequencies, factor := c.Rope.Frequencies(c.block().Head())
		rotation = nn.NewRotation(be, frequencies, factor)
		if short := c.CacheContext(); short < c.Context {
			rotation.Lengthen(short, func(T int) []float32 {
				scaled, _ := c.Rope.forLength(T, 2*len(frequencies)).Frequencies(2 * len(frequencies))
				return scaled
			})
		}
	}
	cfg := c.blocks(rotation)
	return newGPT(be, c, opt, rotation, func(k int) bdia.Block {
		return nn.NewBlock(be, fmt.Sprintf("blocks.%d.", k), k, cfg(k))
	})
}

// NewGPTWith is NewGPT with blocks of the caller's making: block returns block k of c.Layers, with x and h of c.Width
// channels and parameters on be. Of c, what is inside blocks (Heads, MLP, GELU and two of the dropouts) is not looked
// at. A block sets its own initial weights, or has the method Init of nn.Block. For more of a GPT's methods it needs
// more of nn.Block's: Next for Decode, Freeze for Freeze, and Freeze, AddLoRA, InitLoRA and MergeLoRA for adapters.
// Without them these fail with ErrAbility.
func NewGPTWith(be backend.Backend, c GPTConfig, opt bdia.Options, block func(k int) bdia.Block) (*GPT, error) {
	if err := c.validateOutside(); err != nil {
		return nil, err
	}
	if block == nil {
		return nil, errors.New("model: NewGPTWith without a function that makes the blocks")
	}
	return newGPT(be, c, opt, nil, block)
}

func newGPT(be backend.Backend, c GPTConfig, opt bdia.Options, rotation *nn.Rotation, block func(k int) bdia.Block) (*GPT, error) {
	m := &GPT{Config: c, gptParts: &gptParts{be: be, drop: nn.NewDropout(be, float32(c.EmbeddingDropout)), rotation: rotation}}
	positions := c.Context
	if c.Family != GPT2 {
		positions = 0 // queries and keys turn by theirs
	}
	m.embedding = nn.NewEmbedding(be, c.Weights.DType(), c.Vocab, positions, c.Width)
	m.embedding.Scale = float32(c.EmbeddingScale)
	for k := range c.Layers {
		b := block(k)
		if b == nil {
			return nil, fmt.Errorf("model: block %d is nil", k)
		}
		m.blocks = append(m.blocks, b)
	}
	tied := m.embedding.Token
	if c.Untied {
		tied = nil
	}
	m.embedding.Token.Tied = !c.Untied
	m.head = nn.NewHead(be, "", c.block(), c.Vocab, tied)
	if c.LogitsDivisor != 0 {
		m.head.Scale = float32(1 / c.LogitsDivisor)
	}

	m.tables, m.end = m.embedding.Params(), m.head.Norm.Params()
	if c.Untied {
		m.end = append(m.end, m.head.Logits.Weight)
	}
	m.params = m.embedding.Params()
	for _, b := range m.blocks {
		m.params = append(m.params, b.Params()...)
	}
	m.params = append(m.params, m.end...)
	return m.WithOptions(opt)
}

// WithOptions returns the same model with other choices of memory, gamma and grid. Both share everything else: a block
// frozen, or an adapter added, in one of them is so in the other.
func (m *GPT) WithOptions(opt bdia.Options) (*GPT, error) {
	stack, err := bdia.NewStack(m.be, m.blocks, opt)
	if err != nil {
		return nil, err
	}
	return &GPT{Config: m.Config, Stack: stack, gptParts: m.gptParts}, nil
}

// Params lists every parameter but adapters, in the order of the forward pass. A
// tied head does not list the embedding twice.
func (m *GPT) Params() []*tensor.Param { return m.params }

// MaxAbs returns the largest |x| of the residual stream in the latest MicroStep on a grid.
func (m *GPT) MaxAbs() float64 { return m.Stack.MaxAbs() }

// Init draws initial weights, GPT-2's, from seed.
func (m *GPT) Init(seed uint64) {
	const std = 0.02
	nn.Normal(m.be, m.embedding.Token, std, seed, 0)
	if m.embedding.Position != nil {
		nn.Normal(m.be, m.embedding.Position, std, seed, 1)
	}
	if m.Config.Untied {
		nn.Normal(m.be, m.head.Logits.Weight, std, seed, 2)
	}
	for _, b := range m.blocks {
		if b, ok := b.(initialised); ok {
			b.Init(seed, 1/math.Sqrt(2*float64(m.Config.Layers)))
		}
	}
	m.head.Norm.Init()
}

// SetStop sets a function that is asked between the blocks of MicroStep (see bdia.Stack.SetStop).
func (m *GPT) SetStop(stop func() error) { m.Stack.SetStop(stop) }

// SetCheck makes the passes of MicroStep checked ones, or no longer (see bdia.Stack.SetCheck).
func (m *GPT) SetCheck(on bool) { m.Stack.SetCheck(on) }

// AppendDigests appends the digests of the states of the latest checked MicroStep to sums (see
// bdia.Stack.AppendDigests).
func (m *GPT) AppendDigests(sums []uint64) []uint64 { return m.Stack.AppendDigests(sums) }

// MicroStep runs one micro-batch forward and back and hands the gradients of scale times the sum of its losses to
// sink. For the gradients of the mean loss, scale is 1 over the tokens of the whole batch, of which b may be a part.
// MicroStep returns the loss of every token in nats (Size*T), 0 for backend.Ignore, in memory that the model's next
// pass overwrites (see AddLosses). It fails, before any gradient reaches sink, when the model cannot take b
// (ErrBatch), the loss is not finite (ErrDiverged) or a state left the exact range (bdia.ErrRange). Afterwards a
// checked pass can fail (bdia.ErrCorrupt).
func (m *GPT) MicroStep(b Batch, pass backend.Pass, scale float32, sink bdia.Sink) ([]float32, error) {
	if err := m.check(b, true); err != nil {
		return nil, err
	}
	mark := m.be.Mark()
	defer m.be.Release(mark)
	tied := m.embedding.Token.Tied
	if tied { // the head adds to its gradient too
		sink.Open(m.tables)
	}
	ids, targets, losses := m.upload(b)
	xK, err := m.forward(ids, pass)
	if err != nil {
		return nil, err
	}
	host, err := m.headBackward(xK, losses, targets, pass, scale, sink)
	if err != nil {
		return nil, err
	}
	if err := m.Stack.Reverse(sink); err != nil {
		return nil, err
	}
	if !tied {
		sink.Open(m.tables)
	}
	if dx0 := m.Stack.Grad(); !m.embedding.Token.Frozen {
		m.drop.Apply(dx0, pass, 0, backend.SiteEmbedding)
		m.embeddingBackward(dx0, ids, b.Inputs)
	}
	sink.Close(m.tables)
	return host, nil
}

// headBackward returns the losses and leaves dloss/dx_K in the stack. The gradient of the head ends with it.
func (m *GPT) headBackward(xK, losses, targets tensor.Tensor, pass backend.Pass, scale float32, sink bdia.Sink) ([]float32, error) {
	mark := m.be.Mark()
	defer m.be.Release(mark)
	sink.Open(m.end)
	m.head.LossBackward(m.Stack.Grad(), losses, xK, targets, scale)
	host, err := m.losses.read(m.be, losses, pass)
	if err == nil {
		sink.Close(m.end)
	}
	return host, err
}

// CountLosses returns how many losses b has: its targets other than backend.Ignore.
func (m *GPT) CountLosses(b Batch) int { return countLosses(b.Targets) }

// embeddingBackward adds the gradients of both tables. It overwrites ids, the inputs on the device.
func (m *GPT) embeddingBackward(dx, ids tensor.Tensor, inputs []int32) {
	token := m.embedding.Token
	if !token.Tied {
		m.embedding.Backward(dx, ids)
		return
	}
	rows := m.lookups.begin(m.be, token, len(inputs))
	m.be.UploadInts(ids, rows.Find(inputs))
	m.embedding.Backward(dx, ids)
	m.lookups.end(m.be, token)
}

// Drift runs the forward pass of a training step and measures how far off the
// states are when they are solved for in floating point (see bdia.Stack.Drift).
func (m *GPT) Drift(b Batch, pass backend.Pass, report func(k int, rms, largest float64)) error {
	mark := m.be.Mark()
	defer m.be.Release(mark)
	if err := m.run(b, pass); err != nil {
		return err
	}
	return m.Stack.Drift(report)
}

// Reach runs the forward pass of a training step and returns the largest |x| of its
// states, on a grid. It fails for a batch that is not one for this model (ErrBatch)
// and with bdia.ErrRange.
func (m *GPT) Reach(b Batch, pass backend.Pass) (float64, error) {
	mark := m.be.Mark()
	defer m.be.Release(mark)
	err := m.run(b, pass)
	return m.Stack.MaxAbs(), err
}

// TrainLoss returns the losses of b as MicroStep does, with the pass's draws of gamma and dropout, and goes no further.
func (m *GPT) TrainLoss(b Batch, pass backend.Pass) ([]float32, error) {
	if err := m.check(b, true); err != nil {
		return nil, err
	}
	mark := m.be.Mark()
	defer m.be.Release(mark)
	ids, targets, losses := m.upload(b)
	xK, err := m.forward(ids, pass)
	if err != nil {
		return nil, err
	}
	m.head.Loss(losses, xK, targets)
	return m.losses.read(m.be, losses, pass)
}

// run brings b to the device and runs it through the blocks as training does.
func (m *GPT) run(b Batch, pass backend.Pass) error {
	if err := m.check(b, false); err != nil {
		return err
	}
	ids, _, _ := m.upload(b)
	_, err := m.forward(ids, pass)
	return err
}

// forward returns x_K of a training pass over ids (B,T).
func (m *GPT) forward(ids tensor.Tensor, pass backend.Pass) (tensor.Tensor, error) {
	m.Stack.Frozen = m.frozen // perhaps by way of another model of WithOptions
	x0 := m.Stack.Begin(tensor.Shape{ids.Shape[0], ids.Shape[1], m.Config.Width}, pass)
	m.embedding.Forward(x0, ids, 0)
	m.drop.Apply(x0, pass, 0, backend.SiteEmbedding)
	return m.Stack.Forward()
}

// Loss returns the losses of b as MicroStep does, without training. States are rounded to grid, or not for
// bdia.NoGrid. It fails when the model cannot take b (ErrBatch) or the loss is not finite (ErrDiverged).
func (m *GPT) Loss(b Batch, grid bdia.Grid) ([]float32, error) {
	if err := m.check(b, true); err != nil {
		return nil, err
	}
	mark := m.be.Mark()
	defer m.be.Release(mark)
	ids, targets, losses := m.upload(b)
	x := m.infer(ids, grid)
	m.head.Loss(losses, x, targets)
	return m.losses.read(m.be, losses, backend.Pass{})
}

// Logits writes the logits (Size,T,V) of every position of b's Inputs to dst. It fails when the model cannot take b
// (ErrBatch).
func (m *GPT) Logits(dst []float32, b Batch, grid bdia.Grid) error {
	return m.logits(dst, b, grid, 0)
}

// NextLogits writes the logits (V) of the position after ids, at most Context of them, to dst. It fails when the model
// cannot take ids (ErrBatch).
func (m *GPT) NextLogits(dst []float32, ids []int32, grid bdia.Grid) error {
	return m.logits(dst, Batch{Size: 1, Inputs: ids}, grid, len(ids)-1)
}

// logits writes the logits of the rows of b from the given one on.
func (m *GPT) logits(dst []float32, b Batch, grid bdia.Grid, from int) error {
	if err := m.check(b, false); err != nil {
		return err
	}
	mark := m.be.Mark()
	defer m.be.Release(mark)
	ids, _, _ := m.upload(b)
	x := m.infer(ids, grid)
	rows := x.RowRange(from, x.Rows())
	logits := m.be.Alloc(backend.Logits, tensor.F32, tensor.Shape{rows.Rows(), m.Config.Vocab})
	m.head.Rows(logits, rows)
	m.be.Download(dst, logits)
	return nil
}

// place brings the angles of T positions to the device and returns them, if queries and keys turn by them.
func (m *GPT) place(T int) (angles tensor.Tensor) {
	if m.rotation != nil {
		angles = m.rotation.Begin(T)
	}
	return angles
}

// infer returns x_K (B,T,C) of the ordinary transformer for ids (B,T).
func (m *GPT) infer(ids tensor.Tensor, grid bdia.Grid) tensor.Tensor {
	x := m.be.Alloc(backend.States, tensor.F32, tensor.Shape{ids.Shape[0], ids.Shape[1], m.Config.Width})
	m.embedding.Forward(x, ids, 0)
	m.Stack.Infer(x, grid, 0)
	return x
}

// check returns an error for a batch that the model cannot take. Ids are
// checked here, for on the device a wrong one would end the program.
func (m *GPT) check(b Batch, targets bool) error {
	if b.Size < 1 || len(b.Inputs) == 0 || len(b.Inputs)%b.Size != 0 {
		return fmt.Errorf("model: %w: %d ids cannot be cut into %d samples", ErrBatch, len(b.Inputs), b.Size)
	}
	if T := len(b.Inputs) / b.Size; T > m.Config.Context {
		return fmt.Errorf("model: %w: %d positions exceed the context of %d", ErrBatch, T, m.Config.Context)
	}
	if (targets || b.Targets != nil) && len(b.Targets) != len(b.Inputs) {
		return fmt.Errorf("model: %w: %d targets for %d inputs", ErrBatch, len(b.Targets), len(b.Inputs))
	}
	return cmp.Or(checkIDs("input", b.Inputs, 0, m.Config.Vocab), checkIDs("target", b.Targets, backend.Ignore, m.Config.Vocab))
}

// upload brings a batch to the device, with the angles of its positions, and with room for a loss per token.
func (m *GPT) upload(b Batch) (ids, targets, losses tensor.Tensor) {
	s := tensor.Shape{b.Size, len(b.Inputs) / b.Size}
	ids = m.be.Alloc(backend.Data, tensor.I32, s)
	m.be.UploadInts(ids, b.Inputs)
	m.place(s[1])
	if b.Targets == nil {
		return ids, targets, losses
	}
	targets = m.be.Alloc(backend.Data, tensor.I32, s)
	losses = m.be.Alloc(backend.Data, tensor.F32, tensor.Shape{s[0] * s[1]})
	m.be.UploadInts(targets, b.Targets)
	return ids, targets, losses
}
