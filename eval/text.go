package eval

import (
	"context"

	"github.com/bdia-go/bdia"
	"github.com/bdia-go/bdia/backend"
	"github.com/bdia-go/bdia/internal/pmath"
	"github.com/bdia-go/bdia/metric"
	"github.com/bdia-go/bdia/model"
)

// TextReport is the result of a language model on a text.
type TextReport struct {
	Tokens         int64    `json:"tokens"` // targets
	Loss           float64  `json:"loss"`   // nats a token, states on the grid
	Perplexity     float64  `json:"perplexity"`
	WordPerplexity *float64 `json:"word_perplexity"` // of words between white space; nil if it overflows
	BitsPerByte    float64  `json:"bits_per_byte"`
	FloatLoss      float64  `json:"float_loss"` // nats a token, states in float32
	Grid           string   `json:"grid"`
	Windows        int      `json:"windows"`
	Stride         int      `json:"stride"` // tokens from one window to the next; 0: windows spread over the text
	Context        int      `json:"context"`
	GridMinFloat   float64  `json:"grid_minus_float"` // Loss - FloatLoss
}

// Decoder turns tokens into text, as a tokenizer does.
type Decoder interface {
	Decode(ids []int32) ([]byte, error)
}

// RehearseText runs one batch of the largest size. Run it on a planning backend to
// learn the memory for Text.
func RehearseText(m *model.GPT, w *Windows, grid bdia.Grid) error {
	_, err := m.Loss(w.Largest(), grid)
	return err
}

// Text measures m on the windows of a text, on a grid and in float32. progress, if
// not nil, is called with the number of windows done. If ctx is done, it stops with
// the context's error.
func Text(ctx context.Context, m *model.GPT, tok Decoder, w *Windows, grid bdia.Grid, progress func(done int)) (TextReport, error) {
	r := TextReport{Windows: w.Len, Stride: w.Stride, Context: m.Config.Context, Grid: grid.String()}
	var onGrid, inFloat float64
	var size extent
	for first := 0; first < w.Len; {
		if err := ctx.Err(); err != nil {
			return r, err
		}
		b, err := w.Batch(first)
		if err != nil {
			return r, err
		}
		losses, err := m.Loss(b, grid)
		if err != nil {
			return r, err
		}
		onGrid = model.AddLosses(onGrid, losses)
		if grid != bdia.NoGrid {
			if losses, err = m.Loss(b, bdia.NoGrid); err != nil {
				return r, err
			}
			inFloat = model.AddLosses(inFloat, losses)
		}
		targets := b.Targets[:0]
		for _, id := range b.Targets {
			if id != backend.Ignore {
				targets = append(targets, id)
			}
		}
		text, err := tok.Decode(targets)
		if err != nil {
			return r, err
		}
		r.Tokens += int64(len(targets))
		size.add(text)
		first += b.Size
		if progress != nil {
			progress(first)
		}
	}
	if grid == bdia.NoGrid {
		inFloat = onGrid
	}
	r.Loss, r.FloatLoss = onGrid/float64(r.Tokens), inFloat/float64(r.Tokens)
	r.GridMinFloat = r.Loss - r.FloatLoss
	r.Perplexity = metric.Perplexity(r.Loss)
	r.WordPerplexity = finite(pmath.Exp(onGrid / float64(size.words)))
	r.BitsPerByte = metric.BitsPerByte(r.Loss, r.Tokens, size.bytes)
	return r, nil
}

// extent counts the bytes and words of a text that comes in pieces.
type extent struct {
	bytes, words int64
	inWord       bool
}

// add counts the next piece.
func (x *extent) add(text []byte) {
	x.bytes += int64(len(text))
	for _, b := range text {
		inWord := b > ' '
		if inWord && !x.inWord {
			x.words++
		}
		x.inWord = inWord
	}
}
