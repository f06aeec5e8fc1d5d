package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/bdia-go/bdia"
	"github.com/bdia-go/bdia/backend"
	"github.com/bdia-go/bdia/backend/cpu"
	"github.com/bdia-go/bdia/backend/plan"
	"github.com/bdia-go/bdia/checkpoint"
	"github.com/bdia-go/bdia/cmd/bdia/internal/cli"
	"github.com/bdia-go/bdia/convert"
	"github.com/bdia-go/bdia/data"
	"github.com/bdia-go/bdia/data/pairs"
	"github.com/bdia-go/bdia/internal/rng"
	"github.com/bdia-go/bdia/model"
	"github.com/bdia-go/bdia/tokenizer"
	"github.com/bdia-go/bdia/train"
)

// source is a model that is exported, with a sample of what it takes. Its weights
// are loaded when they are asked for.
type source struct {
	dir     string // of config.json
	weights string // folder of the weights: dir, or that of the model that adapters in dir belong to
	lora    string // folder of adapters to merge into them; empty for none
	kind    convert.Kind
	gpt     model.GPTConfig     // of one kind each
	vit     convert.ViTInfo     //
	seq2seq convert.Seq2SeqInfo //
	tok     tokenizer.Tokenizer // of the text, or of sources; nil where the folder has none
	target  tokenizer.Tokenizer // of translations
	end     *int32              // of a text, in a language model; nil where there is no such token
	grid    bdia.Grid           // of the run; none where dir belongs to none
	engine  backend.Options
	sample  sample

	be *cpu.Backend // nil until the weights are loaded
	net
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
func openSource(ctx context.Context, dir string, best bool, engine backend.Options) (*source, error) {
	home := runOf(dir)
	_, err := os.Stat(filepath.Join(home, configName))
	isRun := err == nil
	if best && !isRun {
		return nil, cli.Usage(fmt.Errorf("--best is for run directories; %s has no %s", dir, configName))
	}
	if best {
		if dir, err = bestOf(home); err != nil {
			return nil, err
		}
	}
	if _, err := os.Stat(dir); err != nil {
		return nil, err
	}
	if err := checkpoint.Settle(home); err != nil {
		return nil, err
	}
	s := &source{dir: dir, engine: engine}
	s.kind, err = convert.KindOf(dir)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, noModel(dir)
	}
	if err == nil {
		err = s.describe()
	}
	if err == nil {
		s.grid, err = gridOf(home)
	}
	if err != nil {
		return nil, err
	}
	if isRun && s.sampleRun(ctx, home) == nil {
		return s, nil
	}
	s.makeUp() // no run, or its data are not there any more
	return s, nil
}

// describe reads the configuration and the tokenizers.
func (s *source) describe() (err error) {
	path := filepath.Join(s.dir, "config.json")
	switch s.kind {
	case convert.ViT:
		s.vit, err = convert.ReadViTConfig(s.dir)
		return err
	case convert.Seq2Seq:
		if s.seq2seq, err = convert.ReadSeq2SeqConfig(path); err == nil {
			s.tok, s.target, err = train.LoadTokenizers(s.dir)
		}
		if c := s.seq2seq.Config; err == nil && (s.tok.VocabSize() > c.SourceVocab || s.target.VocabSize() > c.TargetVocab) {
			err = notTogether(s.dir, max(s.tok.VocabSize(), s.target.VocabSize()), max(c.SourceVocab, c.TargetVocab))
		}
		return err
	}
	info, err := convert.ReadGPT2Info(path)
	if err != nil {
		return err
	}
	s.gpt = info.Config
	if s.tok, err = tokenizer.Load(s.dir); errors.Is(err, tokenizer.ErrNotFound) {
		err = nil
	}
	s.end = endOf(s.tok, info)
	if s.tok != nil && s.tok.VocabSize() > s.gpt.Vocab {
		err = notTogether(s.dir, s.tok.VocabSize(), s.gpt.Vocab)
	}
	return err
}

// notTogether is the error of a tokenizer with more tokens than the model.
func notTogether(dir string, tokens, vocab int) error {
	return fmt.Errorf("%s: the tokenizer has %d tokens, the model only %d; they do not belong together", dir, tokens, vocab)
}

// sampleRun takes the sample from what the run in home holds out, else from what
// it learns.
func (s *source) sampleRun(ctx context.Context, home string) error {
	r, err := train.Open(home)
	if err != nil {
		return err
	}
	defer r.Close()
	switch s.kind {
	case convert.GPT2:
		return s.sampleText(r)
	case convert.ViT:
		return s.sampleImages(ctx, r)
	}
	return s.samplePairs(r)
}

func (s *source) sampleText(r *train.Run) error {
	if r.Text == nil || r.Config.Model.Vocab != s.gpt.Vocab {
		return s.sampleCompletions(r)
	}
	for _, training := range []bool{false, true} {
		set, err := data.NewSequential(r.Text.Tokens(training), min(s.gpt.Context, samplePositions), samplesAtOnce)
		if err != nil {
			continue
		}
		b := model.NewBatch(set.Len(), min(s.gpt.Context, samplePositions))
		s.sample = sample{what: fmt.Sprintf("%d positions of %s text", len(b.Inputs), heldOut(training)), tokens: b}
		return set.Batch(0, b.Size, b.Inputs, b.Targets)
	}
	return errors.New("no text")
}

// sampleCompletions takes prompts with their completions.
func (s *source) sampleCompletions(r *train.Run) error {
	if r.Pairs == nil || r.Config.Task != train.TaskCompletion || r.Config.Model.Vocab != s.gpt.Vocab {
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
	b := model.NewImageBatch(s.vit.Config, min(samplesAtOnce, set.Len()))
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
	switch s.kind {
	case convert.GPT2:
		b := model.NewBatch(samplesAtOnce, min(s.gpt.Context, samplePositions))
		draw(b.Inputs, s.gpt.Vocab, 0)
		s.sample = sample{what: fmt.Sprintf("%d positions of random tokens", len(b.Inputs)), tokens: b}
	case convert.ViT:
		b := model.NewImageBatch(s.vit.Config, samplesAtOnce)
		train.RandomImages(train.Config{ViT: s.vit.Config}, 1, b)
		s.sample = sample{what: fmt.Sprintf("%d random images", b.Size), images: b}
	case convert.Seq2Seq:
		c := s.seq2seq.Config
		b := model.NewPairBatch(samplesAtOnce, min(c.SourceContext, samplePositions), min(c.TargetContext, samplePositions))
		draw(b.Source, c.SourceVocab, 0)
		draw(b.Input, c.TargetVocab, 1)
		s.sample = sample{what: fmt.Sprintf("%d sentences of random tokens", b.B), pairs: b}
	}
}

// on allocates the model on be.
func (s *source) on(be backend.Backend) (n net, err error) {
	opt := bdia.Options{Memory: bdia.Store, Grid: s.grid}
	switch s.kind {
	case convert.GPT2:
		n.GPT, err = model.NewGPT(be, s.gpt, opt)
	case convert.ViT:
		n.ViT, err = model.NewViT(be, s.vit.Config, opt)
	case convert.Seq2Seq:
		n.Seq2Seq, err = model.NewSeq2Seq(be, s.seq2seq.Config, opt)
	}
	return n, err
}

// load loads the weights, the first time. Close s afterwards.
func (s *source) load() error {
	if s.be != nil {
		return nil
	}
	planner := plan.New(cpu.ScratchBytes(s.engine.Threads))
	n, err := s.on(planner)
	if err == nil {
		err = plausible(s.weights, planner.Peak().ByComponent[backend.Weights])
	}
	if err == nil {
		err = merge(planner, n.GPT, s.lora)
	}
	if err == nil {
		_, err = n.logits(s.sample, s.grid)
	}
	if err != nil {
		return err
	}
	if s.be, err = cpu.New(cpu.Options{Threads: s.engine.Threads, ISA: s.engine.ISA, ArenaBytes: planner.Peak().Total}); err != nil {
		return err
	}
	if s.net, err = s.on(s.be); err != nil {
		return err
	}
	if err := s.read(s.weights); err != nil {
		return err
	}
	return merge(s.be, s.GPT, s.lora)
}

// read fills the model with the weights of the folder dir.
func (s *source) read(dir string) error {
	switch s.kind {
	case convert.ViT:
		return train.LoadViT(s.be, s.ViT, dir)
	case convert.Seq2Seq:
		return train.LoadSeq2Seq(s.be, s.Seq2Seq, dir)
	}
	return train.LoadWeights(s.be, s.GPT, dir)
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
