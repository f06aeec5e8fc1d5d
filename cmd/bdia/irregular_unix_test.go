//go:build unix

package main

import (
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/bdia-go/bdia/cmd/bdia/internal/cli"
)

// TestIrregularFiles: a pipe in the place of a file of a run does not make a command wait, and neither that nor a link out
// of the run is told later than at the start. A folder in the place of a file is moved aside.
func TestIrregularFiles(t *testing.T) {
	t.Parallel()
	trainedRun(t)
	pipe := func(path string) error { return syscall.Mkfifo(path, 0o666) }
	link := func(path string) error {
		out := filepath.Join(filepath.Dir(filepath.Dir(path)), "elsewhere")
		if err := os.WriteFile(out, readFile(t, filepath.Dir(path), "best", "chars.json"), 0o666); err != nil {
			return err
		}
		return os.Symlink(out, path)
	}
	folder := func(path string) error { return os.Mkdir(path, 0o777) }
	for _, tc := range []struct {
		file string
		put  func(path string) error
		code int
		want string // last line of stderr, or a part of it if the run goes on
	}{
		{"manifest.json", pipe, cli.ExitFailure, "manifest.json: it is no ordinary file"},
		{"bdia.yaml", pipe, cli.ExitFailure, "bdia.yaml: it is no ordinary file"},
		{".journal", pipe, cli.ExitFailure, ".journal: it is no ordinary file; mend that and try again"},
		{"metrics.jsonl", pipe, cli.ExitFailure, "metrics.jsonl: it is no ordinary file"},
		{"data/text-00000.tokens", pipe, cli.ExitFailure, "it is no ordinary file"},
		{"chars.json", pipe, cli.ExitOK, "best/chars.json is a copy of it"},
		{"model.safetensors", pipe, cli.ExitOK, "it is no ordinary file). best/model.safetensors is a copy of it"},
		{"chars.json", link, cli.ExitFailure, "chars.json is a link to a place outside of the folder"},
		{".lock", link, cli.ExitFailure, ".lock is a link to a place outside of the folder, which a checkpoint cannot follow: remove it"},
		{"model.safetensors", folder, cli.ExitOK, "model.safetensors is now model.safetensors.folder"},
		{"state/state.json", folder, cli.ExitOK, "The run goes on from the checkpoint of step"},
		{"state/optimizer.safetensors", folder, cli.ExitOK, "optimizer.safetensors is now optimizer.safetensors.folder"},
		{"manifest.json", folder, cli.ExitOK, "manifest.json is damaged: it is a folder"},
		{"best/model.safetensors", folder, cli.ExitOK, "is now model.safetensors.folder"},
	} {
		t.Run(filepath.Base(tc.file), func(t *testing.T) {
			t.Parallel()
			dir := copyRun(t)
			path := filepath.Join(dir, filepath.FromSlash(tc.file))
			if err := os.RemoveAll(path); err != nil {
				t.Fatal(err)
			}
			if err := tc.put(path); err != nil {
				t.Fatal(err)
			}
			done := make(chan result, 1)
			go func() { done <- call("train", "resume", dir, "--patience", "0", "--steps", "8") }()
			select {
			case r := <-done:
				if r.code != tc.code || !strings.Contains(r.err, tc.want) || strings.Contains(r.err, "edited") || strings.Contains(r.out, "step 7") && tc.code != cli.ExitOK {
					t.Errorf("exit %d: %s%s", r.code, r.out, r.err)
				}
			case <-time.After(2 * time.Minute):
				t.Fatal("the command waits")
			}
		})
	}
}
