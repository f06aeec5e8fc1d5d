package main

import (
	"context"
	"errors"
	"fmt"

	"github.com/spf13/cobra"

	"github.com/bdia-go/bdia"
	"github.com/bdia-go/bdia/backend"
	"github.com/bdia-go/bdia/cmd/bdia/internal/cli"
	"github.com/bdia-go/bdia/convert"
	"github.com/bdia-go/bdia/data/pairs"
	"github.com/bdia-go/bdia/eval"
	"github.com/bdia-go/bdia/hub"
	"github.com/bdia-go/bdia/internal/rng"
	"github.com/bdia-go/bdia/model"
	trainimages "github.com/bdia-go/bdia/train/images"
	trainpairs "github.com/bdia-go/bdia/train/pairs"
	"github.com/bdia-go/bdia/train/tune"
	"github.com/bdia-go/bdia/verify"
)

// subject is what is checked: a model, its weights and one batch.
type subject struct {
	cfg  config
	pass backend.Pass
	// of puts the model of cfg on be; weights then gives it its weights.
	of func(be backend.Backend, cfg config) (s verify.Subject, weights func() error, err error)
}

// subjectOfRun is a run's trained model on its next batch, or the first
// micro-batch of that. Of an encoder-decoder one stack is checked.
func subjectOfRun(ctx context.Context, r *oneRun, encoder bool) (subject, error) {
	if r.State.Step == 0 {
		return subject{}, fmt.Errorf("%s has no checkpoint yet; train it first", r.Dir)
	}
	n, step := r.Config.Loop.SamplesAtOnce(), r.State.Step+1
	if r.Config.Task == tune.Name {
		b, err := r.Tuned.StepBatch(step)
		return textSubject(r.Config, step, b, r.Dir), err
	}
	if r.Pairs != nil {
		var b pairs.Batch
		err := r.Pairs.Batch(r.Config.Pairs, r.Config.Loop.Seed, step, &b)
		return pairSubject(r.Config, step, &b, r.Dir, encoder), err
	}
	if r.Images != nil {
		if err := r.Images.Open(ctx, nil); err != nil {
			return subject{}, err
		}
		b := model.NewImageBatch(r.Config.ViT, n)
		err := r.Images.StepBatch(step, b)
		return imageSubject(r.Config, step, b, r.Dir), err
	}
	b := model.NewBatch(n, r.Config.Window())
	err := r.Text.StepBatch(step, b)
	return textSubject(r.Config, step, b, r.Dir), err
}

// verifySubject is the run that args name, or the model that the flags describe
// on top of fresh.
func verifySubject(cmd *cobra.Command, s *settings, fresh func(string) config, args []string, encoder bool) (subject, error) {
	if len(args) == 0 {
		cfg, err := s.resolve(cmd.Flags(), fresh)
		if err != nil {
			return subject{}, err
		}
		return freshSubject(cfg, encoder), nil
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
	cfg, err := s.resolve(cmd.Flags(), func(string) config { return base })
	if err == nil {
		err = unchanged(r.Config, cfg)
	}
	if err != nil {
		return subject{}, err
	}
	r.Config = cfg
	return subjectOfRun(cmd.Context(), r, encoder)
}

// freshSubject is a new model on random tokens or images.
func freshSubject(cfg config, encoder bool) subject {
	if cfg.Task == trainpairs.Name {
		return pairSubject(cfg, 1, cfg.task().(*trainpairs.Task).RandomBatch(1), "", encoder)
	}
	n := cfg.Loop.SamplesAtOnce()
	if cfg.Task == trainimages.Name {
		b := model.NewImageBatch(cfg.ViT, n)
		cfg.task().(*trainimages.Task).RandomBatch(1, b)
		return imageSubject(cfg, 1, b, "")
	}
	b := model.NewBatch(n, cfg.Model.Context)
	key := rng.Key{Seed: cfg.Loop.Seed, Site: rng.SiteData}
	for i := range b.Inputs {
		w, vocab := key.At(uint32(i)), uint32(cfg.Model.Vocab)
		b.Inputs[i], b.Targets[i] = int32(w[0]%vocab), int32(w[1]%vocab)
	}
	return textSubject(cfg, 1, b, "")
}

// textSubject is the GPT of cfg on b, with the weights in dir or initial ones.
func textSubject(cfg config, step int, b model.Batch, dir string) subject {
	var weights, adapters string
	return subject{cfg, passOf(cfg, step), func(be backend.Backend, cfg config) (verify.Subject, func() error, error) {
		m, err := model.NewGPT(be, cfg.Model, bdia.Options{Memory: bdia.Store, Grid: cfg.Method.Grid})
		if err != nil {
			return verify.Subject{}, nil, err
		}
		if dir == "" {
			return verify.OfGPT(m, b), func() error { m.Init(cfg.Loop.Seed); return nil }, nil
		}
		if weights == "" { // once, for adapters have all weights beside them read
			if weights, err = hub.WeightsDir(dir); weights != dir {
				adapters = dir
			}
		}
		if err == nil && adapters != "" {
			err = convert.AddAdapter(be, m, adapters)
		}
		return verify.OfGPT(m, b), func() error { return hub.LoadGPT(be, m, weights) }, err
	}}
}

// imageSubject is the ViT of cfg on b, with the weights in dir or initial ones.
func imageSubject(cfg config, step int, b model.ImageBatch, dir string) subject {
	return subject{cfg, passOf(cfg, step), func(be backend.Backend, cfg config) (verify.Subject, func() error, error) {
		m, err := model.NewViT(be, cfg.ViT, bdia.Options{Memory: bdia.Store, Grid: cfg.Method.Grid})
		if err != nil {
			return verify.Subject{}, nil, err
		}
		return verify.OfViT(m, b), func() error {
			if dir == "" {
				m.Init(cfg.Loop.Seed)
				return nil
			}
			return hub.LoadViT(be, m, dir)
		}, nil
	}}
}

// pairSubject is the decoder, or the encoder, of cfg on b, with the weights in dir
// or initial ones.
func pairSubject(cfg config, step int, b *pairs.Batch, dir string, encoder bool) subject {
	return subject{cfg, passOf(cfg, step), func(be backend.Backend, cfg config) (verify.Subject, func() error, error) {
		m, err := model.NewSeq2Seq(be, cfg.Seq2Seq, bdia.Options{Memory: bdia.Store, Grid: cfg.Method.Grid})
		if err != nil {
			return verify.Subject{}, nil, err
		}
		return verify.OfSeq2Seq(m, eval.PairBatch(b), !encoder), func() error {
			if dir == "" {
				m.Init(cfg.Loop.Seed)
				return nil
			}
			return hub.LoadSeq2Seq(be, m, dir)
		}, nil
	}}
}

func passOf(cfg config, step int) backend.Pass {
	return backend.Pass{Train: true, Seed: cfg.Loop.Seed, Step: step}
}

// blank is the subject without weights, for planning.
func (s subject) blank(be backend.Backend) (verify.Subject, error) {
	v, _, err := s.of(be, s.cfg)
	return v, err
}

// check compares the reverse walk with stored activations.
func (s subject) check(fault verify.Fault) (report *verify.Report, err error) {
	c := s.cfg
	u, err := verify.Plan(s.blank, c.Method, c.Engine)
	if err == nil {
		err = s.on(u, func(be backend.Backend, v verify.Subject) error {
			report, err = verify.Run(be, v, c.Method, s.pass, fault)
			return err
		})
	}
	if errors.Is(err, verify.ErrOptions) {
		return nil, cli.Usage(err)
	}
	return report, err
}

// blocks is the depth of the model.
func (s subject) blocks() int {
	switch s.cfg.Task {
	case trainimages.Name:
		return s.cfg.ViT.Layers
	case trainpairs.Name:
		return min(s.cfg.Seq2Seq.EncoderLayers, s.cfg.Seq2Seq.DecoderLayers)
	}
	return s.cfg.Model.Layers
}

// twoStream is the RevViT of the sizes, weights and batch of s, a ViT.
func (s subject) twoStream() subject {
	s.cfg.ViT.TwoStream = true
	s.cfg.Method = bdia.Options{Memory: bdia.Store, Grid: bdia.NoGrid}
	return s
}

// drift measures the error of a reverse walk without a grid.
func (s subject) drift(report func(k int, rms, largest float64)) error {
	c := s.cfg
	if s.blocks() < 3 && !c.ViT.TwoStream {
		return cli.Usage(fmt.Errorf("with %d blocks no state is solved for, so nothing drifts; use at least 3", s.blocks()))
	}
	u, err := verify.PlanDrift(s.blank, c.Method.Gamma, c.Engine)
	if err != nil {
		return err
	}
	return s.on(u, func(_ backend.Backend, v verify.Subject) error {
		return verify.Drift(v, c.Method.Gamma, s.pass, report)
	})
}

// on calls f with the subject on a CPU backend of the planned size.
func (s subject) on(u backend.Usage, f func(backend.Backend, verify.Subject) error) error {
	be, err := backend.Open(s.cfg.Engine, u.Total)
	if err != nil {
		return err
	}
	defer be.Close()
	v, weights, err := s.of(be, s.cfg)
	if err != nil {
		return err
	}
	if err := weights(); err != nil {
		return err
	}
	return f(be, v)
}
