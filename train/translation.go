package train

import (
	"context"
	"fmt"
	"io"
	"slices"

	"github.com/bdia-go/bdia"
	"github.com/bdia-go/bdia/backend"
	"github.com/bdia-go/bdia/convert"
	"github.com/bdia-go/bdia/data/pairs"
	"github.com/bdia-go/bdia/generate"
	"github.com/bdia-go/bdia/hub"
	"github.com/bdia-go/bdia/internal/rng"
	"github.com/bdia-go/bdia/metric"
	"github.com/bdia-go/bdia/model"
	"github.com/bdia-go/bdia/tokenizer"
)

// translation is an encoder-decoder that learns pairs of sentences.
type translation struct {
	*model.Seq2Seq
	be         backend.Backend
	cfg        Config
	text       *Pairs // nil where the tokens are made up
	batches    pairSource
	val, train *pairs.Sequential // to be evaluated; nil where there are none
	room       *pairs.Batch      // of the batch at hand; grows to the largest
}

// Learner returns a model that learns the pairs.
func (p *Pairs) Learner(be backend.Backend, cfg Config) (Learner, error) {
	if cfg.Task == TaskCompletion {
		return p.completion(be, cfg)
	}
	b, err := p.batches(cfg)
	if err != nil {
		return nil, err
	}
	t, err := newTranslation(be, cfg, b)
	if err != nil {
		return nil, err
	}
	t.text = p
	if t.val, err = p.Sequential(cfg, pairs.Val); err != nil {
		return nil, err
	}
	if cfg.Loop.EvalTrain {
		t.train, err = p.Sequential(cfg, pairs.Train)
	}
	return t, err
}

func newTranslation(be backend.Backend, cfg Config, batches pairSource) (*translation, error) {
	m, err := model.NewSeq2Seq(be, cfg.Seq2Seq, cfg.Method)
	if err != nil {
		return nil, err
	}
	return &translation{Seq2Seq: m, be: be, cfg: cfg, batches: batches, room: pairs.NewBatch(pairs.Room{})}, nil
}

func (t *translation) Initialise(seed uint64) error {
	t.Init(seed)
	return nil
}

// Size returns the size of a step's batch; a loss is a target's.
func (t *translation) Size(step int) (samples, losses int, err error) {
	s, err := t.batches.Shape(step)
	return s.B, s.Targets, err
}

// Largest lists the steps whose batches no other one's exceeds in every size: what
// takes memory grows with each of them.
func (t *translation) Largest() ([]int, error) {
	var f frontier
	for step := 1; step <= t.cfg.Schedule.Steps; step++ {
		s, err := t.batches.Shape(step)
		if err != nil {
			return nil, err
		}
		f.add(s, step)
	}
	return f.at, nil
}

// frontier is the shapes, and where they were seen, that no other one exceeds in
// every size; of equal ones the first.
type frontier struct {
	shapes []pairs.Shape
	at     []int
}

func (f *frontier) add(s pairs.Shape, at int) {
	for i := len(f.shapes) - 1; i >= 0; i-- {
		o := f.shapes[i]
		if s.B <= o.B && s.S <= o.S && s.T <= o.T {
			return
		}
		if o.B <= s.B && o.S <= s.S && o.T <= s.T {
			f.shapes, f.at = slices.Delete(f.shapes, i, i+1), slices.Delete(f.at, i, i+1)
		}
	}
	f.shapes, f.at = append(f.shapes, s), append(f.at, at)
}

func (t *translation) Step(pass backend.Pass, n int, scale float32, sink bdia.Sink) ([]float32, error) {
	if err := t.batches.Fill(pass.Step, pass.Sample, n, t.room); err != nil {
		return nil, err
	}
	return t.Seq2Seq.Step(PairBatch(t.room), pass, scale, sink)
}

// PairBatch is b as models take it; they share memory.
func PairBatch(b *pairs.Batch) model.PairBatch {
	return model.PairBatch{B: b.B, S: b.S, T: b.T, Source: b.Source, Input: b.Input, Target: b.Target, SourceLengths: b.SourceLengths}
}

// Evaluate measures the ordinary transformer (gamma 0) on the run's grid, without
// label smoothing.
func (t *translation) Evaluate(ctx context.Context, training bool) (Score, bool, error) {
	set := t.val
	if training {
		set = t.train
	}
	if set == nil {
		return unmeasured, false, nil
	}
	loss, _, err := MeanLoss(ctx, t.Seq2Seq, set, t.cfg.Loop.EvalSamples, t.room, t.cfg.Method.Grid)
	return Score{Loss: loss}, true, err
}

// Record records the loss and the perplexity.
func (t *translation) Record(prefix string, s Score) []metric.Field { return TokenFields(prefix, s) }

// Unit is tokens.
func (t *translation) Unit() string { return "tokens" }

// MeanLoss returns the mean loss per target token, and their number, over about most
// pairs of set, in evenly spaced batches of all lengths; 0 for all of it. Batches
// take the place of what room holds.
func MeanLoss(ctx context.Context, m *model.Seq2Seq, set *pairs.Sequential, most int, room *pairs.Batch, grid bdia.Grid) (loss float64, targets int, err error) {
	var sum float64
	err = eachBatch(ctx, set, most, room, func(b *pairs.Batch) error {
		targets += b.Targets
		losses, err := m.Loss(PairBatch(b), grid)
		sum = model.AddLosses(sum, losses)
		return err
	})
	return sum / float64(targets), targets, err
}

// eachBatch calls do with about most pairs of set, in evenly spaced batches of all
// lengths, until ctx is done; with all of it where most is 0. Batches take the place of
// what room holds.
func eachBatch(ctx context.Context, set *pairs.Sequential, most int, room *pairs.Batch, do func(*pairs.Batch) error) error {
	total, n := 0, set.Len()
	for k := range set.Len() {
		total += set.Shape(k).B
	}
	if most > 0 && most < total {
		n = max(1, (n*most+total-1)/total)
	}
	for i := range n {
		if err := ctx.Err(); err != nil {
			return err
		}
		k := i * set.Len() / n
		if err := set.Fill(k, 0, set.Shape(k).B, room); err != nil {
			return err
		}
		if err := do(room); err != nil {
			return err
		}
	}
	return nil
}

func (t *translation) Rehearse() error {
	for _, set := range []*pairs.Sequential{t.val, t.train} {
		if set == nil {
			continue
		}
		var f frontier
		for k := range set.Len() {
			f.add(set.Shape(k), k)
		}
		for i, k := range f.at {
			if err := set.Fill(k, 0, f.shapes[i].B, t.room); err != nil {
				return err
			}
			if _, err := t.Loss(PairBatch(t.room), t.cfg.Method.Grid); err != nil {
				return err
			}
		}
	}
	if t.text == nil {
		return nil
	}
	_, _, _, err := t.translate()
	return err
}

// translate translates the example, taking the likeliest token each time.
func (t *translation) translate() (source, target, own []int32, err error) {
	if source, target, err = t.text.example(); err != nil {
		return nil, nil, nil, err
	}
	o := generate.DefaultTranslate()
	o.Beam = 1
	tr, err := generate.NewTranslator(t.Seq2Seq, SpecialTokens(t.cfg.Seq2Seq), t.text.Target.VocabSize(), t.cfg.Method.Grid, o)
	if err != nil {
		return nil, nil, nil, err
	}
	err = tr.Translate([][]int32{source}, func(_ int, best []generate.Hypothesis) error {
		own = best[0].IDs
		return nil
	})
	return source, target, own, err
}

// show translates a sentence that is held out.
func (t *translation) Sample() (string, error) {
	source, target, own, err := t.translate()
	if err != nil {
		return "", err
	}
	var lines []string
	for _, s := range []struct {
		tok tokenizer.Tokenizer
		ids []int32
	}{{t.text.Source, source}, {t.text.Target, own}, {t.text.Target, target}} {
		text, err := s.tok.Decode(s.ids)
		if err != nil {
			return "", err
		}
		lines = append(lines, string(text))
	}
	return fmt.Sprintf("%s\n-> %s\n(%s)", lines[0], lines[1], lines[2]), nil
}

func (t *translation) Files() []File {
	return []File{{modelConfig, nil, t.writeConfig}, {weightsFile, t.Params(), t.WriteWeights}}
}

func (t *translation) writeConfig(w io.Writer) error {
	s := SpecialTokens(t.cfg.Seq2Seq)
	return convert.WriteSeq2SeqConfig(w, convert.Seq2SeqInfo{Config: t.cfg.Seq2Seq,
		SourceEnd: s.SourceEnd, SourcePad: s.SourcePad, Begin: s.Begin, End: s.End, Pad: s.Pad})
}

func (t *translation) ReadModel(dir string) error { return hub.ReadWeights(dir, t.ReadWeights) }

func (t *translation) WriteWeights(w io.Writer) error {
	return convert.WriteSeq2Seq(w, t.be, t.Seq2Seq)
}
func (t *translation) ReadWeights(f convert.Tensors) error {
	return convert.ReadSeq2Seq(t.be, t.Seq2Seq, f)
}

// pairSource gives the batches of steps.
type pairSource interface {
	Shape(step int) (pairs.Shape, error)
	Fill(step, first, n int, dst *pairs.Batch) error
}

// madeUpPairs are samples without text: batches as full as the tokens allow, of pairs
// without padding. Step i has texts of lengths[i-1] positions, then from the first
// again.
type madeUpPairs struct {
	cfg     Config
	lengths []int
}

// side is a source, or a target: its most positions, and its vocabulary.
type side struct{ positions, vocab int }

// sides are those of the pairs of c. Prompts and completions share a window, which
// needs no position for the end of the one and the beginning of the other.
func (c Config) sides() (source, target side) {
	if c.Task == TaskCompletion {
		T := c.Window()/2 + 1
		return side{c.Window() + 2 - T, c.Model.Vocab}, side{T, c.Model.Vocab}
	}
	return side{c.Seq2Seq.SourceContext, c.Seq2Seq.SourceVocab}, side{c.Seq2Seq.TargetContext, c.Seq2Seq.TargetVocab}
}

// randomPairs have the length of usual sentences.
func randomPairs(cfg Config) madeUpPairs { return madeUpPairs{cfg, []int{32}} }

// blankPairs have every length that is a power of two, and the model's.
func blankPairs(cfg Config) madeUpPairs {
	m := madeUpPairs{cfg: cfg}
	source, target := cfg.sides()
	longest := max(source.positions, target.positions)
	for n := 2; n < longest; n *= 2 {
		m.lengths = append(m.lengths, n)
	}
	m.lengths = append(m.lengths, longest)
	return m
}

// Learner returns a model that learns the made-up pairs.
func (m madeUpPairs) Learner(be backend.Backend, cfg Config) (Learner, error) {
	cfg.Schedule.Steps = max(cfg.Schedule.Steps, len(m.lengths)) // all of them are planned
	if cfg.Task == TaskCompletion {
		return newCompletion(be, cfg, m)
	}
	return newTranslation(be, cfg, m)
}

// Shape is that of a step's batch. It does not fail.
func (m madeUpPairs) Shape(step int) (pairs.Shape, error) {
	n := m.lengths[(step-1)%len(m.lengths)]
	source, target := m.cfg.sides()
	S, T := min(n, source.positions), min(n, target.positions)
	B := max(1, m.cfg.Pairs.BatchTokens/(S+T))
	return pairs.Shape{B: B, S: S, T: T, Targets: B * T}, nil
}

// RandomPairs returns a batch of uniformly random ids: that of a step of Random(cfg).
func RandomPairs(cfg Config, step int) *pairs.Batch {
	m, b := randomPairs(cfg), &pairs.Batch{}
	s, _ := m.Shape(step)
	_ = m.Fill(step, 0, s.B, b)
	return b
}

// Fill gives uniform ids. It does not fail.
func (m madeUpPairs) Fill(step, first, n int, dst *pairs.Batch) error {
	s, _ := m.Shape(step)
	key := rng.Key{Seed: m.cfg.Loop.Seed, Step: uint32(step), Sample: uint32(first), Site: rng.SiteData}
	ids := func(n, vocab, what int) []int32 {
		x := make([]int32, n)
		for i := range x {
			x[i] = int32(key.At(uint32(i))[what] % uint32(vocab))
		}
		return x
	}
	source, target := m.cfg.sides()
	*dst = pairs.Batch{Shape: pairs.Shape{B: n, S: s.S, T: s.T, Targets: n * s.T},
		Source: ids(n*s.S, source.vocab, 0), Input: ids(n*s.T, target.vocab, 1), Target: ids(n*s.T, target.vocab, 2),
		SourceLengths: slices.Repeat([]int32{int32(s.S)}, n), TargetLengths: slices.Repeat([]int32{int32(s.T)}, n)}
	return nil
}
