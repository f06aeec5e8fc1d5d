package train_test

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/bdia-go/bdia"
	"github.com/bdia-go/bdia/checkpoint"
	"github.com/bdia-go/bdia/internal/traintest"
	"github.com/bdia-go/bdia/metric"
	"github.com/bdia-go/bdia/model"
	"github.com/bdia-go/bdia/train"
	"github.com/bdia-go/bdia/train/text"
)

// replayed makes a run of 8 steps of a small language model.
func replayed(t *testing.T, change func(*text.Config)) string {
	t.Helper()
	c := text.Default()
	train.Assume(text.New(c))
	c.Model = model.GPTConfig{Vocab: 13, Context: 8, Layers: 4, Heads: 2, Width: 24, ResidualDropout: 0.1}
	c.Data.Path = traintest.TextFile(t, traintest.Text(4000))
	c.Data.Tokenizer = "char"
	c.Schedule.Steps, c.Schedule.Warmup, c.Schedule.LR = 8, 2, 1e-2
	c.Loop = train.LoopConfig{Batch: 6, Update: train.WhenAuto, Seed: 7, EvalEvery: 4, EvalSamples: 4, LogEvery: 3, Certificate: true}
	c.Engine.Threads = 1
	change(&c)
	r := traintest.Create(t, text.New(c))
	traintest.Trained(t, r, nil)
	return r.Dir
}

// bytesUnder is a fingerprint of all files of a folder.
func bytesUnder(t *testing.T, dir string) string {
	t.Helper()
	h := sha256.New()
	err := filepath.WalkDir(dir, func(path string, e fs.DirEntry, err error) error {
		if err != nil || e.IsDir() {
			return err
		}
		b, err := os.ReadFile(path)
		fmt.Fprintf(h, "%s %x\n", path, sha256.Sum256(b))
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return fmt.Sprintf("%x", h.Sum(nil))
}

// TestReplay: every step of a run, computed again from its checkpoint or from the beginning, agrees with what the run
// recorded; with one record changed it does not. The run stays as it is.
func TestReplay(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		change  func(*text.Config)
		against string
	}{
		"certificates":    {func(*text.Config) {}, "certificate"},
		"losses":          {func(c *text.Config) { c.Loop.Certificate = false }, "loss"},
		"a ramp of gamma": {func(c *text.Config) { c.Method.Ramp.From = 0.125 }, "certificate"},
		"average, stored": {func(c *text.Config) { c.Loop.EMA, c.Method.Memory = 0.9, bdia.Store }, "certificate"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			dir := replayed(t, tc.change)
			was := bytesUnder(t, dir)
			replay := func(step int) *train.Replayed {
				t.Helper()
				r := traintest.Open(t, dir)
				heard := 0
				p, err := r.Replay(context.Background(), step, func(int) { heard++ })
				if err != nil {
					t.Fatal(err)
				}
				if heard != p.Step-p.From {
					t.Errorf("heard of %d steps: %+v", heard, p)
				}
				return p
			}
			for _, step := range []int{1, 4, 5, 6} {
				p := replay(step)
				if p.Difference != nil || p.Compared == 0 || p.Against != tc.against || p.Step < step || p.Certificate.Step != p.Step {
					t.Errorf("step %d: %+v %+v", step, p, p.Difference)
				}
			}
			if p := replay(8); tc.against == "loss" && p.Against != "nothing" { // the window of step 8 is still open
				t.Errorf("step 8: %+v", p)
			}
			if bytesUnder(t, dir) != was {
				t.Error("the run has changed")
			}
			if _, err := traintest.Open(t, dir).Replay(context.Background(), 9, nil); err == nil {
				t.Error("step 9 of 8")
			}
			path := filepath.Join(dir, metric.JSONLName)
			b, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			if tc.against == "loss" {
				changed := strings.Replace(string(b), `"train/loss":`, `"train/loss":1`, 1)
				if err := os.WriteFile(path, []byte(changed), 0o666); err != nil {
					t.Fatal(err)
				}
				if p := replay(2); p.Difference == nil || p.Difference.Step != 3 || p.Difference.What != "loss" {
					t.Errorf("with another loss: %+v", p)
				}
			}
		})
	}
}

// TestReplayOfOtherSettings: steps are computed with the schedule that the run had then, whatever it is now. Of an
// earlier version's run, which does not say, another rate is an error, and so is another batch of any run.
func TestReplayOfOtherSettings(t *testing.T) {
	t.Parallel()
	r := traintest.Open(t, replayed(t, func(*text.Config) {}))
	r.Common().Schedule.Steps = 16
	if p, err := r.Replay(t.Context(), 5, nil); err != nil || p.Difference != nil || p.Compared == 0 {
		t.Errorf("%+v, %v", p, err)
	}
	courses := r.State.Courses
	r.State.Courses = nil
	_, err := r.Replay(t.Context(), 5, nil)
	var changed *train.RateError
	if !errors.As(err, &changed) || changed.Step != 3 || changed.Was >= changed.Is {
		t.Errorf("%v", err)
	}
	r.State.Courses = courses
	r.Common().Loop.Batch++
	_, err = r.Replay(t.Context(), 5, nil)
	var other *train.SettingsError
	if !errors.As(err, &other) || other.Step != 1 || other.Until != 8 {
		t.Errorf("%v", err)
	}
}

// TestReplayAcrossAChange: a run that was given another rate and length within the window of a record is replayed
// through the change; given another batch, its earlier steps are not.
func TestReplayAcrossAChange(t *testing.T) {
	t.Parallel()
	for _, certificates := range []bool{true, false} {
		dir := replayed(t, func(c *text.Config) {
			c.Loop.Certificate, c.Schedule.Steps, c.Loop.SaveEvery, c.Loop.Keep = certificates, 5, 5, 2
		})
		r := traintest.Open(t, dir)
		longer := text.New(*r.Task.Config().(*text.Config))
		longer.Settings.Schedule.Steps, longer.Settings.Schedule.LR = 9, 3e-2
		if err := r.Reconfigure(longer); err != nil {
			t.Fatal(err)
		}
		traintest.Trained(t, r, nil)
		if err := os.RemoveAll(filepath.Join(dir, "checkpoints")); err != nil { // so that replays begin at the beginning
			t.Fatal(err)
		}
		for _, step := range []int{2, 5, 6, 9} {
			p, err := traintest.Open(t, dir).Replay(t.Context(), step, nil)
			if err != nil || p.Difference != nil || p.Compared == 0 || p.From != 0 {
				t.Fatalf("certificates %v, step %d: %v, %+v", certificates, step, err, p)
			}
		}
		r = traintest.Open(t, dir)
		wider := text.New(*r.Task.Config().(*text.Config))
		wider.Settings.Schedule.Steps, wider.Settings.Loop.Batch = 12, 7
		if err := r.Reconfigure(wider); err != nil {
			t.Fatal(err)
		}
		traintest.Trained(t, r, nil)
		var other *train.SettingsError
		if _, err := traintest.Open(t, dir).Replay(t.Context(), 8, nil); !errors.As(err, &other) || other.Until != 9 {
			t.Errorf("another batch: %v", err)
		}
		if p, err := traintest.Open(t, dir).Replay(t.Context(), 11, nil); err != nil || p.Difference != nil || p.From < 9 {
			t.Errorf("after the change: %v, %+v", err, p)
		}
	}
}

// TestReplayOfDivergence: a run that left out a step after its updates had begun, and went back for it, is replayed as it
// was; a step that the run ended at fails again.
func TestReplayOfDivergence(t *testing.T) {
	t.Parallel()
	for _, certificates := range []bool{true, false} {
		dir, mood := filepath.Join(t.TempDir(), "run"), at(trouble{gradient: 3}, 5)
		change := func(l *train.LoopConfig) {
			l.OnDivergence, l.Update, l.Certificate, l.LogEvery = train.SkipDiverged, train.WhenNow, certificates, 3
		}
		r := moodyRun(t, dir, mood, change)
		if sum, err := r.Train(t.Context(), nil); err != nil || sum.Rewinds != 1 || sum.Skipped != 1 {
			t.Fatalf("%+v, %v", sum, err)
		}
		for _, kept := range []bool{true, false} {
			for _, step := range []int{3, 5, 6, 9} {
				p, err := moodyRun(t, dir, mood, change).Replay(t.Context(), step, nil)
				if err != nil || p.Difference != nil || p.Compared == 0 && step != 5 || (step >= 5 && p.From < 5) != slices.Equal(p.LeftOut, []int{5}) && certificates {
					t.Errorf("certificates %v, checkpoints %v, step %d: %v, %+v", certificates, kept, step, err, p)
				}
			}
			if err := os.RemoveAll(filepath.Join(dir, "checkpoints")); err != nil {
				t.Fatal(err)
			}
		}
	}
	stops := func(l *train.LoopConfig) { l.Update = train.WhenNow }
	dir, mood := filepath.Join(t.TempDir(), "run"), at(trouble{gradient: 3}, 5)
	if _, err := moodyRun(t, dir, mood, stops).Train(t.Context(), nil); !errors.Is(err, model.ErrDiverged) {
		t.Fatal(err)
	}
	if _, err := moodyRun(t, dir, mood, stops).Replay(t.Context(), 5, nil); !errors.Is(err, model.ErrDiverged) || !strings.Contains(err.Error(), "step 5 diverges when it is computed again") {
		t.Errorf("%v", err)
	}
	p, err := moodyRun(t, dir, at(trouble{forward: true}, 3), stops).Replay(t.Context(), 4, nil)
	if err != nil || p.Difference == nil || p.Difference.Step != 3 {
		t.Errorf("a step that the run has a certificate of: %v, %+v", err, p)
	}
}

// TestDiff: equal runs do not differ, also by threads and memory mode in what they computed; another seed differs from
// the first step on, another rate from the first update on.
func TestDiff(t *testing.T) {
	t.Parallel()
	a := replayed(t, func(*text.Config) {})
	diff := func(change func(*text.Config)) *train.RunDiff {
		t.Helper()
		d, err := train.Diff(a, replayed(t, change))
		if err != nil {
			t.Fatal(err)
		}
		for i, s := range d.Settings { // each has a file of its own
			if s.Name == "data.path" {
				d.Settings = append(d.Settings[:i], d.Settings[i+1:]...)
				break
			}
		}
		return d
	}
	if d := diff(func(*text.Config) {}); !d.Same() || !d.Certified {
		t.Errorf("equal runs: %+v", d)
	}
	d := diff(func(c *text.Config) { c.Method.Memory, c.Engine.Threads = bdia.Store, 2 })
	if len(d.Settings) != 2 || !d.Same() {
		t.Errorf("stored: %+v", d)
	}
	d = diff(func(c *text.Config) { c.Loop.Seed = 8 })
	if len(d.Settings) != 1 || !slices.Contains(d.Files, "state/optimizer.safetensors") || d.Records == nil || d.Certificates == nil || d.Certificates.Step != 1 || d.Certificates.What != "state 0" {
		t.Errorf("another seed: %+v %+v", d, d.Certificates)
	}
	d = diff(func(c *text.Config) { c.Schedule.LR = 2e-2 })
	if d.Certificates == nil || d.Certificates.Step != 1 || !strings.HasPrefix(d.Certificates.What, "parameters of ") || d.Records == nil || d.Records.Step != 3 {
		t.Errorf("another rate: %+v %+v %+v", d, d.Certificates, d.Records)
	}
	d = diff(func(c *text.Config) { c.Loop.Certificate, c.Schedule.Kind = false, "constant" })
	if d.Certified || d.Certificates != nil || d.Records == nil {
		t.Errorf("without certificates: %+v", d)
	}
	damaged := replayed(t, func(*text.Config) {})
	weights := filepath.Join(damaged, train.WeightsFile)
	b, err := os.ReadFile(weights)
	if err != nil {
		t.Fatal(err)
	}
	b[len(b)/2] ^= 1
	if err := os.WriteFile(weights, b, 0o666); err != nil {
		t.Fatal(err)
	}
	if _, err := train.Diff(a, damaged); !errors.Is(err, checkpoint.ErrDamaged) {
		t.Errorf("damaged weights: %v", err)
	}
}

// TestReplayCertificatesCut: steps of a run with certificates that have none are counted.
func TestReplayCertificatesCut(t *testing.T) {
	t.Parallel()
	dir := replayed(t, func(*text.Config) {})
	path := filepath.Join(dir, metric.CertificateName)
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	lines := strings.SplitAfter(string(b), "\n")
	for kept, want := range map[int]int{8: 0, 5: 1, 4: 2} {
		if err := os.WriteFile(path, []byte(strings.Join(lines[:kept], "")), 0o666); err != nil {
			t.Fatal(err)
		}
		p, err := traintest.Open(t, dir).Replay(context.Background(), 6, nil)
		if err != nil || p.Difference != nil || p.Compared == 0 || p.Uncertified != want {
			t.Errorf("%d certificates: %+v, %v", kept, p, err)
		}
	}
}
