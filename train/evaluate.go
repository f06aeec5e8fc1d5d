package train

import (
	"context"

	"github.com/bdia-go/bdia/checkpoint"
	"github.com/bdia-go/bdia/metric"
)

// first evaluates the model as it is before this process changes it.
func (l *loop) first(ctx context.Context) error {
	if l.State.EvalDue {
		err := l.after(ctx, l.State.Step)
		l.sum.FirstVal = l.sum.LastVal
		return err
	}
	l.evaluating(l.State.Step)
	val, ok, err := l.s.evaluate(ctx, false)
	if l.broken(ctx, err) {
		return nil
	}
	if err != nil || !ok {
		return err
	}
	l.sum.FirstVal, l.sum.LastVal = val, val
	if l.State.Step > 0 {
		return nil
	}
	if l.s.options.Baseline { // the best has to be better than what was there
		l.rank(val, 0)
	}
	l.obs.Evaluated(0, val, Unmeasured, false)
	return l.keep(0, recordOf(l.s.Learner, "val/", val))
}

// evaluate measures the model and reports whether it is the best yet.
func (l *loop) evaluate(ctx context.Context, step int) (best bool, err error) {
	paused := l.now()
	defer func() { l.window.since = l.window.since.Add(l.since(paused)) }()
	l.evaluating(step)
	var fields []metric.Field
	train, ok, err := l.s.evaluate(ctx, true)
	if err != nil {
		return false, err
	}
	if ok {
		fields = append(fields, recordOf(l.s.Learner, "train/eval_", train)...)
	}
	val, ok, err := l.s.evaluate(ctx, false)
	if err != nil {
		return false, err
	}
	l.sum.LastTrain = train
	if ok {
		l.sum.LastVal = val
		if best = l.rank(val, step); !best {
			l.State.BadEvals++
		}
		fields = append(fields, recordOf(l.s.Learner, "val/", val)...)
	}
	if len(fields) == 0 {
		return false, nil
	}
	l.obs.Evaluated(step, val, train, best)
	return best, l.keep(step, fields)
}

// evaluating tells an Observer that hears it that an evaluation begins.
func (l *loop) evaluating(step int) {
	if w, ok := l.obs.(Watcher); ok {
		w.Evaluating(step)
	}
}

// rank notes val if it is the best score yet.
func (l *loop) rank(val Score, step int) (best bool) {
	if best = val.better(l.State); best {
		l.State.BestLoss, l.State.BestAccuracy, l.State.BestStep, l.State.BadEvals = val.Loss, val.Accuracy, step, 0
	}
	return best
}

// bestScore is the best score that st remembers.
func bestScore(st checkpoint.State) Score {
	return Score{Loss: st.BestLoss, Accuracy: st.BestAccuracy}
}
