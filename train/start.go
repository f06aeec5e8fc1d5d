package train

import (
	"fmt"
	"os"
	"path/filepath"

	"github.com/bdia-go/bdia/backend"
	"github.com/bdia-go/bdia/checkpoint"
)

// Start begins a run of your own Learner, or resumes it if its folder dir has a checkpoint; the options, but for the
// steps and the engine, then have to be the same. With an empty dir the run keeps nothing. Build allocates model and
// Learner; it is called on a plan of the memory first, and then on the device. For example:
//
//	run, err := train.Start("run", func(be backend.Backend) (train.Learner, error) {
//		m, err := model.NewGPT(be, config, bdia.DefaultOptions())
//		return train.Learn(m, source), err
//	}, train.Options{Common: train.DefaultCommon(500)})
//	summary, err := run.Train(ctx, nil)
//
// The folder gets the weights, the best of them in best/, the state of the optimiser, and the records.
func Start(dir string, build func(be backend.Backend) (Learner, error), o Options) (*Run, error) {
	if err := o.Common.Validate(); err != nil {
		return nil, err
	}
	r := &Run{Dir: dir, Task: &own{o, build}, State: firstState(o.Common)}
	if dir == "" {
		return r, nil
	}
	if _, err := os.Stat(filepath.Join(dir, configFile)); err == nil {
		return nil, fmt.Errorf("train: %s: %w, with a task of its own; use Open", dir, ErrExists)
	}
	if err := os.MkdirAll(dir, 0o777); err != nil {
		return nil, fmt.Errorf("train: %w", err)
	}
	if err := checkpoint.Settle(dir); err != nil {
		return nil, err
	}
	var err error
	r.State, err = readState(dir, o.Common)
	return r, err
}
