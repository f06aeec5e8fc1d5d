package train

import (
	"cmp"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/bdia-go/bdia"
	"github.com/bdia-go/bdia/backend"
	"github.com/bdia-go/bdia/checkpoint"
	"github.com/bdia-go/bdia/hub"
	"github.com/bdia-go/bdia/internal/atomicfile"
)

// Start begins a run of your own Learner in the folder dir, or resumes the one there. With an empty dir the run keeps
// nothing. Build allocates model and Learner; it is called on a plan of the memory first, and then on the device.
// For example:
//
//	run, err := train.Start("run", func(be backend.Backend) (train.Learner, error) {
//		m, err := model.NewGPT(be, config, bdia.DefaultOptions())
//		return train.Learn(m, source), err
//	}, train.Options{Common: train.DefaultCommon(500)})
//	summary, err := run.Train(ctx, nil)
//
// The folder gets the settings, the weights, the best of them in best/, the state of the optimiser, and the records.
// A run that is resumed may have another length, learning rate or engine, and another memory mode, which changes no
// bits. Gamma, grid, seed, the decay of averaged weights and the optimiser have to stay (ChangeError; for an optimiser
// of your own, Train fails with StateError), and so has the precision of matrix products, unless Options.NewPrecision
// asks for another one (PrecisionError). A folder with a run of another task is ErrExists, and one that another
// process is writing checkpoint.ErrLocked.
func Start(dir string, build func(be backend.Backend) (Learner, error), o Options) (*Run, error) {
	if build == nil {
		return nil, errors.New("train: Start without a function that builds the Learner")
	}
	if err := cmp.Or(o.Common.Validate(), possible(o.Method)); err != nil {
		return nil, err
	}
	r := &Run{Dir: dir, Task: &own{o, build}, State: firstState(o.Common), NewPrecision: o.NewPrecision}
	if dir == "" {
		return r, nil
	}
	if err := atomicfile.MkdirAll(dir); err != nil {
		return nil, fmt.Errorf("train: %w", err)
	}
	if err := checkpoint.Settle(dir); err != nil {
		return nil, err
	}
	err := lost(dir)
	if err == nil {
		r.State, err = look(dir, o.Common)
	}
	if err != nil {
		return nil, err
	}
	if err := r.compare(); err != nil {
		return nil, err
	}
	return r, nil
}

// possible reports a setting that no model can have. Whether a model can have all of them together, is for it to say.
func possible(method bdia.Options) error {
	err := method.Validate()
	if errors.As(err, new(*bdia.OptionsError)) {
		return nil
	}
	return err
}

// compare holds the settings against the ones in r.Dir, and keeps them there. Before the first checkpoint all may
// change.
func (r *Run) compare() error {
	path := filepath.Join(r.Dir, configFile)
	if _, err := os.Stat(path); errors.Is(err, fs.ErrNotExist) {
		folder, err := checkpoint.Hold(r.Dir)
		if err != nil {
			return err
		}
		defer folder.Close()
		return r.saveConfig(r.Task, folder.Save)
	}
	is, err := hub.ReadSettings(r.Dir)
	if err != nil {
		return err
	}
	if is.Task != ownName {
		return fmt.Errorf("train: %s: %w, of task %s; use Open", r.Dir, ErrExists, is.Task)
	}
	was := &own{}
	if _, err := ReadConfig(path, was); err != nil {
		return err
	}
	kept := &Run{Dir: r.Dir, Task: was, State: r.State, NewPrecision: r.NewPrecision}
	if r.State.Step == 0 {
		err = kept.change(r.Task)
	} else {
		err = kept.Reconfigure(r.Task)
	}
	if err == nil {
		r.settings, err = readOwn(path)
	}
	if err != nil {
		return fmt.Errorf("train: %s: %w", r.Dir, err)
	}
	return nil
}
