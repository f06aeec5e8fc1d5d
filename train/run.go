package train

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math"
	"os"
	"path/filepath"

	"github.com/goccy/go-yaml"

	"github.com/bdia-go/bdia/backend"
	"github.com/bdia-go/bdia/checkpoint"
	"github.com/bdia-go/bdia/hub"
	"github.com/bdia-go/bdia/tokenizer"
)

// Names inside a run directory; see docs/formats.md.
const (
	configFile = "bdia.yaml"
	bestDir    = "best"
)

// Run is a run directory: a Hugging Face model folder with the configuration,
// the data and the training state beside it.
type Run struct {
	Dir    string
	Config Config
	State  checkpoint.State
	Text   *Text   // that a run of TaskText learns
	Images *Images // that a run of TaskImage learns
	Pairs  *Pairs  // that a run of TaskTranslation or TaskCompletion learns

	// Figure, unless nil, draws what the run in dir has measured. Train calls it after checkpoints, but no more often
	// than its share of the time allows, and at the end. For example, plot.Run of package metric/plot.
	Figure func(dir string) error

	samples samples // one of them; nil in a run that Start made
	own     *own    // of a run that Start made; else nil
}

// ErrExists is wrapped by Create's error for a folder that holds a run already.
var ErrExists = errors.New("folder holds a run already")

// Create prepares a new run in dir: for text it makes a tokenizer and token
// shards, images it decodes; then it saves the resolved configuration, whose
// vocabulary or classes, normalisation and steps are then those of the data. progress, if not nil, hears how far the
// data has been read. A folder in which Create failed is no run: Create may be
// called on it again.
func Create(ctx context.Context, dir string, cfg Config, progress func(what string, done, total int64)) (*Run, error) {
	if progress == nil {
		progress = func(string, int64, int64) {}
	}
	if err := cfg.Validate(); err != nil {
		return nil, err
	}
	unlock, err := checkpoint.Lock(dir)
	if err != nil {
		return nil, err
	}
	defer unlock()
	if _, err := os.Stat(filepath.Join(dir, configFile)); err == nil {
		return nil, fmt.Errorf("train: %s: %w", dir, ErrExists)
	}
	if from := cfg.Tune.From; from != "" {
		progress("reading the model", 0, 1)
		if cfg.Tune.Base, err = hub.Fingerprint(from); err != nil {
			return nil, err
		}
	}
	s, err := prepare(ctx, dir, &cfg, progress)
	if err != nil {
		return nil, err
	}
	r := &Run{Dir: dir, Config: cfg, State: firstState(cfg.Common)}
	r.learnFrom(s)
	// The files by which Open knows a run come last, when nothing else can fail.
	if err = s.save(dir); err == nil {
		err = r.saveConfig()
	}
	if err != nil {
		r.Close()
		return nil, err
	}
	return r, nil
}

// firstState is the state of a run that has not begun.
func firstState(c Common) checkpoint.State {
	return checkpoint.State{BestLoss: math.Inf(1), Seed: c.Loop.Seed}
}

// readState reads the state of the run in dir, which may have been stopped before its first checkpoint.
func readState(dir string, c Common) (checkpoint.State, error) {
	st, err := checkpoint.ReadState(filepath.Join(dir, checkpoint.StateFile))
	if errors.Is(err, os.ErrNotExist) {
		return firstState(c), nil
	}
	return st, err
}

// Open opens an existing run. Close it.
func Open(dir string) (*Run, error) {
	if err := checkpoint.Settle(dir); err != nil {
		return nil, err
	}
	cfg, err := readConfig(filepath.Join(dir, configFile))
	if err != nil {
		return nil, err
	}
	r := &Run{Dir: dir, Config: cfg}
	if r.State, err = readState(dir, cfg.Common); err != nil {
		return nil, err
	}
	s, err := reopen(dir, cfg)
	if err != nil {
		return nil, err
	}
	r.learnFrom(s)
	return r, nil
}

// learnFrom makes s the run's samples.
func (r *Run) learnFrom(s samples) {
	r.samples = s
	r.Text, _ = s.(*Text)
	r.Images, _ = s.(*Images)
	r.Pairs, _ = s.(*Pairs)
}

// Tokenizer returns that of a run of a language model; nil for another run.
func (r *Run) Tokenizer() tokenizer.Tokenizer {
	switch {
	case r.Text != nil:
		return r.Text.Tokenizer
	case r.Pairs != nil && r.Config.Task == TaskCompletion:
		return r.Pairs.Target
	}
	return nil
}

// Reconfigure changes the settings of a run that goes on and saves them. It
// fails with checkpoint.ErrLocked while the run is being trained.
func (r *Run) Reconfigure(cfg Config) error {
	if cfg.Equal(r.Config) {
		return nil
	}
	unlock, err := checkpoint.Lock(r.Dir)
	if err != nil {
		return err
	}
	defer unlock()
	r.Config = cfg
	return r.saveConfig()
}

// Done reports whether all steps are done, and the evaluation of the last one.
func (r *Run) Done() bool { return r.State.Step >= r.Config.Schedule.Steps && !r.State.EvalDue }

// Close lets go of the data.
func (r *Run) Close() error {
	if r.samples == nil {
		return nil
	}
	return r.samples.Close()
}

// learner makes the run's Learner on be.
func (r *Run) learner(be backend.Backend) (Learner, error) {
	if r.own != nil {
		return r.own.build(be)
	}
	if err := r.Config.Validate(); err != nil {
		return nil, err
	}
	return r.samples.Learner(be, r.Config)
}

// options are what its session is made with.
func (r *Run) options() Options {
	if r.own != nil {
		return r.own.options
	}
	return Options{Common: r.Config.Common, Baseline: r.Config.Tune.From != ""}
}

// BestDir is the model folder of the best weights so far.
func (r *Run) BestDir() string { return filepath.Join(r.Dir, bestDir) }

// saveConfig writes bdia.yaml.
func (r *Run) saveConfig() error {
	text, err := yaml.Marshal(r.Config)
	if err != nil {
		return fmt.Errorf("train: %s: %w", configFile, err)
	}
	return checkpoint.Save(r.Dir, func(t *checkpoint.Txn) error {
		return writeFile(t, configFile, func(w io.Writer) error { _, err := w.Write(text); return err })
	})
}
