package main

import (
	"context"
	"errors"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/bdia-go/bdia/checkpoint"
	"github.com/bdia-go/bdia/cmd/bdia/internal/cli"
	"github.com/bdia-go/bdia/metric"
	"github.com/bdia-go/bdia/train"
)

// comparedRun is what a run recorded. What it did not measure is nil. The keys are those of bdia train --json.
type comparedRun struct {
	Run         string  `json:"run"`
	Task        string  `json:"task,omitempty"`
	Steps       int     `json:"steps"`
	BestLoss    any     `json:"best_val_loss"`
	BestStep    int     `json:"best_step"`
	LastLoss    any     `json:"val_loss"`
	TrainLoss   any     `json:"train_loss"` // on batches, over the last tenth of the steps
	BitsPerByte any     `json:"best_bits_per_byte,omitempty"`
	BestAcc     any     `json:"best_val_accuracy,omitempty"`
	LastAcc     any     `json:"val_accuracy,omitempty"`
	Parameters  any     `json:"parameters,omitempty"`
	Trainable   any     `json:"trainable,omitempty"`
	PeakBytes   any     `json:"planned_bytes,omitempty"`
	Speed       any     `json:"per_second,omitempty"` // of Unit, the median
	Unit        string  `json:"unit,omitempty"`
	Seconds     float64 `json:"seconds"`
	BadLines    int     `json:"record_lines_left_out,omitempty"`

	bad             metric.Damage
	dir             string
	kind            string // what losses can be compared within
	settings        []train.Setting
	trains, val     []metric.Point
	accuracy, rates []metric.Point
}

// readRecords reads what the run in dir recorded, and its settings if it has some.
func readRecords(ctx context.Context, dir string) (comparedRun, error) {
	series, bad, err := metric.ReadSeries(filepath.Join(dir, metric.JSONLName))
	if errors.Is(err, os.ErrNotExist) {
		return comparedRun{}, fmt.Errorf("%s: there is no %s; name the folder of a run that bdia train made", dir, metric.JSONLName)
	}
	if err != nil {
		return comparedRun{}, err
	}
	r := comparedRun{Run: filepath.Base(filepath.Clean(dir)), dir: dir, kind: "runs without settings", BadLines: bad.Lines, bad: bad}
	for _, s := range series {
		unit, isRate := strings.CutSuffix(s.Name, "_per_second")
		switch {
		case s.Name == "train/loss":
			r.trains = s.Points
		case s.Name == "val/loss":
			r.val = s.Points
		case s.Name == "val/accuracy":
			r.accuracy = s.Points
		case isRate:
			r.rates, r.Unit = s.Points, unit
		}
	}
	if r.Steps, r.Seconds, err = progressOf(dir, series); err != nil {
		return comparedRun{}, err
	}
	r.summarise()
	return r, r.describe(ctx)
}

// progressOf is how many steps a run has done, and its whole duration in seconds.
func progressOf(dir string, series []metric.Series) (steps int, seconds float64, err error) {
	st, err := checkpoint.ReadState(filepath.Join(dir, filepath.FromSlash(checkpoint.StateFile)))
	if err != nil && !errors.Is(err, os.ErrNotExist) { // none before the first checkpoint
		return 0, 0, err
	}
	for _, s := range series { // a run without a checkpoint has what it recorded
		if n := len(s.Points); n > 0 {
			steps = max(steps, int(s.Points[n-1].X))
		}
	}
	if st.Step > 0 {
		steps = st.Step
	}
	return steps, st.Elapsed, nil
}

// summarise completes r by its curves.
func (r *comparedRun) summarise() {
	best := math.Inf(1)
	for _, p := range r.val {
		if r.LastLoss = cli.Number(p.Y); p.Y < best {
			best, r.BestLoss, r.BestStep = p.Y, cli.Number(p.Y), int(p.X)
		}
	}
	most := math.Inf(-1)
	for _, p := range r.accuracy {
		if r.LastAcc = cli.Number(p.Y); p.Y > most {
			most, r.BestAcc = p.Y, cli.Number(p.Y)
		}
	}
	var sum, n float64
	for _, p := range r.trains {
		if p.X > 0.9*float64(r.Steps) {
			sum, n = sum+p.Y, n+1
		}
	}
	if n > 0 {
		r.TrainLoss = cli.Number(sum / n)
	}
	var rates []float64
	for _, p := range r.rates {
		rates = append(rates, p.Y)
	}
	if slices.Sort(rates); len(rates) > 0 {
		r.Speed = cli.Number(rates[len(rates)/2])
	}
}

// describe completes r by the settings of its run, if there are some that bdia knows: a loop of one's own has none.
func (r *comparedRun) describe(ctx context.Context) error {
	if _, err := os.Stat(filepath.Join(r.dir, configName)); errors.Is(err, os.ErrNotExist) {
		return nil
	}
	t, err := readRun(r.dir)
	if errors.Is(err, train.ErrOwn) { // of a program, which knows what its settings mean
		return nil
	}
	if err != nil {
		return err
	}
	r.Task, r.settings = t.Name(), train.Settings(t)
	r.kind = viewOf(t).kind(r.dir)
	if s, ok := t.(train.Synthetic); ok {
		if all, trainable, err := train.Parameters(s); err == nil {
			r.Parameters, r.Trainable = all, trainable
		}
		if u, err := train.Plan(s); err == nil {
			r.PeakBytes = u.Total
		}
	}
	if loss, ok := r.BestLoss.(float64); ok && t.Name() == textTask {
		if perByte, err := tokensPerByte(ctx, r.dir); err == nil {
			r.BitsPerByte = loss / math.Ln2 * perByte
		}
	}
	return ctx.Err()
}
