package main

import (
	"errors"
	"fmt"

	"github.com/spf13/cobra"

	"github.com/bdia-go/bdia"
	"github.com/bdia-go/bdia/backend"
	"github.com/bdia-go/bdia/backend/cpu"
	"github.com/bdia-go/bdia/internal/rng"
	"github.com/bdia-go/bdia/model"
	"github.com/bdia-go/bdia/train"
	"github.com/bdia-go/bdia/verify"
)

// subject is what is checked: a model, its weights and one batch.
type subject struct {
	cfg   train.Config
	batch model.Batch
	pass  backend.Pass
	fill  func(be backend.Backend, m *model.GPT) error // sets the weights
}

// subjectOfRun is a run's trained model on its next batch, or the first
// micro-batch of that.
func subjectOfRun(r *train.Run) (subject, error) {
	if r.State.Step == 0 {
		return subject{}, fmt.Errorf("%s has no checkpoint yet; train it first", r.Dir)
	}
	s := newSubject(r.Config, r.State.Step+1)
	s.fill = func(be backend.Backend, m *model.GPT) error { return train.LoadWeights(be, m, r.Dir) }
	return s, r.Text.Batch(r.Config, s.pass.Step, s.batch)
}

// verifySubject is the run that args name, or the model that the flags describe
// on top of fresh.
func verifySubject(cmd *cobra.Command, s *settings, fresh train.Config, args []string) (subject, error) {
	if len(args) == 0 {
		cfg, err := s.resolve(cmd.Flags(), fresh)
		if err != nil {
			return subject{}, err
		}
		return freshSubject(cfg), nil
	}
	r, err := openRun(args[0])
	if err != nil {
		return subject{}, err
	}
	defer r.Close()
	base := r.Config
	if cmd.Flags().Changed("batch") {
		base.Loop.MicroBatch = 0
	}
	cfg, err := s.resolve(cmd.Flags(), base)
	if err == nil {
		err = unchanged(r.Config, cfg)
	}
	if err != nil {
		return subject{}, err
	}
	r.Config = cfg
	return subjectOfRun(r)
}

// freshSubject is a new model on random tokens.
func freshSubject(cfg train.Config) subject {
	s := newSubject(cfg, 1)
	key := rng.Key{Seed: cfg.Loop.Seed, Site: rng.SiteData}
	for i := range s.batch.Inputs {
		w, vocab := key.At(uint32(i)), uint32(cfg.Model.Vocab)
		s.batch.Inputs[i], s.batch.Targets[i] = int32(w[0]%vocab), int32(w[1]%vocab)
	}
	s.fill = func(_ backend.Backend, m *model.GPT) error { m.Init(cfg.Loop.Seed); return nil }
	return s
}

func newSubject(cfg train.Config, step int) subject {
	return subject{cfg: cfg,
		batch: model.NewBatch(cfg.Loop.SamplesAtOnce(), cfg.Model.Context),
		pass:  backend.Pass{Train: true, Seed: cfg.Loop.Seed, Step: step}}
}

// blank is the subject without weights, for planning.
func (s subject) blank(be backend.Backend) (verify.Subject, error) {
	m, err := model.NewGPT(be, s.cfg.Model, bdia.Options{Memory: bdia.Store, Grid: s.cfg.Method.Grid})
	if err != nil {
		return verify.Subject{}, err
	}
	return verify.OfGPT(m, s.batch), nil
}

// check compares the reverse walk with stored activations.
func (s subject) check(fault verify.Fault) (report *verify.Report, err error) {
	c := s.cfg
	u, err := verify.Plan(s.blank, c.Method, cpu.ScratchBytes(c.Engine.Threads))
	if err != nil {
		return nil, err
	}
	err = s.on(u, func(be backend.Backend, m *model.GPT) error {
		report, err = verify.Run(be, verify.OfGPT(m, s.batch), c.Method, s.pass, fault)
		return err
	})
	if errors.Is(err, verify.ErrOptions) {
		return nil, usage(err)
	}
	return report, err
}

// drift measures the error of a reverse walk without a grid.
func (s subject) drift(report func(k int, rms float64)) error {
	c := s.cfg
	if c.Model.Layers < 3 {
		return usage(fmt.Errorf("with %d blocks no state is solved for, so nothing drifts; use at least 3", c.Model.Layers))
	}
	u, err := verify.PlanDrift(s.blank, c.Method.Gamma, cpu.ScratchBytes(c.Engine.Threads))
	if err != nil {
		return err
	}
	return s.on(u, func(_ backend.Backend, m *model.GPT) error {
		return verify.Drift(verify.OfGPT(m, s.batch), c.Method.Gamma, s.pass, func(k int, rms, _ float64) { report(k, rms) })
	})
}

// on calls f with the model on a CPU backend of the planned size.
func (s subject) on(u backend.Usage, f func(backend.Backend, *model.GPT) error) error {
	be, err := train.NewCPU(s.cfg, u)
	if err != nil {
		return err
	}
	defer be.Close()
	m, err := model.NewGPT(be, s.cfg.Model, bdia.Options{Memory: bdia.Store, Grid: s.cfg.Method.Grid})
	if err != nil {
		return err
	}
	if err := s.fill(be, m); err != nil {
		return err
	}
	return f(be, m)
}
