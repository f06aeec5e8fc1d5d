package main

import (
	"context"
	"errors"
	"fmt"

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
	subject(step int, dir string, encoder bool) (subject, error)
}

func (v textView) subject(step int, dir string, _ bool) (subject, error) {
	c, err := v.Check(step, dir)
	return subject{Check: c}, err
}

func (v tuneView) subject(step int, dir string, _ bool) (subject, error) {
	c, err := v.Check(step, dir)
	return subject{Check: c}, err
}

func (v translationView) subject(step int, dir string, encoder bool) (subject, error) {
	c, err := v.Check(step, dir, encoder)
	return subject{Check: c}, err
}

func (v imageView) subject(step int, dir string, _ bool) (subject, error) {
	c, err := v.Check(step, dir)
	s := subject{Check: c, twoStream: v.Settings.ViT.TwoStream}
	if err != nil || s.twoStream {
		return s, err
	}
	beside, err := v.CheckTwoStream(step, dir)
	s.beside = &subject{Check: beside, twoStream: true}
	return s, err
}

// subjectOfRun is a run's trained model on its next batch, or the first micro-batch of it.
func subjectOfRun(ctx context.Context, r *train.Run, encoder bool) (subject, error) {
	if r.State.Step == 0 {
		return subject{}, fmt.Errorf("%s has no checkpoint yet; train it first", r.Dir)
	}
	if err := r.Task.Open(ctx, nil); err != nil {
		return subject{}, err
	}
	return viewOf(r.Task).(sampled).subject(r.State.Step+1, r.Dir, encoder)
}

// freshSubject is a new model on random tokens or images.
func freshSubject(t train.Task, encoder bool) (subject, error) {
	train.Assume(t)
	return viewOf(t).(sampled).subject(1, "", encoder)
}

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
