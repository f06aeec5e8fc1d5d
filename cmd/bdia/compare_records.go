package main

import (
	"errors"
	"fmt"
	"math"
	"os"
	"path/filepath"

	"github.com/bdia-go/bdia/checkpoint"
	"github.com/bdia-go/bdia/cmd/bdia/internal/cli"
	"github.com/bdia-go/bdia/metric"
)

// comparedRun is what a run recorded. What it did not measure is nil.
type comparedRun struct {
	Run       string  `json:"run"`
	Steps     int     `json:"steps"`
	BestLoss  any     `json:"best_val_loss"`
	BestStep  int     `json:"best_step"`
	LastLoss  any     `json:"val_loss"`
	TrainLoss any     `json:"train_loss"` // over the last tenth of the steps
	Accuracy  any     `json:"val_accuracy,omitempty"`
	Seconds   float64 `json:"seconds"`

	train, val []metric.Point
}

// readRecords reads what the run in dir recorded.
func readRecords(dir string) (comparedRun, error) {
	series, err := metric.ReadSeries(filepath.Join(dir, metric.JSONLName))
	if errors.Is(err, os.ErrNotExist) {
		return comparedRun{}, fmt.Errorf("%s: there is no %s; name the folder of a run that bdia train made", dir, metric.JSONLName)
	}
	if err != nil {
		return comparedRun{}, err
	}
	r := comparedRun{Run: filepath.Base(filepath.Clean(dir))}
	for _, s := range series {
		if n := len(s.Points); n > 0 {
			r.Steps = max(r.Steps, int(s.Points[n-1].X))
		}
		switch s.Name {
		case "train/loss":
			r.train = s.Points
		case "val/loss":
			r.val = s.Points
		case "val/accuracy":
			r.Accuracy = cli.Number(s.Points[len(s.Points)-1].Y)
		}
	}
	best := math.Inf(1)
	for _, p := range r.val {
		if r.LastLoss = cli.Number(p.Y); p.Y < best {
			best, r.BestLoss, r.BestStep = p.Y, cli.Number(p.Y), int(p.X)
		}
	}
	var sum, n float64
	for _, p := range r.train {
		if p.X > 0.9*float64(r.Steps) {
			sum, n = sum+p.Y, n+1
		}
	}
	if n > 0 {
		r.TrainLoss = cli.Number(sum / n)
	}
	st, err := checkpoint.ReadState(filepath.Join(dir, filepath.FromSlash(checkpoint.StateFile)))
	if err != nil && !errors.Is(err, os.ErrNotExist) { // none before the first checkpoint
		return comparedRun{}, err
	}
	if r.Seconds = st.Elapsed; st.Step > 0 {
		r.Steps = st.Step
	}
	return r, nil
}
