package main

import (
	"context"
	"errors"
	"fmt"

	"github.com/bdia-go/bdia/convert"
	"github.com/bdia-go/bdia/data"
	datapairs "github.com/bdia-go/bdia/data/pairs"
	"github.com/bdia-go/bdia/eval"
	"github.com/bdia-go/bdia/export"
	"github.com/bdia-go/bdia/hub"
	"github.com/bdia-go/bdia/model"
	"github.com/bdia-go/bdia/train"
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

// sampler is a task with samples of its data for a model folder of its kind.
type sampler interface {
	sample(ctx context.Context, f *hub.Folder) (export.Sample, error)
}

func sampleOfRun(ctx context.Context, f *hub.Folder) (export.Sample, error) {
	r, err := train.Open(f.Run)
	if err != nil {
		return export.Sample{}, err
	}
	defer r.Close()
	return viewOf(r.Task).(sampler).sample(ctx, f)
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

func (v textView) sample(_ context.Context, f *hub.Folder) (s export.Sample, err error) {
	c := f.GPTInfo.Config
	if f.Kind != convert.GPT || v.Settings.Model.Vocab != c.Vocab {
		return s, errOtherModel
	}
	T := min(c.CacheContext(), export.SamplePositions)
	for _, training := range []bool{false, true} {
		set, err := data.NewSequential(v.Tokens(training), T, export.SampleSize)
		if err != nil {
			continue
		}
		b := model.NewBatch(set.Len(), T)
		s = export.Sample{What: fmt.Sprintf("%d positions of %s text", len(b.Inputs), heldOut(training)), Tokens: b}
		return s, set.Batch(0, b.Size, b.Inputs, b.Targets)
	}
	return s, errNoSample
}

func (v tuneView) sample(_ context.Context, f *hub.Folder) (s export.Sample, err error) {
	if f.Kind != convert.GPT || v.Settings.Model.Vocab != f.GPTInfo.Config.Vocab {
		return s, errOtherModel
	}
	for _, part := range []datapairs.Part{datapairs.Val, datapairs.Train} {
		b, err := v.Completions(part, export.SampleSize)
		if err == nil && b.Size > 0 && len(b.Inputs)/b.Size <= f.GPTInfo.Config.CacheContext() {
			what := fmt.Sprintf("%d positions of %s prompts and completions", len(b.Inputs), heldOut(part == datapairs.Train))
			return export.Sample{What: what, Tokens: b}, nil
		}
	}
	return s, errNoSample
}

func (v imageView) sample(ctx context.Context, f *hub.Folder) (s export.Sample, err error) {
	if f.Kind != convert.ViT {
		return s, errOtherModel
	}
	if err := v.OpenHeldOut(ctx); err != nil {
		return s, err
	}
	set, training := v.Set(false), false
	if set == nil {
		set, training = v.Set(true), true
	}
	b := model.NewImageBatch(f.ViTInfo.Config, min(export.SampleSize, set.Len()))
	s = export.Sample{What: fmt.Sprintf("%d %s images", b.Size, heldOut(training)), Images: b}
	return s, set.Fill(0, b.Size, b.Pixels, make([]int32, b.Size))
}

func (v translationView) sample(_ context.Context, f *hub.Folder) (s export.Sample, err error) {
	if f.Kind != convert.Seq2Seq {
		return s, errOtherModel
	}
	for _, part := range []datapairs.Part{datapairs.Val, datapairs.Train} {
		set, err := v.Part(part)
		if err != nil || set == nil {
			continue
		}
		k := set.Len() / 2 // neither the shortest nor the longest
		b := datapairs.NewBatch(set.Capacity())
		if err := set.Fill(k, 0, min(export.SampleSize, set.Shape(k).B), b); err != nil {
			return s, err
		}
		return export.Sample{What: fmt.Sprintf("%d %s sentences", b.B, heldOut(part == datapairs.Train)), Pairs: eval.PairBatch(b)}, nil
	}
	return s, errNoSample
}
