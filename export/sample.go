package export

import (
	"fmt"

	"github.com/bdia-go/bdia/convert"
	"github.com/bdia-go/bdia/data/images"
	"github.com/bdia-go/bdia/hub"
	"github.com/bdia-go/bdia/internal/rng"
	"github.com/bdia-go/bdia/model"
)

// Sample is a small batch for comparing a model with its export: tokens, images or pairs,
// depending on the model.
type Sample struct {
	What   string // for people, for example "2 held-out images"
	Tokens model.Batch
	Images model.ImageBatch
	Pairs  model.PairBatch
}

// Sizes of a sample. They are small because a large vocabulary has many logits at each
// position.
const (
	SampleSize      = 2  // samples
	SamplePositions = 32 // positions of a text
)

// RandomSample returns a sample of random tokens or pixels, always the same.
func RandomSample(f *hub.Folder) Sample {
	draw := func(ids []int32, vocab int, what uint32) {
		key := rng.Key{Seed: 1, Block: what, Site: rng.SiteData}
		for i := range ids {
			ids[i] = int32(key.Uint64(uint32(i)) % uint64(vocab))
		}
	}
	switch f.Kind {
	case convert.ViT:
		b := model.NewImageBatch(f.ViTInfo.Config, SampleSize)
		image := len(b.Pixels) / b.Size
		for i := range b.Size {
			images.Random(b.Pixels[i*image:][:image], 0, 1, i)
		}
		return Sample{What: fmt.Sprintf("%d random images", b.Size), Images: b}
	case convert.Seq2Seq:
		c := f.Seq2SeqInfo.Config
		b := model.NewPairBatch(SampleSize, min(c.SourceContext, SamplePositions), min(c.TargetContext, SamplePositions))
		draw(b.Source, c.SourceVocab, 0)
		draw(b.Input, c.TargetVocab, 1)
		return Sample{What: fmt.Sprintf("%d sentences of random tokens", b.B), Pairs: b}
	}
	c := f.GPTInfo.Config
	b := model.NewBatch(SampleSize, min(c.CacheContext(), SamplePositions))
	draw(b.Inputs, c.Vocab, 0)
	return Sample{What: fmt.Sprintf("%d positions of random tokens", len(b.Inputs)), Tokens: b}
}
