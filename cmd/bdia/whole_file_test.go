package main

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"syscall"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/bdia-go/bdia/internal/faultfs"
)

// TestOutput: a file that holds something stays until the new content is whole; a new one grows.
func TestOutput(t *testing.T) {
	t.Parallel()
	for _, old := range []string{"", "old"} {
		for _, failed := range []error{nil, errors.New("stopped")} {
			path := write(t, t.TempDir(), "out", old)
			o, err := createOutput(path)
			if err == nil {
				_, err = o.Write([]byte("new"))
			}
			if err == nil {
				err = o.close(failed)
			}
			want := "new"
			if failed != nil {
				want = map[string]string{"": "new", "old": "old"}[old]
			}
			if b, rerr := os.ReadFile(path); err != nil || rerr != nil || string(b) != want {
				t.Errorf("%q, then %v: the file holds %q, errors %v and %v", old, failed, b, err, rerr)
			}
			if left, _ := filepath.Glob(filepath.Join(filepath.Dir(path), ".*")); len(left) > 0 {
				t.Errorf("%q, then %v: left are %q", old, failed, left)
			}
		}
	}
}

// TestOutputFaults lets every operation fail, or the process die before it, while a command replaces a file. The file
// holds what it had or what is new, and the same command then leaves nothing beside it.
func TestOutputFaults(t *testing.T) {
	t.Parallel()
	table := func(path string) error {
		o, err := createOutput(path)
		if err == nil {
			_, err = o.Write([]byte("new"))
			err = errors.Join(err, o.close(err))
		}
		return err
	}
	run := trainedRun(t)
	figure := func(path string) error {
		if r := call("compare", run, "--figure", path); r.code != 0 {
			return errors.New(r.err)
		}
		return nil
	}
	for name, replace := range map[string]func(string) error{"a[1]*.csv": table, "figure.svg": figure, "figure.png": figure} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			dir := t.TempDir()
			want := filepath.Join(dir, name)
			if err := replace(write(t, dir, name, "old")); err != nil {
				t.Fatal(err)
			}
			whole := string(readFile(t, dir, filepath.Base(want)))
			for n := 0; ; n++ {
				dir := t.TempDir()
				path := write(t, dir, name, "old")
				x := faultfs.Inject(dir, faultfs.Fault{At: n, Err: syscall.ENOSPC, Short: true, Lasting: n%2 == 0})
				err := replace(path)
				x.Stop()
				if x.Hit() == nil {
					if err != nil || n < 5 {
						t.Errorf("%d operations, error %v", n, err)
					}
					break
				}
				if b := string(readFile(t, dir, name)); b != "old" && b != whole || err == nil {
					t.Errorf("a fault at %v: the file holds %.99q, error %v", x.Hit(), b, err)
				}
				if err := replace(path); err != nil {
					t.Errorf("after a fault at %v: %v", x.Hit(), err)
				}
				if got := below(t, dir); len(got) != 1 {
					t.Errorf("after a fault at %v and the command again: %d files", x.Hit(), len(got))
				}
			}
		})
	}
}

// TestTokenizerCuts: `tokenizer train` that a kill or a power cut ends before any of its operations, and that is given
// again, writes the tokenizer that it would have, and nothing else.
func TestTokenizerCuts(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	text := write(t, dir, "text", prose(20))
	learn := func(out string) result {
		return call("tokenizer", "train", text, "--vocab", "270", "--out", out)
	}
	place := filepath.Join(dir, "place")
	if err := os.Mkdir(place, 0o777); err != nil {
		t.Fatal(err)
	}
	recording, err := faultfs.Record(place)
	if err != nil {
		t.Fatal(err)
	}
	r := learn(filepath.Join(place, "tok"))
	if recording.Stop(); r.code != 0 {
		t.Fatal(r.err)
	}
	want := below(t, place)
	begunAgain := 0
	for n := range recording.Len() + 1 {
		for _, rule := range faultfs.Rules {
			cut := filepath.Join(dir, fmt.Sprint(n, rule))
			if err := recording.Replay(n, rule, cut); err != nil {
				t.Fatal(err)
			}
			before := below(t, cut)
			r := learn(filepath.Join(cut, "tok"))
			if after := below(t, cut); !cmp.Equal(after, want) || r.code != 0 && !cmp.Equal(before, want) {
				t.Errorf("%v, cut after %d of %d operations: the command again: exit code %d, %s; it leaves %d files of %d", rule, n, recording.Len(), r.code, r.err, len(after), len(want))
			}
			if len(before) > 0 && r.code == 0 {
				begunAgain++
			}
		}
	}
	if begunAgain < recording.Len() {
		t.Errorf("begun again %d times, at %d operations", begunAgain, recording.Len())
	}
	x := faultfs.Inject(filepath.Join(dir, "full"), faultfs.Fault{At: recording.Len() / 2, Err: syscall.ENOSPC})
	r = learn(filepath.Join(dir, "full"))
	if x.Stop(); r.code != 1 || len(below(t, filepath.Join(dir, "full"))) > 0 {
		t.Errorf("a full disk: %+v, it leaves %d files", r, len(below(t, filepath.Join(dir, "full"))))
	}
}
