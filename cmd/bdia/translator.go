package main

import (
	"fmt"

	"github.com/bdia-go/bdia/backend"
	"github.com/bdia-go/bdia/convert"
	"github.com/bdia-go/bdia/data/pairs"
	"github.com/bdia-go/bdia/generate"
	"github.com/bdia-go/bdia/hub"
	"github.com/bdia-go/bdia/model"
)

// translator translates text with an encoder-decoder on a device.
type translator struct {
	*generate.Sentences
	be backend.Device
}

// checkPolicies is p.Validate in the words of the flags.
func checkPolicies(p generate.Policies) error {
	if p.OnBad != pairs.Skip && p.OnBad != pairs.Fatal {
		return fmt.Errorf("--on-bad %s; use %s or %s", p.OnBad, pairs.Skip, pairs.Fatal)
	}
	if p.OnLong != pairs.Skip && p.OnLong != pairs.Truncate && p.OnLong != pairs.Fatal {
		return fmt.Errorf("--on-long %s; use %s, %s or %s", p.OnLong, pairs.Skip, pairs.Truncate, pairs.Fatal)
	}
	return nil
}

// loadTranslator loads the encoder-decoder of a run directory or its best/ folder.
func loadTranslator(dir string, o generate.TranslateOptions, p generate.Policies, engine device) (*translator, error) {
	f, err := openFolder(dir, hub.Options{Kind: convert.Seq2Seq})
	if err != nil {
		return nil, err
	}
	info := f.Seq2SeqInfo
	t := &translator{Sentences: &generate.Sentences{Source: f.Source, Target: f.Target, Policies: p}}
	special := pairs.Special{SourceEnd: info.SourceEnd, SourcePad: info.SourcePad, Begin: info.Begin, End: info.End, Pad: info.Pad}
	with := func(m *model.Seq2Seq) (err error) {
		t.Translator, err = generate.NewTranslator(m, special, f.Target.VocabSize(), f.Grid, o)
		return err
	}
	m, err := f.Seq2Seq(engine.of(f), with, func(*model.Seq2Seq) error { return t.Rehearse() })
	if err != nil {
		return nil, err
	}
	if err := with(m.Seq2Seq); err != nil {
		m.Close()
		return nil, err
	}
	t.be = m.Device
	return t, nil
}
