package checkpoint

import (
	"bufio"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

const childEnv = "BDIA_TEST_CHECKPOINT_DIR"

func TestMain(m *testing.M) {
	if dir := os.Getenv(childEnv); dir != "" {
		saveForever(dir)
	}
	os.Exit(m.Run())
}

// saveForever locks dir and saves generation after generation of three files,
// each of which names its generation.
func saveForever(dir string) {
	if _, err := Lock(dir); err != nil {
		fmt.Println(err)
		os.Exit(1)
	}
	fmt.Println("locked")
	for n := 0; ; n++ {
		err := Save(dir, func(txn *Txn) error {
			for _, name := range []string{"a", "state/b", "best/c"} {
				w, err := txn.Create(name)
				if err != nil {
					return err
				}
				if _, err := fmt.Fprintf(w, "%d %s", n, strings.Repeat("x", 1<<17)); err != nil {
					return err
				}
			}
			return nil
		})
		if err != nil {
			fmt.Println(err)
			os.Exit(1)
		}
	}
}

func startChild(t *testing.T, dir string) *exec.Cmd {
	t.Helper()
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), childEnv+"="+dir)
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { cmd.Process.Kill() })
	if line, err := bufio.NewReader(out).ReadString('\n'); line != "locked\n" {
		t.Fatalf("child: %q, %v", line, err)
	}
	return cmd
}

// Another process holds the lock and is killed at any moment, many times: the
// lock is free at once and the files are of one generation.
func TestKill(t *testing.T) {
	t.Parallel()
	rounds := 30
	if testing.Short() {
		rounds = 3
	}
	dir := t.TempDir()
	saved := 0
	for range rounds {
		cmd := startChild(t, dir)
		if _, err := Lock(dir); !errors.Is(err, ErrLocked) || !strings.Contains(err.Error(), fmt.Sprintf("process %d", cmd.Process.Pid)) {
			t.Fatalf("lock of a running process: %v", err)
		}
		time.Sleep(time.Duration(rand.IntN(40)) * time.Millisecond)
		cmd.Process.Kill()
		cmd.Wait()
		unlock, err := Lock(dir)
		if err != nil {
			t.Fatal(err)
		}
		if err := Recover(dir); err != nil {
			t.Fatal(err)
		}
		unlock()
		files := readTree(t, dir)
		delete(files, lockFile)
		if len(files) == 0 {
			continue
		}
		saved++
		if len(files) != 3 || files["a"] != files["state/b"] || files["a"] != files["best/c"] {
			for name, text := range files {
				t.Errorf("%s: %.10q, %d bytes", name, text, len(text))
			}
			t.FailNow()
		}
	}
	if saved == 0 && rounds > 3 {
		t.Error("no child saved anything")
	}
}

// A lock outlives the function that unlocks it.
func TestLockSurvivesCollection(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	if _, err := Lock(dir); err != nil {
		t.Fatal(err)
	}
	for range 5 {
		runtime.GC()
	}
	if _, err := Lock(dir); !errors.Is(err, ErrLocked) {
		t.Errorf("lock after a collection: %v", err)
	}
}

func TestLock(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(t.TempDir(), "new")
	unlock, err := Lock(dir)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := Lock(dir); !errors.Is(err, ErrLocked) {
		t.Errorf("second lock: %v", err)
	}
	unlock()
	unlock()
	again, err := Lock(dir)
	if err != nil {
		t.Fatal(err)
	}
	unlock() // of the first; the second stays
	if _, err := Lock(dir); !errors.Is(err, ErrLocked) {
		t.Errorf("lock after a stale unlock: %v", err)
	}
	again()
}

// interrupted returns a directory whose trainer died right after the journal,
// and one whose trainer died right before it.
func interrupted(t *testing.T) (after, before string) {
	t.Helper()
	dir := oldDir(t)
	after, before = t.TempDir(), t.TempDir()
	err := saveHooked(dir, func(op, name string) error {
		if op == "rename" && name == journalFile {
			return os.CopyFS(before, os.DirFS(dir))
		}
		if op == "rename" && name == fileOrder[1] {
			return os.CopyFS(after, os.DirFS(dir))
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return after, before
}

func TestSettle(t *testing.T) {
	t.Parallel()
	after, before := interrupted(t)
	unlock, err := Lock(after)
	if err != nil {
		t.Fatal(err)
	}
	was := readTree(t, after)
	if err := Settle(after); err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff(was, readTree(t, after)); d != "" {
		t.Errorf("a locked directory was changed: %s", d)
	}
	unlock()
	if err := Settle(after); err != nil {
		t.Fatal(err)
	}
	got := readTree(t, after)
	delete(got, lockFile)
	if d := cmp.Diff(newTree(), got); d != "" {
		t.Error(d)
	}

	was = readTree(t, before)
	if err := Settle(before); err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff(was, readTree(t, before)); d != "" {
		t.Errorf("a directory without a journal was changed: %s", d)
	}
	for _, f := range []func(string) error{Settle, Recover} {
		if err := f(filepath.Join(before, "absent")); err != nil {
			t.Errorf("absent directory: %v", err)
		}
	}
}

// A folder that cannot be written, and in which a save was interrupted, is refused with what to do. While a trainer is
// at work there, its save is not over, and that is for the reader to wait for.
func TestSettleReadOnly(t *testing.T) {
	t.Parallel()
	for _, cause := range []error{syscall.EROFS, syscall.EACCES} {
		after, before := interrupted(t)
		for _, dir := range []string{after, before} {
			unlock, err := Lock(dir)
			if err != nil {
				t.Fatal(err)
			}
			was := readTree(t, dir)
			stop := hook(dir, func(string, string) error { return cause })
			if err := Settle(dir); err != nil {
				t.Errorf("while a trainer is at work: %v", err)
			}
			unlock()
			err = Settle(dir)
			stop()
			var unsettled *UnsettledError
			if is := errors.As(err, &unsettled); is != (dir == after) || is && (!errors.Is(err, cause) || strings.Contains(err.Error(), "\n")) {
				t.Errorf("%v: error %v", cause, err)
			}
			if d := cmp.Diff(was, readTree(t, dir)); d != "" {
				t.Error(d)
			}
		}
	}
}

// Begin itself settles what is left over.
func TestBeginRecovers(t *testing.T) {
	t.Parallel()
	after, before := interrupted(t)
	for dir, want := range map[string]tree{after: newTree(), before: oldTree} {
		txn, err := Begin(dir)
		if err != nil {
			t.Fatal(err)
		}
		txn.Abort()
		if d := cmp.Diff(want, readTree(t, dir)); d != "" {
			t.Error(d)
		}
	}
}

// A journal that cannot be right moves nothing.
func TestRecoverRefuses(t *testing.T) {
	t.Parallel()
	for name, text := range map[string]string{
		"empty":          ``,
		"not JSON":       `{"version":1`,
		"other version":  `{"version":3,"files":[]}`,
		"unknown key":    `{"version":1,"files":[],"x":1}`,
		"trailing":       `{"version":1,"files":[]} x`,
		"outside":        `{"version":1,"files":[{"name":"../x","size":1}]}`,
		"reserved":       `{"version":1,"files":[{"name":".lock","size":1}]}`,
		"twice":          `{"version":1,"files":[{"name":"a","size":1},{"name":"a","size":1}]}`,
		"negative size":  `{"version":1,"files":[{"name":"a","size":-1}]}`,
		"missing file":   `{"version":1,"files":[{"name":"a","size":1},{"name":"gone","size":1}]}`,
		"size of a file": `{"version":1,"files":[{"name":"a","size":1},{"name":"b","size":2}]}`,
		"folder":         `{"version":1,"files":[{"name":"a","size":1},{"name":"dir","size":0}]}`,
		"too long":       strings.Repeat(" ", maxJournal+1),
	} {
		dir := t.TempDir()
		writeTree(t, dir, tree{"a": "old", journalFile: text, ".pending/a": "n", ".pending/b": "n", ".pending/dir/x": ""})
		was := readTree(t, dir)
		err := Recover(dir)
		if err == nil || !strings.HasPrefix(err.Error(), "checkpoint: "+dir+": cannot finish") {
			t.Errorf("%s: %v", name, err)
		}
		if d := cmp.Diff(was, readTree(t, dir)); d != "" {
			t.Errorf("%s: %s", name, d)
		}
	}
}
