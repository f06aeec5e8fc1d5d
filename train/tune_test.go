package train

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/goccy/go-yaml"

	"github.com/bdia-go/bdia/backend"
	"github.com/bdia-go/bdia/convert"
	"github.com/bdia-go/bdia/hub"
	"github.com/bdia-go/bdia/model"
	"github.com/bdia-go/bdia/optim"
)

// files are the bytes of all files of a folder, by name.
func files(t testing.TB, dir string) map[string]string {
	t.Helper()
	all := map[string]string{}
	if err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err == nil && !d.IsDir() {
			all[path] = read(t, path)
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
	from := gptFolder(t, nil)
	before := files(t, from)
	cfg := tinyCompletionConfig(t, from)
	cfg.Tune.LoRA = model.LoRAConfig{Rank: 2, Alpha: 4, Targets: model.Targets{"qkv"}}
	r := create(t, cfg)
	trained(t, r, silent{})
	for path, was := range before {
		if read(t, path) != was {
			t.Errorf("%s has changed", path)
		}
	}
	if n := len(files(t, from)); n != len(before) {
		t.Errorf("the model's folder has %d files, had %d", n, len(before))
	}
	for path, bytes := range files(t, r.Dir) {
		if filepath.Base(path) == weightsFile || strings.HasSuffix(path, ".safetensors") && len(bytes) > len(before[filepath.Join(from, weightsFile)])/2 {
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

// TestTuneText: text goes on from a model's weights in windows shorter than its
// context, whatever way it is carried out.
func TestTuneText(t *testing.T) {
	t.Parallel()
	from := gptFolder(t, nil)
	for _, tc := range append(tunings, variant{"micro-batches", func(c *Config) { c.Loop.MicroBatch = 2 }}) {
		if strings.HasPrefix(tc.name, "prompts") {
			continue
		}
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			cfg := tinyConfig()
			cfg.Schedule.LR = 1e-3
			if err := cfg.StartFrom(from); err != nil {
				t.Fatal(err)
			}
			if m := cfg.Model; m.Context != 32 || m.ResidualDropout != 0.1 || cfg.Data.Tokenizer != from {
				t.Fatalf("the model to start from is %+v, its tokenizer %s", m, cfg.Data.Tokenizer)
			}
			cfg.Data.Path = textFile(t, text(3000))
			tc.change(&cfg)
			cfg.Tune.Separator, cfg.Loop.EvalTrain, cfg.Loop.SampleEvery, cfg.Loop.Patience = "", true, 4, 3
			if cfg.Tune.Window == 0 {
				cfg.Tune.Window = 11
			}
			want := create(t, cfg)
			sum := trained(t, want, silent{})
			asPlannedSum(t, sum)
			if !(sum.LastVal.Loss < sum.FirstVal.Loss) {
				t.Errorf("validation loss %v after %v", sum.LastVal.Loss, sum.FirstVal.Loss)
			}
			cfg.Engine.Threads, cfg.Loop.Update = 2, WhenEnd
			r := create(t, cfg)
			ctx, obs := cancelAt(5)
			if _, err := r.Train(ctx, obs); err != nil {
				t.Fatal(err)
			}
			r = open(t, r.Dir)
			asPlannedSum(t, trained(t, r, silent{}))
			sameTuned(t, r, want)
		})
	}
}

// TestStartsFrom: a run begins with the weights it starts from, and one without steps
// to learn in gives them back.
func TestStartsFrom(t *testing.T) {
	t.Parallel()
	from := gptFolder(t, nil)
	cfg := tinyCompletionConfig(t, from)
	cfg.Schedule, cfg.Optimizer.Decay = optim.Schedule{Kind: "constant", LR: 1e-60, Steps: 1}, 0
	r := create(t, cfg)
	trained(t, r, silent{})
	sameFile(t, weightsFile, r.Dir, from)
}

// TestSeparators: any text is the same after it was written to bdia.yaml.
func TestSeparators(t *testing.T) {
	t.Parallel()
	for _, s := range []Separator{"", "\n", "\t", " ", "  ", "\n\n", " \n", "\r\n", "\"", "'", `\`, `\n`, "a\tb\nc", ": ", " #", "# ", "- ", "~", "null", "true", "12", "1e3", "0x10",
		"{}", "[", "%", "|", ">", "&a", "*a", "!!str", "###\n", "é", "日本語", "🙂", "\u00a0", "\u2028", "\ufeff", "\x00", "\x01", "\x7f", "\u0085", "===\n  ->\t\"x\""} {
		path := filepath.Join(t.TempDir(), configFile)
		cfg := DefaultCompletionConfig()
		cfg.Tune.Separator = s
		written, err := yaml.Marshal(cfg)
		if err != nil {
			t.Errorf("%q: %v", s, err)
			continue
		}
		if err := os.WriteFile(path, written, 0o666); err != nil {
			t.Fatal(err)
		}
		got := DefaultCompletionConfig()
		if err := ReadConfig(path, &got); err != nil || !got.Equal(cfg) {
			t.Errorf("%q became %q: %v", s, got.Tune.Separator, err)
		}
	}
}

func TestBadTuneConfigs(t *testing.T) {
	t.Parallel()
	from := gptFolder(t, nil)
	lora := model.LoRAConfig{Rank: 2, Alpha: 2, Targets: model.Targets{"qkv"}}
	for name, tc := range map[string]struct {
		change func(*Config)
		say    []string
	}{
		"a window beyond the context": {func(c *Config) { c.Tune.Window = 33 }, []string{"33 tokens", "context of 32"}},
		"a negative window":           {func(c *Config) { c.Tune.Window = -1 }, []string{"-1 tokens"}},
		"too many blocks":             {func(c *Config) { c.Tune.Freeze = 5 }, []string{"5 frozen blocks", "has 4"}},
		"less than no blocks":         {func(c *Config) { c.Tune.Freeze = -1 }, []string{"-1 frozen blocks"}},
		"adapters of nothing":         {func(c *Config) { c.Tune.From, c.Tune.LoRA = "", lora }, []string{"--from"}},
		"frozen noise":                {func(c *Config) { c.Tune.From, c.Tune.Freeze = "", 1 }, []string{"--from"}},
		"averaged adapters":           {func(c *Config) { c.Tune.LoRA, c.Loop.EMA = lora, 0.9 }, []string{"--ema"}},
		"a negative rank":             {func(c *Config) { c.Tune.LoRA = lora; c.Tune.LoRA.Rank = -1 }, []string{"rank"}},
		"no alpha":                    {func(c *Config) { c.Tune.LoRA = lora; c.Tune.LoRA.Alpha = 0 }, []string{"alpha"}},
		"no such layer":               {func(c *Config) { c.Tune.LoRA = lora; c.Tune.LoRA.Targets = model.Targets{"head"} }, []string{"adapters at", "fc1"}},
		"adapters beside nothing":     {func(c *Config) { c.Tune.LoRA, c.Tune.Freeze = lora, 4 }, []string{"frozen"}},
		"adapters wider than layers":  {func(c *Config) { c.Tune.LoRA = lora; c.Tune.LoRA.Rank = 25 }, []string{"rank 25"}},
		"a separator that is no text": {func(c *Config) { c.Tune.Separator = "\x85" }, []string{"UTF-8"}},
		"a batch":                     {func(c *Config) { c.Loop.Batch = 4 }, []string{"--batch-tokens"}},
		"settings of text":            {func(c *Config) { c.Data = DefaultConfig().Data }, []string{"another task"}},
	} {
		cfg := tinyCompletionConfig(t, from)
		tc.change(&cfg)
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			oneLine(t, cfg.Validate(), tc.say...)
		})
	}
}

// TestTuneFolders: what is wrong with the folder of a model is told.
func TestTuneFolders(t *testing.T) {
	t.Parallel()
	from := gptFolder(t, nil)
	cfg := tinyCompletionConfig(t, from)
	cfg.Schedule.Steps = 1
	cfg.Tune.LoRA = model.LoRAConfig{Rank: 2, Alpha: 2, Targets: model.Targets{"qkv"}}
	r := create(t, cfg)
	trained(t, r, silent{})
	if err := cfg.StartFrom(r.Dir); !errors.Is(err, convert.ErrUnsupported) {
		t.Errorf("starting from adapters: %v", err)
	}
	oneLine(t, cfg.StartFrom(t.TempDir()), modelConfig)

	chars := create(t, tinyConfig())
	trained(t, chars, silent{})
	cfg = tinyCompletionConfig(t, from)
	if err := cfg.StartFrom(chars.Dir); err != nil {
		t.Fatal(err)
	}
	_, err := Create(context.Background(), filepath.Join(t.TempDir(), "run"), cfg, nil)
	oneLine(t, err, "end of a text")
	if !errors.Is(err, ErrCombination) {
		t.Errorf("a tokenizer of characters: %v", err)
	}

	// The model moved away: neither weights nor a run that goes on.
	moved := filepath.Join(t.TempDir(), "moved")
	if err := os.Rename(from, moved); err != nil {
		t.Fatal(err)
	}
	_, err = hub.WeightsDir(r.Dir)
	oneLine(t, err, from, convert.AdapterConfigFile)
	r = open(t, r.Dir)
	longer := r.Config
	longer.Schedule.Steps = 2
	if err := r.Reconfigure(longer); err != nil {
		t.Fatal(err)
	}
	_, err = r.Train(context.Background(), silent{})
	oneLine(t, err, from, configFile)
}

// TestBaseChanged: a run needs the weights from which it started, for as long as it
// does not have its own.
func TestBaseChanged(t *testing.T) {
	t.Parallel()
	other := read(t, filepath.Join(gptFolder(t, outliers(3)), weightsFile))
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
			from := gptFolder(t, nil)
			cfg := tinyCompletionConfig(t, from)
			cfg.Tune.LoRA = tc.lora
			r := create(t, cfg)
			if tc.steps > 0 {
				ctx, obs := cancelAt(tc.steps)
				if _, err := r.Train(ctx, obs); err != nil {
					t.Fatal(err)
				}
				trained(t, open(t, r.Dir), silent{}) // which makes a best/
			}
			weights := filepath.Join(from, weightsFile)
			before := read(t, weights)
			if err := os.WriteFile(weights, []byte(other), 0o666); err != nil {
				t.Fatal(err)
			}
			r = open(t, r.Dir)
			r.Config.Schedule.Steps++
			train := func() error {
				_, err := r.Train(context.Background(), silent{})
				return err
			}
			if err := train(); errors.Is(err, hub.ErrBase) != tc.needs || !tc.needs && err != nil {
				t.Errorf("going on beside other weights: %v", err)
			} else if tc.needs {
				oneLine(t, err, from, "tune.base", "start a new run")
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
			r.Config.Tune.Base = ""
			if err := r.saveConfig(); err != nil {
				t.Fatal(err)
			}
			if _, err := hub.WeightsDir(r.Dir); err != nil {
				t.Error(err)
			}
			if err := os.WriteFile(weights, []byte(before), 0o666); err != nil {
				t.Fatal(err)
			}
			r.Config.Tune.Base = create(t, cfg).Config.Tune.Base
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
		cfg := tinyCompletionConfig(t, gptFolder(t, nil))
		change(&cfg)
		u, err := Plan(cfg)
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
	cfg := tinyCompletionConfig(t, gptFolder(t, nil))
	cfg.Schedule.LR, cfg.Loop.EvalEvery, cfg.Loop.Patience = 1, 1, 2
	r := create(t, cfg)
	sum := trained(t, r, silent{})
	if !sum.Stopped || sum.Steps != 2 || sum.BestStep != 0 || sum.BestVal != sum.FirstVal || sum.LastVal.Loss <= sum.FirstVal.Loss {
		t.Errorf("%+v", sum)
	}
	if _, err := os.Stat(r.BestDir()); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("best weights of such a run: %v", err)
	}
}
