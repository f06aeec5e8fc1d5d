package train

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/bdia-go/bdia/backend"
	"github.com/bdia-go/bdia/tensor"
)

// Forecast is what a run will take, as far as that can be told before its first step. Times are of this machine as it
// is now, without checkpoints and samples of text.
type Forecast struct {
	Parameters int64 // numbers of the model
	Trainable  int64 // of them, the ones that training changes

	Steps  int     // of the whole run
	Left   int     // of them, still to do
	Losses int64   // of all steps: tokens, or images; about, of long runs with batches of varied sizes
	Unit   string  // of Losses: tokens, images or losses
	Passes float64 // over the training data; 0: the task does not tell how much it has

	Memory      backend.Usage // at the peak
	Host        Host          // beside it, about
	StepTime    time.Duration // of a step; 0: too short a run to measure
	EvalTime    time.Duration // of an evaluation; 0: it was not measured, or nothing is held out
	Evaluations int           // still to do
	Total       time.Duration // of what is left: steps and evaluations; 0: steps were not measured
}

// Forecaster is an Observer that hears what the run will take. Only for such an Observer, Train runs a few steps and
// a piece of an evaluation on a model of its own first, which does not change the run. Runs of up to ten steps, and
// runs with a sink of Through, are not measured.
type Forecaster interface {
	// Forecast comes once, before Start.
	Forecast(f Forecast)
}

// Piecewise is an Evaluator that can measure a piece of its work, so that the time of all of it can be told.
type Piecewise interface {
	// Piece measures one batch of an evaluation and returns how many such batches the evaluation has; 0: there is nothing
	// to measure on.
	Piece(training bool) (batches float64, err error)
}

// Forecast tells what Train would take, and what stops it before its first step: it plans the memory, fits the model
// to its grid and measures a few steps. It opens the data, if that is still to do. obs may be nil.
func (r *Run) Forecast(ctx context.Context, obs Observer) (f Forecast, err error) {
	if obs == nil {
		obs = Quiet{}
	}
	unlock, err := r.begin()
	if err != nil {
		return f, err
	}
	defer unlock()
	r.tell(obs)
	defer planned(&err)
	if err := r.Task.Open(ctx, obs.Preparing); err != nil {
		return f, err
	}
	if _, err := r.fit(ctx, obs); err != nil {
		return f, err
	}
	memory, err := r.room()
	if err != nil {
		return f, err
	}
	return r.forecast(ctx, memory)
}

// Bounds of a measurement.
const (
	shortRun    = 10              // steps; shorter runs are not measured
	measureFor  = 2 * time.Second // longer than this, no more steps are timed
	timedSteps  = 5               // at most
	sizedSteps  = 1 << 13         // whose sizes are looked up; of longer runs, so many spread over it
	firstIsSlow = time.Second     // a first step below this is not counted, since its memory is new
)

// forecast measures the run, which is planned to take so much memory.
func (r *Run) forecast(ctx context.Context, memory backend.Usage) (f Forecast, err error) {
	steps := r.Common().Schedule.Steps
	f = Forecast{Steps: steps, Left: max(steps-r.State.Step, 0), Memory: memory, Host: HostOf(r.Task), Evaluations: r.evaluations()}
	be, err := backend.NewPlan(r.Common().Engine)
	if err != nil {
		return f, err
	}
	l, err := r.learner(be)
	if err != nil {
		return f, err
	}
	f.Parameters, f.Trainable, f.Unit = tensor.Elements(l.Params()), tensor.Elements(l.Trainable()), Unit(l)
	if f.Losses, err = lossesOf(ctx, l, steps); err != nil {
		return f, err
	}
	if p, ok := r.Task.(Pictured); ok {
		pic, err := p.Picture(0)
		if err != nil {
			return f, err
		}
		for _, part := range pic.Parts {
			if part.Name == "train" && part.Losses > 0 {
				f.Passes = float64(f.Losses) / float64(part.Losses)
			}
		}
	}
	if f.Left <= shortRun || r.options().Through != nil {
		return f, nil
	}
	if f.StepTime, f.EvalTime, err = r.measure(ctx, memory); err != nil {
		return f, err
	}
	f.Total = time.Duration(f.Left)*f.StepTime + time.Duration(f.Evaluations)*f.EvalTime
	return f, nil
}

// evaluations is how many evaluations are still to do: one before the first step, and those after steps.
func (r *Run) evaluations() int {
	n, steps, often := 1, r.Common().Schedule.Steps, r.Common().Loop.EvalEvery
	if r.State.Step >= steps {
		return n
	}
	n++ // after the last step
	if often > 0 {
		n += (steps-1)/often - r.State.Step/often
	}
	return n
}

// lossesOf is how many losses all steps have.
func lossesOf(ctx context.Context, l Learner, steps int) (int64, error) {
	looked := min(steps, sizedSteps)
	var sum int64
	for i := range looked {
		if err := ctx.Err(); err != nil {
			return 0, err
		}
		step := 1 + int(int64(i)*int64(steps)/int64(looked))
		_, losses, err := l.Size(step)
		if err != nil {
			return 0, err
		}
		sum += int64(losses)
	}
	if looked == 0 || looked == steps {
		return sum, nil
	}
	return int64(float64(sum) / float64(looked) * float64(steps)), nil
}

// measure times steps and an evaluation of a session of its own, with initial weights.
func (r *Run) measure(ctx context.Context, memory backend.Usage) (step, eval time.Duration, err error) {
	s, be, err := r.session(memory, r.options())
	if err != nil {
		return 0, 0, err
	}
	defer be.Close()
	if err = s.Init(); err == nil {
		s.SetStop(ctx.Err)
		step, err = r.timeSteps(ctx, s)
	}
	if err == nil {
		eval, err = s.timeEvaluation(ctx, r.Common().Loop.EvalTrain)
	}
	if err != nil {
		return 0, 0, fmt.Errorf("train: measuring the time of a step: %w", err)
	}
	return step, eval, nil
}

// timeSteps returns the mean time of a few steps, spread over what is left of the run: batches differ in size. It takes
// a small share of the run.
func (r *Run) timeSteps(ctx context.Context, s *Session) (time.Duration, error) {
	first, left := r.State.Step+1, r.Common().Schedule.Steps-r.State.Step
	most := min(timedSteps, 1+left/20)
	var all time.Duration
	n := 0
	for i := range most + 1 {
		if err := ctx.Err(); err != nil {
			return 0, err
		}
		began := time.Now()
		if _, err := s.Step(first + i*(left-1)/most); err != nil {
			return 0, err
		}
		took := time.Since(began)
		if i == 0 && took < firstIsSlow {
			continue
		}
		all, n = all+took, n+1
		if all >= measureFor {
			break
		}
	}
	return all / time.Duration(n), nil
}

// timeEvaluation tells how long an evaluation takes by a piece of it; 0 if the Learner is not Piecewise.
func (s *Session) timeEvaluation(ctx context.Context, training bool) (all time.Duration, err error) {
	p, ok := ability[Piecewise](s.Learner)
	if !ok {
		return 0, nil
	}
	for _, part := range []bool{false, true} {
		if part && !training {
			break
		}
		if err := ctx.Err(); err != nil {
			return 0, err
		}
		began := time.Now()
		batches, err := p.Piece(part)
		if err != nil {
			return 0, err
		}
		all += time.Duration(batches * float64(time.Since(began)))
	}
	return all, nil
}

// tell lets an Observer that asks for it hear the forecast. It fails only when ctx is done: what stops a measurement
// stops the run too, at the step that it belongs to.
func (l *loop) tell(ctx context.Context) error {
	to, ok := l.obs.(Forecaster)
	if !ok {
		return nil
	}
	f, err := l.Run.forecast(ctx, l.sum.Planned)
	if err != nil && (ctx.Err() != nil && errors.Is(err, ctx.Err())) {
		return err
	}
	to.Forecast(f)
	return nil
}
