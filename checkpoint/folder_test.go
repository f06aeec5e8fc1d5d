package checkpoint

import (
	"cmp"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"

	"github.com/bdia-go/bdia/internal/faultfs"
)

// heldFolder is a folder with a checkpoint that this process holds.
func heldFolder(t *testing.T) (*Folder, string) {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "run")
	writeTree(t, dir, besideFiles)
	f, err := Hold(dir)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(f.Close)
	if err := f.Save(checkpointOf(t, dir, 10, 2)); err != nil {
		t.Fatal(err)
	}
	return f, dir
}

// TestMovedFolder: a checkpoint goes to the folder at its new place, and the error says so.
func TestMovedFolder(t *testing.T) {
	t.Parallel()
	f, dir := heldFolder(t)
	to := dir + "2"
	if err := os.Rename(dir, to); err != nil {
		t.Skip("an open folder cannot be renamed here:", err)
	}
	err := f.Save(checkpointOf(t, to, 20, 2))
	var moved *MovedError
	if !errors.As(err, &moved) || !moved.Saved || moved.Path != dir || moved.Now != "" && moved.Now != to || strings.Contains(err.Error(), "\n") {
		t.Errorf("error %v", err)
	}
	if newest(t, to) != 20 {
		t.Error("the checkpoint is not there")
	}
	if _, err := os.Stat(dir); err == nil {
		t.Error("the old path is there again")
	}
	if err := os.RemoveAll(to); err != nil {
		t.Fatal(err)
	}
	err = f.Save(func(x *Txn) error { return x.Write("a", newManifest(1).write) })
	if !errors.As(err, &moved) || moved.Saved || !strings.Contains(err.Error(), "could not be saved") {
		t.Errorf("deleted: error %v", err)
	}
}

// TestLockRemoved: a lock file that somebody removed is made again; a process that was quicker is found.
func TestLockRemoved(t *testing.T) {
	t.Parallel()
	f, dir := heldFolder(t)
	remove := func() {
		if err := os.Remove(filepath.Join(dir, lockFile)); err != nil {
			t.Skip("an open lock cannot be removed here:", err)
		}
	}
	remove()
	if err := f.Save(checkpointOf(t, dir, 20, 2)); err != nil {
		t.Error(err)
	}
	if _, err := Lock(dir); !errors.Is(err, ErrLocked) {
		t.Errorf("it is not locked again: %v", err)
	}
	remove()
	unlock, err := Lock(dir) // another process
	if err != nil {
		t.Fatal(err)
	}
	if err := f.Save(checkpointOf(t, dir, 30, 2)); !errors.Is(err, ErrLocked) {
		t.Errorf("beside another process: %v", err)
	}
	if err := Save(dir, checkpointOf(t, dir, 25, 2)); err != nil { // which saves
		t.Fatal(err)
	}
	unlock()
	if err := f.Save(checkpointOf(t, dir, 30, 2)); !errors.Is(err, ErrOther) {
		t.Errorf("after another process: %v", err)
	}
	if newest(t, dir) != 25 {
		t.Error("the other process's checkpoint is gone")
	}
}

// TestHolder: the error names process and host, also of a lock file of an earlier version.
func TestHolder(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	unlock, err := Lock(dir)
	if err != nil {
		t.Fatal(err)
	}
	defer unlock()
	host, _ := os.Hostname()
	_, err = Lock(dir)
	var locked *LockedError
	if !errors.As(err, &locked) || locked.By.PID != os.Getpid() || locked.By.Host != host || locked.By.Since.IsZero() ||
		!strings.Contains(err.Error(), fmt.Sprintf("process %d on %s, since ", os.Getpid(), host)) {
		t.Errorf("error %v", err)
	}
	if h := readHolder(strings.NewReader("4711\n")); h.PID != 4711 || h.in() != " (process 4711)" {
		t.Errorf("an earlier version's lock is of %+v", h)
	}
	for _, text := range []string{"", "x", "\x00\n\n\n", strings.Repeat("9", 600)} {
		if h := readHolder(strings.NewReader(text)); h.PID != 0 && h.PID < 4711 || strings.Contains(h.in(), "\n") {
			t.Errorf("%q is of %+v", text, h)
		}
	}
}

// TestWithoutLocks: on a file system without locks a file keeps the second process out, and a process of this host that
// has died does not.
func TestWithoutLocks(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	first, second := &lock{dir: dir}, &lock{dir: dir}
	if err := first.takeOnly(); err != nil {
		t.Fatal(err)
	}
	err := second.takeOnly()
	if !errors.Is(err, ErrLocked) || !strings.Contains(err.Error(), "remove "+filepath.Join(dir, onlyFile)) {
		t.Errorf("error %v", err)
	}
	host, _ := os.Hostname()
	for text, free := range map[string]bool{
		fmt.Sprintf("%d\n%s\n", 1<<30, host):     true,
		fmt.Sprintf("%d\n%s\n", 1<<30, host+"x"): false,
		"":                                       false,
	} {
		writeTree(t, dir, tree{onlyFile: text})
		if err := second.takeOnly(); (err == nil) != free {
			t.Errorf("%q: %v", text, err)
		}
	}
}

// TestStaleLockIsTakenOnce: a process of this host has died and left the file that stands for a lock. Of two processes
// that find it, one gets the lock, whatever the other does between two of its operations.
func TestStaleLockIsTakenOnce(t *testing.T) {
	t.Parallel()
	host, _ := os.Hostname()
	n := 0
	for at := 0; at <= n; at++ { // at n, after all operations, nothing is tried
		dir := t.TempDir()
		stale := fmt.Sprintf("%d\n%s\n", 1<<30, host)
		writeTree(t, dir, tree{onlyFile: stale})
		first, second, meanwhile, seen := &lock{dir: dir}, &lock{dir: dir}, ErrLocked, 0
		stop := hook(dir, func(string, string) error {
			if seen++; seen == at+1 {
				meanwhile = second.takeOnly()
				seen = at + 1 // its operations do not count
			}
			return nil
		})
		err := first.takeOnly()
		stop()
		n = seen
		if (err == nil) == (meanwhile == nil) || !errors.Is(cmp.Or(err, meanwhile), ErrLocked) {
			t.Errorf("the second at operation %d: the first gets %v, the second %v", at, err, meanwhile)
		}
		holder := first
		if err != nil {
			holder = second
		}
		if is := readTree(t, dir); is[onlyFile] != holder.text || len(is) != 1 {
			t.Errorf("the second at operation %d: the folder has %q", at, is)
		}
	}
	if n < 6 {
		t.Errorf("only %d operations", n)
	}
}

// TestLockFileRemoved: on a file system without locks, a lock file that somebody removed is made again at the next
// save; the one of another process is not touched.
func TestLockFileRemoved(t *testing.T) {
	t.Parallel()
	f, dir := heldFolder(t)
	if err := f.lock.takeOnly(); err != nil {
		t.Fatal(err)
	}
	only := filepath.Join(dir, onlyFile)
	if err := os.Remove(only); err != nil {
		t.Fatal(err)
	}
	if err := f.Save(checkpointOf(t, dir, 20, 2)); err != nil || readTree(t, dir)[onlyFile] != f.lock.text {
		t.Errorf("error %v, the lock file is %q", err, readTree(t, dir)[onlyFile])
	}
	const other = "4711\nelsewhere\n"
	writeTree(t, dir, tree{onlyFile: other})
	if err := f.Save(checkpointOf(t, dir, 30, 2)); !errors.Is(err, ErrLocked) || !strings.Contains(err.Error(), "process 4711 on elsewhere") {
		t.Errorf("beside another process: %v", err)
	}
	f.lock.release()
	if newest(t, dir) != 20 || readTree(t, dir)[onlyFile] != other {
		t.Error("the other process has lost its lock")
	}
}

// TestRehearse: a place where no checkpoint can be written is found, and a rehearsal leaves nothing.
func TestRehearse(t *testing.T) {
	t.Parallel()
	f, dir := heldFolder(t)
	before := readTree(t, dir)
	if err := f.Rehearse(".", "state", "best", KeptDir); err != nil {
		t.Fatal(err)
	}
	if after := readTree(t, dir); fmt.Sprint(after) != fmt.Sprint(before) {
		t.Errorf("it leaves %v of %v", after, before)
	}
	if err := errors.Join(os.Mkdir(dir+"-elsewhere", 0o755), os.Symlink(dir+"-elsewhere", filepath.Join(dir, "best"))); err != nil {
		t.Skip("no links here:", err)
	}
	if err := f.Rehearse(".", "best"); err == nil || !strings.Contains(err.Error(), "best") || strings.Contains(err.Error(), "\n") {
		t.Errorf("a folder that is a link outside: %v", err)
	}
}

// TestSaveAgain: after a fault at any operation of a commit the same process saves the next checkpoint.
func TestSaveAgain(t *testing.T) {
	t.Parallel()
	every := 1
	if testing.Short() {
		every = 4
	}
	for at := 0; ; at += every {
		dir := t.TempDir()
		writeTree(t, dir, besideFiles)
		f, err := Hold(dir)
		if err != nil {
			t.Fatal(err)
		}
		for step := 10; step <= 20; step += 10 {
			if err := f.Save(checkpointOf(t, dir, step, 2)); err != nil {
				t.Fatal(err)
			}
		}
		faults := faultfs.Inject(dir, faultfs.Fault{At: at, Err: syscall.EIO})
		f.Save(checkpointOf(t, dir, 30, 2))
		faults.Stop()
		if err := f.Save(checkpointOf(t, dir, 40, 2)); err != nil {
			t.Errorf("after a fault at operation %d: %v", at, err)
		}
		if step := newest(t, dir); step != 40 {
			t.Errorf("after a fault at operation %d: the newest is of step %d", at, step)
		}
		f.Close()
		if faults.Hit() == nil {
			break
		}
	}
}

// TestKeepEdited: a file that was edited by hand is kept as it is now, with the checkpoint that it stands beside.
func TestKeepEdited(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	writeTree(t, dir, tree{"config.json": "{}"})
	sum, err := SumFile(filepath.Join(dir, "config.json"))
	if err != nil {
		t.Fatal(err)
	}
	for step := 10; step <= 30; step += 10 {
		err := Save(dir, func(x *Txn) error {
			x.Manifest("", step, map[string]Sum{"config.json": sum})
			x.Keep(3, 0, false, func(string) bool { return false })
			return x.Write("state/state.json", func(w io.Writer) error { _, err := fmt.Fprint(w, "state ", step); return err })
		})
		if err != nil {
			t.Fatal(err)
		}
		writeTree(t, dir, tree{"config.json": fmt.Sprintf(`{"edited": %d}`, step)})
	}
	kept, err := Kept(dir)
	if err != nil || !slices.Equal(kept, []int{20, 10}) {
		t.Fatalf("kept %v, %v", kept, err)
	}
	for _, step := range kept {
		if at := filepath.Join(dir, filepath.FromSlash(KeptName(step))); newest(t, at) != step {
			t.Errorf("%s is of another step", at)
		}
	}
}
