// Package runs has what the experiments share: a run that is trained once, however often its program is started.
package runs

import (
	"context"
	"errors"
	"fmt"

	"github.com/bdia-go/bdia/metric/plot"
	"github.com/bdia-go/bdia/train"
)

// Finished trains t in the folder dir, goes on with the run that is there, or only opens it if it is complete. Close
// the run. It fails when training is interrupted.
func Finished(ctx context.Context, dir string, t train.Task, obs train.Observer) (*train.Run, error) {
	r, err := train.Create(ctx, dir, t, nil)
	if errors.Is(err, train.ErrExists) {
		r, err = train.Open(dir)
	}
	if err != nil || r.Done() {
		return r, err
	}
	r.Figure = plot.Run
	sum, err := r.Train(ctx, obs)
	if err == nil && sum.Interrupted {
		err = fmt.Errorf("stopped after step %d and saved; run again to go on", sum.Steps)
	}
	if err != nil {
		r.Close()
		return nil, err
	}
	return r, nil
}
