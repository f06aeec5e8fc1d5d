package main

import (
	"strings"

	"github.com/bdia-go/bdia/data/pairs"
	"github.com/bdia-go/bdia/train"
)

// longWays names the flags with which long pairs are cut or kept.
type longWays struct {
	together bool // both sides are one text
	cut      bool // they are cut already
	fixed    bool // the model has no room for more
}

func (l longWays) String() string {
	cut, keep := "--on-long truncate cuts their ends", "a larger --context keeps them"
	if l.together {
		cut, keep = "--on-long truncate drops the beginning of such prompts", "a larger --window, up to the context of the model, keeps them"
	}
	if l.fixed {
		keep = "a model with a longer context, named with --from, keeps them"
	}
	if l.cut {
		return keep
	}
	return cut + "; " + keep
}

// longHint names the flags with which long pairs fit, where none is short enough.
func longHint(e *pairs.LongError) string { return longWays{together: e.Together}.String() }

// explainLong adds to the notes on long pairs of t the flags with which they fit.
func explainLong(t train.Task, notes []string) {
	v, ok := viewOf(t).(interface {
		long() ([]*pairs.Report, longWays)
	})
	if !ok {
		return
	}
	reports, ways := v.long()
	for _, r := range reports {
		if r == nil {
			continue
		}
		for i, note := range notes {
			if need := r.Need(); need.Long > 0 && strings.HasSuffix(note, need.String()) {
				notes[i] += "; " + ways.String()
			}
		}
	}
}

func (v tuneView) long() ([]*pairs.Report, longWays) {
	c := v.Settings
	full := c.Tune.SampleLength(c.Model) >= c.Model.Context
	return []*pairs.Report{v.Report, v.Val}, longWays{together: true, cut: c.Pairs.OnLong == pairs.Truncate, fixed: full}
}

func (v translationView) long() ([]*pairs.Report, longWays) {
	c := v.Settings
	return []*pairs.Report{v.Report, v.Val}, longWays{cut: c.Pairs.OnLong == pairs.Truncate, fixed: c.From.Dir != ""}
}
