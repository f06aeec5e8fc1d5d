package plot

import (
	"path/filepath"

	"github.com/bdia-go/bdia/metric"
)

// Run draws the loss curves of the run in dir from its records, as loss.png and loss.svg in dir. If the run measured
// an accuracy, that is drawn below.
func Run(dir string) error {
	all, _, err := metric.ReadSeries(filepath.Join(dir, metric.JSONLName))
	if err != nil {
		return err
	}
	panels := []Panel{{Axes: Axes{X: "step", Y: "loss (nats)", Whole: true}}}
	accuracy := Panel{Axes: Axes{X: "step", Y: "accuracy (%)", Whole: true}}
	for _, s := range all {
		loss := &panels[0].Series
		switch s.Name {
		case "train/loss":
			*loss = append(*loss, Series{Name: "training batches", Points: s.Points})
		case "train/eval_loss":
			*loss = append(*loss, Series{Name: "training data", Evaluation: true, Points: s.Points})
		case "val/loss":
			*loss = append(*loss, Series{Name: "validation", Evaluation: true, Points: s.Points})
		case "val/accuracy":
			accuracy.Series = append(accuracy.Series, Series{Name: "validation", Evaluation: true, Higher: true, Points: Percent(s.Points)})
		}
	}
	if len(accuracy.Series) > 0 {
		panels = append(panels, accuracy)
	}
	for _, name := range []string{"loss.png", "loss.svg"} {
		if err := Panels(filepath.Base(dir), panels, filepath.Join(dir, name)); err != nil {
			return err
		}
	}
	return nil
}

// Percent returns points with Y times 100.
func Percent(points []metric.Point) []metric.Point {
	out := make([]metric.Point, len(points))
	for i, p := range points {
		out[i] = metric.Point{X: p.X, Y: 100 * p.Y}
	}
	return out
}
