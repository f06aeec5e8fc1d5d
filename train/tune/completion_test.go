package tune

import (
	"math"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/bdia-go/bdia"
	"github.com/bdia-go/bdia/backend"
	"github.com/bdia-go/bdia/backend/cpu"
	"github.com/bdia-go/bdia/convert"
	"github.com/bdia-go/bdia/data/pairs"
	"github.com/bdia-go/bdia/hub"
	"github.com/bdia-go/bdia/internal/cpufeat"
	"github.com/bdia-go/bdia/internal/testkit"
	"github.com/bdia-go/bdia/internal/traintest"
	"github.com/bdia-go/bdia/model"
	"github.com/bdia-go/bdia/optim"
	"github.com/bdia-go/bdia/train"
)

// tinyCompletionConfig is a run of a few hundred tokens a step that starts from the
// model in dir, with every source of randomness in use.
func tinyCompletionConfig(t testing.TB, dir string) Config {
	t.Helper()
	c := Default()
	c.Method = bdia.DefaultOptions()
	c.Model.EmbeddingDropout, c.Model.AttentionDropout, c.Model.ResidualDropout = 0.1, 0.1, 0.1
	if err := c.StartFrom(dir); err != nil {
		t.Fatal(err)
	}
	c.Pairs.Source, c.Pairs.Target = traintest.Sentences(t, 200)
	c.Pairs.BatchTokens, c.Pairs.Split.Val, c.Pairs.Epochs = 200, 0.1, 0
	c.Schedule = optim.Schedule{Kind: "cosine", LR: 1e-2, Final: 0.1, Warmup: 2, Steps: 6}
	c.Loop.EvalEvery, c.Loop.EvalTrain, c.Loop.LogEvery, c.Loop.SampleEvery, c.Loop.SampleTokens = 3, true, 1, 3, 8
	c.Engine.Threads = 1
	return c
}

// tunings are the ways to fine-tune.
var tunings = []variant{
	{"all weights", func(*Config) {}},
	{"prompts too, clipped, averaged, 8 bits", func(c *Config) {
		c.Tune.LossOnPrompt, c.Loop.Clip, c.Loop.EMA, c.Optimizer.StateBits = true, 0.5, 0.8, 8
	}},
	{"adapters", func(c *Config) {
		c.Tune.LoRA = model.LoRAConfig{Rank: 3, Alpha: 6, Dropout: 0.1, Targets: model.Targets{"all"}}
	}},
	{"a short window, blocks above, no separator", func(c *Config) { c.Tune.Window, c.Tune.Freeze, c.Tune.Separator = 20, 2, "" }},
	{"adapters above", func(c *Config) {
		c.Tune.Freeze, c.Tune.LoRA = 1, model.LoRAConfig{Rank: 2, Alpha: 2, Targets: model.Targets{"qkv", "fc2"}}
	}},
}

// familyTunings are ways to fine-tune the families that their names begin with.
var familyTunings = []variant{
	{"llama all weights", func(*Config) {}},
	{"qwen2 adapters at queries and values", func(c *Config) { c.Tune.LoRA.Rank = 2 }},
	{"qwen3 adapters", func(c *Config) {
		c.Tune.LoRA = model.LoRAConfig{Rank: 3, Alpha: 6, Dropout: 0.1, Targets: model.Targets{"all"}}
	}},
	{"mistral blocks above", func(c *Config) { c.Tune.Freeze = 2 }},
	{"granite all weights", func(*Config) {}},
	{"olmo2 adapters", func(c *Config) {
		c.Tune.LoRA = model.LoRAConfig{Rank: 3, Alpha: 6, Dropout: 0.1, Targets: model.Targets{"all"}}
	}},
}

// sameTuned fails unless the checkpoints of both runs hold the same bytes.
func sameTuned(t *testing.T, got, want *train.Run) {
	t.Helper()
	names := []string{train.WeightsFile, train.ConfigFile, bestDir + "/" + train.WeightsFile}
	if settings(want).Tune.LoRA.Rank > 0 {
		names = []string{convert.AdapterFile, convert.AdapterConfigFile, train.ConfigFile, bestDir + "/" + convert.AdapterFile}
	}
	for _, name := range append(names, optimizerFile) {
		traintest.SameFile(t, name, got.Dir, want.Dir)
	}
	traintest.SameMetrics(t, got.Dir, want.Dir)
}

// TestCompletionBits: however a fine-tuning is carried out, it ends with the same
// bytes and takes the memory that was planned.
func TestCompletionBits(t *testing.T) {
	t.Parallel()
	gpt2 := traintest.GPTFolder(t, nil)
	for i, tc := range append(slices.Clone(tunings), familyTunings...) {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			from := gpt2
			if i >= len(tunings) {
				from = traintest.FamilyFolder(t, model.Family(strings.Fields(tc.name)[0]))
			}
			cfg := tinyCompletionConfig(t, from)
			tc.change(&cfg)
			want := create(t, cfg)
			traintest.AsPlanned(t, traintest.Trained(t, want, traintest.Listener{}))
			ways := []variant{
				{"store, threads 3", func(c *Config) { c.Method.Memory, c.Engine.Threads = bdia.Store, 3 }},
				{"recompute, threads 2", func(c *Config) { c.Method.Memory, c.Engine.Threads = bdia.Recompute, 2 }},
				{"update end", func(c *Config) { c.Loop.Update = train.WhenEnd }},
				{"micro-batches", func(c *Config) { c.Loop.MicroBatch = 3 }},
			}
			if i == 0 {
				for _, level := range cpufeat.Supported() {
					ways = append(ways, variant{level.String(), func(c *Config) { c.Engine.ISA = level.String() }})
				}
			}
			if testing.Short() {
				ways = ways[:1]
			}
			for _, way := range ways {
				changed := cfg
				way.change(&changed)
				r := create(t, changed)
				traintest.AsPlanned(t, traintest.Trained(t, r, traintest.Listener{}))
				t.Log(way.name)
				sameTuned(t, r, want)
			}
		})
	}
}

// TestOtherCompletionBits shows that TestCompletionBits could fail.
func TestOtherCompletionBits(t *testing.T) {
	t.Parallel()
	if testing.Short() {
		t.Skip("a dozen runs")
	}
	from := traintest.GPTFolder(t, nil)
	seen := map[string]string{}
	for _, v := range append(slices.Clone(tunings),
		variant{"seed", func(c *Config) { c.Loop.Seed++ }},
		variant{"grid", func(c *Config) { c.Method.Grid, c.Tune.AutoGrid = 7, false }},
		variant{"loss on prompts", func(c *Config) { c.Tune.LossOnPrompt = true }},
		variant{"separator", func(c *Config) { c.Tune.Separator = " => " }},
		variant{"batch", func(c *Config) { c.Pairs.BatchTokens = 220 }},
		variant{"pairs of a batch", func(c *Config) { c.Loop.Batch = 3 }},
		variant{"dropout", func(c *Config) { c.Model.AttentionDropout = 0 }},
		variant{"frozen blocks", func(c *Config) { c.Tune.Freeze = 1 }}) {
		cfg := tinyCompletionConfig(t, from)
		cfg.Schedule.Steps = 2
		v.change(&cfg)
		r := create(t, cfg)
		traintest.Trained(t, r, traintest.Listener{})
		bytes := traintest.Read(t, filepath.Join(r.Dir, filepath.FromSlash(optimizerFile)))
		if other, ok := seen[bytes]; ok {
			t.Errorf("a change of %s gives the same optimiser state as one of %s", v.name, other)
		}
		seen[bytes] = v.name
	}
}

// TestCompletionResume: interrupted twice and resumed, a fine-tuning ends with the
// bytes of the one that went through.
func TestCompletionResume(t *testing.T) {
	t.Parallel()
	from := traintest.GPTFolder(t, nil)
	for _, tc := range tunings {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			cfg := tinyCompletionConfig(t, from)
			tc.change(&cfg)
			whole := create(t, cfg)
			traintest.Trained(t, whole, traintest.Listener{})
			r := create(t, cfg)
			for _, at := range []int{2, 6} {
				r = traintest.Interrupted(t, r, at)
			}
			traintest.Trained(t, r, traintest.Listener{})
			sameTuned(t, r, whole)
			traintest.SameState(t, traintest.Open(t, r.Dir).State, traintest.Open(t, whole.Dir).State)
		})
	}
}

// TestJoin compares batches of prompts and completions with those put together the
// slow way.
func TestJoin(t *testing.T) {
	t.Parallel()
	const end = 9
	for _, lossOnPrompt := range []bool{false, true} {
		for _, rows := range [][][2][]int32{
			{{{1}, {2}}},
			{{{1, 2, 3}, {4, 5}}},
			{{{1, 2, 3}, {4, 5}}, {{6}, {7, 8, 1, 2, 3}}, {{5, 4, 3, 2, 1}, {6}}, {{1}, {1}}},
			{{{1, 2, 3, 4, 5, 6}, {7}}, {{1}, {2, 3}}},
			{{{3, 1}, {}}, {{4}, {5}}}, // nothing but the end is to be said
		} {
			two, longest := &pairs.Batch{}, 0
			for _, r := range rows {
				two.S, two.T = max(two.S, len(r[0])+1), max(two.T, len(r[1])+1)
				longest = max(longest, len(r[0])+len(r[1]))
			}
			want, losses := model.Batch{Size: len(rows)}, 0
			for _, r := range rows {
				two.B++
				two.Source = append(two.Source, pad(append(slices.Clone(r[0]), end), two.S, end)...)
				two.Target = append(two.Target, pad(append(slices.Clone(r[1]), end), two.T, pairs.Ignore)...)
				two.SourceLengths, two.TargetLengths = append(two.SourceLengths, int32(len(r[0])+1)), append(two.TargetLengths, int32(len(r[1])+1))

				whole := append(slices.Concat(r[0], r[1]), end)
				targets := slices.Clone(whole[1:])
				if !lossOnPrompt {
					for i := range len(r[0]) - 1 {
						targets[i] = backend.Ignore
					}
				}
				for _, id := range targets {
					if id != backend.Ignore {
						losses++
					}
				}
				want.Inputs = append(want.Inputs, pad(whole[:len(whole)-1], longest, end)...)
				want.Targets = append(want.Targets, pad(targets, longest, backend.Ignore)...)
			}
			var b completionBatch
			for range 2 { // the second time into memory that was used
				b.join(two, lossOnPrompt)
				if d := cmp.Diff(want, b.Batch); d != "" || b.losses != losses {
					t.Errorf("%v, loss on prompts %v: %d losses, want %d; batch (-want +got):\n%s", rows, lossOnPrompt, b.losses, losses, d)
				}
			}
		}
	}
}

// pad is ids and then id, n in all.
func pad(ids []int32, n int, id int32) []int32 {
	return append(slices.Clone(ids), slices.Repeat([]int32{id}, n-len(ids))...)
}

// TestCompletionPlan: the plan without data is about what a run takes, whose batches
// are as full as its pairs allow.
func TestCompletionPlan(t *testing.T) {
	t.Parallel()
	from := traintest.GPTFolder(t, nil)
	for _, tc := range tunings {
		cfg := tinyCompletionConfig(t, from)
		tc.change(&cfg)
		planned, err := train.Plan(New(cfg))
		if err != nil {
			t.Fatal(err)
		}
		r := create(t, cfg)
		u, err := r.Plan()
		if err != nil || u.Total > planned.Total+planned.Total/20 || u.Total < planned.Total/2 || u.ByComponent[backend.Weights] != planned.ByComponent[backend.Weights] {
			t.Errorf("%s: the run takes\n%v\nplanned without data was\n%v, %v", tc.name, u, planned, err)
		}
	}
}

// TestCompletionLearns: a small model learns to complete prompts, and that they end.
func TestCompletionLearns(t *testing.T) {
	t.Parallel()
	if testing.Short() {
		t.Skip("a long run")
	}
	cfg := tinyCompletionConfig(t, traintest.GPTFolder(t, nil))
	cfg.Model.EmbeddingDropout, cfg.Model.AttentionDropout, cfg.Model.ResidualDropout = 0, 0, 0
	var a strings.Builder
	for i := range 49 {
		a.WriteString(`{"prompt": "` + traintest.Words[i%7][0] + " " + traintest.Words[i/7][0] + `", "completion": "` + traintest.Words[i%7][1] + "\"}\n")
	}
	cfg.Pairs.Files = pairs.Files{Source: traintest.TextFile(t, a.String()), Format: pairs.JSONL}
	cfg.Pairs.BatchTokens, cfg.Schedule.Steps, cfg.Schedule.LR, cfg.Loop.SampleEvery, cfg.Loop.EvalEvery, cfg.Method = 600, 200, 1e-2, 200, 100, traintest.NoGrid(bdia.Store, 0)
	r := create(t, cfg)
	var said traintest.Diary
	sum := traintest.Trained(t, r, &said)
	if !(sum.LastVal.Loss < sum.FirstVal.Loss/5) {
		t.Errorf("validation loss %v after %v", sum.LastVal.Loss, sum.FirstVal.Loss)
	}
	own, reference, ok := strings.Cut(strings.Join(said.Samples, ""), "\n(")
	if !ok || strings.Count(own, "\n") != 1 || len(own) > len(reference)+len("seven seven") {
		t.Errorf("it does not end: %q", said.Samples)
	}
}

// TestCompletionLoss: the mean over batches is that over all pairs, one by one.
func TestCompletionLoss(t *testing.T) {
	t.Parallel()
	cfg := tinyCompletionConfig(t, traintest.GPTFolder(t, nil))
	r := create(t, cfg)
	set, err := task(r).Part(pairs.Val)
	if err != nil {
		t.Fatal(err)
	}
	m := gptOf(t, cfg)
	got, losses, err := Loss(t.Context(), m, set, cfg.Loop.EvalSamples, cfg.Tune.LossOnPrompt, cfg.Method.Grid)
	if err != nil {
		t.Fatal(err)
	}
	var sum float64
	n, two := 0, &pairs.Batch{}
	for k := range set.Len() {
		for i := range set.Shape(k).B {
			if err := set.Fill(k, i, 1, two); err != nil {
				t.Fatal(err)
			}
			var b completionBatch
			b.join(two, false)
			n += b.losses
			if err := testkit.AddTo(&sum)(m.Loss(b.Batch, cfg.Method.Grid)); err != nil {
				t.Fatal(err)
			}
		}
	}
	if n != losses || math.Abs(got-sum/float64(n)) > 1e-9 {
		t.Errorf("mean loss %v of %d tokens, one by one %v of %d", got, losses, sum/float64(n), n)
	}
}

// gptOf loads the model that a run of cfg starts from.
func gptOf(t testing.TB, cfg Config) *model.GPT {
	t.Helper()
	be, err := cpu.New(cpu.Options{Threads: 1, ArenaBytes: 16 << 20})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(be.Close)
	m, err := model.NewGPT(be, cfg.Model, cfg.Method)
	if err == nil {
		err = hub.LoadGPT(be, m, cfg.Tune.From)
	}
	if err != nil {
		t.Fatal(err)
	}
	return m
}
