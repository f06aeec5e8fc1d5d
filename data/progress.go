package data

import (
	"context"
	"io"
)

// ProgressReader reads a text, reports how much was read, and stops when its context is done.
type ProgressReader struct {
	r      io.Reader
	n      int64
	report func(n int64)
	ctx    context.Context
	failed error
}

// NewProgressReader returns a reader of r. report hears how many bytes were read.
func NewProgressReader(ctx context.Context, r io.Reader, report func(n int64)) *ProgressReader {
	return &ProgressReader{r: r, report: report, ctx: ctx}
}

// Read reads as io.Reader does.
func (p *ProgressReader) Read(b []byte) (int, error) {
	if err := p.ctx.Err(); err != nil {
		return 0, err
	}
	n, err := p.r.Read(b)
	if err != io.EOF {
		p.failed = err
	}
	p.n += int64(n)
	p.report(p.n)
	return n, err
}

// Failed is the error that ended the reading; nil at the end of the text.
func (p *ProgressReader) Failed() error { return p.failed }
