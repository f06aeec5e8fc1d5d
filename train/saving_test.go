package train_test

import (
	"bytes"
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/bdia-go/bdia/internal/disk"
	"github.com/bdia-go/bdia/internal/traintest"
	"github.com/bdia-go/bdia/metric"
	"github.com/bdia-go/bdia/train"
)

// testClock is a clock that moves a second each time that it is asked, and does not wait.
type testClock struct {
	now   time.Time
	waits int
	then  func(waits int) // during a wait
}

func (c *testClock) Now() time.Time {
	c.now = c.now.Add(time.Second)
	return c.now
}

func (c *testClock) Wait(_ context.Context, d time.Duration) {
	c.now = c.now.Add(d)
	if c.waits++; c.then != nil {
		c.then(c.waits)
	}
}

// calm is a model without trouble.
func calm(*moody, int) trouble { return trouble{} }

// TestFullDisk: a disk that is full for a while, for anything or for one kind of file, ends no run. It is told, and in
// the end all is there as if the disk had not been full.
func TestFullDisk(t *testing.T) {
	t.Parallel()
	whole := moodyRun(t, filepath.Join(t.TempDir(), "run"), calm, func(*train.LoopConfig) {})
	traintest.Trained(t, whole, nil)
	for name, hit := range map[string]func(op disk.Op) bool{
		"everything":  func(disk.Op) bool { return true },
		"records":     func(op disk.Op) bool { return strings.HasSuffix(op.Path, metric.JSONLName) },
		"events":      func(op disk.Op) bool { return strings.Contains(op.Path, "tfevents") },
		"checkpoints": func(op disk.Op) bool { return strings.Contains(op.Path, ".pending") },
	} {
		for _, errno := range []error{syscall.ENOSPC, syscall.EIO, syscall.EACCES} {
			var full atomic.Bool
			dir := filepath.Join(t.TempDir(), "run")
			clock := &testClock{now: time.Unix(1e9, 0)}
			r := moodyRun(t, dir, calm, func(*train.LoopConfig) {})
			r.Clock = clock
			stop := disk.Tap(dir, func(op disk.Op) error {
				if full.Load() && op.Kind == disk.Write && hit(op) {
					return errno
				}
				return nil
			})
			var d traintest.Diary
			d.Hook = func(step int) { full.Store(step >= 2 && step < 7) }
			sum, err := r.Train(t.Context(), &d)
			stop()
			if err != nil || sum.Steps != 9 || sum.Saved != 9 {
				t.Fatalf("%s, %v: %+v, %v", name, errno, sum, err)
			}
			if len(sum.Warnings) == 0 || len(d.Warnings) < len(sum.Warnings) {
				t.Errorf("%s, %v: warnings %q, heard %q", name, errno, sum.Warnings, d.Warnings)
			}
			for _, file := range []string{train.WeightsFile, traintest.OptimizerFile} {
				traintest.SameFile(t, file, dir, whole.Dir)
			}
			traintest.SameMetrics(t, dir, whole.Dir)
		}
	}
}

// TestFullDiskAtTheEnd: the last checkpoint is tried until the disk takes it, for a limited time, or until the user has
// enough. The error says where the run can go on.
func TestFullDiskAtTheEnd(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		name          string
		frees, cancel int // waits after which the disk is free, or the user stops the run; 0: never
		waits         int
	}{{"frees", 3, 0, 3}, {"never", 0, 0, int(train.SaveWait / (train.RetryEvery + time.Second))}, {"stopped", 0, 2, 2}} {
		ctx, cancel := context.WithCancel(context.Background())
		dir := filepath.Join(t.TempDir(), "run")
		full := false
		clock := &testClock{now: time.Unix(1e9, 0), then: func(waits int) {
			if waits == tc.frees {
				full = false
			}
			if waits == tc.cancel {
				cancel()
			}
		}}
		r := moodyRun(t, dir, calm, func(*train.LoopConfig) {})
		r.Clock = clock
		stop := disk.Tap(dir, func(op disk.Op) error {
			if full && op.Kind == disk.Write {
				return syscall.ENOSPC
			}
			return nil
		})
		d := traintest.Diary{Hook: func(step int) { full = step == 9 }}
		sum, err := r.Train(ctx, &d)
		stop()
		cancel()
		if tc.frees > 0 {
			if err != nil || sum.Saved != 9 {
				t.Errorf("%s: %+v, %v", tc.name, sum, err)
			}
		} else {
			if !errors.Is(err, syscall.ENOSPC) {
				t.Errorf("%s: %v", tc.name, err)
			}
			traintest.OneLine(t, err, "free at least", "the checkpoint of step 8 in "+dir+" is intact")
		}
		if clock.waits < tc.waits-2 || clock.waits > tc.waits+2 {
			t.Errorf("%s: waited %d times, want about %d", tc.name, clock.waits, tc.waits)
		}
		told := 0
		for _, w := range d.Warnings {
			if strings.Contains(w, "is not saved") {
				told++
			}
		}
		if told == 0 || told > clock.waits/2+1 { // once a minute
			t.Errorf("%s: told %d times in %d waits", tc.name, told, clock.waits)
		}
	}
}

// TestWaitingIsTold: a user who was just told that training goes on without a checkpoint hears when it is over and the
// run waits for the disk.
func TestWaitingIsTold(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(t.TempDir(), "run")
	full := false
	r := moodyRun(t, dir, calm, func(*train.LoopConfig) {})
	r.Clock = &testClock{now: time.Unix(1e9, 0), then: func(int) { full = false }}
	defer disk.Tap(dir, func(op disk.Op) error {
		if full && op.Kind == disk.Write && strings.Contains(op.Path, ".pending") {
			return syscall.ENOSPC
		}
		return nil
	})()
	d := traintest.Diary{Hook: func(step int) { full = step >= 8 }}
	if sum, err := r.Train(t.Context(), &d); err != nil || sum.Saved != 9 {
		t.Fatalf("%+v, %v", sum, err)
	}
	if heard := strings.Join(d.Warnings, "\n"); !strings.Contains(heard, "training goes on") || !strings.Contains(heard, "tried again every") {
		t.Errorf("heard %q", d.Warnings)
	}
}

// TestOtherErrorsEnd: what waiting does not mend ends the run at once.
func TestOtherErrorsEnd(t *testing.T) {
	t.Parallel()
	for _, errno := range []error{syscall.EFBIG, syscall.EMFILE} {
		dir := filepath.Join(t.TempDir(), "run")
		r := moodyRun(t, dir, calm, func(*train.LoopConfig) {})
		r.Clock = &testClock{now: time.Unix(1e9, 0)}
		stop := disk.Tap(dir, func(op disk.Op) error {
			if strings.HasSuffix(op.Path, train.WeightsFile) && op.Kind == disk.Write { // not the rehearsal's small file
				return errno
			}
			return nil
		})
		defer stop()
		if sum, err := r.Train(t.Context(), nil); !errors.Is(err, errno) || sum.Steps != 2 {
			t.Errorf("%v: %+v, %v", errno, sum, err)
		}
	}
}

// TestRecordsAreSynced: records are durable before the checkpoint that counts them is.
func TestRecordsAreSynced(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(t.TempDir(), "run")
	r := moodyRun(t, dir, calm, func(*train.LoopConfig) {})
	unsynced := map[string]bool{}
	commits := 0
	stop := disk.Tap(dir, func(op disk.Op) error {
		record := strings.HasSuffix(op.Path, metric.JSONLName) || strings.Contains(op.Path, "tfevents")
		switch {
		case record && op.Kind == disk.Write:
			unsynced[op.Path] = true
		case record && op.Kind == disk.Sync:
			delete(unsynced, op.Path)
		case op.Kind == disk.Move && filepath.Base(op.To) == ".journal":
			if commits++; len(unsynced) > 0 {
				t.Errorf("commit %d: %v may be lost", commits, unsynced)
			}
		}
		return nil
	})
	defer stop()
	traintest.Trained(t, r, nil)
	if commits < 4 {
		t.Errorf("%d commits were seen", commits)
	}
}

// TestDamagedRecords: records that were changed, shortened or removed since the checkpoint do not keep a run from going
// on. It says so.
func TestDamagedRecords(t *testing.T) {
	t.Parallel()
	for name, change := range map[string]func(text []byte) []byte{
		"a flipped bit": func(text []byte) []byte { text[len(text)/2] ^= 4; return text },
		"shortened":     func(text []byte) []byte { return text[:len(text)/2] },
		"gone":          func([]byte) []byte { return nil },
		"a longer line": func(text []byte) []byte { return append([]byte("{}\n"), text...) },
	} {
		dir := filepath.Join(t.TempDir(), "run")
		ctx, obs := traintest.CancelAt(5)
		if _, err := moodyRun(t, dir, calm, func(*train.LoopConfig) {}).Train(ctx, obs); err != nil {
			t.Fatal(err)
		}
		path := filepath.Join(dir, metric.JSONLName)
		text, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		if text = change(bytes.Clone(text)); text == nil {
			err = os.Remove(path)
		} else {
			err = os.WriteFile(path, text, 0o666)
		}
		if err != nil {
			t.Fatal(err)
		}
		var d traintest.Diary
		sum := traintest.Trained(t, moodyRun(t, dir, calm, func(*train.LoopConfig) {}), &d)
		if sum.Steps != 9 || len(d.Warnings) == 0 || !strings.Contains(d.Warnings[0], metric.JSONLName) {
			t.Errorf("%s: %+v; warnings %q", name, sum, d.Warnings)
		}
		last := 0.0
		series, _, err := metric.ReadSeries(path)
		for _, s := range series {
			last = max(last, s.Points[len(s.Points)-1].X)
		}
		if err != nil || last != 9 {
			t.Errorf("%s: records up to step %v, %v", name, last, err)
		}
	}
}

// TestClockJumps: whatever a clock does, no time and no speed is negative.
func TestClockJumps(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(t.TempDir(), "run")
	r := moodyRun(t, dir, calm, func(*train.LoopConfig) {})
	r.Clock = &backwards{now: time.Unix(1e9, 0)}
	sum := traintest.Trained(t, r, nil)
	if sum.Elapsed < 0 || sum.Seconds < 0 {
		t.Errorf("%v s, %v s in all", sum.Seconds, sum.Elapsed)
	}
	series, _, err := metric.ReadSeries(filepath.Join(dir, metric.JSONLName))
	if err != nil {
		t.Fatal(err)
	}
	for _, s := range series {
		for _, p := range s.Points {
			if strings.HasSuffix(s.Name, "_per_second") && !(p.Y >= 0 && p.Y < 1e300) {
				t.Errorf("%s is %v at step %v", s.Name, p.Y, p.X)
			}
		}
	}
}

// backwards is a clock that goes back an hour each time that it is asked.
type backwards struct{ now time.Time }

func (c *backwards) Now() time.Time {
	c.now = c.now.Add(-time.Hour)
	return c.now
}

func (c *backwards) Wait(context.Context, time.Duration) {}
