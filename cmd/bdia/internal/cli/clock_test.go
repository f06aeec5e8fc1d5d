package cli

import (
	"testing"
	"time"
)

// TestClock: what is left counts steps and evaluations that are to come, not the evaluation before the first step.
func TestClock(t *testing.T) {
	t.Parallel()
	now := time.Unix(0, 0)
	tick := func(d time.Duration) time.Time { now = now.Add(d); return now }
	var c clock
	c.start(now)
	c.evaluating(now)
	c.evaluated(tick(10 * time.Second))
	c.step(tick(2 * time.Second))
	if got := c.left(3, 2); got != 26*time.Second {
		t.Errorf("after a step of 2 s and an evaluation of 10 s, 3 steps and 2 evaluations take %v", got)
	}
	p := Progress{last: 10, EvalEvery: 4}
	for step, want := range map[int]int{1: 3, 4: 3, 5: 2, 8: 2, 9: 1, 10: 1} {
		if got := p.evaluations(step); got != want {
			t.Errorf("from step %d of 10, every 4: %d evaluations, want %d", step, got, want)
		}
	}
}

// TestDumbTerminal: a terminal that shows escape sequences gets plain lines.
func TestDumbTerminal(t *testing.T) {
	if !animated(true, "xterm", true) || !animated(true, "", false) || animated(true, "dumb", true) || animated(true, "", true) || animated(false, "xterm", true) {
		t.Error("a bar is drawn on terminals only, and not with TERM=dumb or TERM=")
	}
}
