package main

import (
	"cmp"
	"fmt"
	"os"
	"strings"

	"github.com/spf13/pflag"

	"github.com/bdia-go/bdia/backend"
	"github.com/bdia-go/bdia/checkpoint"
	"github.com/bdia-go/bdia/hub"
	"github.com/bdia-go/bdia/train"
)

// precisionUsage is the help of --precision.
const precisionUsage = "``products of float32 or bf16"

// precisionFlag is the precision of a model that trains, or is timed or checked.
func precisionFlag(f *pflag.FlagSet, p *backend.Precision) {
	f.TextVar(p, "precision", *p, precisionUsage)
}

// device is where the model of a folder runs: in the precision that was asked for, else in the one that its run was
// trained in.
type device struct {
	backend.Options
	asked bool
}

// flags binds the flags of d.
func (d *device) flags(f *pflag.FlagSet) {
	engineFlags(f, &d.Options)
	f.Var(askedPrecision{d}, "precision", precisionUsage+" (default the run's)")
}

// of returns where the model of f runs, and says what a user should know of its speed.
func (d device) of(f *hub.Folder) backend.Options {
	if !d.asked {
		d.Precision = f.Precision
	}
	noteSpeed(os.Stderr, d.Options)
	return d.Options
}

// askedPrecision is a flag that knows whether it was given.
type askedPrecision struct{ of *device }

func (askedPrecision) Type() string { return "type" }

func (v askedPrecision) String() string {
	if v.of == nil || !v.of.asked { // pflag asks a zero value too
		return ""
	}
	return v.of.Precision.String()
}

func (v askedPrecision) Set(text string) error {
	v.of.asked = true
	return v.of.Precision.UnmarshalText([]byte(text))
}

// gapOf says what the precision of a run's products costs at inference: two losses of the same weights and samples.
func gapOf(p backend.Precision, in, float32 float64) string {
	return fmt.Sprintf("loss %.4f in %s, %.4f in float32 (%s - float32: %+.2g)", in, p, float32, p, in-float32)
}

// earlierPrecisions says which steps of a state were done in another precision than the run has now.
func earlierPrecisions(st checkpoint.State, now backend.Precision) string {
	var spans []string
	for i, c := range st.Courses {
		until := st.Step
		if i+1 < len(st.Courses) {
			until = st.Courses[i+1].After
		}
		if in := cmp.Or(c.Precision, backend.Float32.String()); in != now.String() && until > c.After {
			spans = append(spans, fmt.Sprintf("%s in steps %d to %d", in, c.After+1, until))
		}
	}
	return strings.Join(spans, ", ")
}

// planPrecisions plans t as it is in both precisions: bytes by the precision's name.
func planPrecisions(t train.Synthetic) (map[string]int64, error) {
	both := map[string]int64{}
	for _, p := range []backend.Precision{backend.Float32, backend.BFloat16} {
		one := t.Clone()
		one.Common().Engine.Precision = p
		u, err := train.Plan(one)
		if err != nil {
			return nil, err
		}
		both[p.String()] = u.Total
	}
	return both, nil
}
