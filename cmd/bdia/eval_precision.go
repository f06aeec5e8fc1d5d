package main

import (
	"context"
	"fmt"
	"io"

	"github.com/bdia-go/bdia/backend"
	"github.com/bdia-go/bdia/cmd/bdia/internal/cli"
	"github.com/bdia-go/bdia/hub"
)

// precisionReport says in which precision a model was measured.
type precisionReport struct {
	Precision string `json:"precision"`
	// Losses are the losses by precision, if another one was asked for than the run was trained in.
	Losses map[string]float64 `json:"loss_by_precision,omitempty"`
}

func (r *precisionReport) precision() *precisionReport { return r }

// on names how the states were rounded, and the products if they were.
func (r *precisionReport) on(grid string) string {
	if r.Precision == backend.Float32.String() {
		return "grid " + grid
	}
	return fmt.Sprintf("grid %s, %s", grid, r.Precision)
}

// plain names inference without a grid: in a line, and in a difference.
func (r *precisionReport) plain() (label, short string) {
	if r.Precision == backend.Float32.String() {
		return "in float32", "float32"
	}
	return "no grid", "none"
}

// printGap prints the losses of both precisions, if they were measured.
func (r *precisionReport) printGap(w io.Writer) {
	if r.Losses != nil {
		in := backend.BFloat16
		fmt.Fprintf(w, "  precision      %s\n", gapOf(in, r.Losses[in.String()], r.Losses[backend.Float32.String()]))
	}
}

// evaluatePrecisions measures the model in dir in the precision that o asks for, else in the run's. If both differ, the
// loss is measured in both.
func evaluatePrecisions(ctx context.Context, dir string, o evalOptions, p *cli.Progress) (printer, error) {
	report, err := evaluateRun(ctx, dir, o, p)
	if err != nil {
		return nil, err
	}
	run, err := hub.ReadSettings(hub.RunOf(dir))
	if err != nil {
		return nil, err
	}
	if !o.engine.asked {
		o.engine.Precision = run.Precision
	}
	in, asked := report.precision(), o.engine.Precision
	if in.Precision = asked.String(); hub.RunOf(dir) == "" || asked == run.Precision {
		return report, nil
	}
	o.engine.Precision = run.Precision
	other, err := evaluateRun(ctx, dir, o, p)
	if err != nil {
		return nil, err
	}
	in.Losses = map[string]float64{asked.String(): report.loss(), run.Precision.String(): other.loss()}
	return report, nil
}
