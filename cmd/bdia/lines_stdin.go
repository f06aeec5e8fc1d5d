package main

import (
	"context"
	"io"
)

// untilDone is a reader that does not wait past the end of ctx.
type untilDone struct {
	ctx context.Context
	r   io.Reader
}

func (u untilDone) Read(b []byte) (int, error) {
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
		return copy(b, own[:r.n]), r.err
	}
}
