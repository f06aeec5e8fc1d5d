package cli

import (
	"context"
	"io"
)

// UntilDone returns a reader that does not wait past the end of ctx. Its end is final: a terminal goes on after a
// Ctrl-D.
func UntilDone(ctx context.Context, r io.Reader) io.Reader { return &untilDone{ctx: ctx, r: r} }

type untilDone struct {
	ctx   context.Context
	r     io.Reader
	ended bool
}

func (u *untilDone) Read(b []byte) (int, error) {
	if u.ended {
		return 0, io.EOF
	}
	type result struct {
		n   int
		err error
	}
	own, done := make([]byte, len(b)), make(chan result, 1) // b is the caller's again when ctx ends
	go func() {
		n, err := u.r.Read(own)
		done <- result{n, err}
	}()
	select {
	case <-u.ctx.Done():
		return 0, u.ctx.Err()
	case r := <-done:
		u.ended = r.err == io.EOF
		return copy(b, own[:r.n]), r.err
	}
}
