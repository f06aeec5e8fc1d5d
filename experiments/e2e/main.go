// Command e2e is the E2E challenge (meaning representation to text) with few,
// some and all of its pairs: a small GPT learns other English text first, and is
// then fine-tuned in four ways: plain, with dropout, by low-rank adapters, and
// with BDIA.
//
//	go run ./experiments/e2e --text input.txt,train.en.gz,eng_-french.csv --e2e data/e2e
//
// Each fine-tuned model writes a text for every distinct meaning representation of
// the test set, by beam search, and the texts are scored as the challenge does. The
// table, in Markdown, is printed at the end. Runs are trained side by side, each by
// as many threads as -threads says.
//
// Everything is kept in the output folder: what is there already is continued or,
// when complete, only read. So the program can be stopped, by Ctrl-C or -for, and
// started again. Results are lines of JSON in results.jsonl.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"log"
	"os"
	"os/signal"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/bdia-go/bdia"
	"github.com/bdia-go/bdia/experiments/internal/runs"
	"github.com/bdia-go/bdia/train"
	"github.com/bdia-go/bdia/train/text"
	"github.com/bdia-go/bdia/train/tune"
)

// options are the flags.
type options struct {
	text      []string // files to learn first
	e2e       string   // folder of the challenge's files
	out       string
	sizes     []int // pairs to learn; 0: all
	steps     []int // of each size
	seeds     int
	pretrain  int // steps
	jobs      int
	threads   int
	batch     int // tokens
	evalPairs int
	mrs       int // of the test set; 0: all
}

// variants are the ways to fine-tune; everything else is equal, but that adapters
// need a higher learning rate.
var variants = []struct {
	name    string
	method  bdia.Options
	dropout float64
	rank    int // of adapters; 0: all weights learn
	lr      float64
}{
	{"plain", bdia.Options{Memory: bdia.Store, Gamma: 0, Grid: bdia.NoGrid}, 0, 0, 1e-3},
	{"dropout", bdia.Options{Memory: bdia.Store, Gamma: 0, Grid: bdia.NoGrid}, 0.1, 0, 1e-3},
	{"lora", bdia.Options{Memory: bdia.Store, Gamma: 0, Grid: bdia.NoGrid}, 0, 8, 5e-3},
	{"bdia", bdia.DefaultOptions(), 0, 0, 1e-3},
}

func main() {
	var o options
	text := flag.String("text", "", "files to learn first, with commas between: plain text, perhaps .gz, or the first column of a .csv")
	sizes := flag.String("pairs", "500,4000,all", "how many pairs to fine-tune on")
	steps := flag.String("steps", "300,600,1200", "steps of fine-tuning, for each of --pairs")
	limit := flag.Duration("for", 0, "stop after so long, as 9m; 0 for no limit")
	flag.StringVar(&o.e2e, "e2e", "", "folder with trainset.csv, devset.csv, testset.csv and testset_w_refs.csv")
	flag.StringVar(&o.out, "out", "runs/e2e-ways", "folder of the runs and results")
	flag.IntVar(&o.pretrain, "pretrain", 1500, "steps of learning text first")
	flag.IntVar(&o.seeds, "seeds", 1, "runs of each way")
	flag.IntVar(&o.jobs, "jobs", 2, "runs side by side")
	flag.IntVar(&o.threads, "threads", 1, "threads of a run; the first one has those of all jobs")
	flag.IntVar(&o.batch, "batch-tokens", 2048, "tokens of a batch of pairs, padding included")
	flag.IntVar(&o.evalPairs, "eval-pairs", 600, "pairs of the development set in an evaluation; 0 for all")
	flag.IntVar(&o.mrs, "mrs", 0, "meaning representations of the test set to write texts for; 0 for all")
	flag.Parse()
	log.SetFlags(log.Ltime)
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	if *limit > 0 {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, *limit)
		defer cancel()
	}
	err := o.parse(*text, *sizes, *steps)
	if err == nil {
		err = o.run(ctx)
	}
	if err != nil {
		log.Fatal("e2e: ", err)
	}
}

// parse reads the flags that are lists.
func (o *options) parse(text, sizes, steps string) error {
	if text != "" {
		o.text = strings.Split(text, ",")
	}
	for size := range strings.SplitSeq(sizes, ",") {
		n, err := strconv.Atoi(size)
		if size != "all" && (err != nil || n < 1) {
			return fmt.Errorf("-pairs %s: give numbers, or all, with commas between", sizes)
		}
		o.sizes = append(o.sizes, n)
	}
	for s := range strings.SplitSeq(steps, ",") {
		n, err := strconv.Atoi(s)
		if err != nil || n < 1 {
			return fmt.Errorf("-steps %s: give numbers with commas between", steps)
		}
		o.steps = append(o.steps, n)
	}
	switch {
	case len(o.steps) != len(o.sizes):
		return fmt.Errorf("-steps %s are not as many numbers as -pairs %s has", steps, sizes)
	case o.e2e == "":
		return errors.New("where are the challenge's files? name their folder with -e2e")
	case o.jobs < 1 || o.threads < 1 || o.seeds < 1 || o.pretrain < 1:
		return errors.New("-jobs, -threads, -seeds and -pretrain have to be at least 1")
	}
	return nil
}

// run trains what is to be trained, and prints the table of what there is.
func (o options) run(ctx context.Context) error {
	base, err := o.learnText(ctx)
	if err != nil {
		return err
	}
	jobs, err := o.plan(base)
	if err != nil {
		return err
	}
	results, err := readResults(o.resultsFile())
	if err != nil {
		return err
	}
	jobs = slices.DeleteFunc(jobs, func(j job) bool { return results[j.name].Name != "" })
	var failed error
	var mu sync.Mutex
	var workers sync.WaitGroup
	queue := make(chan job)
	for range min(o.jobs, len(jobs)) {
		workers.Go(func() {
			for j := range queue {
				r, err := o.fineTune(ctx, j)
				mu.Lock()
				if err == nil {
					results[j.name] = r
					err = appendResult(o.resultsFile(), r)
				}
				if err != nil {
					failed = errors.Join(failed, fmt.Errorf("%s: %w", j.name, err))
				}
				mu.Unlock()
			}
		})
	}
	for _, j := range jobs {
		queue <- j
	}
	close(queue)
	workers.Wait()
	printTable(os.Stdout, results)
	return failed
}

func (o options) resultsFile() string { return filepath.Join(o.out, "results.jsonl") }

// learnText trains the small GPT on text other than the challenge's, and returns
// the folder of its best weights.
func (o options) learnText(ctx context.Context) (string, error) {
	dir := filepath.Join(o.out, "text")
	cfg := text.Default()
	cfg.Data = text.DataConfig{Path: filepath.Join(o.out, "text.txt"), Tokenizer: "bpe", BPEVocab: 4096, ValFraction: 0.02, Split: text.SplitEnd}
	m := &cfg.Model
	m.Layers, m.Heads, m.Width, m.Context = 4, 4, 192, 256
	cfg.Method = variants[0].method
	cfg.Schedule.LR, cfg.Schedule.Warmup, cfg.Schedule.Steps = 2e-3, 100, o.pretrain
	cfg.Loop.Batch, cfg.Loop.Clip, cfg.Loop.EvalEvery, cfg.Loop.EvalSamples = 16, 1, max(o.pretrain/10, 1), 64
	cfg.Loop.Patience = 0
	cfg.Engine.Threads = o.jobs * o.threads
	if _, err := os.Stat(dir); err != nil {
		if len(o.text) == 0 {
			return "", errors.New("which text is learned first? name files with -text")
		}
		if err := gatherText(cfg.Data.Path, o.text); err != nil {
			return "", err
		}
	}
	r, err := trained(ctx, dir, text.New(cfg))
	if err != nil {
		return "", fmt.Errorf("text: %w", err)
	}
	defer r.Close()
	return r.BestDir(), nil
}

// job is one fine-tuning run.
type job struct {
	name    string // of its folder
	variant string
	pairs   int // 0: all
	seed    int
	cfg     tune.Config
}

// plan lists the runs that start from the model in base, the longest first.
func (o options) plan(base string) ([]job, error) {
	var jobs []job
	for i, size := range o.sizes {
		for seed := 1; seed <= o.seeds; seed++ {
			data, err := o.subset(size, seed)
			if err != nil {
				return nil, err
			}
			for _, v := range variants {
				cfg := tune.Default()
				m := &cfg.Model
				m.EmbeddingDropout, m.AttentionDropout, m.ResidualDropout = v.dropout, v.dropout, v.dropout
				if err := cfg.StartFrom(base); err != nil {
					return nil, err
				}
				cfg.Pairs.Source, cfg.Pairs.ValSource = data, filepath.Join(o.e2e, "devset.csv")
				cfg.Pairs.BatchTokens, cfg.Pairs.Epochs = o.batch, 0
				cfg.Tune.LoRA.Rank, cfg.Tune.LoRA.Targets = v.rank, []string{"all"}
				cfg.Method, cfg.Schedule.LR, cfg.Schedule.Steps, cfg.Schedule.Final = v.method, v.lr, o.steps[i], 0
				cfg.Schedule.Warmup = min(50, o.steps[i]/10)
				cfg.Loop.Clip, cfg.Loop.Patience = 0, 0
				cfg.Loop.Seed, cfg.Loop.EvalEvery, cfg.Loop.EvalSamples = uint64(seed), max(o.steps[i]/10, 1), o.evalPairs
				cfg.Engine.Threads = o.threads
				name := fmt.Sprintf("%s-%s-%d", v.name, sizeText(size), seed)
				jobs = append(jobs, job{name, v.name, size, seed, cfg})
			}
		}
	}
	slices.SortStableFunc(jobs, func(a, b job) int { return b.cfg.Schedule.Steps - a.cfg.Schedule.Steps })
	return jobs, nil
}

func sizeText(pairs int) string {
	if pairs == 0 {
		return "all"
	}
	return strconv.Itoa(pairs)
}

// trained trains in dir, goes on with what is there, or opens what is complete.
func trained(ctx context.Context, dir string, t train.Task) (*train.Run, error) {
	return runs.Finished(ctx, dir, t, &quiet{name: filepath.Base(dir), began: time.Now()})
}

// quiet tells about evaluations only, on standard error.
type quiet struct {
	train.Quiet
	name  string
	began time.Time
}

func (q *quiet) Evaluated(step int, val, _ train.Score, _ bool) {
	log.Printf("%s step %d: validation %.3f (%v)", q.name, step, val.Loss, time.Since(q.began).Round(time.Second))
}
