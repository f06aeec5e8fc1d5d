package text

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"

	"github.com/bdia-go/bdia"
	"github.com/bdia-go/bdia/checkpoint"
	"github.com/bdia-go/bdia/convert"
	"github.com/bdia-go/bdia/data"
	"github.com/bdia-go/bdia/format/safetensors"
	"github.com/bdia-go/bdia/internal/traintest"
	"github.com/bdia-go/bdia/model"
	"github.com/bdia-go/bdia/tokenizer"
	"github.com/bdia-go/bdia/train"
)

func TestCreateRefusesARun(t *testing.T) {
	t.Parallel()
	cfg := tinyConfig()
	r := create(t, cfg)
	before := listing(t, r.Dir)
	_, err := train.Create(context.Background(), r.Dir, New(*settings(r)), nil)
	if !errors.Is(err, train.ErrExists) {
		t.Errorf("error %v, want train.ErrExists", err)
	}
	traintest.OneLine(t, err, "train: ", r.Dir, "holds a run already")
	if after := listing(t, r.Dir); after != before {
		t.Errorf("the refused Create changed the run:\n%s\nbefore\n%s", after, before)
	}
}

// TestCreateRefusesATokenizer: files of somebody else that look like the ones of an interrupted Create stay, also when
// it is tried again.
func TestCreateRefusesATokenizer(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	path := filepath.Join(dir, "tokenizer.json")
	if err := os.WriteFile(path, []byte("{}"), 0o666); err != nil {
		t.Fatal(err)
	}
	for range 2 {
		_, err := train.Create(context.Background(), dir, New(tinyConfig()), nil)
		traintest.OneLine(t, err, "train: ", dir, "choose another folder")
		if _, err := os.Stat(path); err != nil {
			t.Fatal(err)
		}
	}
}

// listing names every file below dir, with its time; not the lock, which is
// touched by whoever takes it.
func listing(t *testing.T, dir string) string {
	t.Helper()
	var b strings.Builder
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err == nil && !d.IsDir() && d.Name() != ".lock" {
			info, err := d.Info()
			if err != nil {
				return err
			}
			b.WriteString(d.Name() + " " + info.ModTime().String() + "\n")
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return b.String()
}

// TestCreateAfterFailure: whatever made Create fail, the folder it leaves can be
// given to Create again, with another kind of tokenizer too, and holds no run.
func TestCreateAfterFailure(t *testing.T) {
	t.Parallel()
	cancelled, cancel := context.WithCancel(context.Background())
	cancel()
	char := func(c *Config) { c.Data.Tokenizer = "char" }
	for _, tc := range []struct {
		name   string
		ctx    context.Context
		change func(*Config)
		retry  func(*Config)
		is     error
		says   []string
	}{
		{"training text too short", context.Background(), func(c *Config) { c.Model.Context = 4000 }, nil, data.ErrTooShort, []string{"train: training text", "4000"}},
		{"validation text too short", context.Background(), func(c *Config) { c.Model.Context = 2500 }, nil, data.ErrTooShort, []string{"train: validation text"}},
		{"too short for a bpe, then char", context.Background(), func(c *Config) {
			c.Data.Tokenizer, c.Data.BPEVocab, c.Model.Context = "bpe", 300, 3900
		}, char, data.ErrTooShort, []string{"text"}},
		{"cancelled", cancelled, func(*Config) {}, nil, context.Canceled, nil},
		{"no text named", context.Background(), func(c *Config) { c.Data.Path = "" }, nil, ErrNoText, []string{"train: ", "no text"}},
		{"text absent", context.Background(), func(c *Config) { c.Data.Path += "x" }, nil, fs.ErrNotExist, []string{"text.txtx"}},
		{"tokenizer absent", context.Background(), func(c *Config) { c.Data.Tokenizer = t.TempDir() }, char, tokenizer.ErrNotFound, []string{"tokenizer: "}},
		{"model impossible", context.Background(), func(c *Config) { c.Model.Heads = 7 }, nil, nil, []string{"24", "7 heads", "use 21 or 28"}},
		{"method impossible", context.Background(), func(c *Config) { c.Method.Gamma = 0.6 }, nil, nil, []string{"0.6", "store and recompute"}},
		{"update now and clipping", context.Background(), func(c *Config) { c.Loop.Update, c.Loop.Clip = train.WhenNow, 1 }, nil, train.ErrCombination, []string{"at the end of the step", "do not clip"}},
		{"update now and accumulation", context.Background(), func(c *Config) { c.Loop.Update, c.Loop.MicroBatch = train.WhenNow, 2 }, nil, train.ErrCombination, []string{"the whole batch at once"}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			good := tinyConfig()
			good.Data.Path = traintest.TextFile(t, traintest.Text(4000))
			bad := good
			tc.change(&bad)
			dir := filepath.Join(t.TempDir(), "run")
			_, err := train.Create(tc.ctx, dir, New(bad), nil)
			traintest.OneLine(t, err, tc.says...)
			if tc.is != nil && !errors.Is(err, tc.is) {
				t.Errorf("error %v is not %v", err, tc.is)
			}
			if _, err := train.Open(dir); err == nil {
				t.Error("the failed Create left something that opens as a run")
			}
			if tc.retry != nil {
				tc.retry(&good)
			}
			good.Schedule.Steps = 1
			r, err := train.Create(context.Background(), dir, New(good), nil)
			if err != nil {
				t.Fatalf("second Create: %v", err)
			}
			r.Close()
			traintest.Trained(t, traintest.Open(t, dir), traintest.Listener{})
		})
	}
}

func TestUnknownCharacter(t *testing.T) {
	t.Parallel()
	cfg := tinyConfig()
	cfg.Schedule.Steps = 1
	cfg.Data.Path = traintest.TextFile(t, "\n"+traintest.Text(1000))
	first := create(t, cfg)
	cfg.Data.Tokenizer = first.Dir
	cfg.Data.Path = traintest.TextFile(t, "\n\n"+traintest.Text(500)+"Ω"+traintest.Text(500))
	_, err := train.Create(context.Background(), t.TempDir(), New(cfg), nil)
	var unknown *UnknownError
	if !errors.As(err, &unknown) || !errors.Is(err, tokenizer.ErrUnknown) || len(unknown.Characters) != 1 ||
		unknown.Characters[0] != (data.Character{Rune: 'Ω', Count: 1, Place: cfg.Data.Path + ", line 3"}) {
		t.Errorf("error %v", err)
	}
	traintest.OneLine(t, err, "Ω", "text.txt, line 3")
}

func TestLocked(t *testing.T) {
	t.Parallel()
	r := create(t, tinyConfig())
	unlock, err := checkpoint.Lock(r.Dir)
	if err != nil {
		t.Fatal(err)
	}
	defer unlock()
	_, err = r.Train(context.Background(), traintest.Listener{})
	changed := *settings(r)
	changed.Loop.LogEvery++
	fresh := tinyConfig()
	fresh.Data.Path = settings(r).Data.Path
	dir := t.TempDir()
	unlockNew, lerr := checkpoint.Lock(dir)
	if lerr != nil {
		t.Fatal(lerr)
	}
	defer unlockNew()
	_, cerr := train.Create(context.Background(), dir, New(fresh), nil)
	for what, err := range map[string]error{"Train": err, "Reconfigure": r.Reconfigure(New(changed)), "Create": cerr} {
		if !errors.Is(err, checkpoint.ErrLocked) {
			t.Errorf("%s: error %v, want ErrLocked", what, err)
		}
		traintest.OneLine(t, err, "process", "another folder")
	}
	if !reflect.DeepEqual(settings(traintest.Open(t, r.Dir)), settings(r)) || reflect.DeepEqual(*settings(r), changed) {
		t.Error("the refused Reconfigure changed the settings")
	}
}

// TestDamagedRun damages one file of a trained run without a manifest; going on is
// refused with one line that names the file, and everything else stays as it was.
func TestDamagedRun(t *testing.T) {
	t.Parallel()
	cfg := tinyConfig()
	cfg.Schedule.Steps = 2
	cfg.Loop.TensorBoard = false
	r := create(t, cfg)
	traintest.Trained(t, r, traintest.Listener{})
	tokenizerOf := func(text string) func([]byte) []byte {
		other := cfg
		other.Data.Path = traintest.TextFile(t, strings.Repeat(text, 200))
		b, err := os.ReadFile(filepath.Join(create(t, other).Dir, "chars.json"))
		if err != nil {
			t.Fatal(err)
		}
		return func([]byte) []byte { return b }
	}
	if n := settings(r).Model.Vocab; n != 14 {
		t.Fatalf("the text has %d characters", n)
	}

	cut := func(b []byte) []byte { return b[:len(b)-5] }
	hostile := func(b []byte) []byte { binary.LittleEndian.PutUint64(b, 1<<62); return b }
	for _, tc := range []struct {
		name, file string
		damage     func([]byte) []byte // nil removes the file
		is         error
		says       []string
	}{
		{"weights absent", train.WeightsFile, nil, fs.ErrNotExist, []string{train.WeightsFile}},
		{"weights truncated", train.WeightsFile, cut, safetensors.ErrCorrupt, []string{train.WeightsFile}},
		{"weights empty", train.WeightsFile, func([]byte) []byte { return nil }, safetensors.ErrCorrupt, []string{train.WeightsFile}},
		{"weights of hostile header", train.WeightsFile, hostile, safetensors.ErrCorrupt, []string{train.WeightsFile}},
		{"weights are text", train.WeightsFile, func([]byte) []byte { return []byte("version https://git-lfs.github.com/spec/v1\n") }, safetensors.ErrCorrupt, []string{train.WeightsFile}},
		{"optimiser absent", optimizerFile, nil, fs.ErrNotExist, []string{"optimizer.safetensors"}},
		{"optimiser truncated", optimizerFile, cut, safetensors.ErrCorrupt, []string{"optimizer.safetensors"}},
		{"state of another version", checkpoint.StateFile, func(b []byte) []byte {
			return []byte(strings.Replace(string(b), `"version": 1`, `"version": 9`, 1))
		}, checkpoint.ErrVersion, []string{"state.json", "9"}},
		{"state is no JSON", checkpoint.StateFile, cut, nil, []string{"state.json"}},
		{"tokens absent", "data/text-00000.tokens", nil, fs.ErrNotExist, []string{"text"}},
		{"tokens truncated", "data/text-00000.tokens", cut, data.ErrCorrupt, []string{"text-00000.tokens"}},
		{"tokenizer absent", "chars.json", nil, tokenizer.ErrNotFound, nil},
		{"tokenizer of another size", "chars.json", tokenizerOf("0123456789"), nil, []string{"10", "14", "do not belong together"}},
		{"tokenizer of the same size", "chars.json", tokenizerOf("0123456789abcd"), data.ErrTokenizer, []string{"text-00000.tokens"}},
		{"configuration with an unknown key", configFile, func(b []byte) []byte { return append(b, "learning: 1\n"...) }, nil, []string{configFile, "learning"}},
		{"configuration with an unknown inner key", configFile, func(b []byte) []byte {
			return []byte(strings.Replace(string(b), "  heads:", "  headz:", 1))
		}, nil, []string{configFile, "headz"}},
		{"configuration of a wrong type", configFile, func(b []byte) []byte {
			return []byte(strings.Replace(string(b), "heads: 2", "heads: two", 1))
		}, nil, []string{configFile, "[14:10]", "whole number"}},
		{"configuration impossible", configFile, func(b []byte) []byte {
			return []byte(strings.Replace(string(b), "heads: 2", "heads: 7", 1))
		}, nil, []string{configFile, "7 heads"}},
		{"configuration huge", configFile, func(b []byte) []byte { return append(b, strings.Repeat("#\n", maxConfig)...) }, nil, []string{configFile, "larger"}},
		{"configuration is no YAML", configFile, func([]byte) []byte { return []byte("\x00\x01{{{") }, nil, []string{configFile}},
		{"metrics are text", "metrics.jsonl", func([]byte) []byte { return []byte("what is this\n") }, nil, []string{"metrics.jsonl"}},
		{"weights of another width", configFile, func(b []byte) []byte {
			return []byte(strings.Replace(string(b), "width: 24", "width: 32", 1))
		}, convert.ErrMismatch, []string{train.WeightsFile, "wte.weight"}},
		{"weights of more blocks", configFile, func(b []byte) []byte {
			return []byte(strings.Replace(string(b), "layers: 4", "layers: 3", 1))
		}, convert.ErrMismatch, []string{train.WeightsFile, "blocks"}},
		{"weights of fewer blocks", configFile, func(b []byte) []byte {
			return []byte(strings.Replace(string(b), "layers: 4", "layers: 5", 1))
		}, convert.ErrMismatch, []string{train.WeightsFile, "blocks"}},
		{"another optimiser", configFile, func(b []byte) []byte {
			return []byte(strings.Replace(string(b), "name: adamw", "name: sgd", 1))
		}, convert.ErrMismatch, []string{"optimizer.safetensors", "adamw", "sgd"}},
		{"another optimiser of the same state", configFile, func(b []byte) []byte {
			return []byte(strings.Replace(string(b), "name: adamw", "name: set-adam", 1))
		}, convert.ErrMismatch, []string{"optimizer.safetensors", "adamw", "set-adam"}},
		{"optimiser states of other bits", configFile, func(b []byte) []byte {
			return []byte(strings.Replace(string(b), "state_bits: 32", "state_bits: 8", 1))
		}, convert.ErrMismatch, []string{"optimizer.safetensors", "states of 32 bits, not of 8"}},
		{"optimiser state of another shape", optimizerFile, func(b []byte) []byte {
			return bytes.Replace(b, []byte(`"lnf.bias.v"`), []byte(`"lnf.bias.w"`), 1)
		}, convert.ErrMismatch, []string{"optimizer.safetensors", "lnf.bias.v"}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			dir := filepath.Join(t.TempDir(), "copy")
			if err := os.CopyFS(dir, os.DirFS(r.Dir)); err != nil {
				t.Fatal(err)
			}
			if err := os.Remove(filepath.Join(dir, checkpoint.ManifestFile)); err != nil { // as an earlier version wrote it
				t.Fatal(err)
			}
			path := filepath.Join(dir, tc.file)
			old, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			os.Remove(path)
			if tc.damage != nil {
				if err := os.WriteFile(path, tc.damage(bytes.Clone(old)), 0o666); err != nil {
					t.Fatal(err)
				}
			}
			before := listing(t, dir)
			err = goOn(dir)
			traintest.OneLine(t, err, append(tc.says, ": ")...)
			if tc.is != nil && !errors.Is(err, tc.is) {
				t.Errorf("error %v is not %v", err, tc.is)
			}
			if after := listing(t, dir); after != before {
				t.Errorf("the failure changed the run:\n%s\nbefore\n%s", after, before)
			}
			if err := os.WriteFile(path, old, 0o666); err != nil {
				t.Fatal(err)
			}
			if err := goOn(dir); err != nil {
				t.Errorf("with the file mended: %v", err)
			}
		})
	}
}

// goOn opens the run in dir and trains it.
func goOn(dir string) error {
	r, err := train.Open(dir)
	if err != nil {
		return err
	}
	defer r.Close()
	_, err = r.Train(context.Background(), traintest.Listener{})
	return err
}

// TestDivergence drives runs into the wall; the last checkpoint stays.
func TestDivergence(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		name   string
		change func(*Config)
		is     error
		says   []string
	}{
		{"loss not finite", func(c *Config) { c.Method, c.Schedule.LR = traintest.NoGrid(bdia.Store, 0), 1e30 }, model.ErrDiverged,
			[]string{"step 5", "learning rate"}},
		{"checkpoint after the bad update", func(c *Config) { c.Method, c.Schedule.LR, c.Loop.SaveEvery = traintest.NoGrid(bdia.Store, 0), 1e30, 1 }, model.ErrDiverged,
			[]string{"after step 4", "learning rate"}},
		{"past the exactness limit", func(c *Config) { c.Schedule.LR = 1e7 }, bdia.ErrRange,
			[]string{"step 5", "state x_0", "sample", "2097152"}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			cfg := tinyConfig()
			cfg.Schedule.Steps, cfg.Schedule.LR, cfg.Schedule.Kind = 3, 1e-3, "constant"
			cfg.Method.Memory = bdia.Reversible
			wild := cfg
			tc.change(&wild)
			cfg.Method = wild.Method
			r := create(t, cfg)
			traintest.Trained(t, r, traintest.Listener{})
			r = traintest.Open(t, r.Dir)
			before, err := os.ReadFile(filepath.Join(r.Dir, train.WeightsFile))
			if err != nil {
				t.Fatal(err)
			}
			wild = *settings(r)
			tc.change(&wild)
			wild.Schedule.Steps, wild.Schedule.Warmup, wild.Loop.EvalEvery = 8, 0, 0
			if err := r.Reconfigure(New(wild)); err != nil {
				t.Fatal(err)
			}
			_, err = r.Train(context.Background(), traintest.Listener{})
			if !errors.Is(err, tc.is) {
				t.Errorf("error %v, want %v", err, tc.is)
			}
			traintest.OneLine(t, err, append(tc.says, "checkpoint of step 3", r.Dir)...)
			again := traintest.Open(t, r.Dir)
			if again.State.Step != 3 {
				t.Errorf("the checkpoint is of step %d", again.State.Step)
			}
			if after, _ := os.ReadFile(filepath.Join(r.Dir, train.WeightsFile)); string(after) != string(before) {
				t.Error("the weights of the checkpoint changed")
			}
		})
	}
}
