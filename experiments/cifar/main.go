// Command cifar trains small vision transformers on part of CIFAR-10 in several
// ways - the ordinary ViT, with dropout, BDIA, and RevViT - and compares accuracy,
// loss, memory and time over several seeds.
//
//	go run ./experiments/cifar --data cifar-10-binary.tar.gz
//
// Runs that are in the output folder already are continued or, when complete,
// only read; so the program can be stopped and started again. It prints a table
// in Markdown and draws the validation accuracy of the first seed.
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
	"strings"

	"github.com/bdia-go/bdia"
	"github.com/bdia-go/bdia/backend"
	_ "github.com/bdia-go/bdia/backend/cpu" // the device cpu
	"github.com/bdia-go/bdia/experiments/internal/runs"
	"github.com/bdia-go/bdia/metric"
	"github.com/bdia-go/bdia/metric/plot"
	"github.com/bdia-go/bdia/model"
	"github.com/bdia-go/bdia/train"
	trainimages "github.com/bdia-go/bdia/train/images"
)

// plain is ordinary back-propagation of the ordinary transformer.
var plain = bdia.Options{Memory: bdia.Store, Gamma: 0, Grid: bdia.NoGrid}

// variants are the ways to train; everything else is equal.
var variants = map[string]func(*trainimages.Config){
	"vit": func(c *trainimages.Config) { c.Method = plain },
	"dropout": func(c *trainimages.Config) {
		c.Method = plain
		c.ViT.EmbeddingDropout, c.ViT.AttentionDropout, c.ViT.ResidualDropout = 0.1, 0.1, 0.1
	},
	"bdia": func(*trainimages.Config) {},
	"revvit": func(c *trainimages.Config) {
		c.Method = bdia.Options{Memory: bdia.Reversible, Gamma: 0, Grid: bdia.NoGrid}
		c.ViT.TwoStream = true
	},
}

func main() {
	cfg := trainimages.Default()
	cfg.Schedule.LR, cfg.Schedule.Warmup = 1e-3, 100
	cfg.Loop.Batch, cfg.Loop.Clip, cfg.Loop.Patience, cfg.Loop.EvalEvery, cfg.Loop.LogEvery = 128, 0, 0, 0, 1
	flag.StringVar(&cfg.Images.Path, "data", "", "CIFAR-10, as package data/images reads it")
	flag.StringVar(&cfg.Images.Test, "test", "", "its test set, if --data has none")
	flag.IntVar(&cfg.Images.Subset, "images", 10_000, "training images, as many of each class; 0 for all")
	flag.Float64Var(&cfg.Images.Epochs, "epochs", 30, "passes over them")
	preset := flag.String("preset", "tiny", "size of the model")
	augment := flag.Bool("augment", true, "crop and flip training images")
	names := flag.String("variants", "vit,dropout,bdia", "ways to train, of vit, dropout, bdia and revvit")
	seeds := flag.Int("seeds", 3, "runs of each")
	out := flag.String("out", "runs/cifar", "folder of the runs and the figure")
	flag.Parse()
	log.SetFlags(0)
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	var err error
	if cfg.ViT, err = model.ViTPreset(*preset); err == nil {
		if *augment {
			cfg.Augment.Crop, cfg.Augment.Flip = 4, true
		}
		err = compare(ctx, cfg, strings.Split(*names, ","), *seeds, *out)
	}
	if err != nil {
		log.Fatal("cifar: ", err)
	}
}

// measures are what a run comes to, in the order of the table.
type measures [5]float64

var headings = [len(measures{})]string{"accuracy, end", "accuracy, best", "validation loss, end", "training loss, last epoch", "s/epoch"}

// compare runs every variant with every seed, then prints and draws.
func compare(ctx context.Context, cfg trainimages.Config, names []string, seeds int, out string) error {
	if cfg.Images.Path == "" {
		return errors.New("which images? name CIFAR-10 with -data")
	}
	fmt.Printf("| variant | runs | %s | peak memory |\n|---|---|%s---|\n", strings.Join(headings[:], " | "), strings.Repeat("---|", len(headings)))
	var curves []plot.Series
	for _, name := range names {
		change, ok := variants[name]
		if !ok {
			return fmt.Errorf("unknown variant %q", name)
		}
		var all []measures
		var peak backend.Usage
		for seed := 1; seed <= seeds; seed++ {
			c := cfg
			change(&c)
			c.Loop.Seed = uint64(seed)
			dir := filepath.Join(out, fmt.Sprintf("%s-%d", name, seed))
			m, accuracy, planned, err := run(ctx, dir, c)
			if err != nil {
				return fmt.Errorf("%s: %w", dir, err)
			}
			all, peak = append(all, m), planned
			if seed == 1 {
				curves = append(curves, plot.Series{Name: name, Points: accuracy})
			}
		}
		fmt.Printf("| %s | %d |", name, len(all))
		for i := range headings {
			mean, deviation := spread(all, i)
			fmt.Printf(" %.3f ± %.3f |", mean, deviation)
		}
		fmt.Printf(" %.1f MiB |\n", float64(peak.Total)/(1<<20))
	}
	figure := filepath.Join(out, "accuracy.svg")
	fmt.Println("\nValidation accuracy of seed 1:", figure)
	return plot.Figure("Validation accuracy", plot.Axes{X: "step", Y: "accuracy", Whole: true}, curves, figure)
}

// run trains in dir, goes on with what is there, or reads what is complete.
func run(ctx context.Context, dir string, cfg trainimages.Config) (m measures, accuracy []metric.Point, planned backend.Usage, err error) {
	r, err := runs.Finished(ctx, dir, trainimages.New(cfg), &quiet{name: filepath.Base(dir)})
	if err != nil {
		return m, nil, planned, err
	}
	defer r.Close()
	if planned, err = train.Plan(r.Task.(train.Synthetic)); err != nil {
		return m, nil, planned, err
	}
	all, _, err := metric.ReadSeries(filepath.Join(dir, metric.JSONLName))
	if err != nil {
		return m, nil, planned, err
	}
	series := map[string][]metric.Point{}
	for _, s := range all {
		series[s.Name] = s.Points
	}
	accuracy = series["val/accuracy"]
	perEpoch := float64(r.Common().Loop.EvalEvery)
	m = measures{100 * last(accuracy), 100 * r.State.BestAccuracy, last(series["val/loss"])}
	m[3] = mean(series["train/loss"], func(p metric.Point) (float64, bool) { return p.Y, p.X > float64(r.Common().Schedule.Steps)-perEpoch })
	m[4] = mean(series["images_per_second"], func(p metric.Point) (float64, bool) { return perEpoch * float64(r.Common().Loop.Batch) / p.Y, true })
	return m, accuracy, planned, nil
}

// last is the last value, or NaN.
func last(points []metric.Point) float64 {
	if len(points) == 0 {
		return math.NaN()
	}
	return points[len(points)-1].Y
}

// mean averages what of makes of the points that it takes.
func mean(points []metric.Point, of func(metric.Point) (v float64, taken bool)) float64 {
	var sum, n float64
	for _, p := range points {
		if v, taken := of(p); taken {
			sum, n = sum+v, n+1
		}
	}
	return sum / n
}

// spread returns the mean of measure i and its sample standard deviation.
func spread(all []measures, i int) (mean, deviation float64) {
	for _, m := range all {
		mean += m[i] / float64(len(all))
	}
	var squares float64
	for _, m := range all {
		squares += (m[i] - mean) * (m[i] - mean)
	}
	return mean, math.Sqrt(squares / float64(max(len(all)-1, 1)))
}

// quiet tells about evaluations only, on standard error.
type quiet struct {
	train.Quiet
	name string
}

func (q *quiet) Note(text string) { log.Print(q.name, ": ", text) }
func (q *quiet) Evaluated(step int, val, _ train.Score, _ bool) {
	log.Printf("%s step %d: accuracy %.2f%%, loss %.3f", q.name, step, 100*val.Accuracy, val.Loss)
}
