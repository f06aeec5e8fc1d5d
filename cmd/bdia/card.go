package main

import (
	"context"
	"fmt"
	"math"
	"path/filepath"
	"regexp"
	"strings"

	"github.com/bdia-go/bdia"
	"github.com/bdia-go/bdia/checkpoint"
	"github.com/bdia-go/bdia/cmd/bdia/internal/cli"
	"github.com/bdia-go/bdia/export"
	"github.com/bdia-go/bdia/hub"
	"github.com/bdia-go/bdia/tokenizer"
	"github.com/bdia-go/bdia/train"
	"github.com/bdia-go/bdia/train/images"
)

// describeRun sets what an export of the folder f says of its run: the model card, and whether it learned
// conversations. What is not known is not said.
func describeRun(ctx context.Context, f *hub.Folder, o *export.Options) {
	if f.Run == "" {
		return
	}
	r, err := train.Open(f.Run)
	if err != nil {
		return
	}
	defer r.Close()
	c, st := r.Task.Common(), r.State
	if older, err := checkpoint.ReadState(filepath.Join(f.Dir, filepath.FromSlash(checkpoint.StateFile))); err == nil {
		st = older
	}
	card := &export.Card{}
	if s, ok := r.Task.(train.Starter); ok && s.StartsFrom() != "" {
		card.Base = nameOfModel(s.StartsFrom())
		o.Origin = originOf(s.StartsFrom())
	}
	add := func(name, value string) { card.Rows = append(card.Rows, export.Detail{Name: name, Value: value}) }
	card.Data = dataNames(r.Task)
	if p, ok := pictureOf(ctx, r); ok {
		for _, part := range p.Parts {
			add("Part "+part.Name, fmt.Sprintf("%s samples, %s %s", cli.Count(part.Samples), cli.Count(part.Losses), part.Unit))
		}
		o.Talk = f.Separator != nil && areTalks(p.Samples, f)
	}
	method := fmt.Sprintf("memory mode %s, gamma %s", c.Method.Memory, c.Method.GammaText())
	if c.Method.Gamma != 0 && c.Method.Grid != bdia.NoGrid {
		method = fmt.Sprintf("BDIA, exactly reversible: gamma ±%s, grid 2^-%s, memory mode %s", c.Method.GammaText(), c.Method.Grid, c.Method.Memory)
	}
	add("Method", method)
	if c, ok, err := hub.Adapter(f.Dir); err == nil && ok {
		layers := c.LoRA.Targets
		if len(c.Family) > 0 {
			layers = c.Family
		}
		add("Trained", fmt.Sprintf("LoRA adapters of rank %d, alpha %g, of %v, merged into the weights", c.LoRA.Rank, c.LoRA.Alpha, layers))
	}
	if text := earlierPrecisions(st, c.Engine.Precision); text != "" {
		add("Earlier precision", text)
	}
	add("Steps", fmt.Sprintf("%s of %s", cli.Count(int64(st.Step)), viewOf(r.Task).batch()))
	add("Optimiser", fmt.Sprintf("%s, learning rate %g, %s after %d steps of warm-up, weight decay %g", c.Optimizer.Name, c.Schedule.LR, c.Schedule.Kind, c.Schedule.Warmup, c.Optimizer.Decay))
	add("Seed", fmt.Sprint(c.Loop.Seed))
	if !math.IsInf(st.BestLoss, 0) {
		add("Validation loss", fmt.Sprintf("%.4g at step %d, the best", st.BestLoss, st.BestStep))
		if _, ok := r.Task.(*images.Task); ok {
			add("Validation accuracy", fmt.Sprintf("%.4g at step %d", st.BestAccuracy, st.BestStep))
		}
	}
	o.Card = card
}

// pictureOf is what a run learned, if that is still there.
func pictureOf(ctx context.Context, r *train.Run) (p train.Picture, ok bool) {
	t, ok := r.Task.(train.Pictured)
	if !ok || r.Task.Open(ctx, nil) != nil {
		return p, false
	}
	p, err := t.Picture(4)
	return p, err == nil
}

// learnedTalks reports whether the run of the folder f learned conversations without a chat template.
func learnedTalks(ctx context.Context, f *hub.Folder) bool {
	if f.Run == "" || f.Separator == nil {
		return false
	}
	r, err := train.Open(f.Run)
	if err != nil {
		return false
	}
	defer r.Close()
	p, ok := pictureOf(ctx, r)
	return ok && areTalks(p.Samples, f)
}

// aRole begins a conversation.
var aRole = regexp.MustCompile(`^[\pL\pN_-]+: `)

// areTalks reports whether samples of the run of the folder f are conversations, in lines of "role: content". The
// beginning of one may have been cut off.
func areTalks(samples []train.Sample, f *hub.Folder) bool {
	before, _ := tokenizer.Around(f.Tokenizer)
	begin := ""
	if len(before) > 0 {
		if text, err := f.Tokenizer.Decode(before); err == nil {
			begin = string(text)
		}
	}
	whole := false
	for _, s := range samples {
		text := ""
		for _, piece := range s.Pieces {
			text += piece.Text
		}
		text = strings.TrimPrefix(strings.TrimPrefix(text, begin), " ") // which some tokenizers put there
		if !strings.Contains("\n"+text, "\nassistant:"+*f.Separator) {
			return false
		}
		whole = whole || aRole.MatchString(text)
	}
	return whole
}
