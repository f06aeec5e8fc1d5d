package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"math"
	"os"
	"time"

	"github.com/bdia-go/bdia"
	"github.com/bdia-go/bdia/backend"
	"github.com/bdia-go/bdia/cmd/bdia/internal/cli"
	"github.com/bdia-go/bdia/data"
	"github.com/bdia-go/bdia/metric"
	"github.com/bdia-go/bdia/model"
	"github.com/bdia-go/bdia/tokenizer"
)

// evalReport is the result of an evaluation of text.
type evalReport struct {
	Split          string  `json:"split,omitempty"` // of the run's text
	Text           string  `json:"text,omitempty"`  // a file of other text
	Tokens         int64   `json:"tokens"`          // that count
	Loss           float64 `json:"loss"`            // nats a token, states on the run's grid
	Perplexity     float64 `json:"perplexity"`
	WordPerplexity any     `json:"word_perplexity"` // of what white space parts; null where it is past all numbers
	BitsPerByte    float64 `json:"bits_per_byte"`
	FloatLoss      float64 `json:"float_loss"` // states in plain float32
	Grid           string  `json:"grid"`
	Windows        int     `json:"windows"`
	Stride         int     `json:"stride"` // tokens from one window to the next; 0: some windows, spread over the text
	Context        int     `json:"context"`
	GridMinFloat   float64 `json:"grid_minus_float"`
}

func (e *evalReport) print(w io.Writer) {
	name := map[string]string{"val": "Validation text", "train": "Training text", "": e.Text}[e.Split]
	fmt.Fprintf(w, "%s, %s tokens in %s windows", name, cli.Count(e.Tokens), cli.Count(int64(e.Windows)))
	if e.Stride > 0 && e.Stride < e.Context {
		fmt.Fprintf(w, " of %s, one every %s", cli.Count(int64(e.Context)), cli.Count(int64(e.Stride)))
	}
	fmt.Fprintf(w, ":\n  loss           %.4f nats a token (grid %s)\n", e.Loss, e.Grid)
	fmt.Fprintf(w, "  perplexity     %.3f of a token", e.Perplexity)
	if e.WordPerplexity != nil {
		fmt.Fprintf(w, ", %.4g of a word", e.WordPerplexity)
	}
	fmt.Fprintln(w)
	fmt.Fprintf(w, "  bits per byte  %.4f\n", e.BitsPerByte)
	if e.Grid != bdia.NoGrid.String() {
		fmt.Fprintf(w, "  in float32     %.4f nats a token (grid - float32: %+.2g)\n", e.FloatLoss, e.GridMinFloat)
	}
}

// windows are what a text is measured in.
type windows struct {
	n, T, stride int // T: most targets of one
	// batch returns windows from the first on, up to most of one length. What does
	// not count has the target backend.Ignore.
	batch func(first, most int) (model.Batch, error)
}

// newWindows cuts text for a model of context T: all of it, every stride tokens, or
// every T for 0; then, where there are more than most windows, which 0 is not, as many
// spread over the text.
func newWindows(text data.Tokens, T, stride, most int) (windows, error) {
	if stride > 0 || most == 0 || text.Len() <= int64(most)*int64(T)+1 {
		return slidingWindows(text, T, cmp.Or(stride, T), most)
	}
	set, err := data.NewSequential(text, T, most)
	if err != nil {
		return windows{}, err
	}
	return windows{set.Len(), T, 0, func(first, most int) (model.Batch, error) {
		b := model.NewBatch(min(most, set.Len()-first), T)
		return b, set.Batch(first, b.Size, b.Inputs, b.Targets)
	}}, nil
}

// slidingWindows cuts all of text, or most windows of its beginning.
func slidingWindows(text data.Tokens, T, stride, most int) (windows, error) {
	set, err := data.NewSliding(text, T, stride, most)
	if err != nil {
		return windows{}, err
	}
	longest, _ := set.Size(0)
	return windows{set.Len(), longest, stride, func(first, most int) (model.Batch, error) {
		T, _ := set.Size(first)
		n := 1
		for n < min(most, set.Len()-first) {
			if next, _ := set.Size(first + n); next != T {
				break
			}
			n++
		}
		b := model.NewBatch(n, T)
		for i := range n {
			inputs, targets := b.Inputs[i*T:(i+1)*T], b.Targets[i*T:(i+1)*T]
			if err := set.Window(first+i, inputs, targets); err != nil {
				return b, err
			}
			_, counted := set.Size(first + i)
			for j := range T - counted {
				targets[j] = backend.Ignore
			}
		}
		return b, nil
	}}, nil
}

// plan runs what measuring with batches of up to most windows takes.
func (w windows) plan(m *model.GPT, most int, grid bdia.Grid) error {
	_, err := m.Loss(model.NewBatch(min(most, w.n), w.T), grid)
	return err
}

// evaluate measures r's model on a grid and in float32.
func evaluate(ctx context.Context, r *oneRun, o evalOptions, p *cli.Progress) (*evalReport, error) {
	text := r.Text.Tokens(o.split == "train")
	if text.Len() == 0 {
		return nil, cli.Usage(errors.New("this run holds no text out; use --split train"))
	}
	T, atOnce := r.Config.Window(), r.Config.Loop.SamplesAtOnce()
	if err := o.fits(T); err != nil {
		return nil, err
	}
	w, err := newWindows(text, T, o.stride, o.samples)
	if err != nil {
		return nil, err
	}
	r.Config.Engine = o.engine
	l, err := loadRun(r, o.dir(r), o.lora, func(m *model.GPT) error { return w.plan(m, atOnce, r.Config.Method.Grid) })
	if err != nil {
		return nil, err
	}
	defer l.be.Close()
	return l.measure(ctx, &evalReport{Split: o.split}, w, atOnce, p)
}

// fits refuses windows further apart than the context T is long.
func (o evalOptions) fits(T int) error {
	if o.stride > T {
		return cli.Usage(fmt.Errorf("--stride %d: windows of %d tokens would leave some out; give at most %d", o.stride, T, T))
	}
	return nil
}

// evaluateFile measures the model in dir on the text that o names.
func evaluateFile(ctx context.Context, dir string, o evalOptions, p *cli.Progress) (*evalReport, error) {
	if _, err := os.Stat(dir); err != nil {
		return nil, err
	}
	l, err := openDir(dir, o.lora, true)
	if err != nil {
		return nil, err
	}
	T := l.cfg.Context
	if err := o.fits(T); err != nil {
		return nil, err
	}
	src, err := data.Open(o.text, data.SourceOptions{})
	if err != nil {
		return nil, err
	}
	tok := l.tok
	if !o.special {
		tok = tokenizer.Raw(tok)
	}
	var ids []int32
	encode := data.EncodeOptions{Progress: func(n int64) { p.Preparing("encoding", n, src.Bytes()) }}
	if err := src.Encode(tok, encode, func(more []int32) error { ids = append(ids, more...); return ctx.Err() }); err != nil {
		return nil, err
	}
	text, err := data.FromIDs(ids, l.cfg.Vocab)
	if err != nil {
		return nil, err
	}
	w, err := slidingWindows(text, T, cmp.Or(o.stride, T), o.samples)
	if err != nil {
		return nil, err
	}
	const tokensAtOnce = 1 << 11
	atOnce := max(1, tokensAtOnce/T)
	if err := l.load(o.engine, func(m *model.GPT) error { return w.plan(m, atOnce, l.grid) }); err != nil {
		return nil, err
	}
	defer l.be.Close()
	return l.measure(ctx, &evalReport{Text: o.text}, w, atOnce, p)
}

// measure completes e: the losses of w, so many windows at once.
func (l *loaded) measure(ctx context.Context, e *evalReport, w windows, atOnce int, p *cli.Progress) (*evalReport, error) {
	var onGrid, inFloat float64
	var counted extent
	began := time.Now()
	for first := 0; first < w.n; {
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		b, err := w.batch(first, atOnce)
		if err != nil {
			return nil, err
		}
		losses, err := l.model.Loss(b, l.grid)
		if err != nil {
			return nil, err
		}
		onGrid = model.AddLosses(onGrid, losses)
		if l.grid != bdia.NoGrid {
			if losses, err = l.model.Loss(b, bdia.NoGrid); err != nil {
				return nil, err
			}
			inFloat = model.AddLosses(inFloat, losses)
		}
		targets := b.Targets[:0]
		for _, id := range b.Targets {
			if id != backend.Ignore {
				targets = append(targets, id)
			}
		}
		text, err := l.tok.Decode(targets)
		if err != nil {
			return nil, err
		}
		e.Tokens += int64(len(targets))
		counted.add(text)
		first += b.Size
		p.Lines("measured", "windows", first, w.n, began)
	}
	if l.grid == bdia.NoGrid {
		inFloat = onGrid
	}
	e.Windows, e.Stride, e.Context, e.Grid = w.n, w.stride, l.cfg.Context, l.grid.String()
	e.Loss, e.FloatLoss = onGrid/float64(e.Tokens), inFloat/float64(e.Tokens)
	e.GridMinFloat = e.Loss - e.FloatLoss
	e.Perplexity = metric.Perplexity(e.Loss)
	e.WordPerplexity = cli.Number(math.Exp(onGrid / float64(counted.words)))
	e.BitsPerByte = metric.BitsPerByte(e.Loss, e.Tokens, counted.bytes)
	return e, nil
}

// extent is how long a text is.
type extent struct {
	bytes, words int64
	within       bool // a word
}

// add adds text that follows.
func (x *extent) add(text []byte) {
	x.bytes += int64(len(text))
	for _, b := range text {
		within := b > ' '
		if within && !x.within {
			x.words++
		}
		x.within = within
	}
}
