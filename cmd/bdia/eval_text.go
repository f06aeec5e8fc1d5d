package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/bdia-go/bdia"
	"github.com/bdia-go/bdia/cmd/bdia/internal/cli"
	"github.com/bdia-go/bdia/data"
	"github.com/bdia-go/bdia/eval"
	"github.com/bdia-go/bdia/model"
	"github.com/bdia-go/bdia/tokenizer"
	"github.com/bdia-go/bdia/train"
)

// textReport is the result of an evaluation of text.
type textReport struct {
	Split string `json:"split,omitempty"` // of the run's text
	Text  string `json:"text,omitempty"`  // a file of other text
	precisionReport
	eval.TextReport
}

func (e *textReport) loss() float64 { return e.Loss }

func (e *textReport) print(w io.Writer) {
	name := map[string]string{"val": "Validation text", "train": "Training text", "": e.Text}[e.Split]
	fmt.Fprintf(w, "%s, %s in %s", name, cli.Counted(e.Tokens, "tokens"), cli.Counted(int64(e.Windows), "windows"))
	if e.Stride > 0 && e.Stride < e.Context {
		fmt.Fprintf(w, " of %s, one every %s", cli.Count(int64(e.Context)), cli.Count(int64(e.Stride)))
	}
	fmt.Fprintf(w, ":\n  loss           %.4f nats a token (%s)\n", e.Loss, e.on(e.Grid))
	fmt.Fprintf(w, "  perplexity     %.3f of a token", e.Perplexity)
	if e.WordPerplexity != nil {
		fmt.Fprintf(w, ", %.4g of a word", *e.WordPerplexity)
	}
	fmt.Fprintln(w)
	fmt.Fprintf(w, "  bits per byte  %.4f\n", e.BitsPerByte)
	if e.Grid != bdia.NoGrid.String() {
		plain, short := e.plain()
		fmt.Fprintf(w, "  %-14s %.4f nats a token (grid - %s: %+.2g)\n", plain, e.FloatLoss, short, e.GridMinFloat)
	}
	e.printGap(w)
}

func (v textView) evaluates() []string { return []string{"stride", "adapter"} }

// evaluate measures the model of r on a part of its text.
func (v textView) evaluate(ctx context.Context, r *train.Run, o evalOptions, p *cli.Progress) (printer, error) {
	text := v.Tokens(o.split == "train")
	if text.Len() == 0 {
		return nil, cli.Usage(errors.New("this run holds no text out; use --split train"))
	}
	c := v.Settings
	w, err := o.windows(text, eval.WindowOptions{Context: c.SampleLength(), Spread: true, AtOnce: c.Loop.SamplesAtOnce()})
	if err != nil {
		return nil, err
	}
	l, err := loadRun(c.Model, o.engine, o.weights, o.lora, func(m *model.GPT) error { return eval.RehearseText(m, w, c.Method.Grid) })
	if err != nil {
		return nil, err
	}
	return l.measure(ctx, textReport{Split: o.split}, w, p)
}

// windows cuts text as o and w say.
func (o evalOptions) windows(text data.Tokens, w eval.WindowOptions) (*eval.Windows, error) {
	if err := o.fits(w.Context); err != nil {
		return nil, err
	}
	w.Stride, w.Most = o.stride, o.samples
	return eval.NewWindows(text, w)
}

// fits refuses windows further apart than the context T is long.
func (o evalOptions) fits(T int) error {
	if o.stride > T {
		return cli.Usage(fmt.Errorf("--stride %d: windows of %d tokens would leave some out; give at most %d", o.stride, T, T))
	}
	return nil
}

// evaluateFile measures the model in dir on the text that o names.
func evaluateFile(ctx context.Context, dir string, o evalOptions, p *cli.Progress) (printer, error) {
	l, err := openDir(dir, o.lora, true)
	if err != nil {
		return nil, err
	}
	const tokensAtOnce = 1 << 11
	cut := eval.WindowOptions{Context: l.cfg.Context, AtOnce: max(1, tokensAtOnce/l.cfg.Context)}
	if err := o.fits(cut.Context); err != nil { // before the text is read
		return nil, err
	}
	text, err := l.encode(ctx, o, p)
	if err != nil {
		return nil, err
	}
	w, err := o.windows(text, cut)
	if err != nil {
		return nil, err
	}
	if err := l.load(o.engine, func(m *model.GPT) error { return eval.RehearseText(m, w, l.grid) }); err != nil {
		return nil, err
	}
	return l.measure(ctx, textReport{Text: o.text}, w, p)
}

// encode reads the text that o names.
func (l *loaded) encode(ctx context.Context, o evalOptions, p *cli.Progress) (data.Tokens, error) {
	src, err := data.Open(o.text, data.SourceOptions{})
	if err != nil {
		return nil, err
	}
	tok := l.tok
	if err := o.given.refuse([]idle{idleOfSpecial(tok.Kind())}); err != nil {
		return nil, err
	}
	if !o.special {
		tok = tokenizer.Raw(tok)
	}
	var ids []int32
	before, _ := tokenizer.Around(tok) // as in training
	encode := data.EncodeOptions{Before: before, Progress: func(n int64) { p.Preparing("encoding", n, src.Bytes()) }}
	if err := src.Encode(tok, encode, func(more []int32) error { ids = append(ids, more...); return ctx.Err() }); err != nil {
		return nil, err
	}
	return data.FromIDs(ids, l.cfg.Vocab)
}

// measure completes e by the losses of w, and closes the model.
func (l *loaded) measure(ctx context.Context, e textReport, w *eval.Windows, p *cli.Progress) (printer, error) {
	defer l.be.Close()
	began := time.Now()
	var err error
	e.TextReport, err = eval.Text(ctx, l.model, l.tok, w, l.grid, func(done int) { p.Lines("measured", "windows", done, w.Len, began) })
	return &e, err
}
