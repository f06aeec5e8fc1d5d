package main

import (
	"github.com/bdia-go/bdia"
	"github.com/bdia-go/bdia/backend"
	"github.com/bdia-go/bdia/convert"
	datapairs "github.com/bdia-go/bdia/data/pairs"
	"github.com/bdia-go/bdia/eval"
	"github.com/bdia-go/bdia/hub"
	"github.com/bdia-go/bdia/internal/rng"
	"github.com/bdia-go/bdia/model"
	"github.com/bdia-go/bdia/verify"
)

func (v textView) subject(s subject, step int, dir string, _ bool) (subject, error) {
	c := v.Settings
	b := model.NewBatch(c.Loop.SamplesAtOnce(), c.SampleLength())
	if dir == "" {
		randomTokens(b, c.Loop.Seed, c.Model.Vocab)
	} else if err := v.StepBatch(step, b); err != nil {
		return s, err
	}
	return s.ofGPT(c.Model, b, dir), nil
}

// randomTokens fills b with uniform token ids.
func randomTokens(b model.Batch, seed uint64, vocab int) {
	key := rng.Key{Seed: seed, Site: rng.SiteData}
	for i := range b.Inputs {
		w, n := key.At(uint32(i)), uint32(vocab)
		b.Inputs[i], b.Targets[i] = int32(w[0]%n), int32(w[1]%n)
	}
}

func (v tuneView) subject(s subject, step int, dir string, _ bool) (subject, error) {
	c := v.Settings
	if dir == "" {
		b := model.NewBatch(1, c.Tune.SampleLength(c.Model))
		randomTokens(b, c.Loop.Seed, c.Model.Vocab)
		return s.ofGPT(c.Model, b, dir), nil
	}
	b, err := v.StepBatch(step)
	return s.ofGPT(c.Model, b, dir), err
}

// ofGPT makes s the GPT of c on b, with the weights in dir or initial ones.
func (s subject) ofGPT(c model.GPTConfig, b model.Batch, dir string) subject {
	var weights, adapters string
	s.Make = func(be backend.Backend) (verify.Subject, func() error, error) {
		m, err := model.NewGPT(be, c, stored(s.Method.Grid))
		if err != nil {
			return verify.Subject{}, nil, err
		}
		if dir == "" {
			return verify.OfGPT(m, b), func() error { m.Init(s.Pass.Seed); return nil }, nil
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
	}
	return s
}

func (v imageView) subject(s subject, step int, dir string, _ bool) (subject, error) {
	c := v.Settings
	b := model.NewImageBatch(c.ViT, c.Loop.SamplesAtOnce())
	if dir == "" {
		v.RandomBatch(step, b)
	} else if err := v.StepBatch(step, b); err != nil {
		return s, err
	}
	own := s.ofViT(c.ViT, b, dir)
	if !own.twoStream {
		s.Method = bdia.Options{Memory: bdia.Store, Grid: bdia.NoGrid}
		c.ViT.TwoStream = true
		beside := s.ofViT(c.ViT, b, dir)
		own.beside = &beside
	}
	return own, nil
}

// ofViT makes s the ViT of c on b, with the weights in dir or initial ones.
func (s subject) ofViT(c model.ViTConfig, b model.ImageBatch, dir string) subject {
	s.twoStream = c.TwoStream
	s.Make = func(be backend.Backend) (verify.Subject, func() error, error) {
		m, err := model.NewViT(be, c, stored(s.Method.Grid))
		if err != nil {
			return verify.Subject{}, nil, err
		}
		return verify.OfViT(m, b), func() error {
			if dir == "" {
				m.Init(s.Pass.Seed)
				return nil
			}
			return hub.LoadViT(be, m, dir)
		}, nil
	}
	return s
}

func (v translationView) subject(s subject, step int, dir string, encoder bool) (subject, error) {
	c := v.Settings.Seq2Seq
	batch := &datapairs.Batch{}
	if dir == "" {
		batch = v.RandomBatch(step)
	} else if err := v.StepBatch(step, batch); err != nil {
		return s, err
	}
	s.Make = func(be backend.Backend) (verify.Subject, func() error, error) {
		m, err := model.NewSeq2Seq(be, c, stored(s.Method.Grid))
		if err != nil {
			return verify.Subject{}, nil, err
		}
		return verify.OfSeq2Seq(m, eval.PairBatch(batch), !encoder), func() error {
			if dir == "" {
				m.Init(s.Pass.Seed)
				return nil
			}
			return hub.LoadSeq2Seq(be, m, dir)
		}, nil
	}
	return s, nil
}
