package train

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/bdia-go/bdia/checkpoint"
	"github.com/bdia-go/bdia/hub"
	"github.com/bdia-go/bdia/internal/atomicfile"
)

// Names inside a run directory; see docs/formats.md.
const (
	configFile = "bdia.yaml"
	bestDir    = "best"
)

// Run is a run directory: a Hugging Face model folder with the configuration, the data and the training state beside
// it.
type Run struct {
	Dir   string
	Task  Task // what it learns, for example a *text.Task
	State checkpoint.State

	// Figure, unless nil, draws what the run in dir has measured. Train calls it after checkpoints, but no more often
	// than its share of the time allows, and at the end. For example, plot.Run of package metric/plot.
	Figure func(dir string) error

	// Clock, unless nil, tells Train the time, in place of the machine's clock.
	Clock Clock

	// NewPrecision asks for a change of precision: without it Reconfigure and Train fail with a PrecisionError if the
	// settings say another one than the latest steps were done in, which changes the bits of all that follow. Replays of
	// steps before the change need the former settings.
	NewPrecision bool

	held     *held  // while it trains; nil: it has no folder
	edit     string // a note of what was edited in bdia.yaml before this process changed it; empty: nothing
	settings []byte // the text of bdia.yaml, as this process read or wrote it last; nil: it did neither
}

// ErrExists is wrapped by Create's error for a folder that holds a run already.
var ErrExists = errors.New("folder holds a run already")

// Create prepares a new run of t in dir: it makes the data, for example a tokenizer and token shards, and saves the
// settings, completed by what the data decide. progress, if not nil, hears how far the data have been read. A folder in
// which Create failed is no run: Create may be called on it again. Close the run; if Create fails, the task is closed.
func Create(ctx context.Context, dir string, t Task, progress Progress) (*Run, error) {
	if progress == nil {
		progress = func(string, int64, int64) {}
	}
	if err := t.Validate(); err != nil {
		return nil, err
	}
	if err := atomicfile.MkdirAll(dir); err != nil {
		return nil, fmt.Errorf("train: make folder %s: %w", dir, err)
	}
	if err := strange(dir); err != nil {
		return nil, err
	}
	folder, err := checkpoint.Hold(dir)
	if err != nil {
		return nil, err
	}
	defer folder.Close()
	if _, err := os.Stat(filepath.Join(dir, configFile)); err == nil {
		return nil, fmt.Errorf("train: %s: %w", dir, ErrExists)
	}
	if err := ClearUnfinished(dir); err != nil {
		return nil, err
	}
	if err := t.Prepare(ctx, dir, progress); err != nil {
		return nil, err
	}
	r := &Run{Dir: dir, Task: t, State: firstState(*t.Common())}
	// The files by which Open knows a run come last, when nothing else can fail.
	if err := r.first(folder); err != nil {
		t.Close()
		return nil, err
	}
	return r, nil
}

// first commits the settings of a new run and what stands beside the weights, with a manifest of them and of the data.
func (r *Run) first(folder *checkpoint.Folder) error {
	text, err := marshal(r.Task)
	if err != nil {
		return err
	}
	data := map[string]checkpoint.Sum{}
	if err := sumInto(data, r.Dir, dataFiles(r.Dir)); err != nil {
		return err
	}
	err = folder.Save(func(t *checkpoint.Txn) error {
		if err := t.Fill(r.Task.Save); err != nil {
			return err
		}
		t.Manifest("", 0, data)
		return t.Write(configFile, func(w io.Writer) error { _, err := w.Write(text); return err })
	})
	if err == nil {
		r.settings = text
	}
	return err
}

// firstState is the state of a run that has not begun.
func firstState(c Common) checkpoint.State {
	return checkpoint.State{BestLoss: math.Inf(1), Seed: c.Loop.Seed}
}

// readState reads the state of the run in dir, which may have been stopped before its first checkpoint. A run that has
// lost its state looks the same, and can be measured; only lost tells it apart.
func readState(dir string, c Common) (checkpoint.State, error) {
	st, err := checkpoint.ReadState(filepath.Join(dir, filepath.FromSlash(checkpoint.StateFile)))
	if errors.Is(err, os.ErrNotExist) {
		return firstState(c), nil
	}
	return st, err
}

// look reads the state of the run in dir without holding the folder. If the state is damaged, it is the one of an older
// checkpoint, from which Train goes on.
func look(dir string, c Common) (st checkpoint.State, err error) {
	err = checkpoint.Read(dir, func() error {
		m, err := checkpoint.ReadManifest(dir)
		if err == nil && m.Step > 0 {
			err = m.Compare(dir, checkpoint.StateFile)
		}
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
		st, err = readState(dir, c)
		return err
	})
	if err == nil {
		return st, nil
	}
	if !errors.Is(err, checkpoint.ErrDamaged) {
		return st, err
	}
	steps, kerr := checkpoint.Kept(dir)
	if len(steps) == 0 {
		if noState(dir) != nil {
			return firstState(c), nil // it can be measured; Train refuses it
		}
		return st, cmp.Or(kerr, err)
	}
	return readState(filepath.Join(dir, filepath.FromSlash(checkpoint.KeptName(steps[0]))), c)
}

// Open opens an existing run. Its task has to be registered: import train/text, for example. Close it. For the best
// weights of a run and its older checkpoints it is an InRunError.
func Open(dir string) (*Run, error) {
	if run := hub.RunOf(dir); run != "" && run != dir {
		_, err := os.Stat(filepath.Join(run, dataDir))
		return nil, &InRunError{Dir: dir, Run: filepath.Clean(run), Data: err == nil}
	}
	if err := checkpoint.Settle(dir); err != nil {
		return nil, err
	}
	t, text, err := readTask(filepath.Join(dir, configFile))
	if errors.As(err, new(*fs.PathError)) { // nothing is known of what is in it
		return nil, err
	}
	if err != nil {
		return nil, edited(dir, err)
	}
	r := &Run{Dir: dir, Task: t, settings: text}
	if r.State, err = look(dir, *t.Common()); err != nil {
		return nil, err
	}
	if err := t.Reopen(dir); err != nil {
		return nil, edited(dir, withoutData(dir, cmp.Or(asWritten(dir), err)))
	}
	return r, nil
}

// Common returns the settings that every run has.
func (r *Run) Common() *Common { return r.Task.Common() }

// Done reports whether nothing is left to do: all steps are done, or validation no longer improved, and the last
// evaluation is done.
func (r *Run) Done() bool {
	return !r.State.EvalDue && (r.State.Step >= r.Common().Schedule.Steps || r.StoppedEarly())
}

// StoppedEarly reports whether the run ended before its last step, since the latest evaluations brought nothing better:
// as many as the settings have patience for. A longer patience, or none (0), lets it go on.
func (r *Run) StoppedEarly() bool {
	c := r.Common()
	return c.Loop.Patience > 0 && r.State.BadEvals >= c.Loop.Patience && r.State.Step < c.Schedule.Steps
}

// Close lets go of the data.
func (r *Run) Close() error { return r.Task.Close() }

// BestDir is the model folder of the best weights so far.
func (r *Run) BestDir() string { return filepath.Join(r.Dir, bestDir) }

// options are what the run's session is made with.
func (r *Run) options() Options {
	if t, ok := r.Task.(*own); ok {
		return t.options
	}
	s, ok := r.Task.(Starter)
	return Options{Common: *r.Common(), Baseline: ok && s.StartsFrom() != ""}
}

// saveConfig writes the settings of t to bdia.yaml, and their sum to the manifest. The caller holds the folder.
func (r *Run) saveConfig(t Task, save func(func(*checkpoint.Txn) error) error) error {
	text, err := marshal(t)
	if err != nil {
		return err
	}
	m, err := checkpoint.ReadManifest(r.Dir)
	if err != nil && !errors.Is(err, fs.ErrNotExist) && !errors.Is(err, checkpoint.ErrDamaged) {
		return err
	}
	err = save(func(t *checkpoint.Txn) error {
		if m != nil {
			t.Manifest("", m.Step, m.Files)
		}
		return t.Write(configFile, func(w io.Writer) error { _, err := w.Write(text); return err })
	})
	if err == nil {
		r.settings = text
	}
	return err
}

// edited adds to err that the settings of the run in dir are not as the run wrote them, if that is so.
func edited(dir string, err error) error {
	m, failed := checkpoint.ReadManifest(dir)
	if failed != nil {
		return err
	}
	if _, listed := m.Files[configFile]; !listed || !errors.Is(m.Compare(dir, configFile), checkpoint.ErrDamaged) {
		return err
	}
	return fmt.Errorf("%w; %s is not as the run wrote it: it was edited or is damaged", err, configFile)
}

// withoutData adds to err, of a file that is missing, that dir is a copy of an older checkpoint, if it looks like one.
func withoutData(dir string, err error) error {
	m, failed := checkpoint.ReadManifest(dir)
	if failed != nil || m.Step == 0 || slices.ContainsFunc(m.Names(), isData) || len(dataFiles(dir)) > 0 || !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return fmt.Errorf("%w; an older checkpoint is kept without its data: copy the folder %s of its run into %s", err, dataDir, dir)
}

// asWritten compares the files that Reopen reads with the manifest, so that its error can name the one that is damaged.
func asWritten(dir string) error {
	m, err := checkpoint.ReadManifest(dir)
	if err != nil {
		return nil
	}
	var names []string
	for _, name := range m.Names() {
		if !strings.HasSuffix(name, ".safetensors") && !checkpoint.Editable(name) {
			names = append(names, name)
		}
	}
	return compareAll(m, dir, names)
}
