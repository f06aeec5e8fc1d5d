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
	verify.Check
	twoStream bool
	beside    *subject // the two-stream model of the same weights, for vision transformers
}

// sampled is a task that makes a subject: of a step of a run, with its weights in dir, or with an empty dir of random
// samples, with initial weights. One stack of an encoder-decoder is checked.
type sampled interface {
	subject(s subject, step int, dir string, encoder bool) (subject, error)
}

// subjectFor is the subject of a task (see sampled).
func subjectFor(t train.Task, step int, dir string, encoder bool) (subject, error) {
	c := t.Common()
	check := verify.Check{Method: c.Method, Device: c.Engine, Pass: backend.Pass{Seed: c.Loop.Seed, Step: step}}
	return viewOf(t).(sampled).subject(subject{Check: check}, step, dir, encoder)
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

// stored is the method of a model that keeps all states, on grid.
func stored(grid bdia.Grid) bdia.Options { return bdia.Options{Memory: bdia.Store, Grid: grid} }

// check compares the reverse walk with stored activations.
func (s subject) check(fault verify.Fault) (*verify.Report, error) {
	report, err := s.Run(fault)
	return report, impossible(err)
}

// points measures the errors of a reverse walk without a grid.
func (s subject) points() (list []driftPoint, err error) {
	err = s.Drift(func(k int, rms, largest float64) { list = append(list, driftPoint{k, rms, largest}) })
	return list, impossible(err)
}

// impossible marks err as a mistake of the caller's if a check of these options cannot be.
func impossible(err error) error {
	if errors.Is(err, verify.ErrOptions) {
		return cli.Usage(err)
	}
	return err
}
