package main

import (
	"cmp"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"slices"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/bdia-go/bdia"
	"github.com/bdia-go/bdia/backend"
	"github.com/bdia-go/bdia/cmd/bdia/internal/cli"
	"github.com/bdia-go/bdia/convert"
	"github.com/bdia-go/bdia/data/images"
	"github.com/bdia-go/bdia/hub"
	"github.com/bdia-go/bdia/optim"
	trainimages "github.com/bdia-go/bdia/train/images"
	trainpairs "github.com/bdia-go/bdia/train/pairs"
	"github.com/bdia-go/bdia/train/text"
	"github.com/bdia-go/bdia/train/tune"
)

// settings binds flags to the fields of a configuration. Values come from, in
// rising order: the task's defaults, the file of --config, --preset, --from and
// --optimizer, the other flags.
type settings struct {
	cfg     config
	file    string
	preset  string
	dropout float64
	only    map[string][]string // flags that not every task has
	task    string              // without --task; empty: text
}

// newSettings starts from the defaults.
func newSettings() *settings {
	return &settings{cfg: defaults(text.Name), only: map[string][]string{}}
}

// checkEngine reports an engine that this machine does not have.
func checkEngine(e backend.Options) error {
	return cli.Usage(e.Validate())
}

// joinOr names tasks.
func joinOr(tasks []string) string {
	var names []string
	for _, t := range tasks {
		names = append(names, string(t))
	}
	last := len(names) - 1
	if last == 0 {
		return names[0]
	}
	return strings.Join(names[:last], ", ") + " or " + names[last]
}

// fromScratch are the tasks of models that have learned nothing yet; bdia finetune
// has another.
var fromScratch = []string{text.Name, trainimages.Name, trainpairs.Name}

// taskNames lists the tasks that --task can name.
func taskNames() (names []string) {
	for _, t := range fromScratch {
		names = append(names, string(t))
	}
	return names
}

// completions offers values of flags that take a few words, or often take the same.
func completions(c *cobra.Command) {
	cli.Choices(c, map[string][]string{
		"preset": presetNames(), "format": {"lines", "tsv", "csv", "jsonl"}, "task": taskNames(),
		"on-bad": {"skip", "fatal"}, "on-long": {"skip", "truncate", "fatal"}, "on-corrupt": {"fatal", "skip"},
		"memory": {"reversible", "store", "recompute"}, "optimizer": optim.Names(), "schedule": {"cosine", "linear", "constant"},
		"gelu": {"tanh", "erf"}, "update": {"auto", "now", "end"}, "isa": {"portable", "avx2", "avx512"},
		"model": {"gpt", "vit", "revvit"}, "split": {"val", "train", "test"}, "fault": faultNames(),
	})
	if c.Name() != "eval" { // where it is a range
		cli.Complete(c, "gamma", "0.5", "0.25", "0")
	}
	cli.Complete(c, "grid", "9", "none")
	cli.Complete(c, "state-bits", "32", "8")
}

// givenFlags are the values of the flags that were given, by name.
func givenFlags(f *pflag.FlagSet) map[string]string {
	given := map[string]string{}
	f.Visit(func(flag *pflag.Flag) { given[flag.Name] = flag.Value.String() })
	return given
}

// resolve puts the configuration together after parsing: base, then --config,
// then --preset and --optimizer, then the flags that were given. base has the
// defaults of a task, or whatever the task the settings of a run.
func (s *settings) resolve(f *pflag.FlagSet, base func(string) config) (config, error) {
	given := givenFlags(f)
	task := string(cmp.Or(given["task"], string(s.task)))
	if name := given["preset"]; task == "" && s.file == "" && name != "" {
		var err error
		if task, _, err = presetTask(name); err != nil {
			return s.cfg, cli.Usage(err)
		}
	}
	task = cmp.Or(task, text.Name)
	if task != s.task && !slices.Contains(fromScratch, task) {
		return s.cfg, cli.Usage(fmt.Errorf("unknown task %q; use %s", task, joinOr(fromScratch)))
	}
	s.cfg = base(task)
	if s.file != "" {
		if err := readConfig(s.file, &s.cfg); errors.Is(err, fs.ErrNotExist) {
			return s.cfg, err
		} else if err != nil {
			return s.cfg, cli.Usage(err)
		}
	}
	if _, ok := given["task"]; ok && task != s.cfg.Task {
		return s.cfg, cli.Usage(fmt.Errorf("--task %s, but these are the settings of task %s", task, s.cfg.Task))
	}
	for _, name := range slices.Sorted(maps.Keys(given)) {
		if tasks, ok := s.only[name]; ok && !slices.Contains(tasks, s.cfg.Task) {
			what := "--task " + joinOr(tasks)
			if tasks[0] == tune.Name { // of bdia finetune, which has no --task
				what = "prompts and completions"
			}
			return s.cfg, cli.Usage(fmt.Errorf("--%s is for %s; this is task %s", name, what, s.cfg.Task))
		}
	}
	for _, name := range []string{"source", "target"} {
		_, table := given["data"]
		if _, both := given[name]; both && table {
			return s.cfg, cli.Usage(fmt.Errorf("--data is a table of both sides, and --%s a file of one; give --data, or --source and --target", name))
		}
	}
	if err := s.startFrom(given); err != nil {
		return s.cfg, err
	}
	if err := s.expand(given); err != nil {
		return s.cfg, cli.Usage(err)
	}
	for name, value := range given {
		if err := f.Lookup(name).Value.Set(value); err != nil {
			return s.cfg, cli.Usage(fmt.Errorf("--%s %s: %w", name, value, err))
		}
	}
	s.cfg = s.cfg.ForTask()
	if err := s.cfg.Validate(); err != nil {
		return s.cfg, cli.Usage(err)
	}
	return s.cfg, checkEngine(s.cfg.Engine)
}

// expand sets the fields that flags stand for which are no fields themselves.
func (s *settings) expand(given map[string]string) error {
	if name, ok := given["preset"]; ok {
		if err := setPreset(&s.cfg, name); err != nil {
			return err
		}
	}
	if name, ok := given["optimizer"]; ok && name != s.cfg.Optimizer.Name {
		o, err := optim.Default(name)
		if err != nil {
			return err
		}
		s.cfg.Optimizer = o
	}
	if _, ok := given["dropout"]; ok {
		m, v, q := &s.cfg.Model, &s.cfg.ViT, &s.cfg.Seq2Seq
		m.EmbeddingDropout, m.AttentionDropout, m.ResidualDropout = s.dropout, s.dropout, s.dropout
		v.EmbeddingDropout, v.AttentionDropout, v.ResidualDropout = s.dropout, s.dropout, s.dropout
		q.EmbeddingDropout, q.AttentionDropout, q.ResidualDropout = s.dropout, s.dropout, s.dropout
	}
	if _, ok := given["two-stream"]; ok && s.cfg.Method == bdia.DefaultOptions() {
		s.cfg.Method.Gamma, s.cfg.Method.Grid = 0, bdia.NoGrid
	}
	if _, ok := given["steps"]; ok {
		if _, both := given["epochs"]; both {
			return errors.New("--steps and --epochs both say how long the run is; give one of them")
		}
		s.cfg.Images.Epochs, s.cfg.Pairs.Epochs = 0, 0
	}
	return nil
}

// startFrom sets the model and the normalisation of the folder that --from names.
func (s *settings) startFrom(given map[string]string) error {
	dir, ok := given["from"]
	if !ok {
		return nil
	}
	if s.cfg.Task != trainimages.Name {
		return s.cfg.StartFrom(dir)
	}
	if _, both := given["preset"]; both {
		return cli.Usage(errors.New("--preset and --from both say what the model is; give one of them"))
	}
	from, err := openFolder(dir, hub.Options{Kind: convert.ViT})
	if err != nil {
		return err
	}
	s.cfg.ViT, s.cfg.Pixels = from.ViTInfo.Config, images.Norm{Mean: from.ViTInfo.Mean, Std: from.ViTInfo.Std}
	return nil
}

// kept names the first flag that would change what must stay in a run of cfg.
func (s *settings) kept(f *pflag.FlagSet, cfg config) error {
	given := givenFlags(f)
	defer func() { // what the flags held is gone
		for name, value := range given {
			_ = f.Lookup(name).Value.Set(value)
		}
	}()
	for _, name := range slices.Sorted(maps.Keys(given)) {
		s.cfg = cfg
		err := f.Lookup(name).Value.Set(given[name])
		to := s.cfg
		to.Task = cfg.Task // another one is for resolve to refuse
		to = to.ForTask()
		if err == nil {
			err = to.Absolute()
		}
		if err == nil {
			err = unchanged(cfg, to)
		}
		if err != nil {
			return cli.Usage(fmt.Errorf("--%s: %w", name, err))
		}
	}
	return nil
}
