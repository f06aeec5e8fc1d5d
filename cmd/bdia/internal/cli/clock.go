package cli

import "time"

// clock tells how long a run will go on: by the steps that this process has done, and by its latest evaluation.
type clock struct {
	mark       time.Time // end of the latest step or evaluation
	began      time.Time // of the evaluation at hand
	busy       time.Duration
	steps      int
	evaluation time.Duration // the latest
}

func (c *clock) start(now time.Time) { c.mark = now }

// step counts a step, which took the time since the latest one or the evaluation after it.
func (c *clock) step(now time.Time) {
	c.busy += now.Sub(c.mark)
	c.steps++
	c.mark = now
}

func (c *clock) evaluating(now time.Time) { c.began = now }

func (c *clock) evaluated(now time.Time) {
	if !c.began.IsZero() {
		c.evaluation, c.began = now.Sub(c.began), time.Time{}
	}
	c.mark = now
}

// left is how long so many steps and evaluations will take.
func (c *clock) left(steps, evaluations int) time.Duration {
	return time.Duration(float64(c.busy)/float64(max(c.steps, 1))*float64(steps)) + time.Duration(evaluations)*c.evaluation
}
