package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"math"
	"path/filepath"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"github.com/bdia-go/bdia"
	"github.com/bdia-go/bdia/cmd/bdia/internal/cli"
	"github.com/bdia-go/bdia/data/images"
	"github.com/bdia-go/bdia/eval"
	"github.com/bdia-go/bdia/metric"
	"github.com/bdia-go/bdia/metric/plot"
)

// imageReport is the result of an evaluation of images.
type imageReport struct {
	Data          string        `json:"data"` // val, train or a path
	Images        int           `json:"images"`
	Grid          string        `json:"grid"`
	Loss          float64       `json:"loss"` // nats an image, states on the run's grid
	Accuracy      float64       `json:"accuracy"`
	Top5          float64       `json:"top5"`
	FloatLoss     float64       `json:"float_loss"` // states in plain float32
	FloatAccuracy float64       `json:"float_accuracy"`
	GridMinFloat  float64       `json:"grid_minus_float"`
	Classes       []classReport `json:"classes"`
	Confusion     [][]int       `json:"confusion"` // images of class row taken for class column; null for more than 1024 classes
	LeftOut       int           `json:"images_left_out"`
}

// classReport is how one class does; shares of nothing are null.
type classReport struct {
	Name      string `json:"name"`
	Images    int    `json:"images"`
	Recall    any    `json:"recall"`    // share of its images that are found
	Precision any    `json:"precision"` // share of what is taken for it that belongs to it
}

// evaluateImages measures r's model on a grid and in float32.
func evaluateImages(ctx context.Context, r *oneRun, o evalOptions) (*imageReport, error) {
	c, err := loadClassifier(o.dir(r), r.Config.Loop.SamplesAtOnce(), 0, o.engine)
	if err != nil {
		return nil, err
	}
	defer c.be.Close()
	set, leftOut, done, err := imagesOf(ctx, r, c, o)
	if err != nil {
		return nil, err
	}
	defer done()
	grids := []bdia.Grid{c.grid, bdia.NoGrid}
	counts, err := c.measure(ctx, set, o.samples, len(grids), func(i int) (bdia.Grid, float64) { return grids[i], 0 })
	if err != nil {
		return nil, err
	}
	onGrid, inFloat := counts[0], counts[1]
	e := &imageReport{Data: o.split, Images: onGrid.Samples, Grid: c.grid.String(), Loss: onGrid.Loss(), Accuracy: onGrid.Accuracy(),
		Top5: onGrid.Top5Accuracy(), FloatLoss: inFloat.Loss(), FloatAccuracy: inFloat.Accuracy(), GridMinFloat: onGrid.Loss() - inFloat.Loss(), LeftOut: leftOut}
	if o.data != "" {
		e.Data = o.data
	}
	for k := range onGrid.Classes {
		n, recall, precision := onGrid.Class(k)
		e.Classes = append(e.Classes, classReport{c.name(k), n, cli.Number(recall), cli.Number(precision)})
		if onGrid.Confusion != nil {
			e.Confusion = append(e.Confusion, onGrid.Confusion[k*onGrid.Classes:][:onGrid.Classes])
		}
	}
	return e, nil
}

// imagesOf opens the images that o asks for: the run's, or others. done lets go
// of them.
func imagesOf(ctx context.Context, r *oneRun, c *classifier, o evalOptions) (set *images.Set, leftOut int, done func(), err error) {
	if o.data != "" {
		d, err := images.Open(ctx, o.data, images.Options{Size: c.Config.Image, Norm: images.Norm{Mean: c.Mean, Std: c.Std}, Classes: c.Labels, HeldOut: o.split != "train",
			OnCorrupt: cmp.Or(o.onCorrupt, r.Config.Images.OnCorrupt), Threads: o.engine.Threads}, nil)
		if err != nil {
			return nil, 0, nil, err
		}
		if set = d.Val; set == nil || o.split == "train" {
			set = d.Train
		}
		return set, d.Skipped, func() { d.Close() }, nil
	}
	if o.split == "train" {
		err = r.Images.Open(ctx, nil)
	} else {
		err = r.Images.OpenHeldOut(ctx)
	}
	if err != nil {
		return nil, 0, nil, err
	}
	if set = r.Images.Set(o.split == "train"); set == nil {
		return nil, 0, nil, cli.Usage(errors.New("this run holds no images out; use --split train"))
	}
	leftOut, _ = r.Images.Skipped()
	return set, leftOut, func() {}, nil
}

// measure counts the answers of n ways of inference, each with a grid and a
// gamma, for most images of set; 0 for all.
func (c *classifier) measure(ctx context.Context, set *images.Set, most, n int, way func(i int) (bdia.Grid, float64)) ([]*metric.Classification, error) {
	ways := make([]eval.Inference, n)
	for i := range ways {
		ways[i].Grid, ways[i].Gamma = way(i)
	}
	return eval.Images(ctx, c.model, set, most, eval.Buffers{Images: c.room, Logits: c.output}, ways...)
}

// maxConfusion is the most classes whose confusion matrix fits a screen.
const maxConfusion = 20

func (e *imageReport) print(w io.Writer) {
	name := map[string]string{"val": "Validation", "train": "Training"}[e.Data]
	if name == "" {
		name = e.Data + ":"
	}
	fmt.Fprintf(w, "%s images, %s of %d classes:\n", name, cli.Count(int64(e.Images)), len(e.Classes))
	fmt.Fprintf(w, "  accuracy       %.2f%%, among five guesses %.2f%%\n", 100*e.Accuracy, 100*e.Top5)
	fmt.Fprintf(w, "  loss           %.4f nats an image (grid %s)\n", e.Loss, e.Grid)
	fmt.Fprintf(w, "  in float32     %.2f%%, %.4f nats (grid - float32: %+.2g)\n", 100*e.FloatAccuracy, e.FloatLoss, e.GridMinFloat)
	if e.LeftOut > 0 {
		fmt.Fprintf(w, "  left out       %d images that cannot be decoded\n", e.LeftOut)
	}
	width := len("class")
	for _, c := range e.Classes {
		width = max(width, len(c.Name))
	}
	fmt.Fprintf(w, "\n  %-*s %8s %8s %10s\n", width, "class", "images", "found", "precision")
	for _, c := range e.Classes {
		fmt.Fprintf(w, "  %-*s %8d %8s %10s\n", width, c.Name, c.Images, percent(c.Recall), percent(c.Precision))
	}
	if len(e.Classes) > maxConfusion {
		if e.Confusion != nil {
			fmt.Fprintln(w, "\nThe confusion matrix is in the output of --json.")
		}
		return
	}
	fmt.Fprintf(w, "\nConfusion: images of the row's class taken for the column's, in the same order\n")
	for k, row := range e.Confusion {
		fmt.Fprintf(w, "  %-*s", width, e.Classes[k].Name)
		for _, n := range row {
			fmt.Fprintf(w, " %5d", n)
		}
		fmt.Fprintln(w)
	}
}

// percent formats a share, which may be unknown.
func percent(share any) string {
	if v, ok := share.(float64); ok {
		return fmt.Sprintf("%.1f%%", 100*v)
	}
	return "-"
}

// sweepPoint is what a run does with one inference gamma.
type sweepPoint struct {
	Gamma    float64 `json:"gamma"`
	Accuracy float64 `json:"accuracy"`
	Top5     float64 `json:"top5"`
	Loss     any     `json:"loss"`
}

// sweepRun is the sweep of one run.
type sweepRun struct {
	Run    string       `json:"run"`
	Grid   string       `json:"grid"`
	Images int          `json:"images"`
	Points []sweepPoint `json:"points"`
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
	}
	w := cmd.OutOrStdout()
	if asJSON {
		return cli.PrintJSON(w, map[string]any{"sweep": all})
	}
	for _, s := range all {
		fmt.Fprintf(w, "%s: %s images, grid %s\n  %6s %9s %9s %9s\n", s.Run, cli.Count(int64(s.Images)), s.Grid, "gamma", "accuracy", "top five", "loss")
		for _, p := range s.Points {
			fmt.Fprintf(w, "  %6.3g %8.2f%% %8.2f%% %9.4v\n", p.Gamma, 100*p.Accuracy, 100*p.Top5, p.Loss)
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
	if r.Images == nil || r.Config.ViT.TwoStream {
		return sweepRun{}, cli.Usage(fmt.Errorf("%s: a gamma is for vision transformers of one residual stream", dir))
	}
	c, err := loadClassifier(o.dir(r), r.Config.Loop.SamplesAtOnce(), 0.5, o.engine)
	if err != nil {
		return sweepRun{}, err
	}
	defer c.be.Close()
	set, _, done, err := imagesOf(ctx, r, c, o)
	if err != nil {
		return sweepRun{}, err
	}
	defer done()
	counts, err := c.measure(ctx, set, o.samples, len(gammas), func(i int) (bdia.Grid, float64) { return c.grid, gammas[i] })
	if err != nil {
		return sweepRun{}, err
	}
	s := sweepRun{Run: dir, Grid: c.grid.String(), Images: counts[0].Samples}
	for i, n := range counts {
		s.Points = append(s.Points, sweepPoint{gammas[i], n.Accuracy(), n.Top5Accuracy(), cli.Number(n.Loss())})
	}
	return s, nil
}

func sweepFigure(all []sweepRun, path string) error {
	var series []plot.Series
	for _, s := range all {
		curve := plot.Series{Name: s.Run}
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
