//go:build unix

package main

import (
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/bdia-go/bdia/convert"
	"github.com/bdia-go/bdia/internal/faultfs"
	"github.com/bdia-go/bdia/internal/traintest"
	"github.com/bdia-go/bdia/train"
)

var kills = flag.Int("kills", 0, "how many processes TestKilled kills; 0: a sample")

// TestKilled kills a process that trains, by SIGKILL before one of its operations on files, and gives its command
// again, or resumes the run if there is one by then. The run ends as one that was not killed.
func TestKilled(t *testing.T) {
	t.Parallel()
	most := *kills
	switch {
	case most > 0:
	case testing.Short():
		most = 8
	default:
		most = 24
	}
	source, target := traintest.Sentences(t, 60)
	short := []string{"--steps", "4", "--eval-every", "2", "--log-every", "1", "--threads", "1"}
	size := []string{"--layers", "2", "--heads", "2", "--width", "16"}
	base := trainedRun(t)
	runs := []struct {
		name    string
		args    []string
		weights string
	}{
		{"text", append(append([]string{"train", "--data", filepath.Join(scratch, "text.txt"), "--context", "16", "--batch", "4", "--ema", "0.5"}, size...), short...), train.WeightsFile},
		{"image", append(append([]string{"train", "images", "--data", traintest.ImageFolder(t, 6), "--image", "8", "--patch", "4", "--batch", "4"}, size...), short...), train.WeightsFile},
		{"translation", append(append([]string{"train", "translation", "--source", source, "--target", target, "--bpe-vocab", "270", "--batch-tokens", "100"}, size...), short...), train.WeightsFile},
		{"LoRA", append([]string{"finetune", "--from", base, "--data", filepath.Join(scratch, "text.txt"), "--window", "8", "--batch", "4", "--lora-rank", "2"}, short...), convert.AdapterFile},
	}
	for _, run := range runs {
		t.Run(run.name, func(t *testing.T) {
			t.Parallel()
			dir := t.TempDir()
			want := filepath.Join(dir, "whole")
			count := faultfs.Inject(want, faultfs.Fault{At: -1})
			mustCall(t, append(run.args, "--out", want)...)
			count.Stop()
			places := most / len(runs)
			for i := range places {
				at := (2*i + 1) * count.Count() / (2 * places)
				got := filepath.Join(dir, fmt.Sprint(i))
				c := program(append(run.args, "--out", got)...)
				c.Env = append(c.Env, killAt+"="+fmt.Sprint(at), killIn+"="+got)
				out, err := c.CombinedOutput()
				if exit, ok := err.(*exec.ExitError); !ok || exit.Sys().(syscall.WaitStatus).Signal() != syscall.SIGKILL {
					t.Fatalf("at %d of %d: %v, not killed\n%s", at, count.Count(), err, out)
				}
				resume := []string{run.args[0], "--resume", got}
				if isRun(got) != nil {
					resume = append(run.args, "--out", got)
				}
				if r := call(resume...); r.code != 0 && !strings.Contains(r.err, "has done its 4 steps") {
					t.Errorf("killed at %d of %d: bdia %q: exit code %d\n%s", at, count.Count(), resume, r.code, r.err)
					continue
				}
				for _, name := range []string{"bdia.yaml", run.weights, traintest.OptimizerFile, traintest.Best + "/" + run.weights} {
					traintest.SameFile(t, name, got, want)
				}
				traintest.SameMetrics(t, got, want)
				if t.Failed() {
					t.Fatalf("killed at %d of %d", at, count.Count())
				}
				os.RemoveAll(got)
			}
		})
	}
}
