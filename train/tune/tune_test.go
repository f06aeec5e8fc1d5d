package tune

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/bdia-go/bdia/backend"
	"github.com/bdia-go/bdia/convert"
	"github.com/bdia-go/bdia/hub"
	"github.com/bdia-go/bdia/internal/traintest"
	"github.com/bdia-go/bdia/model"
	"github.com/bdia-go/bdia/optim"
	"github.com/bdia-go/bdia/tokenizer"
	"github.com/bdia-go/bdia/train"
)

// files are the bytes of all files of a folder, by name.
func files(t testing.TB, dir string) map[string]string {
	t.Helper()
	all := map[string]string{}
	if err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err == nil && !d.IsDir() {
			all[path] = traintest.Read(t, path)
		}
		return err
	}); err != nil {
		t.Fatal(err)
	}
	return all
}

// TestAdaptersOnly: a run of adapters writes those, beside a model that it leaves as
// it was.
func TestAdaptersOnly(t *testing.T) {
	t.Parallel()
	from := traintest.GPTFolder(t, nil)
	before := files(t, from)
	cfg := tinyCompletionConfig(t, from)
	cfg.Tune.LoRA = model.LoRAConfig{Rank: 2, Alpha: 4, Targets: model.Targets{"qkv"}}
	r := create(t, cfg)
	traintest.Trained(t, r, traintest.Listener{})
	for path, was := range before {
		if traintest.Read(t, path) != was {
			t.Errorf("%s has changed", path)
		}
	}
	if n := len(files(t, from)); n != len(before) {
		t.Errorf("the model's folder has %d files, had %d", n, len(before))
	}
	for path, bytes := range files(t, r.Dir) {
		if filepath.Base(path) == train.WeightsFile || strings.HasSuffix(path, ".safetensors") && len(bytes) > len(before[filepath.Join(from, train.WeightsFile)])/2 {
			t.Errorf("%s holds %d bytes", path, len(bytes))
		}
	}
	if weights, err := hub.WeightsDir(r.BestDir()); err != nil || weights != from {
		t.Errorf("the weights are in %q, %v", weights, err)
	}
	for path, bytes := range files(t, r.BestDir()) {
		if strings.HasSuffix(path, ".json") && strings.Contains(bytes, r.Dir) {
			t.Errorf("%s names its own folder:\n%s", path, bytes)
		}
	}
}

// TestStartsFrom: a run begins with the weights it starts from, and one without steps
// to learn in gives them back.
func TestStartsFrom(t *testing.T) {
	t.Parallel()
	from := traintest.GPTFolder(t, nil)
	cfg := tinyCompletionConfig(t, from)
	cfg.Schedule, cfg.Optimizer.Decay = optim.Schedule{Kind: "constant", LR: 1e-60, Steps: 1}, 0
	r := create(t, cfg)
	traintest.Trained(t, r, traintest.Listener{})
	traintest.SameFile(t, train.WeightsFile, r.Dir, from)
}

func TestBadTuneSettings(t *testing.T) {
	t.Parallel()
	from := traintest.GPTFolder(t, nil)
	lora := model.LoRAConfig{Rank: 2, Alpha: 2, Targets: model.Targets{"qkv"}}
	for name, tc := range map[string]struct {
		change func(*Config)
		say    []string
	}{
		"a window beyond the context": {func(c *Config) { c.Tune.Window = 33 }, []string{"33 tokens", "context of 32"}},
		"a negative window":           {func(c *Config) { c.Tune.Window = -1 }, []string{"-1 tokens", "give a window of 1 to "}},
		"too many blocks":             {func(c *Config) { c.Tune.Freeze = 5 }, []string{"5 frozen blocks", "has 4"}},
		"less than no blocks":         {func(c *Config) { c.Tune.Freeze = -1 }, []string{"-1 frozen blocks"}},
		"adapters of nothing":         {func(c *Config) { c.Tune.From, c.Tune.LoRA = "", lora }, []string{"to start from"}},
		"frozen noise":                {func(c *Config) { c.Tune.From, c.Tune.Freeze = "", 1 }, []string{"to start from"}},
		"averaged adapters":           {func(c *Config) { c.Tune.LoRA, c.Loop.EMA = lora, 0.9 }, []string{"leave out the average"}},
		"a negative rank":             {func(c *Config) { c.Tune.LoRA = lora; c.Tune.LoRA.Rank = -1 }, []string{"rank"}},
		"no alpha":                    {func(c *Config) { c.Tune.LoRA = lora; c.Tune.LoRA.Alpha = 0 }, []string{"alpha"}},
		"no such layer":               {func(c *Config) { c.Tune.LoRA = lora; c.Tune.LoRA.Targets = model.Targets{"head"} }, []string{"adapters at", "fc1"}},
		"adapters beside nothing":     {func(c *Config) { c.Tune.LoRA, c.Tune.Freeze = lora, 4 }, []string{"frozen"}},
		"adapters wider than layers":  {func(c *Config) { c.Tune.LoRA = lora; c.Tune.LoRA.Rank = 25 }, []string{"rank 25"}},
		"a separator that is no text": {func(c *Config) { c.Tune.Separator = "\x85" }, []string{"UTF-8"}},
	} {
		cfg := tinyCompletionConfig(t, from)
		tc.change(&cfg)
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			traintest.OneLine(t, cfg.Validate(), tc.say...)
		})
	}
}

// TestTuneFolders: what is wrong with the folder of a model is told.
func TestTuneFolders(t *testing.T) {
	t.Parallel()
	from := traintest.GPTFolder(t, nil)
	cfg := tinyCompletionConfig(t, from)
	cfg.Schedule.Steps = 1
	cfg.Tune.LoRA = model.LoRAConfig{Rank: 2, Alpha: 2, Targets: model.Targets{"qkv"}}
	r := create(t, cfg)
	traintest.Trained(t, r, traintest.Listener{})
	if err := cfg.StartFrom(r.Dir); !errors.Is(err, convert.ErrUnsupported) {
		t.Errorf("starting from adapters: %v", err)
	}
	traintest.OneLine(t, cfg.StartFrom(t.TempDir()), train.ConfigFile)

	chars := charFolder(t)
	cfg = tinyCompletionConfig(t, from)
	if err := cfg.StartFrom(chars); err != nil {
		t.Fatal(err)
	}
	_, err := train.Create(context.Background(), filepath.Join(t.TempDir(), "run"), New(cfg), nil)
	traintest.OneLine(t, err, "end of a text")
	if !errors.Is(err, train.ErrCombination) {
		t.Errorf("a tokenizer of characters: %v", err)
	}

	// The model moved away: neither weights nor a run that goes on.
	moved := filepath.Join(t.TempDir(), "moved")
	if err := os.Rename(from, moved); err != nil {
		t.Fatal(err)
	}
	_, err = hub.WeightsDir(r.Dir)
	traintest.OneLine(t, err, from, convert.AdapterConfigFile)
	r = traintest.Open(t, r.Dir)
	longer := *settings(r)
	longer.Schedule.Steps = 2
	if err := r.Reconfigure(New(longer)); err != nil {
		t.Fatal(err)
	}
	_, err = r.Train(context.Background(), traintest.Listener{})
	traintest.OneLine(t, err, from, hub.RunFile)
}

// TestBaseChanged: a run needs the weights from which it started, for as long as it
// does not have its own.
func TestBaseChanged(t *testing.T) {
	t.Parallel()
	other := traintest.Read(t, filepath.Join(traintest.GPTFolder(t, outliers(3)), train.WeightsFile))
	for _, tc := range []struct {
		name  string
		lora  model.LoRAConfig
		steps int
		needs bool
	}{
		{"adapters", model.LoRAConfig{Rank: 2, Alpha: 4, Targets: model.Targets{"qkv"}}, 2, true},
		{"no step yet", model.LoRAConfig{}, 0, true},
		{"all weights", model.LoRAConfig{}, 2, false},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			from := traintest.GPTFolder(t, nil)
			cfg := tinyCompletionConfig(t, from)
			cfg.Tune.LoRA = tc.lora
			r := create(t, cfg)
			if tc.steps > 0 {
				ctx, obs := traintest.CancelAt(tc.steps)
				if _, err := r.Train(ctx, obs); err != nil {
					t.Fatal(err)
				}
				traintest.Trained(t, traintest.Open(t, r.Dir), traintest.Listener{}) // which makes a best/
			}
			weights := filepath.Join(from, train.WeightsFile)
			before := traintest.Read(t, weights)
			if err := os.WriteFile(weights, []byte(other), 0o666); err != nil {
				t.Fatal(err)
			}
			r = traintest.Open(t, r.Dir)
			settings(r).Schedule.Steps++
			train := func() error {
				_, err := r.Train(context.Background(), traintest.Listener{})
				return err
			}
			if err := train(); errors.Is(err, hub.ErrBase) != tc.needs || !tc.needs && err != nil {
				t.Errorf("going on beside other weights: %v", err)
			} else if tc.needs {
				traintest.OneLine(t, err, from, "tune.base", "start a new run")
			}
			if tc.lora.Rank > 0 {
				for _, dir := range []string{r.Dir, r.BestDir()} {
					if _, err := hub.WeightsDir(dir); !errors.Is(err, hub.ErrBase) {
						t.Errorf("WeightsDir(%s): %v", dir, err)
					}
				}
			}
			if !tc.needs {
				return
			}
			// The ways out, and runs of before there were fingerprints.
			file := filepath.Join(r.Dir, hub.RunFile)
			text := regexp.MustCompile(`(?m)^  base: .*$`).ReplaceAllString(traintest.Read(t, file), `  base: ""`)
			if err := os.WriteFile(file, []byte(text), 0o666); err != nil {
				t.Fatal(err)
			}
			if _, err := hub.WeightsDir(r.Dir); err != nil {
				t.Error(err)
			}
			if err := os.WriteFile(weights, []byte(before), 0o666); err != nil {
				t.Fatal(err)
			}
			r = traintest.Open(t, r.Dir) // with the settings as they were edited
			settings(r).Schedule.Steps++
			settings(r).Tune.Base = settings(create(t, cfg)).Tune.Base
			if err := train(); err != nil {
				t.Error(err)
			}
		})
	}
}

// TestTuneMemory: adapters need no memory for gradients and moments of the model, and
// frozen blocks no side information.
func TestTuneMemory(t *testing.T) {
	t.Parallel()
	plan := func(change func(*Config)) backend.Usage {
		cfg := tinyCompletionConfig(t, traintest.GPTFolder(t, nil))
		change(&cfg)
		u, err := train.Plan(New(cfg))
		if err != nil {
			t.Fatal(err)
		}
		return u
	}
	all := plan(func(*Config) {})
	lora := plan(func(c *Config) { c.Tune.LoRA = model.LoRAConfig{Rank: 1, Alpha: 1, Targets: model.Targets{"qkv"}} })
	above := plan(func(c *Config) { c.Tune.Freeze = 2 })
	for _, c := range []backend.Component{backend.Gradients, backend.Optimiser} {
		if lora.ByComponent[c] > all.ByComponent[c]/10 || above.ByComponent[c] >= all.ByComponent[c] {
			t.Errorf("%v: all weights take %d bytes, adapters %d, the blocks above %d", c, all.ByComponent[c], lora.ByComponent[c], above.ByComponent[c])
		}
	}
	if a, b := all.ByComponent[backend.SideBits], above.ByComponent[backend.SideBits]; b >= a {
		t.Errorf("side information of %d bytes, above frozen blocks %d", a, b)
	}
}

// TestStartCounts: a fine-tuning that only does harm has no best weights of its own,
// and ends when its patience does.
func TestStartCounts(t *testing.T) {
	t.Parallel()
	cfg := tinyCompletionConfig(t, traintest.GPTFolder(t, nil))
	cfg.Schedule.LR, cfg.Loop.EvalEvery, cfg.Loop.Patience = 1, 1, 2
	r := create(t, cfg)
	sum := traintest.Trained(t, r, traintest.Listener{})
	if !sum.Stopped || sum.Steps != 2 || sum.BestStep != 0 || sum.BestVal != sum.FirstVal || sum.LastVal.Loss <= sum.FirstVal.Loss {
		t.Errorf("%+v", sum)
	}
	if _, err := os.Stat(r.BestDir()); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("best weights of such a run: %v", err)
	}
}

// charFolder writes the folder of a GPT-2 with a tokenizer of characters, which has no end of a text.
func charFolder(t *testing.T) string {
	t.Helper()
	dir := traintest.GPTFolder(t, nil)
	for _, name := range []string{"vocab.json", "merges.txt", "tokenizer.json", "tokenizer_config.json"} {
		if err := os.Remove(filepath.Join(dir, name)); err != nil && !errors.Is(err, fs.ErrNotExist) {
			t.Fatal(err)
		}
	}
	tok, err := tokenizer.NewChar(strings.NewReader(traintest.Text(2000)))
	if err == nil {
		err = tok.Save(dir)
	}
	if err != nil {
		t.Fatal(err)
	}
	return dir
}
