package optim

import (
	"math"
	"testing"
)

func TestScheduleCorners(t *testing.T) {
	t.Parallel()
	const lr = 0.01
	for _, c := range []struct {
		s    Schedule
		step int
		want float64
	}{
		{Schedule{"constant", lr, 0.1, 0, 10}, 1, lr},
		{Schedule{"constant", lr, 0.1, 0, 10}, 10, lr},
		{Schedule{"constant", lr, 0.1, 4, 10}, 1, lr / 4},
		{Schedule{"constant", lr, 0.1, 4, 10}, 4, lr},
		{Schedule{"constant", lr, 0.1, 4, 10}, 5, lr},
		{Schedule{"linear", lr, 0.1, 0, 10}, 5, lr * 0.55},
		{Schedule{"linear", lr, 0.1, 0, 10}, 10, lr * 0.1},
		{Schedule{"linear", lr, 0, 0, 10}, 10, 0},
		{Schedule{"linear", lr, 0.2, 5, 10}, 5, lr},
		{Schedule{"linear", lr, 0.2, 5, 10}, 6, lr * 0.84},
		{Schedule{"cosine", lr, 0.1, 0, 10}, 5, lr * 0.55},
		{Schedule{"cosine", lr, 0.1, 0, 10}, 10, lr * 0.1},
		{Schedule{"cosine", lr, 0, 2, 10}, 4, lr * 0.5 * (1 + math.Sqrt2/2)},
		{Schedule{"cosine", lr, 0, 2, 10}, 3, lr * 0.5 * (1 + math.Cos(math.Pi/8))},
		{Schedule{"cosine", lr, 1, 2, 10}, 7, lr}, // nothing is taken off
		{Schedule{"cosine", lr, 0.1, 3, 10}, 2, lr * 2 / 3},
		{Schedule{"cosine", lr, 0.1, 10, 10}, 10, lr}, // all warm-up
		{Schedule{"cosine", lr, 0.1, 20, 10}, 10, lr / 2},
		{Schedule{"cosine", lr, 0.1, 0, 1}, 1, lr * 0.1},
		{Schedule{"linear", lr, 0.1, 0, 10}, 15, lr * 0.1}, // past the end
		{Schedule{"cosine", lr, 0.1, 0, 10}, 15, lr * 0.1},
		{Schedule{"linear", lr, 0.1, 10, 10}, 11, lr}, // past the end of a warm-up alone
	} {
		if got := c.s.At(c.step); math.Abs(got-c.want) > 1e-15 {
			t.Errorf("%+v at step %d: %v, want %v", c.s, c.step, got, c.want)
		}
	}
}

// TestScheduleShape: up to the peak without a jump, then never up again.
func TestScheduleShape(t *testing.T) {
	t.Parallel()
	for _, kind := range []string{"constant", "linear", "cosine"} {
		s := Schedule{Kind: kind, LR: 1, Final: 0.1, Warmup: 7, Steps: 50}
		for step := 2; step <= s.Steps; step++ {
			before, at := s.At(step-1), s.At(step)
			if up := step <= s.Warmup; up && at <= before || !up && at > before || math.Abs(at-before) > 1.0/7+1e-12 {
				t.Errorf("%s: step %d has %v after %v", kind, step, at, before)
			}
		}
	}
}

func TestScheduleValidate(t *testing.T) {
	t.Parallel()
	good := Schedule{Kind: "cosine", LR: 1e-3, Final: 0.1, Warmup: 10, Steps: 100}
	if err := good.Validate(); err != nil {
		t.Fatal(err)
	}
	for name, change := range map[string]func(*Schedule){
		"kind":     func(s *Schedule) { s.Kind = "step" },
		"no kind":  func(s *Schedule) { s.Kind = "" },
		"rate 0":   func(s *Schedule) { s.LR = 0 },
		"rate -":   func(s *Schedule) { s.LR = -1 },
		"rate NaN": func(s *Schedule) { s.LR = math.NaN() },
		"rate inf": func(s *Schedule) { s.LR = math.Inf(1) },
		"final -":  func(s *Schedule) { s.Final = -0.1 },
		"final 2":  func(s *Schedule) { s.Final = 2 },
		"NaN":      func(s *Schedule) { s.Final = math.NaN() },
		"warm-up":  func(s *Schedule) { s.Warmup = -1 },
		"steps":    func(s *Schedule) { s.Steps = 0 },
	} {
		s := good
		change(&s)
		if s.Validate() == nil {
			t.Errorf("%s: %+v is accepted", name, s)
		}
	}
}
