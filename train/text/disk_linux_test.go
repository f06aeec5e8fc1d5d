package text

import (
	"context"
	"errors"
	"fmt"
	"github.com/bdia-go/bdia/internal/traintest"
	"github.com/bdia-go/bdia/train"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
)

// childRun names the run that the child process of TestFullDisk continues.
const childRun = "BDIA_TEST_FULL_DISK_RUN"

// TestFullDisk lets a process with a limit on file sizes, which writes past like
// a full disk, continue a run: its save fails with one line, and the earlier
// checkpoint is there to go on from. It is not parallel: for a moment, a process
// that is started holds the locks that other tests are about to give back.
func TestFullDisk(t *testing.T) {
	cfg := tinyConfig()
	cfg.Schedule.Steps, cfg.Schedule.Kind, cfg.Loop.EvalEvery = 2, "constant", 0
	r := create(t, cfg)
	traintest.Trained(t, r, traintest.Listener{})
	r = traintest.Open(t, r.Dir)
	longer := *settings(r)
	longer.Schedule.Steps = 5
	if err := r.Reconfigure(New(longer)); err != nil {
		t.Fatal(err)
	}
	before, err := os.ReadFile(filepath.Join(r.Dir, train.WeightsFile))
	if err != nil {
		t.Fatal(err)
	}
	child := exec.Command(os.Args[0], "-test.run=^TestFullDiskChild$", "-test.v")
	child.Env = append(os.Environ(), childRun+"="+r.Dir)
	out, err := child.CombinedOutput()
	if err != nil || !strings.Contains(string(out), "failed as it should") {
		t.Fatalf("child: %v\n%s", err, out)
	}
	again := traintest.Open(t, r.Dir)
	if again.State.Step != 2 {
		t.Errorf("the checkpoint is of step %d, want 2", again.State.Step)
	}
	if after, err := os.ReadFile(filepath.Join(r.Dir, train.WeightsFile)); err != nil || string(after) != string(before) {
		t.Errorf("the weights of the earlier checkpoint changed: %v", err)
	}
	if sum := traintest.Trained(t, again, traintest.Listener{}); sum.Steps != 5 {
		t.Errorf("the run went on to step %d", sum.Steps)
	}
}

// TestFullDiskChild is the child process.
func TestFullDiskChild(t *testing.T) {
	dir := os.Getenv(childRun)
	if dir == "" {
		t.Skip("runs only as a child of TestFullDisk")
	}
	r := traintest.Open(t, dir)
	info, err := os.Stat(filepath.Join(dir, train.WeightsFile))
	if err != nil {
		t.Fatal(err)
	}
	signal.Ignore(syscall.SIGXFSZ)
	half := uint64(info.Size() / 2)
	if err := syscall.Setrlimit(syscall.RLIMIT_FSIZE, &syscall.Rlimit{Cur: half, Max: half}); err != nil {
		t.Fatal(err)
	}
	_, err = r.Train(context.Background(), traintest.Listener{})
	if !errors.Is(err, syscall.EFBIG) {
		t.Fatalf("error %v, want that of a write past the limit", err)
	}
	traintest.OneLine(t, err, train.WeightsFile)
	fmt.Println("failed as it should:", err)
}
