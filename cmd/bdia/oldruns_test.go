package main

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// oldRuns holds a run directory of each task as an earlier version wrote it after 6 of its steps, with the data and the
// base model beside them. Their files write @DIR@ for the folder that all of this lies in. expect.json has what that
// version measures of each run, what it answers to one command line, and the SHA-256 of the run's files after it resumed
// the run to 10 steps.
const oldRuns = "../../train/testdata/oldruns"

// oldRun is what expect.json says of a run directory.
type oldRun struct {
	Eval        map[string]any    `json:"eval"`         // of bdia eval --json
	Best        map[string]any    `json:"best"`         // the same with --best
	Train       map[string]any    `json:"train"`        // the same with --split train
	Call        []string          `json:"call"`         // a command line that puts the model to use
	Answer      string            `json:"answer"`       // its output
	ResumedLoss float64           `json:"resumed_loss"` // validation loss at step 10
	SHA256      map[string]string `json:"sha256"`       // of files below the run directory, by name
}

// TestOldRuns evaluates, uses and resumes run directories of an earlier version: losses, answers and weights have that
// version's bits.
func TestOldRuns(t *testing.T) {
	t.Parallel()
	for _, run := range []struct {
		name   string
		resume []string
	}{
		{"text", []string{"train", "--resume"}},
		{"image", []string{"train", "--resume"}},
		{"translation", []string{"train", "--resume"}},
		{"completion", []string{"finetune", "--resume"}},
		{"lora", []string{"finetune", "--resume"}},
	} {
		t.Run(run.name, func(t *testing.T) {
			t.Parallel()
			root := t.TempDir()
			copyOldRuns(t, root)
			var expect map[string]oldRun
			if err := json.Unmarshal(readFile(t, root, "expect.json"), &expect); err != nil {
				t.Fatal(err)
			}
			want, dir := expect[run.name], filepath.Join(root, run.name)
			for _, eval := range []struct {
				want  map[string]any
				flags []string
			}{{want.Eval, nil}, {want.Best, []string{"--best"}}, {want.Train, []string{"--split", "train"}}} {
				got := object(t, mustCall(t, append([]string{"eval", dir, "--json"}, eval.flags...)...))
				if got["precision"] != "float32" { // which old runs do not name
					t.Errorf("bdia eval %v in precision %v", eval.flags, got["precision"])
				}
				delete(got, "precision")
				if diff := cmp.Diff(eval.want, got); diff != "" {
					t.Errorf("bdia eval %v (-old +new):\n%s", eval.flags, diff)
				}
			}
			here := strings.NewReplacer("@DIR@", filepath.ToSlash(root))
			var args []string
			for _, a := range want.Call {
				args = append(args, here.Replace(a))
			}
			if diff := cmp.Diff(here.Replace(want.Answer), mustCall(t, args...).out); diff != "" {
				t.Errorf("bdia %q (-old +new):\n%s", want.Call, diff)
			}
			sum := object(t, mustCall(t, append(run.resume, dir, "--steps", "10", "--threads", "1", "--json")...))
			if sum["val_loss"] != want.ResumedLoss {
				t.Errorf("the resumed run ends with validation loss %v, want %v", sum["val_loss"], want.ResumedLoss)
			}
			if len(want.SHA256) != 3 {
				t.Fatalf("expect.json has the hashes of %d files, want 3", len(want.SHA256))
			}
			for name, hash := range want.SHA256 {
				got := sha256.Sum256(readFile(t, dir, name))
				if hex.EncodeToString(got[:]) != hash {
					t.Errorf("%s of the resumed run has hash %x, want %s", name, got, hash)
				}
			}
		})
	}
}

// copyOldRuns copies the old run directories to root, which their files then name in place of @DIR@.
func copyOldRuns(t *testing.T, root string) {
	t.Helper()
	if err := os.CopyFS(root, os.DirFS(oldRuns)); err != nil {
		t.Fatal(err)
	}
	err := filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
		if base := filepath.Base(path); err != nil || base != "bdia.yaml" && base != "adapter_config.json" {
			return err
		}
		b, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		return os.WriteFile(path, bytes.ReplaceAll(b, []byte("@DIR@"), []byte(filepath.ToSlash(root))), 0o666)
	})
	if err != nil {
		t.Fatal(err)
	}
}
