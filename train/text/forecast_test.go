package text

import (
	"context"
	"testing"
	"time"

	"github.com/bdia-go/bdia/internal/traintest"
	"github.com/bdia-go/bdia/train"
)

// asking is an Observer that hears the forecast.
type asking struct {
	traintest.Listener
	heard []train.Forecast
}

func (a *asking) Forecast(f train.Forecast) { a.heard = append(a.heard, f) }

// ticking is a clock on which a second passes whenever somebody looks at it.
type ticking struct{ looks int }

func (c *ticking) Now() time.Time {
	c.looks++
	return time.Unix(1700000000+int64(c.looks), 0)
}

func (*ticking) Wait(context.Context, time.Duration) {}

// TestForecast: the forecast is measured, and changes no bit of the run that follows.
func TestForecast(t *testing.T) {
	t.Parallel()
	cfg := tinyConfig()
	cfg.Schedule.Steps, cfg.Loop.EMA = 14, 0.9
	quiet, asked := create(t, cfg), create(t, cfg)
	before, err := asked.Forecast(context.Background(), nil)
	if err != nil {
		t.Fatal(err)
	}
	var obs asking
	asked.Clock = &ticking{}
	traintest.Trained(t, quiet, traintest.Listener{})
	sum := traintest.Trained(t, asked, &obs)
	traintest.SameFiles(t, asked.Dir, quiet.Dir)
	traintest.SameMetrics(t, asked.Dir, quiet.Dir)
	if len(obs.heard) != 1 {
		t.Fatalf("heard %d forecasts", len(obs.heard))
	}
	for _, f := range []train.Forecast{before, obs.heard[0]} {
		if f.Steps != 14 || f.Left != 14 || f.Losses != 14*6*8 || f.Unit != "tokens" || f.Memory != sum.Peak {
			t.Errorf("forecast %+v", f)
		}
		if f.StepTime <= 0 || f.EvalTime <= 0 || f.Evaluations != 6 || f.Total < 14*f.StepTime {
			t.Errorf("times of %+v; want 6 evaluations: before the run, after 3, 6, 9, 12 and 14 steps", f)
		}
		if f.Parameters == 0 || f.Trainable != f.Parameters {
			t.Errorf("%d parameters, %d trainable", f.Parameters, f.Trainable)
		}
	}
	// The forecast is no part of the run's time, whose last checkpoint is a few looks at the clock before its end.
	if sum.Saved != 14 || sum.Before != 0 || sum.Elapsed < 14 || sum.Seconds < sum.Elapsed || sum.Seconds-sum.Elapsed > 5 {
		t.Errorf("summary %+v", sum)
	}
}

// TestForecastOfAShortRun: what is left of the run is too little to be measured.
func TestForecastOfAShortRun(t *testing.T) {
	t.Parallel()
	r := create(t, tinyConfig())
	var obs asking
	traintest.Trained(t, r, &obs)
	if f := obs.heard[0]; f.Steps != 8 || f.StepTime != 0 || f.Total != 0 {
		t.Errorf("forecast %+v", f)
	}
}

// TestForecastInterrupted: a run that is stopped while it is measured has done nothing.
func TestForecastInterrupted(t *testing.T) {
	t.Parallel()
	cfg := tinyConfig()
	cfg.Schedule.Steps = 14
	r := create(t, cfg)
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	sum, err := r.Train(ctx, &asking{})
	if err != nil || !sum.Interrupted || sum.Steps != 0 || sum.Saved != 0 {
		t.Errorf("%+v, error %v", sum, err)
	}
}
