package pairs

import (
	"context"
	"fmt"
	"io"

	"github.com/bdia-go/bdia"
	"github.com/bdia-go/bdia/backend"
	"github.com/bdia-go/bdia/convert"
	"github.com/bdia-go/bdia/data/pairs"
	"github.com/bdia-go/bdia/eval"
	"github.com/bdia-go/bdia/generate"
	"github.com/bdia-go/bdia/hub"
	"github.com/bdia-go/bdia/metric"
	"github.com/bdia-go/bdia/model"
	"github.com/bdia-go/bdia/tokenizer"
	"github.com/bdia-go/bdia/train"
)

// translation is an encoder-decoder that learns pairs of sentences.
type translation struct {
	*model.Seq2Seq
	be            backend.Backend
	cfg           Config
	sets          *Sets // nil: the tokens are made up
	batches       Source
	val, training *pairs.Sequential // to be evaluated; nil: there are none
	buffer        *pairs.Batch      // of a micro-batch; grows to the largest
}

func newTranslation(be backend.Backend, cfg Config, batches Source) (*translation, error) {
	m, err := model.NewSeq2Seq(be, cfg.Seq2Seq, cfg.Method)
	if err != nil {
		return nil, err
	}
	return &translation{Seq2Seq: m, be: be, cfg: cfg, batches: batches, buffer: pairs.NewBatch(pairs.Capacity{})}, nil
}

// Size returns the size of a step's batch; a loss is a target's.
func (t *translation) Size(step int) (samples, losses int, err error) {
	s, err := t.batches.Shape(step)
	return s.B, s.Targets, err
}

// Largest lists the steps with batches that no other batch exceeds in every size: memory grows with each size.
func (t *translation) Largest() ([]int, error) {
	var f Frontier
	for step := 1; step <= t.cfg.Schedule.Steps; step++ {
		s, err := t.batches.Shape(step)
		if err != nil {
			return nil, err
		}
		f.Add(s, step)
	}
	return f.At, nil
}

// MicroStep trains on pairs of a step's batch.
func (t *translation) MicroStep(pass backend.Pass, n int, scale float32, sink bdia.Sink) ([]float32, error) {
	if err := t.batches.Fill(pass.Step, pass.Sample, n, t.buffer); err != nil {
		return nil, err
	}
	return t.Seq2Seq.MicroStep(eval.PairBatch(t.buffer), pass, scale, sink)
}

// Evaluate measures the ordinary transformer (gamma 0) on the run's grid, without
// label smoothing.
func (t *translation) Evaluate(ctx context.Context, training bool) (train.Score, bool, error) {
	set := t.val
	if training {
		set = t.training
	}
	if set == nil {
		return train.Unmeasured, false, nil
	}
	loss, _, err := eval.Translations(ctx, t.Seq2Seq, set, t.cfg.Loop.EvalSamples, t.buffer, t.cfg.Method.Grid)
	return train.Score{Loss: loss}, true, err
}

// Piece measures the middle batch of an evaluation.
func (t *translation) Piece(training bool) (batches float64, err error) {
	set := t.val
	if training {
		set = t.training
	}
	if set == nil {
		return 0, nil
	}
	if err = set.Fill(set.Len()/2, 0, set.Shape(set.Len()/2).B, t.buffer); err == nil {
		_, err = t.Loss(eval.PairBatch(t.buffer), t.cfg.Method.Grid)
	}
	return float64(eval.PairBatches(set, t.cfg.Loop.EvalSamples)), err
}

// Record records the loss and the perplexity.
func (t *translation) Record(prefix string, s train.Score) []metric.Field {
	return train.TokenFields(prefix, s)
}

// Unit is tokens.
func (t *translation) Unit() string { return "tokens" }

// Rehearse evaluates the largest batches, and translates the example.
func (t *translation) Rehearse() error {
	for _, set := range []*pairs.Sequential{t.val, t.training} {
		if set == nil {
			continue
		}
		var f Frontier
		for k := range set.Len() {
			f.Add(set.Shape(k), k)
		}
		for i, k := range f.At {
			if err := set.Fill(k, 0, f.Shapes[i].B, t.buffer); err != nil {
				return err
			}
			if _, err := t.Loss(eval.PairBatch(t.buffer), t.cfg.Method.Grid); err != nil {
				return err
			}
		}
	}
	if t.sets == nil {
		return nil
	}
	_, _, _, err := t.translate()
	return err
}

// translate translates the example, taking the likeliest token each time.
func (t *translation) translate() (source, target, own []int32, err error) {
	if source, target, err = t.sets.Example(); err != nil {
		return nil, nil, nil, err
	}
	o := generate.DefaultTranslate()
	o.Beam = 1
	tr, err := generate.NewTranslator(t.Seq2Seq, SpecialTokens(t.cfg.Seq2Seq), t.sets.Target.VocabSize(), t.cfg.Method.Grid, o)
	if err != nil {
		return nil, nil, nil, err
	}
	err = tr.Translate([][]int32{source}, func(_ int, best []generate.Hypothesis) error {
		own = best[0].IDs
		return nil
	})
	return source, target, own, err
}

// Sample translates a sentence that is held out.
func (t *translation) Sample() (string, error) {
	source, target, own, err := t.translate()
	if err != nil {
		return "", err
	}
	var lines []string
	for _, s := range []struct {
		tok tokenizer.Tokenizer
		ids []int32
	}{{t.sets.Source, source}, {t.sets.Target, own}, {t.sets.Target, target}} {
		text, err := s.tok.Decode(s.ids)
		if err != nil {
			return "", err
		}
		lines = append(lines, string(text))
	}
	return fmt.Sprintf("%s\n-> %s\n(%s)", lines[0], lines[1], lines[2]), nil
}

func (t *translation) Files() []train.File {
	return []train.File{{Name: train.ConfigFile, Write: t.writeConfig}, {Name: train.WeightsFile, Params: t.Params(), Write: t.WriteWeights}}
}

func (t *translation) writeConfig(w io.Writer) error {
	s := SpecialTokens(t.cfg.Seq2Seq)
	return convert.WriteSeq2SeqConfig(w, convert.Seq2SeqInfo{Config: t.cfg.Seq2Seq,
		SourceEnd: s.SourceEnd, SourcePad: s.SourcePad, Begin: s.Begin, End: s.End, Pad: s.Pad})
}

func (t *translation) ReadModel(dir string) error { return hub.ReadWeights(dir, t.ReadWeights) }

func (t *translation) WriteWeights(w io.Writer) error {
	return convert.WriteSeq2Seq(w, t.be, t.Seq2Seq)
}
func (t *translation) ReadWeights(f convert.Tensors) error {
	return convert.ReadSeq2Seq(t.be, t.Seq2Seq, f)
}
