package train_test

import (
	"errors"
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/bdia-go/bdia/backend"
	"github.com/bdia-go/bdia/checkpoint"
	"github.com/bdia-go/bdia/internal/traintest"
	"github.com/bdia-go/bdia/train"
)

// inPrecision is the task of r with another precision.
func inPrecision(r *train.Run, p backend.Precision) train.Task {
	to := r.Task.(train.Synthetic).Clone()
	to.Common().Engine.Precision = p
	return to
}

// refused fails the test if err is no PrecisionError between these precisions, in one line.
func refused(t *testing.T, err error, was, is backend.Precision) {
	t.Helper()
	var other *train.PrecisionError
	if !errors.As(err, &other) || other.Was != was || other.Is != is {
		t.Fatalf("error %v, want a PrecisionError of %v and %v", err, was, is)
	}
	traintest.OneLine(t, err)
}

// courses lists the precisions of the steps that a run has done.
func courses(st checkpoint.State) (list []string) {
	for _, c := range st.Courses {
		list = append(list, c.Precision)
	}
	return list
}

// TestPrecisionIsAskedFor: a run goes on in another precision only if that is asked for, and then need not be asked
// again, even if it was killed before its next checkpoint. An edit of bdia.yaml does not ask.
func TestPrecisionIsAskedFor(t *testing.T) {
	t.Parallel()
	for _, was := range []backend.Precision{backend.Float32, backend.BFloat16} {
		is := backend.BFloat16 - was
		done := filepath.Join(scratch(t), "run")
		task := tinyRuns[0].task(t)()
		task.Common().Engine.Precision = was
		stoppedAt(t, done, 4, task)
		text, err := os.ReadFile(filepath.Join(done, "bdia.yaml"))
		if err != nil || strings.Contains(string(text), "precision") != (was == backend.BFloat16) {
			t.Fatalf("%v: %v\n%s", was, err, text)
		}
		for _, edited := range []bool{false, true} {
			dir := filepath.Join(scratch(t), "run")
			if err := os.CopyFS(dir, os.DirFS(done)); err != nil {
				t.Fatal(err)
			}
			r := traintest.Open(t, dir)
			if edited {
				now := string(text) + "  precision: bf16\n"
				if was == backend.BFloat16 {
					now = strings.Replace(string(text), "precision: bf16", "precision: float32", 1)
				}
				if err := os.WriteFile(filepath.Join(dir, "bdia.yaml"), []byte(now), 0o666); err != nil {
					t.Fatal(err)
				}
				r = traintest.Open(t, dir)
				_, err := r.Train(t.Context(), nil)
				refused(t, err, was, is)
				to := inPrecision(r, is) // with a change that may be
				to.Common().Loop.Patience = 9
				refused(t, r.Reconfigure(to), was, is)
			} else {
				refused(t, r.Reconfigure(inPrecision(r, is)), was, is)
			}
			r = traintest.Open(t, dir)
			r.NewPrecision = true
			if err := r.Reconfigure(inPrecision(r, is)); err != nil {
				t.Fatal(err)
			}
			r = traintest.Open(t, dir) // another process, to which nothing is said
			if err := r.Reconfigure(inPrecision(r, is)); err != nil {
				t.Fatal(err)
			}
			sum, err := r.Train(t.Context(), nil)
			if err != nil || sum.Steps != 6 {
				t.Fatalf("%d steps, %v", sum.Steps, err)
			}
			names := map[backend.Precision]string{backend.Float32: "", backend.BFloat16: "bf16"}
			if got, want := courses(traintest.Open(t, dir).State), []string{names[was], names[is]}; len(got) != 2 || got[0] != want[0] || got[1] != want[1] {
				t.Errorf("courses %q, want %q", got, want)
			}
			var settings *train.SettingsError
			if _, err := traintest.Open(t, dir).Replay(t.Context(), 3, nil); !errors.As(err, &settings) || settings.Until != 4 {
				t.Errorf("replay of a step in %v: %v", was, err)
			}
			if res, err := traintest.Open(t, dir).Replay(t.Context(), 6, nil); err != nil || res.Difference != nil || res.Compared == 0 {
				t.Errorf("replay of a step in %v: %+v, %v", is, res, err)
			}
		}
	}
}

// TestFreshPrecision: before its first step a run may have any precision.
func TestFreshPrecision(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(scratch(t), "run")
	r, err := train.Create(t.Context(), dir, tinyRuns[0].task(t)(), nil)
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	if err := r.Reconfigure(inPrecision(r, backend.BFloat16)); err != nil {
		t.Fatal(err)
	}
}

// TestInferenceGap: a run in bf16 that has ended tells the loss of its weights with float32 products: the one that the
// same run measures when it is a float32 run. A float32 run has nothing to tell.
func TestInferenceGap(t *testing.T) {
	t.Parallel()
	for _, kind := range tinyRuns {
		t.Run(kind.name, func(t *testing.T) {
			t.Parallel()
			dir := filepath.Join(scratch(t), "run")
			task := kind.task(t)()
			task.Common().Engine.Precision = backend.BFloat16
			r, err := train.Create(t.Context(), dir, task, nil)
			if err != nil {
				t.Fatal(err)
			}
			defer r.Close()
			sum, err := r.Train(t.Context(), nil)
			if err != nil {
				t.Fatal(err)
			}
			if sum.Peak != sum.Planned {
				t.Errorf("the arena took %v, planned %v", sum.Peak, sum.Planned)
			}
			if gap := sum.Float32Val.Loss - sum.LastVal.Loss; !(math.Abs(gap) < 0.05) {
				t.Errorf("loss %v in bf16, %v in float32", sum.LastVal.Loss, sum.Float32Val.Loss)
			}
			r.NewPrecision = true
			if err := r.Reconfigure(inPrecision(r, backend.Float32)); err != nil {
				t.Fatal(err)
			}
			again, err := r.Train(t.Context(), nil)
			if err != nil || again.LastVal != sum.Float32Val {
				t.Errorf("loss %v in float32, %v in a run of float32; %v", sum.Float32Val, again.LastVal, err)
			}
			if !math.IsNaN(again.Float32Val.Loss) {
				t.Errorf("a float32 run measured %v in float32", again.Float32Val)
			}
		})
	}
}

// TestPrecisionAfterDamage: a run whose checkpoint in a new precision is damaged goes back to one in the former, and on
// in the new one, which was asked for.
func TestPrecisionAfterDamage(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(scratch(t), "run")
	stoppedAt(t, dir, 4, tinyRuns[0].task(t)())
	r := traintest.Open(t, dir)
	r.NewPrecision = true
	to := inPrecision(r, backend.BFloat16)
	to.Common().Loop.SaveEvery = 6
	if err := r.Reconfigure(to); err != nil {
		t.Fatal(err)
	}
	if _, err := r.Train(t.Context(), nil); err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(dir, "state", "optimizer.safetensors")
	moments, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	moments[len(moments)-1] ^= 1
	if err := os.WriteFile(path, moments, 0o666); err != nil {
		t.Fatal(err)
	}
	again := traintest.Open(t, dir)
	sum, err := again.Train(t.Context(), nil)
	if err != nil || sum.Before != 4 || sum.Steps != 6 {
		t.Fatalf("%d steps from %d: %v", sum.Steps, sum.Before, err)
	}
	if got := courses(again.State); len(got) != 2 || got[1] != "bf16" {
		t.Errorf("courses %q", got)
	}
}
