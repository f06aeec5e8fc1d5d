package pairs

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/bdia-go/bdia"
	"github.com/bdia-go/bdia/data/pairs"
	"github.com/bdia-go/bdia/hub"
	"github.com/bdia-go/bdia/internal/cpufeat"
	"github.com/bdia-go/bdia/internal/traintest"
	"github.com/bdia-go/bdia/model"
	"github.com/bdia-go/bdia/optim"
	"github.com/bdia-go/bdia/train"
)

// tinyPairConfig is a run of a few hundred tokens a step, with every source of
// randomness in use.
func tinyPairConfig(t testing.TB) Config {
	c := Default()
	c.Pairs.Source, c.Pairs.Target = traintest.Sentences(t, 200)
	c.Pairs.BPEVocab, c.Pairs.BatchTokens, c.Pairs.Split.Val, c.Pairs.Epochs = 300, 200, 0.1, 0
	c.Seq2Seq = model.Seq2SeqConfig{SourceVocab: 40, TargetVocab: 40, SourceContext: 24, TargetContext: 20, EncoderLayers: 3, DecoderLayers: 4, Heads: 2, Width: 24, MLP: 40,
		Shared: true, EmbeddingDropout: 0.1, AttentionDropout: 0.1, ResidualDropout: 0.1, LabelSmoothing: 0.1}
	c.Schedule = optim.Schedule{Kind: "cosine", LR: 1e-2, Final: 0.1, Warmup: 2, Steps: 9}
	c.Loop.EvalEvery, c.Loop.LogEvery, c.Loop.SampleEvery = 4, 1, 4
	c.Engine.Threads = 1
	return c
}

// TestPairBits: however a run of translations is carried out, it ends with the same
// bytes and takes the memory that was planned.
func TestPairBits(t *testing.T) {
	t.Parallel()
	for _, tc := range []variant{
		{"shared table", func(*Config) {}},
		{"two vocabularies, untied, sinusoids, set-adam", func(c *Config) {
			c.Pairs.Separate, c.Seq2Seq.Untied, c.Seq2Seq.Sinusoidal, c.Optimizer = true, true, true, traintest.Optimizer(t, "set-adam")
		}},
		{"two tables, tied, clipped", func(c *Config) { c.Seq2Seq.Shared, c.Loop.Clip = false, 0.2 }},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			cfg := tinyPairConfig(t)
			tc.change(&cfg)
			want := create(t, cfg)
			traintest.AsPlanned(t, traintest.Trained(t, want, traintest.Listener{}))
			ways := []variant{
				{"threads 3", func(c *Config) { c.Engine.Threads = 3 }},
				{"store", func(c *Config) { c.Method.Memory = bdia.Store }},
				{"recompute, threads 2", func(c *Config) { c.Method.Memory, c.Engine.Threads = bdia.Recompute, 2 }},
				{"update end", func(c *Config) { c.Loop.Update = train.WhenEnd }},
				{"micro-batches", func(c *Config) { c.Loop.MicroBatch = 2 }},
			}
			for _, level := range cpufeat.Supported() {
				ways = append(ways, variant{level.String(), func(c *Config) { c.Engine.ISA = level.String() }})
			}
			for _, way := range ways {
				changed := cfg
				way.change(&changed)
				r := create(t, changed)
				traintest.AsPlanned(t, traintest.Trained(t, r, traintest.Listener{}))
				t.Log(way.name)
				traintest.SameFiles(t, r.Dir, want.Dir)
				traintest.SameMetrics(t, r.Dir, want.Dir)
			}
		})
	}
}

// TestOtherPairBits shows that TestPairBits could fail.
func TestOtherPairBits(t *testing.T) {
	t.Parallel()
	cfg := tinyPairConfig(t)
	cfg.Schedule.Steps = 3
	seen := map[string]string{}
	for _, v := range []variant{
		{"nothing", func(*Config) {}},
		{"seed", func(c *Config) { c.Loop.Seed++ }},
		{"gamma", func(c *Config) { c.Method.Gamma = 0.25 }},
		{"dropout", func(c *Config) { c.Seq2Seq.ResidualDropout = 0 }},
		{"label smoothing", func(c *Config) { c.Seq2Seq.LabelSmoothing = 0 }},
		{"batch", func(c *Config) { c.Pairs.BatchTokens = 220 }},
		{"pairs of a batch", func(c *Config) { c.Loop.Batch = 3 }},
		{"split", func(c *Config) { c.Pairs.Split.Seed++ }},
	} {
		changed := cfg
		v.change(&changed)
		r := create(t, changed)
		traintest.Trained(t, r, traintest.Listener{})
		bytes, err := os.ReadFile(filepath.Join(r.Dir, train.WeightsFile))
		if err != nil {
			t.Fatal(err)
		}
		if other, ok := seen[string(bytes)]; ok {
			t.Errorf("a change of %s gives the same weights as one of %s", v.name, other)
		}
		seen[string(bytes)] = v.name
	}
}

// TestPairResume: interrupted twice and resumed, a run ends with the bytes of the run
// that went through.
func TestPairResume(t *testing.T) {
	t.Parallel()
	cfg := tinyPairConfig(t)
	cfg.Pairs.Separate = true
	whole := create(t, cfg)
	traintest.Trained(t, whole, traintest.Listener{})
	r := create(t, cfg)
	for _, at := range []int{4, 6} {
		r = traintest.Interrupted(t, r, at)
	}
	traintest.Trained(t, r, traintest.Listener{})
	traintest.SameFiles(t, r.Dir, whole.Dir)
	traintest.SameMetrics(t, r.Dir, whole.Dir)
	traintest.SameState(t, traintest.Open(t, r.Dir).State, traintest.Open(t, whole.Dir).State)
	for _, name := range []string{"source/vocab.json", "best/target/merges.txt"} {
		traintest.SameFile(t, name, r.Dir, whole.Dir)
	}
}

// TestPairLearns: the tiny model learns word for word translation, and says so.
func TestPairLearns(t *testing.T) {
	t.Parallel()
	cfg := tinyPairConfig(t)
	cfg.Seq2Seq.Width, cfg.Seq2Seq.EncoderLayers, cfg.Seq2Seq.DecoderLayers, cfg.Schedule.LR = 64, 2, 2, 3e-3
	cfg.Seq2Seq.EmbeddingDropout, cfg.Seq2Seq.AttentionDropout, cfg.Seq2Seq.ResidualDropout = 0, 0, 0
	cfg.Pairs.Source, cfg.Pairs.Target = traintest.Sentences(t, 1500)
	cfg.Pairs.BatchTokens, cfg.Method = 1200, bdia.Options{Memory: bdia.Store, Grid: bdia.NoGrid}
	cfg.Schedule.Steps, cfg.Schedule.Warmup, cfg.Loop.EvalEvery, cfg.Loop.SampleEvery = 300, 20, 150, 300
	r := create(t, cfg)
	var said traintest.Diary
	sum := traintest.Trained(t, r, &said)
	if !(sum.LastVal.Loss < 0.3) || !(sum.LastVal.Loss < sum.FirstVal.Loss/5) {
		t.Errorf("validation loss %v after %v", sum.LastVal.Loss, sum.FirstVal.Loss)
	}
	text := strings.Join(said.Samples, "\n")
	_, translation, ok := strings.Cut(text, "-> ")
	translation, reference, _ := strings.Cut(translation, "\n(")
	if reference, _, _ = strings.Cut(reference, ")"); !ok || translation != reference {
		t.Errorf("it translates %q by %q:\n%s", reference, translation, text)
	}
}

// TestPairSplitDoesNotLeak: no source sentence is in two parts.
func TestPairSplitDoesNotLeak(t *testing.T) {
	t.Parallel()
	cfg := tinyPairConfig(t)
	table := "en,fr\n"
	for i := range 300 {
		table += fmt.Sprintf("sentence %d,phrase %d\n", i%100, i)
	}
	cfg.Pairs.Files = pairs.Files{Source: filepath.Join(t.TempDir(), "table.csv"), SourceColumn: "en", TargetColumn: "fr"}
	if err := os.WriteFile(cfg.Pairs.Source, []byte(table), 0o666); err != nil {
		t.Fatal(err)
	}
	cfg.Pairs.Split = pairs.Split{Val: 0.2, Test: 0.2, Seed: 3}
	r := create(t, cfg)
	of := map[string]pairs.Part{}
	total := 0
	for part := pairs.Train; part <= pairs.Test; part++ {
		set := task(r).Set(part)
		if set == nil {
			t.Fatalf("nothing for %v", part)
		}
		for i := range set.Len() {
			ids := make([]int32, 50)
			n, err := set.Source(ids, i)
			if err != nil {
				t.Fatal(err)
			}
			text, err := task(r).Source.Decode(ids[:n])
			if err != nil {
				t.Fatal(err)
			}
			if was, ok := of[string(text)]; ok && was != part {
				t.Errorf("%q is in %v and in %v", text, was, part)
			}
			of[string(text)] = part
			total++
		}
	}
	if total != 300 || len(of) != 100 {
		t.Errorf("%d pairs of %d sentences", total, len(of))
	}
}

// TestPairsLeftOut: what cannot be used is counted by its reason, or ends Create.
func TestPairsLeftOut(t *testing.T) {
	t.Parallel()
	source, target := traintest.Sentences(t, 50)
	long := strings.Repeat("one two ", 40)
	add := func(t *testing.T, c *Config, a, b string) {
		c.Pairs.Source, c.Pairs.Target = traintest.TextFile(t, traintest.Read(t, source)+a), traintest.TextFile(t, traintest.Read(t, target)+b)
	}
	for _, tc := range []struct {
		name   string
		change func(*testing.T, *Config)
		why    map[pairs.Reason]int // left out or truncated
		err    error
		say    []string
	}{
		{"clean", func(t *testing.T, c *Config) { add(t, c, "", "") }, nil, nil, nil},
		{"empty, bytes that are no text, and the same again", func(t *testing.T, c *Config) {
			add(t, c, "\n \nfor\xff\nnine nine\nnine nine\n", "un\ndeux\ntrois\nneuf neuf\nneuf neuf\n")
		}, map[pairs.Reason]int{pairs.Empty: 2, pairs.NotUTF8: 1, pairs.Duplicate: 1}, nil, nil},
		{"bytes that are no text", func(t *testing.T, c *Config) {
			add(t, c, "for\xff\n", "trois\n")
			c.Pairs.OnBad = pairs.Fatal
		}, nil, pairs.ErrText, []string{"line 51", "UTF-8"}},
		{"long", func(t *testing.T, c *Config) { add(t, c, long+"\nnine\n", "un\n"+long+"\n") }, map[pairs.Reason]int{pairs.ManyTokens: 2}, nil, nil},
		{"long, truncated", func(t *testing.T, c *Config) {
			add(t, c, long+"\nnine\n", "un\n"+long+"\n")
			c.Pairs.OnLong = pairs.Truncate
		}, map[pairs.Reason]int{pairs.Truncated: 2}, nil, nil},
		{"long, refused", func(t *testing.T, c *Config) {
			add(t, c, "nine\n", long+"\n")
			c.Pairs.OnLong = pairs.Fatal
		}, nil, pairs.ErrTooLong, []string{"line 51", "19"}},
		{"filters", func(t *testing.T, c *Config) {
			add(t, c, "nine\ntwelve\n", "a long way from nine\nx\n")
			c.Pairs.MinChars, c.Pairs.MaxRatio = 2, 4
		}, map[pairs.Reason]int{pairs.Ratio: 1, pairs.Short: 1}, nil, nil},
		{"one file shorter", func(t *testing.T, c *Config) { add(t, c, "nine\nnine\n", "neuf\n") }, nil, pairs.ErrLineCounts, []string{"52", "51"}},
		{"characters of validation that training does not have", func(t *testing.T, c *Config) {
			add(t, c, "", "")
			c.Pairs.Tokenizer, c.Seq2Seq.SourceContext, c.Seq2Seq.TargetContext = "char", 100, 100
			c.Pairs.ValSource, c.Pairs.ValTarget = traintest.TextFile(t, "one\nzz\ntwo\n"), traintest.TextFile(t, "un\nun\ndeux\n")
		}, nil, nil, nil},
		{"only unknown characters", func(t *testing.T, c *Config) {
			add(t, c, "", "")
			c.Pairs.Tokenizer = "char"
			c.Pairs.ValSource, c.Pairs.ValTarget = traintest.TextFile(t, "zz\n"), traintest.TextFile(t, "un\n")
		}, nil, pairs.ErrNoPairs, []string{"1 pair read, 0 kept", "1 that the tokenizer cannot encode"}},
		{"no file", func(_ *testing.T, c *Config) { c.Pairs.Source = "/no/such.en" }, nil, os.ErrNotExist, nil},
		{"a batch too small for a sentence", func(t *testing.T, c *Config) { c.Pairs.BatchTokens = 10 }, nil, nil, []string{"positions", "allow more tokens"}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			cfg := tinyPairConfig(t)
			tc.change(t, &cfg)
			dir := filepath.Join(t.TempDir(), "run")
			r, err := train.Create(context.Background(), dir, New(cfg), nil)
			if tc.err != nil || tc.say != nil {
				traintest.OneLine(t, err, tc.say...)
				if tc.err != nil && !errors.Is(err, tc.err) {
					t.Errorf("error %v is not %v", err, tc.err)
				}
				if _, err := train.Open(dir); err == nil {
					t.Error("what is left is a run")
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			defer r.Close()
			skipped := 0
			for why, tally := range task(r).Report.Why {
				if tally.Count != tc.why[pairs.Reason(why)] {
					t.Errorf("%d pairs %v, want %d", tally.Count, pairs.Reason(why), tc.why[pairs.Reason(why)])
				}
				if pairs.Reason(why) != pairs.Truncated {
					skipped += tally.Count
				}
			}
			if n := task(r).Report.Skipped(); n != skipped {
				t.Errorf("%d pairs left out, for %d reasons", n, skipped)
			}
			if v := task(r).Val; v != nil && (v.Read != 3 || v.Why[pairs.NoTokens].Count != 1 || task(r).Set(pairs.Val).Len() != 2) {
				t.Errorf("validation: %v, %d pairs kept", v, task(r).Set(pairs.Val).Len())
			}
		})
	}
}

func TestBadPairConfigs(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		change func(*Config)
		say    []string
	}{
		"micro-batches":      {func(c *Config) { c.Loop.Batch, c.Loop.MicroBatch = 8, 3 }, []string{"micro-batches of 3"}},
		"no tokens":          {func(c *Config) { c.Pairs.BatchTokens = -1 }, []string{"-1 tokens"}},
		"far too many":       {func(c *Config) { c.Pairs.BatchTokens = 1 << 30 }, []string{"1073741824 tokens"}},
		"a small vocabulary": {func(c *Config) { c.Pairs.BPEVocab = 100 }, []string{"257"}},
		"validation of one side": {func(c *Config) {
			c.Pairs.ValTarget = "val.fr"
		}, []string{"name those too"}},
		"a table for validation": {func(c *Config) { c.Pairs.ValSource = "val.csv" }, []string{"one kind"}},
		"shares":                 {func(c *Config) { c.Pairs.Split.Val, c.Pairs.Split.Test = 0.5, 0.5 }, []string{"below 1"}},
		"policy":                 {func(c *Config) { c.Pairs.OnLong = "cut" }, []string{`"cut"`, "truncate"}},
		"shared table":           {func(c *Config) { c.Seq2Seq.TargetVocab++ }, []string{"shared"}},
	} {
		cfg := tinyPairConfig(t)
		tc.change(&cfg)
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			traintest.OneLine(t, cfg.Validate(), tc.say...)
		})
	}
}

// TestPairEpochs: a run is as long as its epochs, and evaluates after each.
func TestPairEpochs(t *testing.T) {
	t.Parallel()
	cfg := tinyPairConfig(t)
	cfg.Pairs.Epochs, cfg.Loop.EvalEvery = 2, 0
	two := create(t, cfg)
	cfg.Pairs.Epochs = 2.5
	more := create(t, cfg)
	each := settings(two).Loop.EvalEvery
	if n := settings(two).Schedule.Steps; n < 2*each-2 || n > 2*each+2 {
		t.Errorf("two epochs have %d steps, one %d", n, each)
	}
	if n := settings(more).Schedule.Steps - settings(two).Schedule.Steps; n < each/2-1 || n > each/2+2 {
		t.Errorf("half an epoch has %d steps, one %d", n, each)
	}
}

// TestPlanOfPairs: without data a plan is for any sentences as long in both
// languages, and the largest batch fits.
func TestPlanOfPairs(t *testing.T) {
	t.Parallel()
	cfg := tinyPairConfig(t)
	cfg.Pairs.Source, cfg.Pairs.Target = "", ""
	modes, err := train.PlanModes(New(cfg))
	if err != nil {
		t.Fatal(err)
	}
	if rev, store := modes["reversible"].Total, modes["store"].Total; len(modes) != 3 || rev >= store {
		t.Errorf("reversible takes %d bytes, store %d: %v", rev, store, modes)
	}
	budget := modes["reversible"].Total
	n, u, err := train.LargestBatch(New(cfg), bdia.Reversible, budget)
	if err != nil || n < cfg.Pairs.BatchTokens || u.Total > budget {
		t.Errorf("%d tokens in %d bytes, which %d take: %v", n, budget, cfg.Pairs.BatchTokens, err)
	}
}

// TestFromChanged: a run that has not begun refuses other weights than the ones that it was made to start from, and
// names its setting for them.
func TestFromChanged(t *testing.T) {
	t.Parallel()
	first := create(t, tinyPairConfig(t))
	traintest.Trained(t, first, traintest.Listener{})
	c := tinyPairConfig(t)
	if err := c.StartFrom(first.Dir); err != nil {
		t.Fatal(err)
	}
	r := create(t, c)
	seeded := tinyPairConfig(t)
	seeded.Loop.Seed++
	other := create(t, seeded)
	traintest.Trained(t, other, traintest.Listener{})
	if err := os.WriteFile(filepath.Join(first.Dir, train.WeightsFile), []byte(traintest.Read(t, filepath.Join(other.Dir, train.WeightsFile))), 0o666); err != nil {
		t.Fatal(err)
	}
	_, err := r.Train(t.Context(), traintest.Listener{})
	if !errors.Is(err, hub.ErrBase) {
		t.Fatal(err)
	}
	traintest.OneLine(t, err, first.Dir, "from.base", "start a new run")
}
