package eval

import (
	"context"
	"errors"
	"math"
	"testing"

	"github.com/bdia-go/bdia"
	"github.com/bdia-go/bdia/backend"
	_ "github.com/bdia-go/bdia/backend/cpu"
	"github.com/bdia-go/bdia/internal/testkit"
	"github.com/bdia-go/bdia/model"
)

// letters decodes token i as the i-th letter; token 0 is a space, token 1 is é.
type letters struct{}

func (letters) Decode(ids []int32) (text []byte, err error) {
	for _, id := range ids {
		switch id {
		case 0:
			text = append(text, ' ')
		case 1:
			text = append(text, "é"...)
		default:
			text = append(text, 'a'+byte(id))
		}
	}
	return text, nil
}

// newGPT returns a small model with a vocabulary of 32 tokens and a context of 8.
func newGPT(t *testing.T) *model.GPT {
	t.Helper()
	var m *model.GPT
	be, err := backend.Fit(backend.Options{Threads: 1}, func(be backend.Backend) (err error) {
		m, err = model.NewGPT(be, model.GPTConfig{Vocab: 32, Context: 8, Layers: 2, Heads: 2, Width: 8}, bdia.Options{Memory: bdia.Store, Grid: bdia.DefaultGrid})
		return err
	}, func() error {
		_, err := m.Loss(model.NewBatch(4, 8), bdia.DefaultGrid)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(be.Close)
	m.Init(3)
	return m
}

// TestText compares the report with the model's own losses, window by window.
func TestText(t *testing.T) {
	t.Parallel()
	m := newGPT(t)
	for _, grid := range []bdia.Grid{bdia.DefaultGrid, bdia.NoGrid} {
		w, err := NewWindows(tokens(t, 31), WindowOptions{Context: 8, Stride: 3, AtOnce: 4})
		if err != nil {
			t.Fatal(err)
		}
		var done []int
		r, err := Text(t.Context(), m, letters{}, w, grid, func(n int) { done = append(done, n) })
		if err != nil {
			t.Fatal(err)
		}
		var onGrid, inFloat float64
		for _, b := range batches(t, w) {
			if err := testkit.AddTo(&onGrid)(m.Loss(b, grid)); err != nil {
				t.Fatal(err)
			}
			if err := testkit.AddTo(&inFloat)(m.Loss(b, bdia.NoGrid)); err != nil {
				t.Fatal(err)
			}
		}
		// 30 targets: é of two bytes, then 29 letters; one word.
		if r.Tokens != 30 || r.Loss != onGrid/30 || r.FloatLoss != inFloat/30 || r.GridMinFloat != r.Loss-r.FloatLoss {
			t.Errorf("%v: %+v, want losses %v and %v of 30 tokens", grid, r, onGrid/30, inFloat/30)
		}
		if (r.GridMinFloat == 0) != (grid == bdia.NoGrid) {
			t.Errorf("%v: the grid changes the loss by %v", grid, r.GridMinFloat)
		}
		if want := onGrid / math.Ln2 / 31; math.Abs(r.BitsPerByte-want) > 1e-12 || r.Perplexity != math.Exp(r.Loss) {
			t.Errorf("%v: %v bits a byte, want %v; perplexity %v", grid, r.BitsPerByte, want, r.Perplexity)
		}
		if want := math.Exp(onGrid); r.WordPerplexity == nil || *r.WordPerplexity != want {
			t.Errorf("%v: perplexity of a word %v, want %v", grid, r.WordPerplexity, want)
		}
		if r.Windows != w.Len || r.Stride != 3 || r.Context != 8 || r.Grid != grid.String() || done[len(done)-1] != w.Len {
			t.Errorf("%v: %+v, progress %v", grid, r, done)
		}
	}
}

// TestTextStops checks that the end of the context ends an evaluation.
func TestTextStops(t *testing.T) {
	t.Parallel()
	w, err := NewWindows(tokens(t, 31), WindowOptions{Context: 8})
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(t.Context())
	n := 0
	_, err = Text(ctx, newGPT(t), letters{}, w, bdia.NoGrid, func(int) { n++; stop() })
	if !errors.Is(err, context.Canceled) || n != 1 {
		t.Errorf("after %d batches: %v", n, err)
	}
}

// TestExtent checks that pieces of a text count as the whole.
func TestExtent(t *testing.T) {
	t.Parallel()
	const text = " two  words\nand\tthree more "
	for size := 1; size <= len(text); size++ {
		var x extent
		for from := 0; from < len(text); from += size {
			x.add([]byte(text[from:min(from+size, len(text))]))
		}
		if x.words != 5 || x.bytes != int64(len(text)) {
			t.Errorf("pieces of %d: %d words of %d bytes", size, x.words, x.bytes)
		}
	}
}
