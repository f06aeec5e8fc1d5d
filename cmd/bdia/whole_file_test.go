package main

import (
	"errors"
	"os"
	"path/filepath"
	"syscall"
	"testing"

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

// TestOutputFaults lets every operation fail while a file is replaced: it holds the old text or the new one.
func TestOutputFaults(t *testing.T) {
	t.Parallel()
	for n := 0; ; n++ {
		dir := t.TempDir()
		path := write(t, dir, "out", "old")
		x := faultfs.Inject(dir, faultfs.Fault{At: n, Err: syscall.ENOSPC, Short: true, Lasting: n%2 == 0})
		o, err := createOutput(path)
		if err == nil {
			_, err = o.Write([]byte("new"))
			err = errors.Join(err, o.close(err))
		}
		x.Stop()
		b, rerr := os.ReadFile(path)
		if x.Hit() == nil {
			if err != nil || n < 5 {
				t.Errorf("%d operations, error %v", n, err)
			}
			break
		}
		if rerr != nil || string(b) != "old" && string(b) != "new" || err == nil {
			t.Errorf("a fault at %v: the file holds %q, error %v", x.Hit(), b, err)
		}
	}
}
