package main

import (
	"context"
	"errors"
	"fmt"

	"github.com/bdia-go/bdia"
	"github.com/bdia-go/bdia/backend"
	"github.com/bdia-go/bdia/cmd/bdia/internal/cli"
	"github.com/bdia-go/bdia/train"
	"github.com/bdia-go/bdia/verify"
)

// subject is what is checked: a model, its weights and one batch.
type subject struct {
	method    bdia.Options
	engine    backend.Options
	pass      backend.Pass
	blocks    int
	twoStream bool
	beside    *subject // the two-stream model of the same weights, for vision transformers
	// of puts the model on be; weights then gives it its weights.
	of func(be backend.Backend) (s verify.Subject, weights func() error, err error)
}

// sampled is a task of which a subject can be made: of a step of a run, with its weights in dir, or for an empty dir of
// random samples, with initial weights. Of an encoder-decoder one stack is checked.
type sampled interface {
	subject(s subject, step int, dir string, encoder bool) (subject, error)
}

// subjectFor is the subject of a task (see sampled).
func subjectFor(t train.Task, step int, dir string, encoder bool) (subject, error) {
	c := t.Common()
	s := subject{method: c.Method, engine: c.Engine, pass: backend.Pass{Train: true, Seed: c.Loop.Seed, Step: step}}
	return viewOf(t).(sampled).subject(s, step, dir, encoder)
}

// subjectOfRun is a run's trained model on its next batch, or the first micro-batch of it.
func subjectOfRun(ctx context.Context, r *train.Run, encoder bool) (subject, error) {
	if r.State.Step == 0 {
		return subject{}, fmt.Errorf("%s has no checkpoint yet; train it first", r.Dir)
	}
	if err := r.Task.Open(ctx, nil); err != nil {
		return subject{}, err
	}
	return subjectFor(r.Task, r.State.Step+1, r.Dir, encoder)
}

// freshSubject is a new model on random tokens or images.
func freshSubject(t train.Task, encoder bool) (subject, error) { return subjectFor(t, 1, "", encoder) }

// method of a model that keeps all states, on grid.
func stored(grid bdia.Grid) bdia.Options { return bdia.Options{Memory: bdia.Store, Grid: grid} }

// blank is the subject without weights, for planning.
func (s subject) blank(be backend.Backend) (verify.Subject, error) {
	v, _, err := s.of(be)
	return v, err
}

// check compares the reverse walk with stored activations.
func (s subject) check(fault verify.Fault) (report *verify.Report, err error) {
	u, err := verify.Plan(s.blank, s.method, s.engine)
	if err == nil {
		err = s.on(u, func(be backend.Backend, v verify.Subject) error {
			report, err = verify.Run(be, v, s.method, s.pass, fault)
			return err
		})
	}
	if errors.Is(err, verify.ErrOptions) {
		return nil, cli.Usage(err)
	}
	return report, err
}

// drift measures the error of a reverse walk without a grid.
func (s subject) drift(report func(k int, rms, largest float64)) error {
	if s.blocks < 3 && !s.twoStream {
		return cli.Usage(fmt.Errorf("with %d blocks no state is solved for, so nothing drifts; use at least 3", s.blocks))
	}
	u, err := verify.PlanDrift(s.blank, s.method.Gamma, s.engine)
	if err != nil {
		return err
	}
	return s.on(u, func(_ backend.Backend, v verify.Subject) error {
		return verify.Drift(v, s.method.Gamma, s.pass, report)
	})
}

// on calls f with the subject on a device of the planned size.
func (s subject) on(u backend.Usage, f func(backend.Backend, verify.Subject) error) error {
	be, err := backend.Open(s.engine, u.Total)
	if err != nil {
		return err
	}
	defer be.Close()
	v, weights, err := s.of(be)
	if err != nil {
		return err
	}
	if err := weights(); err != nil {
		return err
	}
	return f(be, v)
}
