package main

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"github.com/spf13/cobra"

	"github.com/bdia-go/bdia/backend/plan"
	"github.com/bdia-go/bdia/checkpoint"
	"github.com/bdia-go/bdia/cmd/bdia/internal/cli"
	"github.com/bdia-go/bdia/train"
	"github.com/bdia-go/bdia/train/images"
	"github.com/bdia-go/bdia/train/text"
)

// TestNewDirOfAnother starts a run in a folder that another process takes between
// our look at it and our lock: what is there by then must stay.
func TestNewDirOfAnother(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		err  error
		kept bool
	}{
		"locked by another": {fmt.Errorf("create: %w", checkpoint.ErrLocked), true},
		"a run of another":  {fmt.Errorf("create: %w", train.ErrExists), true},
		"failed by itself":  {errors.New("no text"), false},
	} {
		dir := filepath.Join(t.TempDir(), "run")
		err := inNewDir(dir, "", cli.NewProgress(&cobra.Command{}), func(dir string) error {
			if err := os.Mkdir(dir, 0o777); err != nil {
				t.Fatal(err)
			}
			write(t, dir, "model.safetensors", "theirs")
			return c.err
		})
		if !errors.Is(err, c.err) {
			t.Errorf("%s: error %v, want %v", name, err, c.err)
		}
		if _, err := os.Stat(dir); (err == nil) != c.kept {
			t.Errorf("%s: the folder is kept: %v, want %v", name, err == nil, c.kept)
		}
	}
}

// TestMicroBatchSubject: a run whose batch is cut fits its memory by micro-batch,
// and so must the check of it.
func TestMicroBatchSubject(t *testing.T) {
	t.Parallel()
	for name, samples := range map[string]int{text.Name: 3 * 256, images.Name: 3} { // of pairs a batch is never cut
		task := newTask(name)
		task.Common().Loop.Batch, task.Common().Loop.MicroBatch = 12, 3
		of, err := freshSubject(task, false)
		if err != nil {
			t.Fatal(err)
		}
		if s, _, err := of.Make(plan.New(0)); err != nil || s.Losses != samples {
			t.Errorf("%s: a pass of %d losses is checked (%v), want %d of 3 samples", name, s.Losses, err, samples)
		}
	}
}
