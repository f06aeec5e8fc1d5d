package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"slices"
	"sync/atomic"
	"syscall"
	"time"
)

// Interruptible returns a context that the first signal to stop ends, so that commands can save and leave: Ctrl-C
// (SIGINT), SIGTERM, SIGHUP when the terminal ends, SIGUSR1 before the time of a job is up. A second Ctrl-C or SIGTERM
// stops the process at once, if it comes a second or more after the first. When nobody reads errOut any more, as behind
// "| head", writing to it is no end of the process. The function gives the signals back.
func Interruptible(errOut io.Writer) (context.Context, func()) {
	taker := &taker{}
	ctx, cancel := context.WithCancel(context.WithValue(context.Background(), takerKey{}, taker))
	signals := make(chan os.Signal, 4)
	signal.Notify(signals, os.Interrupt, syscall.SIGTERM)
	signal.Notify(signals, moreSignals...)
	if !signal.Ignored(syscall.SIGHUP) { // nohup ignores it
		signal.Notify(signals, syscall.SIGHUP)
	}
	pipe := make(chan os.Signal, 1) // heard by nobody, but a write to a closed pipe is an error then, and no end
	signal.Notify(pipe, syscall.SIGPIPE)
	go func() {
		var urgent insistence
		for s := range signals {
			if f := taker.f.Load(); f != nil && s == os.Interrupt {
				(*f)()
				continue
			}
			again := (s == os.Interrupt || s == syscall.SIGTERM) && urgent.again(time.Now())
			switch {
			case ctx.Err() == nil:
				cancel()
				if IsTerminal(errOut) {
					fmt.Fprintln(errOut, "\nStopping; Ctrl-C again stops at once.")
				}
			case again: // the others may come more than once, or before SIGTERM
				os.Exit(ExitInterrupted)
			}
		}
	}()
	return ctx, func() { signal.Stop(pipe); signal.Stop(signals); close(signals); cancel() }
}

// taker takes Ctrl-C in place of the end of a context of Interruptible.
type taker struct{ f atomic.Pointer[func()] }

type takerKey struct{}

// OnInterrupt has a Ctrl-C call f in place of ending ctx, if ctx comes from Interruptible, until restore is called. A
// conversation, for example, ends the answer. Other signals end ctx as before.
func OnInterrupt(ctx context.Context, f func()) (restore func()) {
	t, ok := ctx.Value(takerKey{}).(*taker)
	if !ok {
		return func() {}
	}
	t.f.Store(&f)
	return func() { t.f.Store(nil) }
}

// apart is the least time between two signals that somebody meant to send. Schedulers and process managers send one
// signal twice, to the process and to its group.
const apart = time.Second

// insistence knows when the first Ctrl-C or SIGTERM came.
type insistence struct{ first time.Time }

// again reports whether a signal at now is a second one; for example not 10 ms after the first.
func (i *insistence) again(now time.Time) bool {
	if i.first.IsZero() {
		i.first = now
		return false
	}
	return now.Sub(i.first) >= apart
}

// AtOnce calls f and returns what it returns, or the error of ctx as soon as that is done. Then f may go on for a time,
// until the program ends; what it comes to is not used.
func AtOnce[T any](ctx context.Context, f func() (T, error)) (T, error) {
	type result struct {
		v   T
		err error
	}
	done := make(chan result, 1)
	go func() {
		v, err := f()
		done <- result{v, err}
	}()
	select {
	case r := <-done:
		return r.v, r.err
	case <-ctx.Done():
		return *new(T), ctx.Err()
	}
}

// WhileRead returns a context that ends with ctx, or when the reader of p's lines has gone, as behind "2>&1 | head".
func (p *Progress) WhileRead(ctx context.Context) (context.Context, context.CancelFunc) {
	ctx, cancel := context.WithCancel(ctx)
	p.W = &listened{p.W, cancel}
	return ctx, cancel
}

// listened is a writer that says when nobody reads it any more.
type listened struct {
	w    io.Writer
	gone func()
}

// Write writes b to l.w, and hides that its reader has gone.
func (l *listened) Write(b []byte) (int, error) {
	n, err := l.w.Write(b)
	if slices.ContainsFunc(brokenPipes, func(e error) bool { return errors.Is(err, e) }) {
		l.gone()
		return len(b), nil
	}
	return n, err
}
