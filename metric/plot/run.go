package plot

import (
	"path/filepath"

	"github.com/bdia-go/bdia/metric"
)

// Run draws the loss curves of the run in dir from its records, as loss.png and loss.svg in dir.
func Run(dir string) error {
	all, err := metric.ReadSeries(filepath.Join(dir, metric.JSONLName))
	if err != nil {
		return err
	}
	var curves []Series
	for _, s := range all {
		c := Series{Points: s.Points}
		switch s.Name {
		case "train/loss":
			c.Name = "training batches"
		case "train/eval_loss":
			c.Name, c.Evaluation = "training text", true
		case "val/loss":
			c.Name, c.Evaluation = "validation", true
		default:
			continue
		}
		curves = append(curves, c)
	}
	for _, name := range []string{"loss.png", "loss.svg"} {
		if err := LossCurve(filepath.Base(dir), curves, filepath.Join(dir, name)); err != nil {
			return err
		}
	}
	return nil
}
