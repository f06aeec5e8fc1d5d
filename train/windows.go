package train

import (
	"slices"

	"github.com/bdia-go/bdia/data"
	"github.com/bdia-go/bdia/model"
	"github.com/bdia-go/bdia/tokenizer"
)

// Windows returns a Source of text: each step has n windows of T tokens, drawn at random from all the windows in text.
// A window's targets are the tokens one position later. A text of fewer than T+1 tokens is data.ErrTooShort.
func Windows(text data.Tokens, T, n int, seed uint64) (Source[model.Batch], error) {
	s, err := data.NewSampler(text, T, seed)
	if err != nil {
		return nil, err
	}
	return windowSource{s, T, n}, nil
}

type windowSource struct {
	sampler *data.Sampler
	T, n    int
}

func (s windowSource) Size(int) (samples, losses int, err error) { return s.n, s.n * s.T, nil }

func (s windowSource) Fill(step, first, n int, b *model.Batch) error {
	resize(b, n, s.T)
	return s.sampler.Batch(step, first, n, b.Inputs, b.Targets)
}

// resize makes b a batch of n samples of T tokens, in its own memory if that is large enough.
func resize(b *model.Batch, n, T int) {
	b.Size = n
	b.Inputs, b.Targets = slices.Grow(b.Inputs[:0], n*T)[:n*T], slices.Grow(b.Targets[:0], n*T)[:n*T]
}

// TextWindows returns Windows of the text in a file or folder, and of its last part, which is held out: for example a
// tenth. A file or document begins with the tokens that begin a text of enc, if it is a tokenizer that has such, as
// Llama's. The tokens of all the text are kept in memory; for more, use data.OpenShards and Windows.
func TextWindows(path string, enc data.Encoder, T, n int, heldOut float64) (learned, held Source[model.Batch], err error) {
	text, err := data.Open(path, data.SourceOptions{})
	if err != nil {
		return nil, nil, err
	}
	var ids, before []int32
	if tok, ok := enc.(tokenizer.Tokenizer); ok {
		before, _ = tokenizer.Around(tok)
	}
	if err := text.Encode(enc, data.EncodeOptions{Before: before}, func(piece []int32) error {
		ids = append(ids, piece...)
		return nil
	}); err != nil {
		return nil, nil, err
	}
	tokens, err := data.FromIDs(ids, enc.VocabSize())
	if err != nil {
		return nil, nil, err
	}
	first, last, err := data.Split(tokens, heldOut)
	if err != nil {
		return nil, nil, err
	}
	if learned, err = Windows(first, T, n, 1); err != nil {
		return nil, nil, err
	}
	held, err = Windows(last, T, n, 1)
	return learned, held, err
}

// Sequences returns a Source of tokens that a function makes: each step has n samples of T tokens, and at returns token
// t of a sample. Token t+1 is the target of token t.
func Sequences(n, T int, at func(step, sample, t int) int32) Source[model.Batch] {
	return sequences{n, T, at}
}

type sequences struct {
	n, T int
	at   func(step, sample, t int) int32
}

func (s sequences) Size(int) (samples, losses int, err error) { return s.n, s.n * s.T, nil }

func (s sequences) Fill(step, first, n int, b *model.Batch) error {
	resize(b, n, s.T)
	for i := range b.Inputs {
		sample, t := first+i/s.T, i%s.T
		b.Inputs[i], b.Targets[i] = s.at(step, sample, t), s.at(step, sample, t+1)
	}
	return nil
}
