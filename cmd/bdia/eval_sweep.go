package main

import (
	"context"
	"fmt"
	"math"
	"path/filepath"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"github.com/bdia-go/bdia/cmd/bdia/internal/cli"
	"github.com/bdia-go/bdia/eval"
	"github.com/bdia-go/bdia/metric"
	"github.com/bdia-go/bdia/metric/plot"
)

// sweepRun is the sweep of one run.
type sweepRun struct {
	Run    string            `json:"run"`
	Grid   string            `json:"grid"`
	In     string            `json:"precision"`
	Images int               `json:"images"`
	Points []eval.SweepPoint `json:"points"`
}

// sweep measures runs of images with fixed inference gammas: x_{k+1} = gamma
// x_{k-1} + (1-gamma) x_k + (1+gamma) h_k(x_k) (the paper's figure 1).
func sweep(cmd *cobra.Command, dirs []string, o evalOptions, asJSON bool) error {
	gammas, err := parseSweep(o.gammas)
	if err != nil {
		return cli.Usage(fmt.Errorf("--gamma: %w", err))
	}
	if ext := filepath.Ext(o.figure); o.figure != "" && ext != ".png" && ext != ".svg" {
		return cli.Usage(fmt.Errorf("--figure %s: the name must end in .png or .svg", o.figure))
	}
	var all []sweepRun
	for _, dir := range dirs {
		s, err := sweepOf(cmd.Context(), dir, o, gammas)
		if err != nil {
			return err
		}
		all = append(all, s)
	}
	if o.figure != "" {
		if err := sweepFigure(all, o.figure); err != nil {
			return err
		}
		fmt.Fprintf(cmd.ErrOrStderr(), "Figure written to %s\n", o.figure)
	}
	w := cmd.OutOrStdout()
	if asJSON {
		return cli.PrintJSON(w, map[string]any{"sweep": all})
	}
	for _, s := range all {
		fmt.Fprintf(w, "%s: %s images, grid %s, precision %s\n  %6s %9s %9s %9s\n", s.Run, cli.Count(int64(s.Images)), s.Grid, s.In, "gamma", "accuracy", "top five", "loss")
		for _, p := range s.Points {
			fmt.Fprintf(w, "  %6.3g %8.2f%% %8.2f%% %9.4v\n", p.Gamma, 100*p.Accuracy, 100*p.Top5, number(p.Loss))
		}
	}
	return nil
}

func sweepOf(ctx context.Context, dir string, o evalOptions, gammas []float64) (sweepRun, error) {
	dir, _, err := o.folders(dir)
	if err != nil {
		return sweepRun{}, err
	}
	r, err := openRun(dir)
	if err != nil {
		return sweepRun{}, err
	}
	defer r.Close()
	v, ok := viewOf(r.Task).(imageView)
	if !ok || v.Settings.ViT.TwoStream {
		return sweepRun{}, cli.Usage(fmt.Errorf("%s: a gamma is for vision transformers of one residual stream", dir))
	}
	if err := o.given.refuse(o.idleOf(v)); err != nil {
		return sweepRun{}, err
	}
	c, err := loadClassifier(o.weights, v.Settings.Loop.SamplesAtOnce(), 0.5, o.engine)
	if err != nil {
		return sweepRun{}, err
	}
	defer c.be.Close()
	set, _, done, err := v.imagesOf(ctx, c, o)
	if err != nil {
		return sweepRun{}, err
	}
	defer done()
	var ways []eval.Inference
	for _, gamma := range gammas {
		ways = append(ways, eval.Inference{Grid: c.grid, Gamma: gamma})
	}
	counts, err := eval.Images(ctx, c.model, set, o.samples, c.buffers, ways...)
	if err != nil {
		return sweepRun{}, err
	}
	return sweepRun{Run: dir, Grid: c.grid.String(), In: c.be.Precision().String(), Images: counts[0].Samples, Points: eval.Sweep(ways, counts)}, nil
}

func sweepFigure(all []sweepRun, path string) error {
	var series []plot.Series
	var paths []string
	for _, s := range all {
		paths = append(paths, s.Run)
	}
	names := namesOf(paths)
	for i, s := range all {
		curve := plot.Series{Name: names[i]}
		for _, p := range s.Points {
			curve.Points = append(curve.Points, metric.Point{X: p.Gamma, Y: 100 * p.Accuracy})
		}
		series = append(series, curve)
	}
	return plot.Figure("Accuracy with a fixed inference gamma", plot.Axes{X: "gamma", Y: "accuracy (%)"}, series, path)
}

// parseSweep reads FROM:TO:STEP, or one value.
func parseSweep(text string) ([]float64, error) {
	const most = 1000
	parts := strings.Split(text, ":")
	v := make([]float64, len(parts))
	for i, part := range parts {
		x, err := strconv.ParseFloat(part, 64)
		if err != nil || i < 2 && !(math.Abs(x) < 1) {
			return nil, fmt.Errorf("%q; give FROM:TO:STEP, as -0.5:0.5:0.1, of magnitudes below 1", text)
		}
		v[i] = x
	}
	if len(v) == 1 {
		return v, nil
	}
	if len(v) != 3 || !(v[1] >= v[0]) || !(v[2] > 0) || (v[1]-v[0])/v[2] > most {
		return nil, fmt.Errorf("%q; give FROM:TO:STEP with FROM at most TO and a positive STEP, as -0.5:0.5:0.1", text)
	}
	var gammas []float64
	for i := range int((v[1]-v[0])/v[2]+1e-9) + 1 {
		gammas = append(gammas, math.Round((v[0]+float64(i)*v[2])*1e9)/1e9+0) // not -0
	}
	return gammas, nil
}
