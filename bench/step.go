// Package bench measures the machine, its kernels, and whole training steps, and
// compares the steps with both.
package bench

import (
	"context"
	"slices"
	"time"

	"github.com/bdia-go/bdia/backend"
	"github.com/bdia-go/bdia/backend/meter"
	"github.com/bdia-go/bdia/tensor"
	"github.com/bdia-go/bdia/train"
)

// Step is the cost of whole training steps in one setting.
type Step struct {
	Memory          string     `json:"memory"`
	Precision       string     `json:"precision"`
	Threads         int        `json:"threads"`
	ISA             string     `json:"isa"`
	Params          int        `json:"params"`
	Steps           int        `json:"steps"`
	SecondsPerStep  float64    `json:"seconds_per_step"`            // median
	TokensPerSecond float64    `json:"tokens_per_second,omitempty"` // of a language model
	ImagesPerSecond float64    `json:"images_per_second,omitempty"` // of a classifier
	PeakArenaBytes  int64      `json:"peak_arena_bytes"`
	PeakRSSMB       float64    `json:"peak_rss_mb"`   // peak resident memory of the process
	RSSBeforeMB     float64    `json:"rss_before_mb"` // the same before the model was made
	MatrixFLOPs     int64      `json:"matrix_flops_per_step"`
	FMAPeakGFLOPS   float64    `json:"fma_peak_gflops"`     // measured with the threads used
	ProductPeak     float64    `json:"product_peak_gflops"` // of the unit of the precision's products
	Utilisation     float64    `json:"flop_utilisation"`    // of ProductPeak
	Operations      []meter.Op `json:"operations"`          // totals of the timed steps
}

// slow is the time of a step that needs no warm-up.
const slow = 10 * time.Second

// TimeStep runs two warm-up steps of t on random tokens or images and then the given
// number of timed ones. If the first takes ten seconds or more, it is a timed one
// already. Every operation is metered, which costs well below 0.1%. If ctx is done,
// it stops with an error.
func TimeStep(ctx context.Context, t train.Synthetic, steps int) (Step, error) {
	t = t.Clone()
	train.Assume(t)
	cfg := *t.Common()
	isa, err := instructions(cfg.Engine)
	if err != nil {
		return Step{}, err
	}
	before := peakRSS()
	planned, err := train.Plan(t)
	if err != nil {
		return Step{}, err
	}
	be, err := backend.Open(cfg.Engine, planned.Total)
	if err != nil {
		return Step{}, err
	}
	defer be.Close()
	m := meter.New(be)
	l, err := t.Random(m)
	if err != nil {
		return Step{}, err
	}
	s, err := train.NewSession(m, l, train.Options{Common: cfg})
	if err != nil {
		return Step{}, err
	}
	if err := s.Init(); err != nil {
		return Step{}, err
	}
	s.SetStop(ctx.Err)
	warm := 2
	var times []float64
	losses := 0 // of a step
	for step := 1; step <= warm+steps; step++ {
		if step == warm+1 {
			m.Reset()
		}
		if err := ctx.Err(); err != nil {
			return Step{}, err
		}
		began := time.Now()
		done, err := s.Step(step)
		if err != nil {
			return Step{}, err
		}
		losses = done.Losses
		took := time.Since(began)
		if step == 1 && took >= slow {
			warm = 0
		}
		if step > warm {
			times = append(times, took.Seconds())
		}
	}
	slices.Sort(times)
	r := Step{Memory: cfg.Method.Memory.String(), Precision: cfg.Engine.Precision.String(), Threads: threads(cfg.Engine), ISA: isa.String(), Steps: steps,
		SecondsPerStep: times[len(times)/2], PeakArenaBytes: be.Peak().Total, PeakRSSMB: peakRSS(), RSSBeforeMB: before, Operations: m.Ops()}
	r.Params = int(tensor.Elements(s.Params()))
	for _, op := range r.Operations {
		r.MatrixFLOPs += op.MatrixFLOPs / int64(steps)
	}
	if speed := float64(losses) / r.SecondsPerStep; train.Unit(l) == "images" {
		r.ImagesPerSecond = speed
	} else {
		r.TokensPerSecond = speed
	}
	return r, nil
}

// Against compares the step with the peak of a machine.
func (s *Step) Against(m Machine) {
	s.FMAPeakGFLOPS, s.ProductPeak = m.GFLOPS, m.Products
	if m.Products > 0 {
		s.Utilisation = float64(s.MatrixFLOPs) / (s.SecondsPerStep * m.Products * 1e9)
	}
}
