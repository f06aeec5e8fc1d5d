package checkpoint

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"syscall"
	"testing"

	"github.com/bdia-go/bdia/internal/disk"
	"github.com/bdia-go/bdia/internal/faultfs"
)

// TestKeepCuts cuts the power before every operation of a commit that keeps one checkpoint and lets another go, under
// every rule and some draws, on a file system with hard links and one without. The run is whole then, of the older step
// or the newer, with the one before. The next save leaves nothing of the cut.
func TestKeepCuts(t *testing.T) {
	t.Parallel()
	every, seeds := 1, 3
	if testing.Short() {
		every, seeds = 7, 1
	}
	for _, links := range []bool{true, false} {
		place, err := os.MkdirTemp("/dev/shm", "bdia-test-")
		if err != nil {
			place = t.TempDir()
		}
		t.Cleanup(func() { os.RemoveAll(place) })
		dir := filepath.Join(place, "run")
		writeTree(t, dir, besideFiles)
		save := func(dir string, step int) {
			t.Helper()
			f, err := Hold(dir)
			if err != nil {
				t.Error(err)
				return
			}
			defer f.Close()
			if err := f.Save(checkpointOf(t, dir, step, 2)); err != nil {
				t.Error(err)
			}
		}
		if !links {
			defer disk.Tap(dir, func(op disk.Op) error {
				if op.Kind == disk.Link {
					return syscall.EPERM
				}
				return nil
			})()
		}
		save(dir, 10)
		save(dir, 20)
		recording, err := faultfs.Record(dir)
		if err != nil {
			t.Fatal(err)
		}
		save(dir, 30)
		recording.Stop()
		if recording.Len() < 40 {
			t.Errorf("only %d operations", recording.Len())
		}
		want := map[int]tree{}
		for i := 0; i <= recording.Len()*(len(faultfs.Rules)+seeds); i += every {
			n, at := i/(len(faultfs.Rules)+seeds), i%(len(faultfs.Rules)+seeds)
			rule := faultfs.Some(i)
			if at < len(faultfs.Rules) {
				rule = faultfs.Rules[at]
			}
			cut := filepath.Join(place, fmt.Sprint(i))
			if err := recording.Replay(n, rule, cut); err != nil {
				t.Fatal(err)
			}
			before := fmt.Sprintf("links %v, %v cut after %d operations", links, rule, n)
			f, err := Hold(cut)
			if err != nil {
				t.Fatalf("%s: %v", before, err)
			}
			f.Close()
			step := newest(t, cut)
			kept, err := Kept(cut)
			if err != nil || !slices.Contains(kept, step-10) {
				t.Fatalf("%s: the run has step %d and %v, %v", before, step, kept, err)
			}
			for _, older := range kept {
				if is := newest(t, filepath.Join(cut, filepath.FromSlash(KeptName(older)))); is != older {
					t.Errorf("%s: step %d is %d", before, older, is)
				}
			}
			save(cut, 40)
			is := readTree(t, cut)
			delete(is, lockFile)
			if want[step] == nil {
				want[step] = is
			}
			if fmt.Sprint(is) != fmt.Sprint(want[step]) || len(is) != 2*len(stepFiles(40))+2+len(besideFiles)+1 {
				t.Errorf("%s: after the next save there are %d files", before, len(is))
			}
			if t.Failed() {
				t.Fatal(before)
			}
			os.RemoveAll(cut)
		}
	}
}
