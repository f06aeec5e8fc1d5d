// Command gamma fine-tunes trained language models under several laws of gamma, and beside them plainly, with dropout
// and with adapters. It measures how much a law spoils a model before the first step, and how good it is afterwards.
//
//	go run ./experiments/gamma --from stories260K --from runs/gpt/best --data few.csv --val val.csv --seeds 3
//
// A run is one of bdia finetune with the defaults for its data, but for the law, and without patience: what is learned
// by heart shows at the end. Results are lines of JSON in results.jsonl. Runs that are there are not trained again, so
// the program can be stopped, by Ctrl-C or -for, and started again. A table in Markdown comes at the end.
package main

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"io/fs"
	"log"
	"os"
	"os/signal"
	"path/filepath"
	"slices"
	"time"

	"github.com/bdia-go/bdia"
	_ "github.com/bdia-go/bdia/backend/cpu" // the device cpu
	"github.com/bdia-go/bdia/train"
	"github.com/bdia-go/bdia/train/tune"
)

// options are the flags.
type options struct {
	from, ways []string
	data, val  string
	out        string
	first      int
	seeds      int
	threads    int
	epochs     float64
}

// way is a way to fine-tune.
type way struct {
	name    string
	gamma   string // empty: the ordinary transformer, stored, without a grid
	dropout float64
	rank    int // of adapters
}

var ways = []way{
	{name: "plain"},
	{name: "dropout 0.1", dropout: 0.1},
	{name: "adapters of rank 8", rank: 8},
	{name: "1/2", gamma: "0.5"},
	{name: "1/4", gamma: "0.25"},
	{name: "1/8", gamma: "0.125"},
	{name: "1/16", gamma: "0.0625"},
	{name: "1/16 to 1/4", gamma: "0.0625..0.25"},
	{name: "1/16 to 1/2", gamma: "0.0625..0.5"},
	{name: "1/8 to 1/2", gamma: "0.125..0.5"},
	{name: "1/16, then 1/2 in depth", gamma: "0.0625/0.5"},
	{name: "default", gamma: "default"},
}

// result is what became of a run. Losses are nats a token of completions.
type result struct {
	From, Data, Way string
	Asked, Passes   float64 // over the data; Asked is 0 if they were left to the defaults
	Seed            int
	Before, Law     float64 // of the first batches before step 1: ordinary, and in training; 0: they are one
	First           float64 // of the validation set, before step 1
	Best, End       float64 // of the validation set
	BestStep, Steps int
	Planned         int64
	Seconds         float64
}

func (r result) key() string {
	return fmt.Sprintf("%s|%s|%v|%s|%d", r.From, r.Data, r.Asked, r.Way, r.Seed)
}

func main() {
	var o options
	flag.Func("from", "folder of a trained language model; repeatable", func(s string) error { o.from = append(o.from, s); return nil })
	flag.Func("way", "one of the ways, by its name; repeatable (default all)", func(s string) error { o.ways = append(o.ways, s); return nil })
	flag.StringVar(&o.data, "data", "", "pairs to learn")
	flag.StringVar(&o.val, "val", "", "pairs for validation")
	flag.StringVar(&o.out, "out", "runs/gamma", "folder of the results")
	flag.IntVar(&o.first, "first", 1, "first seed")
	flag.IntVar(&o.seeds, "seeds", 3, "last seed")
	flag.IntVar(&o.threads, "threads", 1, "threads of a run")
	flag.Float64Var(&o.epochs, "epochs", 0, "passes over the data; 0: as many as bdia finetune takes")
	limit := flag.Duration("for", 0, "stop after so long, as 9m; 0 for no limit")
	flag.Parse()
	log.SetFlags(log.Ltime)
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	if *limit > 0 {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, *limit)
		defer cancel()
	}
	if err := o.run(ctx); err != nil {
		log.Fatal("gamma: ", err)
	}
}

// run trains what is to be trained, and prints the table of all there is.
func (o options) run(ctx context.Context) error {
	path := filepath.Join(o.out, "results.jsonl")
	results, err := read(path)
	if err != nil {
		return err
	}
	for seed := o.first; seed <= o.seeds; seed++ {
		for _, from := range o.from {
			for _, w := range ways {
				r := result{From: name(from), Data: name(o.data), Asked: o.epochs, Way: w.name, Seed: seed}
				done := slices.ContainsFunc(results, func(old result) bool { return old.key() == r.key() })
				if done || len(o.ways) > 0 && !slices.Contains(o.ways, w.name) {
					continue
				}
				if err := o.fineTune(ctx, from, w, &r); err != nil {
					return errors.Join(fmt.Errorf("%s: %w", r.key(), err), table(os.Stdout, results))
				}
				if err := write(path, r); err != nil {
					return err
				}
				results = append(results, r)
				log.Printf("%s: best %.4f at step %d of %d, end %.4f, %.0f s", r.key(), r.Best, r.BestStep, r.Steps, r.End, r.Seconds)
			}
		}
	}
	return table(os.Stdout, results)
}

// name is the last part of a path that says something.
func name(path string) string {
	dir, base := filepath.Split(filepath.Clean(path))
	if base == "best" || base == "hf" {
		return filepath.Base(dir)
	}
	return base
}

// fineTune runs one way and completes r.
func (o options) fineTune(ctx context.Context, from string, w way, r *result) (err error) {
	c := tune.Default()
	if err := c.StartFrom(from); err != nil {
		return err
	}
	c.Method = bdia.Options{Memory: bdia.Store, Grid: bdia.NoGrid}
	switch w.gamma {
	case "":
	case "default":
		c.Method = tune.DefaultMethod()
	default:
		c.Method = bdia.DefaultOptions()
		if err := c.Method.SetGamma(w.gamma); err != nil {
			return err
		}
	}
	m := &c.Model
	m.EmbeddingDropout, m.AttentionDropout, m.ResidualDropout = w.dropout, w.dropout, w.dropout
	c.Tune.LoRA.Rank = w.rank
	c.Pairs.Source, c.Pairs.ValSource, c.Pairs.Epochs = o.data, o.val, o.epochs
	c.Loop.Seed, c.Loop.Patience, c.Loop.TensorBoard, c.Loop.CheckEvery = uint64(r.Seed), 0, false, 0
	c.Engine.Threads = o.threads
	dir := filepath.Join(o.out, "run")
	if err := os.RemoveAll(dir); err != nil { // of a run that was stopped
		return err
	}
	began := time.Now()
	run, err := train.Create(ctx, dir, tune.New(c), nil)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, run.Close(), os.RemoveAll(dir)) }()
	sum, err := run.Train(ctx, train.Quiet{})
	if err == nil && sum.Interrupted {
		err = context.Cause(ctx)
	}
	if err != nil {
		return err
	}
	if c := sum.Calibration; c != nil {
		r.Before, r.Law = c.GridLoss, c.TrainLoss
	}
	r.Passes = run.Task.Config().(*tune.Config).Pairs.Epochs
	r.First, r.Best, r.End = sum.FirstVal.Loss, sum.BestVal.Loss, sum.LastVal.Loss
	r.BestStep, r.Steps, r.Planned, r.Seconds = sum.BestStep, sum.Steps, sum.Planned.Total, time.Since(began).Seconds()
	return nil
}

func read(path string) (all []result, err error) {
	f, err := os.Open(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	defer f.Close()
	for d := json.NewDecoder(f); ; {
		var r result
		switch err := d.Decode(&r); {
		case err == io.EOF:
			return all, nil
		case err != nil:
			return nil, fmt.Errorf("%s: %w", path, err)
		}
		all = append(all, r)
	}
}

func write(path string, r result) error {
	text, err := json.Marshal(r)
	if err == nil {
		err = os.MkdirAll(filepath.Dir(path), 0o777)
	}
	if err != nil {
		return err
	}
	f, err := os.OpenFile(path, os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o666)
	if err != nil {
		return err
	}
	_, err = f.Write(append(text, '\n'))
	return errors.Join(err, f.Close())
}

// groupOf is what the rows of one table have in common.
func groupOf(r result) string { return fmt.Sprintf("%s, %s, %v passes", r.From, r.Data, r.Passes) }
