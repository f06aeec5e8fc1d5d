package main

import (
	"cmp"
	"math"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"github.com/bdia-go/bdia/internal/atomicfile"
	"github.com/bdia-go/bdia/metric"
	"github.com/bdia-go/bdia/metric/plot"
)

// compareFigures draws a figure a group and returns the files. Several have a number in their names: loss-2.svg.
func compareFigures(groups []comparedGroup, path string) (files []string, err error) {
	for i, g := range groups {
		file := path
		if i > 0 {
			ext := filepath.Ext(path)
			file = strings.TrimSuffix(path, ext) + "-" + strconv.Itoa(i+1) + ext
		}
		title := "Loss"
		if len(groups) > 1 {
			title = g.title
		}
		_ = atomicfile.CleanOf(file) // of an interrupted command; if it cannot, that does not hinder the new file
		if err := plot.Panels(title, g.panels(), file); err != nil {
			return files, err
		}
		files = append(files, file)
	}
	return files, nil
}

// panels are the losses, and the accuracies if there are some.
func (g comparedGroup) panels() []plot.Panel {
	late := len(g.rows) > 1 // curves to be told apart
	loss := plot.Panel{Axes: plot.Axes{X: "step", Y: "loss (nats)", Whole: true, Late: late}}
	accuracy := plot.Panel{Axes: plot.Axes{X: "step", Y: "accuracy (%)", Whole: true, Late: late}}
	measured := false
	for _, r := range g.rows {
		var trains, val, accuracies [][]metric.Point
		for _, run := range r.runs {
			trains, val, accuracies = append(trains, run.trains), append(val, run.val), append(accuracies, plot.Percent(run.accuracy))
			measured = measured || len(run.accuracy) > 0
		}
		loss.Series = append(loss.Series,
			banded(plot.Series{Name: "training", Run: r.name}, trains),
			banded(plot.Series{Name: "validation", Run: r.name, Evaluation: true}, val))
		accuracy.Series = append(accuracy.Series, banded(plot.Series{Name: "accuracy", Run: r.name, Evaluation: true, Higher: true}, accuracies))
	}
	if !measured {
		return []plot.Panel{loss}
	}
	return []plot.Panel{loss, accuracy}
}

// banded makes s the mean of curves at the steps that all have, with a band of the standard deviation if there are
// several.
func banded(s plot.Series, curves [][]metric.Point) plot.Series {
	if len(curves) == 1 {
		s.Points = curves[0]
		return s
	}
	at := map[float64][]float64{}
	for _, c := range curves {
		for _, p := range c {
			at[p.X] = append(at[p.X], p.Y)
		}
	}
	for x, ys := range at {
		if len(ys) != len(curves) {
			continue
		}
		var mean, squares float64
		for _, y := range ys {
			mean += y / float64(len(ys))
		}
		for _, y := range ys {
			squares += (y - mean) * (y - mean)
		}
		sd := math.Sqrt(squares / float64(len(ys)-1))
		s.Points = append(s.Points, metric.Point{X: x, Y: mean})
		s.Band = append(s.Band, plot.Interval{X: x, Low: mean - sd, High: mean + sd})
	}
	slices.SortFunc(s.Points, func(a, b metric.Point) int { return cmp.Compare(a.X, b.X) })
	slices.SortFunc(s.Band, func(a, b plot.Interval) int { return cmp.Compare(a.X, b.X) })
	return s
}
