// Command regularisation trains one small GPT on little text in four ways -
// plain, BDIA, dropout, and BDIA with dropout - and compares how they over-fit.
//
//	go run ./experiments/regularisation --data input.txt
//
// The text is cut at 76,000 bytes: 60,000 to train on, 16,000 held out. Each run
// takes some minutes on two cores. Runs that are in the output folder already
// are continued or, when complete, only read; so the program can be stopped and
// started again. It prints a table in Markdown and draws the validation curves.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"log"
	"math"
	"os"
	"os/signal"
	"path/filepath"

	"github.com/bdia-go/bdia"
	"github.com/bdia-go/bdia/backend"
	_ "github.com/bdia-go/bdia/backend/cpu" // the device cpu
	"github.com/bdia-go/bdia/experiments/internal/runs"
	"github.com/bdia-go/bdia/metric"
	"github.com/bdia-go/bdia/metric/plot"
	"github.com/bdia-go/bdia/train"
	"github.com/bdia-go/bdia/train/text"
)

const trainBytes, valBytes = 60_000, 16_000

// variants are the ways to train; everything else is equal.
var variants = []struct {
	name    string
	method  bdia.Options
	dropout float64
}{
	{"plain", bdia.Options{Memory: bdia.Store, Gamma: 0, Grid: bdia.NoGrid}, 0},
	{"bdia", bdia.DefaultOptions(), 0},
	{"dropout", bdia.Options{Memory: bdia.Store, Gamma: 0, Grid: bdia.NoGrid}, 0.1},
	{"bdia+dropout", bdia.DefaultOptions(), 0.1},
}

func main() {
	data := flag.String("data", "", "text file of at least 76,000 bytes, for example tinyshakespeare's input.txt")
	out := flag.String("out", "runs/regularisation", "folder of the runs, the figure and the table")
	steps := flag.Int("steps", 3000, "steps of a run")
	seeds := flag.Int("seeds", 2, "runs of each variant")
	flag.Parse()
	log.SetFlags(0)
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	if err := compare(ctx, *data, *out, *steps, *seeds); err != nil {
		log.Fatal("regularisation: ", err)
	}
}

// compare runs every variant with every seed, then prints and draws.
func compare(ctx context.Context, data, out string, steps, seeds int) error {
	if data == "" {
		return errors.New("which text? name a file with -data")
	}
	fmt.Println("| variant | seed | training text, end | validation, best | at step | validation, end | peak memory |")
	fmt.Println("|---|---|---|---|---|---|---|")
	var curves []plot.Series
	for _, v := range variants {
		for seed := 1; seed <= seeds; seed++ {
			name := fmt.Sprintf("%s-%d", v.name, seed)
			cfg := config(data, steps)
			cfg.Method, cfg.Loop.Seed = v.method, uint64(seed)
			m := &cfg.Model
			m.EmbeddingDropout, m.AttentionDropout, m.ResidualDropout = v.dropout, v.dropout, v.dropout
			series, planned, err := run(ctx, filepath.Join(out, name), cfg)
			if err != nil {
				return fmt.Errorf("%s: %w", name, err)
			}
			training, val := find(series, "train/eval_loss"), find(series, "val/loss")
			best := metric.Point{Y: math.Inf(1)}
			for _, p := range val.Points {
				if p.Y < best.Y {
					best = p
				}
			}
			fmt.Printf("| %s | %d | %.3f | %.3f | %.0f | %.3f | %.1f MiB |\n", v.name, seed, last(training), best.Y, best.X, last(val), float64(planned.Total)/(1<<20))
			if seed == 1 {
				curves = append(curves, plot.Series{Name: "validation", Run: v.name, Evaluation: true, Points: val.Points[1:]})
			}
		}
	}
	figure := filepath.Join(out, "validation.svg")
	fmt.Println("\nValidation curves of seed 1:", figure)
	return plot.LossCurve("Validation loss, 60 kB of training text", curves, figure)
}

// config is the setting that all variants share.
func config(data string, steps int) text.Config {
	cfg := text.Default()
	cfg.Data = text.DataConfig{Path: data, Tokenizer: "char", MaxBytes: trainBytes + valBytes, ValFraction: float64(valBytes) / (trainBytes + valBytes), Split: text.SplitEnd}
	m := &cfg.Model
	m.Layers, m.Heads, m.Width, m.Context = 6, 4, 128, 64
	cfg.Schedule.LR, cfg.Schedule.Warmup, cfg.Schedule.Steps = 1e-3, 100, steps
	cfg.Loop.Batch, cfg.Loop.Patience = 16, 0
	cfg.Loop.Clip, cfg.Loop.EvalEvery, cfg.Loop.EvalSamples, cfg.Loop.EvalTrain = 1, 100, 0, true
	return cfg
}

// run trains in dir, goes on with what is there, or reads what is complete.
func run(ctx context.Context, dir string, cfg text.Config) ([]metric.Series, backend.Usage, error) {
	planned, err := train.Plan(text.New(cfg))
	if err != nil {
		return nil, planned, err
	}
	r, err := runs.Finished(ctx, dir, text.New(cfg), &quiet{name: filepath.Base(dir)})
	if err != nil {
		return nil, planned, err
	}
	defer r.Close()
	series, _, err := metric.ReadSeries(filepath.Join(dir, metric.JSONLName))
	return series, planned, err
}

// quiet tells about evaluations only, on standard error.
type quiet struct {
	train.Quiet
	name string
}

func (q *quiet) Evaluated(step int, val, training train.Score, _ bool) {
	line := fmt.Sprintf("%s step %d: validation %.3f", q.name, step, val.Loss)
	if !math.IsNaN(training.Loss) { // not measured before the first step
		line += fmt.Sprintf(", training text %.3f", training.Loss)
	}
	log.Print(line)
}

func find(series []metric.Series, name string) metric.Series {
	for _, s := range series {
		if s.Name == name {
			return s
		}
	}
	return metric.Series{Points: []metric.Point{{Y: math.NaN()}, {Y: math.NaN()}}}
}

func last(s metric.Series) float64 { return s.Points[len(s.Points)-1].Y }
