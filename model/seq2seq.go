package model

import (
	"fmt"
	"math"

	"github.com/bdia-go/bdia"
	"github.com/bdia-go/bdia/backend"
	"github.com/bdia-go/bdia/nn"
	"github.com/bdia-go/bdia/tensor"
)

// Seq2Seq is an encoder-decoder on one backend, with the two block stacks that
// train it. The encoder's normalised output is kept once; its gradient
// is added up over the decoder's blocks on their way back, K-1 first, and is then
// the encoder's.
type Seq2Seq struct {
	Config           Seq2SeqConfig
	Encoder, Decoder *bdia.Stack
	Encoded          *nn.Encoded // of the pass at hand; its lengths are the encoder's too

	be             backend.Backend
	source, target *nn.Sequence
	drop           nn.Dropout
	encoder        []*nn.Block
	decoder        []*nn.DecoderBlock
	norm           nn.Norm // of the encoder's output
	head           *nn.Head
	tables         []*tensor.Param // of both embeddings
	between        []*tensor.Param // of the norm of the encoder's output
	end            []*tensor.Param // of the head: the norm, and unless it is tied the logits' weight
	params         []*tensor.Param
	losses         lossBuffer
	lookups        lookups
}

// PairBatch is B pairs of sequences, sources padded to S positions and targets to T.
type PairBatch struct {
	B, S, T       int
	Source        []int32 // (B,S)
	Input         []int32 // (B,T): what the decoder reads
	Target        []int32 // (B,T): what it learns to predict; backend.Ignore for padding
	SourceLengths []int32 // (B): positions that are not padding, 1 to S
}

// NewPairBatch returns a batch of zeros without padding.
func NewPairBatch(B, S, T int) PairBatch {
	b := PairBatch{B: B, S: S, T: T, Source: make([]int32, B*S), Input: make([]int32, B*T), Target: make([]int32, B*T), SourceLengths: make([]int32, B)}
	for i := range b.SourceLengths {
		b.SourceLengths[i] = int32(S)
	}
	return b
}

// NewSeq2Seq allocates a model on be. Its weights are unspecified until Init or
// until they are loaded.
func NewSeq2Seq(be backend.Backend, c Seq2SeqConfig, opt bdia.Options) (*Seq2Seq, error) {
	if err := c.Validate(); err != nil {
		return nil, err
	}
	if err := c.Fits(be.Limits()); err != nil {
		return nil, err
	}
	m := &Seq2Seq{Config: c, be: be, drop: nn.NewDropout(be, float32(c.EmbeddingDropout)), Encoded: &nn.Encoded{}}
	C, block := c.Width, c.block()
	block.Lengths = &m.Encoded.Lengths

	var sourceTable, targetTable *tensor.Param
	if c.Shared {
		sourceTable = nn.NewTable(be, "wte.weight", c.SourceVocab, C)
		targetTable = sourceTable
	} else {
		sourceTable = nn.NewTable(be, "enc.wte.weight", c.SourceVocab, C)
		targetTable = nn.NewTable(be, "dec.wte.weight", c.TargetVocab, C)
	}
	m.source = nn.NewSequence(be, "enc.", sourceTable, c.SourceContext, c.Sinusoidal)
	for k := range c.EncoderLayers {
		m.encoder = append(m.encoder, nn.NewBlock(be, fmt.Sprintf("enc.blocks.%d.", k), k, block))
	}
	m.norm = nn.NewNorm(be, "enc.lnf", block)
	m.target = nn.NewSequence(be, "dec.", targetTable, c.TargetContext, c.Sinusoidal)
	for k := range c.DecoderLayers {
		m.decoder = append(m.decoder, nn.NewDecoderBlock(be, fmt.Sprintf("dec.blocks.%d.", k), c.EncoderLayers+k, block, m.Encoded))
	}
	tied := targetTable
	if c.Untied {
		tied = nil
	}
	targetTable.Tied = !c.Untied
	m.head = nn.NewHead(be, "dec.", block, c.TargetVocab, tied)
	m.head.Smoothing = float32(c.LabelSmoothing)

	m.list(&m.tables, sourceTable, m.source.Position)
	for _, b := range m.encoder {
		m.params = append(m.params, b.Params()...)
	}
	m.list(&m.between, m.norm.Params()...)
	if !c.Shared {
		m.list(&m.tables, targetTable)
	}
	m.list(&m.tables, m.target.Position)
	for _, b := range m.decoder {
		m.params = append(m.params, b.Params()...)
	}
	m.list(&m.end, m.head.Norm.Params()...)
	if c.Untied {
		m.list(&m.end, m.head.Logits.Weight)
	}
	return m.WithOptions(opt)
}

// list appends those parameters that there are, to a list of the ones outside the blocks too.
func (m *Seq2Seq) list(outside *[]*tensor.Param, ps ...*tensor.Param) {
	for _, p := range ps {
		if p != nil {
			*outside, m.params = append(*outside, p), append(m.params, p)
		}
	}
}

// WithOptions returns the same model, parameters included, with other choices
// of memory, gamma and grid, the same for both stacks.
func (m *Seq2Seq) WithOptions(opt bdia.Options) (*Seq2Seq, error) {
	encoder, decoder := make([]bdia.Block, len(m.encoder)), make([]bdia.Block, len(m.decoder))
	for k, b := range m.encoder {
		encoder[k] = b
	}
	for k, b := range m.decoder {
		decoder[k] = b
	}
	other := *m
	var err error
	if other.Encoder, err = bdia.NewStack(m.be, encoder, opt); err != nil {
		return nil, err
	}
	if other.Decoder, err = bdia.NewStack(m.be, decoder, opt); err != nil {
		return nil, err
	}
	other.Encoder.DropTape = true // the decoder's passes come in between
	other.Decoder.FirstBlock = len(encoder)
	return &other, nil
}

// Params lists every parameter, in the order of the forward pass. A table with
// several uses is listed once.
func (m *Seq2Seq) Params() []*tensor.Param { return m.params }

// Trainable is Params: every parameter learns.
func (m *Seq2Seq) Trainable() []*tensor.Param { return m.params }

// Init draws initial weights from seed: GPT-2's, but for the tables of tokens
// beside sinusoids (see nn.Sequence). The projections into the residual streams
// are scaled by the number of branches of their stack.
func (m *Seq2Seq) Init(seed uint64) {
	c := m.Config
	nn.Normal(m.be, m.source.Token, m.source.Deviation(), seed, 0)
	if !c.Shared {
		nn.Normal(m.be, m.target.Token, m.target.Deviation(), seed, 1)
	}
	m.source.Init(seed, 2)
	m.target.Init(seed, 3)
	if c.Untied {
		nn.Normal(m.be, m.head.Logits.Weight, 0.02, seed, 4)
	}
	for _, b := range m.encoder {
		b.Init(seed, 1/math.Sqrt(2*float64(c.EncoderLayers)))
	}
	for _, b := range m.decoder {
		b.Init(seed, 1/math.Sqrt(3*float64(c.DecoderLayers)))
	}
	m.norm.Init()
	m.head.Norm.Init()
}

// CountLosses returns how many losses b has: its targets other than backend.Ignore.
func (m *Seq2Seq) CountLosses(b PairBatch) int { return countLosses(b.Target) }

// SetStop sets a function that is asked between the blocks of MicroStep, in both stacks (see bdia.Stack.SetStop).
func (m *Seq2Seq) SetStop(stop func() error) {
	m.Encoder.SetStop(stop)
	m.Decoder.SetStop(stop)
}

// SetCheck makes the passes of MicroStep checked ones in both stacks, or no longer (see bdia.Stack.SetCheck).
func (m *Seq2Seq) SetCheck(on bool) {
	m.Encoder.SetCheck(on)
	m.Decoder.SetCheck(on)
}

// AppendDigests appends the digests of the encoder's states, and then of the decoder's, of the latest checked MicroStep
// to sums (see bdia.Stack.AppendDigests).
func (m *Seq2Seq) AppendDigests(sums []uint64) []uint64 {
	return m.Decoder.AppendDigests(m.Encoder.AppendDigests(sums))
}

// Constants lists the tables of sinusoids, which nothing changes; of learned positions there are none.
func (m *Seq2Seq) Constants() []*tensor.Param {
	if !m.Config.Sinusoidal {
		return nil
	}
	return []*tensor.Param{m.source.Constant("enc.sinusoids"), m.target.Constant("dec.sinusoids")}
}

// MicroStep runs one micro-batch forward and back and hands the gradients of scale times the sum of its losses to
// sink. For the gradients of the mean loss, scale is 1 over the target tokens of the whole batch, of which b may be a
// part. MicroStep returns the loss of every target in nats (B*T), label smoothing included, 0 for backend.Ignore, in
// memory that the model's next pass overwrites (see AddLosses). It fails, before any gradient reaches sink, when the
// model cannot take b (ErrBatch), the loss is not finite (ErrDiverged) or a state left the exact range
// (bdia.ErrRange). Afterwards a checked pass can fail (bdia.ErrCorrupt).
func (m *Seq2Seq) MicroStep(b PairBatch, pass backend.Pass, scale float32, sink bdia.Sink) ([]float32, error) {
	if err := m.check(b, true); err != nil {
		return nil, err
	}
	mark := m.be.Mark()
	defer m.be.Release(mark)
	tied := m.target.Token.Tied
	if tied { // the head adds to its gradient too
		sink.Open(m.tables)
	}
	d := m.upload(b, true)
	dy0 := m.be.Alloc(backend.Activation, tensor.F32, m.shape(b.B, b.T))
	xK, stats, err := m.encode(d.source, pass)
	if err != nil {
		return nil, err
	}
	m.Encoded.Grad = m.be.Alloc(backend.Activation, tensor.F32, m.Encoded.Value.Shape)
	m.be.Zero(m.Encoded.Grad)

	top := m.be.Mark()
	yK, err := m.decode(d.input, pass)
	if err != nil {
		return nil, err
	}
	host, err := m.headBackward(yK, d, pass, scale, sink)
	if err != nil {
		return nil, err
	}
	if err := m.Decoder.Reverse(sink); err != nil {
		return nil, fmt.Errorf("model: decoder: %w", err)
	}
	m.be.Copy(dy0, m.Decoder.Grad())
	m.be.Release(top)

	sink.Open(m.between)
	m.norm.Backward(m.Encoder.Grad(), m.Encoded.Grad, xK, stats)
	sink.Close(m.between)
	if err := m.Encoder.Reverse(sink); err != nil {
		return nil, fmt.Errorf("model: encoder: %w", err)
	}
	dx0 := m.Encoder.Grad()
	if !tied {
		sink.Open(m.tables)
	}
	m.drop.Apply(dx0, pass, m.Encoder.FirstBlock, backend.SiteEmbedding)
	m.drop.Apply(dy0, pass, m.Decoder.FirstBlock, backend.SiteEmbedding)
	m.embeddingBackward(dx0, dy0, d, b)
	sink.Close(m.tables)
	return host, nil
}

// headBackward returns the losses and leaves dloss/dy_K in the decoder. The gradient of the head ends with it.
func (m *Seq2Seq) headBackward(yK tensor.Tensor, d pairs, pass backend.Pass, scale float32, sink bdia.Sink) ([]float32, error) {
	mark := m.be.Mark()
	defer m.be.Release(mark)
	sink.Open(m.end)
	m.head.LossBackward(m.Decoder.Grad(), d.losses, yK, d.targets, scale)
	host, err := m.losses.read(m.be, d.losses, pass)
	if err == nil {
		sink.Close(m.end)
	}
	return host, err
}

// encode runs the encoder's training pass and leaves its output in m.Encoded. xK and stats are
// what the backward pass of its norm needs.
func (m *Seq2Seq) encode(ids tensor.Tensor, pass backend.Pass) (xK, stats tensor.Tensor, err error) {
	x0 := m.Encoder.Begin(m.shape(ids.Shape[0], ids.Shape[1]), pass)
	m.source.Forward(x0, ids, 0)
	m.drop.Apply(x0, pass, m.Encoder.FirstBlock, backend.SiteEmbedding)
	if xK, err = m.Encoder.Forward(); err != nil {
		return xK, stats, fmt.Errorf("model: encoder: %w", err)
	}
	return xK, m.keep(xK), nil
}

// keep writes the encoder's output from its x_K (B,S,C) and returns the norm's statistics.
func (m *Seq2Seq) keep(xK tensor.Tensor) (stats tensor.Tensor) {
	m.Encoded.Value = m.be.Alloc(backend.Activation, tensor.F32, xK.Shape)
	stats = m.norm.Stats(xK.Rows())
	m.norm.Forward(m.Encoded.Value, stats, xK)
	return stats
}

// decode runs the decoder's training pass.
func (m *Seq2Seq) decode(ids tensor.Tensor, pass backend.Pass) (tensor.Tensor, error) {
	y0 := m.Decoder.Begin(m.shape(ids.Shape[0], ids.Shape[1]), pass)
	m.target.Forward(y0, ids, 0)
	m.drop.Apply(y0, pass, m.Decoder.FirstBlock, backend.SiteEmbedding)
	yK, err := m.Decoder.Forward()
	if err != nil {
		return yK, fmt.Errorf("model: decoder: %w", err)
	}
	return yK, nil
}

// embeddingBackward adds the gradients of the embeddings of b. It overwrites the ids of d. Source and target of a
// shared table take turns sample by sample: so its sum does not depend on the split into micro-batches.
func (m *Seq2Seq) embeddingBackward(dx, dy tensor.Tensor, d pairs, b PairBatch) {
	token := m.target.Token
	if token.Tied {
		n := len(b.Input)
		if m.Config.Shared {
			n += len(b.Source)
		}
		rows := m.lookups.begin(m.be, token, n)
		defer m.lookups.end(m.be, token)
		m.be.UploadInts(d.input, rows.Find(b.Input))
		if m.Config.Shared {
			m.be.UploadInts(d.source, rows.Find(b.Source))
		}
	}
	if m.Config.Shared {
		for i := range dx.Shape[0] {
			m.source.Backward(dx.Index(i), d.source.Index(i))
			m.target.Backward(dy.Index(i), d.input.Index(i))
		}
		return
	}
	m.source.Backward(dx, d.source)
	m.target.Backward(dy, d.input)
}

// Drift runs the forward pass of a training step and measures how far off the
// states of one stack, m.Encoder or m.Decoder, are when they are solved for in
// floating point (see bdia.Stack.Drift).
func (m *Seq2Seq) Drift(b PairBatch, pass backend.Pass, stack *bdia.Stack, report func(k int, rms, largest float64)) error {
	if err := m.check(b, false); err != nil {
		return err
	}
	mark := m.be.Mark()
	defer m.be.Release(mark)
	d := m.upload(b, false)
	if _, _, err := m.encode(d.source, pass); err != nil {
		return err
	}
	if stack == m.Decoder {
		if _, err := m.decode(d.input, pass); err != nil {
			return err
		}
	}
	return stack.Drift(report)
}

// MaxAbs returns the largest |x| of both residual streams in the latest MicroStep on a
// grid.
func (m *Seq2Seq) MaxAbs() float64 { return max(m.Encoder.MaxAbs(), m.Decoder.MaxAbs()) }

// Loss returns the losses of b as MicroStep does, without training and label smoothing. States are rounded to grid, or
// not for bdia.NoGrid. It fails when the model cannot take b (ErrBatch) or the loss is not finite (ErrDiverged).
func (m *Seq2Seq) Loss(b PairBatch, grid bdia.Grid) ([]float32, error) {
	if err := m.check(b, true); err != nil {
		return nil, err
	}
	mark := m.be.Mark()
	defer m.be.Release(mark)
	d := m.upload(b, true)
	m.head.Loss(d.losses, m.infer(d, grid), d.targets)
	return m.losses.read(m.be, d.losses, backend.Pass{})
}

// Logits writes the logits (B,T,V) of what follows each position of b's Input to
// dst; b needs no Target. It fails for a batch that is not one for this model
// (ErrBatch).
func (m *Seq2Seq) Logits(dst []float32, b PairBatch, grid bdia.Grid) error {
	if err := m.check(b, false); err != nil {
		return err
	}
	mark := m.be.Mark()
	defer m.be.Release(mark)
	yK := m.infer(m.upload(b, false), grid)
	logits := m.be.Alloc(backend.Logits, tensor.F32, tensor.Shape{yK.Rows(), m.Config.TargetVocab})
	m.head.Rows(logits, yK)
	m.be.Download(dst, logits)
	return nil
}

// infer returns y_K (B,T,C) of the ordinary transformer.
func (m *Seq2Seq) infer(d pairs, grid bdia.Grid) tensor.Tensor {
	m.inferEncoded(d.source, grid)
	y := m.be.Alloc(backend.States, tensor.F32, m.shape(d.input.Shape[0], d.input.Shape[1]))
	m.target.Forward(y, d.input, 0)
	m.Decoder.Infer(y, grid, 0)
	return y
}

// inferEncoded writes the output of the ordinary transformer's encoder for ids (B,S).
func (m *Seq2Seq) inferEncoded(ids tensor.Tensor, grid bdia.Grid) {
	x := m.be.Alloc(backend.States, tensor.F32, m.shape(ids.Shape[0], ids.Shape[1]))
	m.source.Forward(x, ids, 0)
	m.Encoder.Infer(x, grid, 0)
	m.keep(x)
}

func (m *Seq2Seq) shape(B, T int) tensor.Shape { return tensor.Shape{B, T, m.Config.Width} }

// pairs is a batch on the device.
type pairs struct {
	source, input, targets tensor.Tensor // (B,S), (B,T), (B,T)
	losses                 tensor.Tensor // (B*T)
}

// upload brings a batch to the device, with room for a loss per target.
func (m *Seq2Seq) upload(b PairBatch, targets bool) (d pairs) {
	ints := func(ids []int32, s tensor.Shape) tensor.Tensor {
		t := m.be.Alloc(backend.Data, tensor.I32, s)
		m.be.UploadInts(t, ids)
		return t
	}
	m.Encoded.Lengths = ints(b.SourceLengths, tensor.Shape{b.B})
	d.source = ints(b.Source, tensor.Shape{b.B, b.S})
	if b.Input != nil {
		d.input = ints(b.Input, tensor.Shape{b.B, b.T})
	}
	if targets {
		d.targets = ints(b.Target, tensor.Shape{b.B, b.T})
		d.losses = m.be.Alloc(backend.Data, tensor.F32, tensor.Shape{b.B * b.T})
	}
	return d
}

// check returns an error for a batch that the model cannot take. Ids are
// checked here, for on the device a wrong one would end the program.
func (m *Seq2Seq) check(b PairBatch, targets bool) error {
	if err := m.checkSource(b); err != nil {
		return err
	}
	c := m.Config
	if b.T < 1 || b.T > c.TargetContext {
		return fmt.Errorf("model: %w: targets of %d positions; the model takes 1 to %d", ErrBatch, b.T, c.TargetContext)
	}
	if len(b.Input) != b.B*b.T || targets && len(b.Target) != b.B*b.T {
		return fmt.Errorf("model: %w: %d inputs and %d targets for %d pairs of %d positions", ErrBatch, len(b.Input), len(b.Target), b.B, b.T)
	}
	if err := checkIDs("input", b.Input, 0, c.TargetVocab); err != nil || !targets {
		return err
	}
	return checkIDs("target", b.Target, backend.Ignore, c.TargetVocab)
}

// checkSource is check for what the encoder reads.
func (m *Seq2Seq) checkSource(b PairBatch) error {
	c := m.Config
	if b.B < 1 || len(b.Source) != b.B*b.S || len(b.SourceLengths) != b.B {
		return fmt.Errorf("model: %w: %d ids and %d lengths for %d sources of %d positions", ErrBatch, len(b.Source), len(b.SourceLengths), b.B, b.S)
	}
	if b.S < 1 || b.S > c.SourceContext {
		return fmt.Errorf("model: %w: sources of %d positions; the model takes 1 to %d", ErrBatch, b.S, c.SourceContext)
	}
	for i, n := range b.SourceLengths {
		if n < 1 || int(n) > b.S {
			return fmt.Errorf("model: %w: source %d has length %d of %d positions", ErrBatch, i, n, b.S)
		}
	}
	return checkIDs("source", b.Source, 0, c.SourceVocab)
}

// checkIDs returns an error for the first id outside [least,vocab).
func checkIDs(what string, ids []int32, least, vocab int) error {
	for i, id := range ids {
		if int(id) < least || int(id) >= vocab {
			return fmt.Errorf("model: %w: %s token %d at position %d; the model has ids 0 to %d", ErrBatch, what, id, i, vocab-1)
		}
	}
	return nil
}
