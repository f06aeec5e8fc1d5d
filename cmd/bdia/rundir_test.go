package main

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"testing"

	"github.com/bdia-go/bdia/backend/plan"
	"github.com/bdia-go/bdia/checkpoint"
	"github.com/bdia-go/bdia/cmd/bdia/internal/cli"
	"github.com/bdia-go/bdia/train"
	trainpairs "github.com/bdia-go/bdia/train/pairs"
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
		err := inNewDir(dir, "", cli.NewProgress(io.Discard), func(dir string) error {
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
	for _, task := range fromScratch {
		cfg := defaults(task)
		if task == trainpairs.Name {
			continue // a batch is never cut
		}
		cfg.Loop.Batch, cfg.Loop.MicroBatch = 12, 3
		_, perSample := cfg.Unit()
		if s, err := freshSubject(cfg, false).blank(plan.New(0)); err != nil || s.Losses != 3*perSample {
			t.Errorf("%s: a pass of %d losses is checked (%v), want 3 samples of %d", task, s.Losses, err, perSample)
		}
	}
}
