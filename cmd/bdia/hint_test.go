package main

import (
	"errors"
	"fmt"
	"io/fs"
	"strings"
	"testing"

	"github.com/bdia-go/bdia"
	"github.com/bdia-go/bdia/backend"
	"github.com/bdia-go/bdia/checkpoint"
	"github.com/bdia-go/bdia/cmd/bdia/internal/cli"
	"github.com/bdia-go/bdia/train"
)

func TestHint(t *testing.T) {
	t.Parallel()
	exists := fmt.Errorf("train: runs/a: %w", train.ErrExists)
	if got, want := explain(nil, exists), "train: runs/a: folder holds a run already; continue it with bdia train resume, or choose another folder with --out"; got != want {
		t.Errorf("got  %q\nwant %q", got, want)
	}
	if got := explain(nil, errors.New("bdia: a\nb")); got != "a; b" {
		t.Errorf("an error without a hint: %q", got)
	}
	of := as(func(e *fs.PathError) string { return "look at " + e.Path })
	wrapped := fmt.Errorf("reading: %w", &fs.PathError{Op: "open", Path: "x", Err: fs.ErrNotExist})
	if got := of(wrapped); got != "look at x" {
		t.Errorf("a typed error: %q", got)
	}
	if got := of(errors.New("other")); got != "" {
		t.Errorf("an error of another type: %q", got)
	}
}

// TestHintsOfTypedErrors holds the lines of errors that no golden command reaches.
func TestHintsOfTypedErrors(t *testing.T) {
	t.Parallel()
	for want, err := range map[string]error{
		"cpu: 3.0 GiB of memory are needed (2.5 GiB arena, 512.0 MiB beside it) and 2.0 GiB are free by /sys/fs/cgroup/memory.max; use smaller batches, " +
			"micro-batches or models, or less data; that is --batch, or another --memory; bdia plan --budget says what fits": &backend.MemoryError{
			Device: "cpu", Arena: 5 << 29, Beside: 1 << 29, Free: 2 << 30, Limit: "/sys/fs/cgroup/memory.max"},
		"cpu: 7 bytes of memory: none left; use smaller batches, micro-batches or models, or less data; that is --batch, or another --memory; " +
			"bdia plan --budget says what fits": &backend.MemoryError{Device: "cpu", Arena: 7, Err: errors.New("none left")},
		"residual stream past the exactness limit at step 1, state x_2, sample 3: |x| = 5, limit 4; lower the learning rate, " +
			"or use a coarser grid, of fewer bits; a coarser grid is a smaller --grid": &bdia.RangeError{Step: 1, Block: 2, Sample: 3, Value: 5, Limit: 4},
	} {
		if got := explain(nil, err); got != want {
			t.Errorf("got  %q\nwant %q", got, want)
		}
	}
}

// TestHintsFitCommands: a hint names no flag that the command in use does not have.
func TestHintsFitCommands(t *testing.T) {
	t.Parallel()
	locked := fmt.Errorf("checkpoint: run: %w", checkpoint.ErrLocked)
	memory := &bdia.OptionsError{Options: bdia.Options{Grid: 9}}
	for args, c := range map[string]struct {
		err  error
		hint bool
	}{
		"train resume run":     {locked, false}, // goes on in the run's own folder
		"train --resume run":   {locked, false},
		"train --data x":       {locked, true},
		"train images":         {locked, true},
		"quickstart":           {locked, true},
		"bench":                {memory, true},
		"classify run x.png":   {memory, false},
		"train --resume run x": {memory, true},
	} {
		_, hinted := strings.CutPrefix(explain(called(newRoot(), strings.Fields(args)), c.err), cli.OneLine(c.err)+"; ")
		if hinted != c.hint {
			t.Errorf("bdia %s: a hint: %v, want %v", args, hinted, c.hint)
		}
	}
}
