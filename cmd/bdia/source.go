package main

import (
	"context"
	"errors"
	"fmt"

	"github.com/bdia-go/bdia"
	"github.com/bdia-go/bdia/backend"
	"github.com/bdia-go/bdia/convert"
	"github.com/bdia-go/bdia/data"
	"github.com/bdia-go/bdia/data/pairs"
	"github.com/bdia-go/bdia/hub"
	"github.com/bdia-go/bdia/internal/rng"
	"github.com/bdia-go/bdia/model"
	"github.com/bdia-go/bdia/tokenizer"
	"github.com/bdia-go/bdia/train"
)

// source is a model that is exported, with a sample of what it takes. Its weights
// are loaded when they are asked for.
type source struct {
	*hub.Folder
	tok    tokenizer.Tokenizer // of the text, or of sources; nil where the folder has none
	engine backend.Options
	sample sample

	be  backend.Device // nil until the weights are loaded
	net net
}

// net is a model on a backend: one of the kinds.
type net struct {
	GPT     *model.GPT
	ViT     *model.ViT
	Seq2Seq *model.Seq2Seq
}

// sample is a small batch of one kind.
type sample struct {
	what   string // for people
	tokens model.Batch
	images model.ImageBatch
	pairs  model.PairBatch
}

// Sizes of a sample: a few logits of each position say enough, and of a large
// vocabulary they are many.
const (
	samplesAtOnce   = 2
	samplePositions = 32
)

// openSource opens a run directory, its best/ folder or another model folder.
func openSource(ctx context.Context, dir string, o hub.Options, engine backend.Options) (*source, error) {
	f, err := openFolder(dir, o)
	if err != nil {
		return nil, err
	}
	s := &source{Folder: f, tok: f.Tokenizer, engine: engine}
	if f.Kind == convert.Seq2Seq {
		s.tok = f.Source
	}
	if f.Run != "" && s.sampleRun(ctx, f.Run) == nil {
		return s, nil
	}
	s.makeUp() // no run, or its data are not there any more
	return s, nil
}

// sampleRun takes the sample from what the run in home holds out, else from what
// it learns.
func (s *source) sampleRun(ctx context.Context, home string) error {
	r, err := train.Open(home)
	if err != nil {
		return err
	}
	defer r.Close()
	switch s.Kind {
	case convert.GPT2:
		return s.sampleText(r)
	case convert.ViT:
		return s.sampleImages(ctx, r)
	}
	return s.samplePairs(r)
}

func (s *source) sampleText(r *train.Run) error {
	if r.Text == nil || r.Config.Model.Vocab != s.GPTInfo.Config.Vocab {
		return s.sampleCompletions(r)
	}
	for _, training := range []bool{false, true} {
		set, err := data.NewSequential(r.Text.Tokens(training), min(s.GPTInfo.Config.Context, samplePositions), samplesAtOnce)
		if err != nil {
			continue
		}
		b := model.NewBatch(set.Len(), min(s.GPTInfo.Config.Context, samplePositions))
		s.sample = sample{what: fmt.Sprintf("%d positions of %s text", len(b.Inputs), heldOut(training)), tokens: b}
		return set.Batch(0, b.Size, b.Inputs, b.Targets)
	}
	return errors.New("no text")
}

// sampleCompletions takes prompts with their completions.
func (s *source) sampleCompletions(r *train.Run) error {
	if r.Pairs == nil || r.Config.Task != train.TaskCompletion || r.Config.Model.Vocab != s.GPTInfo.Config.Vocab {
		return errors.New("no text")
	}
	for _, part := range []pairs.Part{pairs.Val, pairs.Train} {
		b, err := r.Pairs.Completions(r.Config, part, samplesAtOnce)
		if err == nil && b.Size > 0 {
			s.sample = sample{what: fmt.Sprintf("%d positions of %s prompts and completions", len(b.Inputs), heldOut(part == pairs.Train)), tokens: b}
			return nil
		}
	}
	return errors.New("no pairs")
}

// heldOut names a part of the data.
func heldOut(training bool) string {
	if training {
		return "training"
	}
	return "held-out"
}

func (s *source) sampleImages(ctx context.Context, r *train.Run) error {
	if r.Images == nil {
		return errors.New("no images")
	}
	if err := r.Images.OpenHeldOut(ctx); err != nil {
		return err
	}
	set, training := r.Images.Set(false), false
	if set == nil {
		set, training = r.Images.Set(true), true
	}
	b := model.NewImageBatch(s.ViTInfo.Config, min(samplesAtOnce, set.Len()))
	s.sample = sample{what: fmt.Sprintf("%d %s images", b.Size, heldOut(training)), images: b}
	return set.Fill(0, b.Size, b.Pixels, make([]int32, b.Size))
}

func (s *source) samplePairs(r *train.Run) error {
	if r.Pairs == nil {
		return errors.New("no pairs")
	}
	for _, part := range []pairs.Part{pairs.Val, pairs.Train} {
		set, err := r.Pairs.Sequential(r.Config, part)
		if err != nil || set == nil {
			continue
		}
		k := set.Len() / 2 // neither the shortest nor the longest
		b := pairs.NewBatch(set.Room())
		if err := set.Fill(k, 0, min(samplesAtOnce, set.Shape(k).B), b); err != nil {
			return err
		}
		s.sample = sample{what: fmt.Sprintf("%d %s sentences", b.B, heldOut(part == pairs.Train)), pairs: train.PairBatch(b)}
		return nil
	}
	return errors.New("no pairs")
}

// makeUp draws the sample.
func (s *source) makeUp() {
	draw := func(ids []int32, vocab int, what uint32) {
		key := rng.Key{Seed: 1, Block: what, Site: rng.SiteData}
		for i := range ids {
			ids[i] = int32(key.Uint64(uint32(i)) % uint64(vocab))
		}
	}
	switch s.Kind {
	case convert.GPT2:
		b := model.NewBatch(samplesAtOnce, min(s.GPTInfo.Config.Context, samplePositions))
		draw(b.Inputs, s.GPTInfo.Config.Vocab, 0)
		s.sample = sample{what: fmt.Sprintf("%d positions of random tokens", len(b.Inputs)), tokens: b}
	case convert.ViT:
		b := model.NewImageBatch(s.ViTInfo.Config, samplesAtOnce)
		train.RandomImages(train.Config{ViT: s.ViTInfo.Config}, 1, b)
		s.sample = sample{what: fmt.Sprintf("%d random images", b.Size), images: b}
	case convert.Seq2Seq:
		c := s.Seq2SeqInfo.Config
		b := model.NewPairBatch(samplesAtOnce, min(c.SourceContext, samplePositions), min(c.TargetContext, samplePositions))
		draw(b.Source, c.SourceVocab, 0)
		draw(b.Input, c.TargetVocab, 1)
		s.sample = sample{what: fmt.Sprintf("%d sentences of random tokens", b.B), pairs: b}
	}
}

// load loads the weights, the first time. Close s afterwards.
func (s *source) load() error {
	if s.be != nil {
		return nil
	}
	use := func(n net) error { _, err := n.logits(s.sample, s.Grid); return err }
	switch s.Kind {
	case convert.ViT:
		m, err := s.ViT(s.engine, func(m *model.ViT) error { return use(net{ViT: m}) })
		if err != nil {
			return err
		}
		s.be, s.net.ViT = m.Device, m.ViT
	case convert.Seq2Seq:
		m, err := s.Seq2Seq(s.engine, func(m *model.Seq2Seq) error { return use(net{Seq2Seq: m}) })
		if err != nil {
			return err
		}
		s.be, s.net.Seq2Seq = m.Device, m.Seq2Seq
	default:
		m, err := s.GPT(s.engine, func(m *model.GPT) error { return use(net{GPT: m}) })
		if err != nil {
			return err
		}
		s.be, s.net.GPT = m.Device, m.GPT
	}
	return nil
}

// read fills the model with the weights of the folder dir.
func (s *source) read(dir string) error {
	switch s.Kind {
	case convert.ViT:
		return hub.LoadViT(s.be, s.net.ViT, dir)
	case convert.Seq2Seq:
		return hub.LoadSeq2Seq(s.be, s.net.Seq2Seq, dir)
	}
	return hub.LoadGPT(s.be, s.net.GPT, dir)
}

// Close lets go of the model.
func (s *source) Close() {
	if s.be != nil {
		s.be.Close()
	}
}

// logits returns those of b, states on grid: a row of the vocabulary, or of the
// classes, for each position, or image.
func (n net) logits(b sample, grid bdia.Grid) (dst []float32, err error) {
	switch {
	case n.GPT != nil:
		dst = make([]float32, len(b.tokens.Inputs)*n.GPT.Config.Vocab)
		err = n.GPT.Logits(dst, b.tokens, grid)
	case n.ViT != nil:
		dst = make([]float32, b.images.Size*n.ViT.Config.Classes)
		err = n.ViT.Logits(dst, b.images, grid, 0)
	case n.Seq2Seq != nil:
		dst = make([]float32, len(b.pairs.Input)*n.Seq2Seq.Config.TargetVocab)
		err = n.Seq2Seq.Logits(dst, b.pairs, grid)
	}
	return dst, err
}
