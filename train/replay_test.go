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

// TestReplayOfOtherSettings: a step that the run did with another schedule is told from one that it computed wrongly.
func TestReplayOfOtherSettings(t *testing.T) {
	t.Parallel()
	r := traintest.Open(t, replayed(t, func(*text.Config) {}))
	r.Common().Schedule.Steps = 16
	_, err := r.Replay(context.Background(), 5, nil)
	var changed *train.RateError
	if !errors.As(err, &changed) || changed.Step != 3 || changed.Was >= changed.Is {
		t.Errorf("%v", err)
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
