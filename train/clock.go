package train

import (
	"context"
	"time"
)

// Clock tells a run the time, so that a test, or a program with a time of its own, need not wait.
type Clock interface {
	Now() time.Time
	// Wait returns after d, or when ctx is done.
	Wait(ctx context.Context, d time.Duration)
}

// realClock is the clock of the machine. Its times are monotonic: setting the clock does not move them.
type realClock struct{}

func (realClock) Now() time.Time { return time.Now() }

func (realClock) Wait(ctx context.Context, d time.Duration) {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
	case <-ctx.Done():
	}
}

// now is the time on the clock of the run.
func (l *loop) now() time.Time { return l.watch.Now() }

// since is the time since t; it is never negative, whatever the clock does.
func (l *loop) since(t time.Time) time.Duration { return max(0, l.now().Sub(t)) }

// clock brings the time of the run up to date, which never goes back.
func (l *loop) clock() {
	l.State.Elapsed = max(l.State.Elapsed, l.before+l.since(l.started).Seconds())
}

// rate is units a second; 0 if no time has passed.
func rate(units int, d time.Duration) float64 {
	if d <= 0 {
		return 0
	}
	return float64(units) / d.Seconds()
}
