package train

import (
	"context"
	"errors"
	"fmt"
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
	trained(t, r, silent{})
	r = open(t, r.Dir)
	longer := r.Config
	longer.Schedule.Steps = 5
	if err := r.Reconfigure(longer); err != nil {
		t.Fatal(err)
	}
	before, err := os.ReadFile(filepath.Join(r.Dir, weightsFile))
	if err != nil {
		t.Fatal(err)
	}
	child := exec.Command(os.Args[0], "-test.run=^TestFullDiskChild$", "-test.v")
	child.Env = append(os.Environ(), childRun+"="+r.Dir)
	out, err := child.CombinedOutput()
	if err != nil || !strings.Contains(string(out), "failed as it should") {
		t.Fatalf("child: %v\n%s", err, out)
	}
	again := open(t, r.Dir)
	if again.State.Step != 2 {
		t.Errorf("the checkpoint is of step %d, want 2", again.State.Step)
	}
	if after, err := os.ReadFile(filepath.Join(r.Dir, weightsFile)); err != nil || string(after) != string(before) {
		t.Errorf("the weights of the earlier checkpoint changed: %v", err)
	}
	if sum := trained(t, again, silent{}); sum.Steps != 5 {
		t.Errorf("the run went on to step %d", sum.Steps)
	}
}

// TestFullDiskChild is the child process.
func TestFullDiskChild(t *testing.T) {
	dir := os.Getenv(childRun)
	if dir == "" {
		t.Skip("runs only as a child of TestFullDisk")
	}
	r := open(t, dir)
	info, err := os.Stat(filepath.Join(dir, weightsFile))
	if err != nil {
		t.Fatal(err)
	}
	signal.Ignore(syscall.SIGXFSZ)
	half := uint64(info.Size() / 2)
	if err := syscall.Setrlimit(syscall.RLIMIT_FSIZE, &syscall.Rlimit{Cur: half, Max: half}); err != nil {
		t.Fatal(err)
	}
	_, err = r.Train(context.Background(), silent{})
	if !errors.Is(err, syscall.EFBIG) {
		t.Fatalf("error %v, want that of a write past the limit", err)
	}
	oneLine(t, err, weightsFile)
	fmt.Println("failed as it should:", err)
}
