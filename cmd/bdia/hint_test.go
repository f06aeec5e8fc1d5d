package main

import (
	"errors"
	"fmt"
	"io/fs"
	"testing"

	"github.com/bdia-go/bdia/train"
)

func TestHint(t *testing.T) {
	t.Parallel()
	exists := fmt.Errorf("train: runs/a: %w", train.ErrExists)
	if got, want := explain(exists), "train: runs/a: folder holds a run already; continue it with bdia train resume, or choose another folder with --out"; got != want {
		t.Errorf("got  %q\nwant %q", got, want)
	}
	if got := explain(errors.New("bdia: a\nb")); got != "a; b" {
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
