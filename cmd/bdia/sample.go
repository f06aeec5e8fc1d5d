package main

import (
	"context"
	"errors"
	"fmt"

	"github.com/bdia-go/bdia/convert"
	"github.com/bdia-go/bdia/data"
	"github.com/bdia-go/bdia/data/pairs"
	"github.com/bdia-go/bdia/eval"
	"github.com/bdia-go/bdia/export"
	"github.com/bdia-go/bdia/hub"
	"github.com/bdia-go/bdia/model"
)

// sampleFor returns a sample of what the run of a folder holds out, else of what it
// learns. A folder of no run, or of a run whose data are gone, has a random sample.
func sampleFor(ctx context.Context, f *hub.Folder) export.Sample {
	if f.Run != "" {
		if s, err := sampleOfRun(ctx, f); err == nil {
			return s
		}
	}
	return export.RandomSample(f)
}

func sampleOfRun(ctx context.Context, f *hub.Folder) (export.Sample, error) {
	r, err := openedRun(f.Run)
	if err != nil {
		return export.Sample{}, err
	}
	defer r.Close()
	switch {
	case r.Text != nil && f.Kind == convert.GPT2:
		return textSample(r, f.GPTInfo.Config)
	case r.Images != nil && f.Kind == convert.ViT:
		return imageSample(ctx, r, f.ViTInfo.Config)
	case r.Pairs != nil && f.Kind == convert.GPT2:
		return completionSample(r, f.GPTInfo.Config)
	case r.Pairs != nil && f.Kind == convert.Seq2Seq:
		return pairSample(r)
	}
	return export.Sample{}, errOtherModel
}

var (
	errOtherModel = errors.New("the folder holds another model than its run")
	errNoSample   = errors.New("no data")
)

// heldOut names a part of the data.
func heldOut(training bool) string {
	if training {
		return "training"
	}
	return "held-out"
}

func textSample(r *oneRun, c model.GPTConfig) (s export.Sample, err error) {
	if r.Config.Model.Vocab != c.Vocab {
		return s, errOtherModel
	}
	T := min(c.Context, export.SamplePositions)
	for _, training := range []bool{false, true} {
		set, err := data.NewSequential(r.Text.Tokens(training), T, export.SampleSize)
		if err != nil {
			continue
		}
		b := model.NewBatch(set.Len(), T)
		s = export.Sample{What: fmt.Sprintf("%d positions of %s text", len(b.Inputs), heldOut(training)), Tokens: b}
		return s, set.Batch(0, b.Size, b.Inputs, b.Targets)
	}
	return s, errNoSample
}

func completionSample(r *oneRun, c model.GPTConfig) (s export.Sample, err error) {
	if r.Config.Model.Vocab != c.Vocab {
		return s, errOtherModel
	}
	for _, part := range []pairs.Part{pairs.Val, pairs.Train} {
		b, err := r.Tuned.Completions(part, export.SampleSize)
		if err == nil && b.Size > 0 {
			what := fmt.Sprintf("%d positions of %s prompts and completions", len(b.Inputs), heldOut(part == pairs.Train))
			return export.Sample{What: what, Tokens: b}, nil
		}
	}
	return s, errNoSample
}

func imageSample(ctx context.Context, r *oneRun, c model.ViTConfig) (s export.Sample, err error) {
	if err := r.Images.OpenHeldOut(ctx); err != nil {
		return s, err
	}
	set, training := r.Images.Set(false), false
	if set == nil {
		set, training = r.Images.Set(true), true
	}
	b := model.NewImageBatch(c, min(export.SampleSize, set.Len()))
	s = export.Sample{What: fmt.Sprintf("%d %s images", b.Size, heldOut(training)), Images: b}
	return s, set.Fill(0, b.Size, b.Pixels, make([]int32, b.Size))
}

func pairSample(r *oneRun) (s export.Sample, err error) {
	for _, part := range []pairs.Part{pairs.Val, pairs.Train} {
		set, err := r.Pairs.Sequential(r.Config.Pairs, part)
		if err != nil || set == nil {
			continue
		}
		k := set.Len() / 2 // neither the shortest nor the longest
		b := pairs.NewBatch(set.Capacity())
		if err := set.Fill(k, 0, min(export.SampleSize, set.Shape(k).B), b); err != nil {
			return s, err
		}
		return export.Sample{What: fmt.Sprintf("%d %s sentences", b.B, heldOut(part == pairs.Train)), Pairs: eval.PairBatch(b)}, nil
	}
	return s, errNoSample
}
