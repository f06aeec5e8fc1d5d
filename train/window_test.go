package train_test

import (
	"context"
	"errors"
	"path/filepath"
	"sync/atomic"
	"testing"

	"github.com/bdia-go/bdia/checkpoint"
	"github.com/bdia-go/bdia/internal/disk"
	"github.com/bdia-go/bdia/train"
)

// beforeTheLock opens the run in dir and trains it. Right before this process locks the folder, another one does what
// other does.
func beforeTheLock(t *testing.T, dir string, other func()) error {
	t.Helper()
	r, err := train.Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	var held atomic.Bool
	defer disk.Tap(dir, func(op disk.Op) error {
		if op.Kind == disk.Open && filepath.Base(op.Path) == ".lock" && held.CompareAndSwap(false, true) {
			other()
		}
		return nil
	})()
	r.Clock = &stopped{}
	if _, err = r.Train(t.Context(), nil); !held.Load() {
		t.Error("the run was not locked")
	}
	return err
}

// TestHeldBeforeTheLock: a process is held between opening a run and locking it, and another one trains the run
// meanwhile. Then the first goes on from the other's checkpoint, to the bytes of a run that was not stopped.
func TestHeldBeforeTheLock(t *testing.T) {
	t.Parallel()
	for _, run := range tinyRuns {
		t.Run(run.name, func(t *testing.T) {
			t.Parallel()
			task, place := run.task(t), scratch(t)
			whole := filepath.Join(place, "whole")
			stoppedAt(t, whole, 6, task())
			want := content(t, whole)
			for _, upTo := range []int{3, 4, 6} {
				dir := filepath.Join(place, "run")
				stoppedAt(t, dir, 2, task())
				err := beforeTheLock(t, dir, func() {
					r, err := train.Open(dir)
					if err != nil {
						t.Error(err)
						return
					}
					defer r.Close()
					ctx, stop := context.WithCancel(t.Context())
					defer stop()
					r.Clock = &stopped{}
					if sum, err := r.Train(ctx, &hearer{at: upTo, stop: stop}); err != nil || sum.Steps != upTo {
						t.Errorf("the other ends at step %d: %v", sum.Steps, err)
					}
				})
				if err != nil {
					t.Error(err)
				}
				if d := difference(content(t, dir), want); d != "" {
					t.Errorf("the other trained to step %d: %s", upTo, d)
				}
				if err := lay(dir, nil); err != nil {
					t.Fatal(err)
				}
			}
		})
	}
}

// TestSettingsBeforeTheLock: a process that was held between opening a run and locking it refuses, and changes nothing,
// if another one has given the run other settings meanwhile. The same is true of giving it settings.
func TestSettingsBeforeTheLock(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(scratch(t), "run")
	stoppedAt(t, dir, 2, tinyRuns[0].task(t)())
	opened, err := train.Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	defer opened.Close()
	change := func(r *train.Run, lr float64) error {
		to := r.Task.(train.Synthetic).Clone()
		to.Common().Schedule.LR = lr
		return r.Reconfigure(to)
	}
	var was map[string]string
	err = beforeTheLock(t, dir, func() {
		r, err := train.Open(dir)
		if err != nil {
			t.Error(err)
			return
		}
		defer r.Close()
		if err := change(r, 0.02); err != nil {
			t.Error(err)
		}
		was = content(t, dir)
	})
	if !errors.Is(err, checkpoint.ErrOther) {
		t.Errorf("Train: error %v", err)
	}
	if err := change(opened, 0.03); !errors.Is(err, checkpoint.ErrOther) {
		t.Errorf("Reconfigure: error %v", err)
	}
	if d := difference(content(t, dir), was); d != "" {
		t.Error(d)
	}
	if from, err := goOn(dir, nil, nobody); err != nil || from != 2 {
		t.Errorf("opened again, it goes on from step %d, %v", from, err)
	}
}
