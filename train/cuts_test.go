package train_test

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"

	"github.com/bdia-go/bdia/internal/faultfs"
	"github.com/bdia-go/bdia/train"
)

// TestPowerCuts cuts the power while runs are made and trained: at operations spread over the whole run, under each
// rule of durability. Every run goes on from what is left, and ends with the bytes of one that was not cut: weights,
// moments, best weights, state, records and events, and not a file more or less.
func TestPowerCuts(t *testing.T) {
	t.Parallel()
	cuts := 420 // 70 under each rule, and 70 that are drawn
	if testing.Short() {
		cuts = 12
	}
	for _, run := range tinyRuns {
		t.Run(run.name, func(t *testing.T) {
			t.Parallel()
			task := run.task(t)
			dir := scratch(t)
			recording, err := faultfs.Record(dir)
			if err != nil {
				t.Fatal(err)
			}
			whole := filepath.Join(dir, "run")
			promised := []int{} // by operation: the latest step that was promised before it
			latest := notBegun
			_, err = goOn(whole, task, func(step int) {
				for len(promised) <= recording.Len() {
					promised = append(promised, latest)
				}
				latest = step
			})
			if recording.Stop(); err != nil {
				t.Fatal(err)
			}
			want := content(t, whole)
			t.Logf("%d operations", recording.Len())
			rules := slices.Clone(faultfs.Rules)
			var resumed sync.WaitGroup
			for i := range cuts {
				n, rule := recording.Len()*i/cuts, append(rules, faultfs.Some(i))[i%(len(rules)+1)]
				resumed.Go(func() {
					place := filepath.Join(dir, fmt.Sprint(i))
					defer os.RemoveAll(place)
					if err := recording.Replay(n, rule, place); err != nil {
						t.Error(err)
						return
					}
					cut := filepath.Join(place, "run")
					from, err := goOn(cut, task, nobody)
					if n < len(promised) && from < promised[n] {
						err = fmt.Errorf("it goes on from step %d, though %d was saved", from, promised[n])
					}
					if err == nil {
						if d := difference(content(t, cut), want); d != "" {
							err = errors.New(d)
						}
					}
					if err != nil {
						t.Errorf("%v cut before operation %d, %v: %v", rule, n, recording.Op(n), err)
					}
				})
				if i%4 == 3 {
					resumed.Wait()
				}
			}
			resumed.Wait()
		})
	}
}

// faults are what goes wrong with an operation: for a moment, or for good.
var faults = []faultfs.Fault{
	{Err: syscall.ENOSPC},
	{Err: syscall.EIO, Short: true},
	{Err: syscall.EACCES, Lasting: true},
	{Err: syscall.ENOSPC, Short: true, Lasting: true},
	{Err: syscall.EACCES},
	{Err: syscall.EIO, Lasting: true},
}

// TestFaults lets every operation of a run fail, in one way or another. Either the run ends with an error of one line;
// then it goes on as if nothing had been. Or it gets over the fault, and has trained the same weights.
func TestFaults(t *testing.T) {
	t.Parallel()
	for _, run := range tinyRuns {
		t.Run(run.name, func(t *testing.T) {
			t.Parallel()
			task, dir := run.task(t), scratch(t)
			whole := filepath.Join(dir, "run")
			count := faultfs.Inject(dir, faultfs.Fault{At: -1})
			_, err := goOn(whole, task, nobody)
			if count.Stop(); err != nil {
				t.Fatal(err)
			}
			want := content(t, whole)
			every := 1
			if testing.Short() {
				every = count.Count()/10 + 1
			}
			failed, survived := 0, 0
			for n := 0; n < count.Count(); n += every {
				fault := faults[n/every%len(faults)]
				fault.At = n
				place := filepath.Join(dir, fmt.Sprint(n))
				hit, ok, err := fails(t, place, task, fault, want)
				if err != nil {
					t.Errorf("%v (short %v, lasting %v) at %s: %v", fault.Err, fault.Short, fault.Lasting, hit, err)
				}
				if ok {
					survived++
				} else {
					failed++
				}
				os.RemoveAll(place)
			}
			t.Logf("%d faults ended the run, %d did not", failed, survived)
		})
	}
}

// fails makes a run in place with a fault, and lets it go on without one.
func fails(t *testing.T, place string, task func() train.Task, fault faultfs.Fault, want map[string]string) (hit string, survived bool, err error) {
	dir := filepath.Join(place, "run")
	x := faultfs.Inject(place, fault)
	_, failed := goOn(dir, task, nobody)
	x.Stop()
	if op := x.Hit(); op != nil {
		hit = op.String()
	}
	if failed != nil && strings.Contains(failed.Error(), "\n") {
		return hit, false, fmt.Errorf("an error of several lines: %q", failed)
	}
	if _, err := goOn(dir, task, nobody); err != nil {
		return hit, failed == nil, fmt.Errorf("after %v: it does not go on: %w", failed, err)
	}
	got := content(t, dir)
	if failed == nil { // a checkpoint may have been left out, and with it best weights and the times of records
		got, want = numbers(got), numbers(want)
	}
	if d := difference(got, want); d != "" {
		return hit, failed == nil, fmt.Errorf("after %v: %s", failed, d)
	}
	return hit, failed == nil, nil
}
