package model_test

import (
	"math"
	"slices"
	"strings"
	"testing"

	"github.com/bdia-go/bdia"
	"github.com/bdia-go/bdia/backend"
	"github.com/bdia-go/bdia/backend/plan"
	"github.com/bdia-go/bdia/model"
)

// granite makes a Granite with these scales.
func granite(embedding, attention, branch, divisor float64) func(*model.GPTConfig) {
	return func(c *model.GPTConfig) {
		c.Family, c.HeadWidth, c.Rope = model.Granite, 4, model.Rope{Theta: 1e4}
		c.EmbeddingScale, c.AttentionScale, c.BranchScale, c.LogitsDivisor = embedding, attention, branch, divisor
	}
}

func TestValidate(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		change func(*model.GPTConfig)
		part   string // of the error; none: the configuration is good
	}{
		"good":             {func(*model.GPTConfig) {}, ""},
		"MLP given":        {func(c *model.GPTConfig) { c.MLP = 1 }, ""},
		"dropout 0.99":     {func(c *model.GPTConfig) { c.ResidualDropout = 0.99 }, ""},
		"no vocabulary":    {func(c *model.GPTConfig) { c.Vocab = 0 }, "vocabulary is 0"},
		"huge vocabulary":  {func(c *model.GPTConfig) { c.Vocab = 1<<24 + 1 }, "vocabulary"},
		"no context":       {func(c *model.GPTConfig) { c.Context = -1 }, "context is -1"},
		"no layers":        {func(c *model.GPTConfig) { c.Layers = 0 }, "layers"},
		"too many layers":  {func(c *model.GPTConfig) { c.Layers = 1 << 20 }, "layers"},
		"no heads":         {func(c *model.GPTConfig) { c.Heads = 0 }, "heads is 0"},
		"no width":         {func(c *model.GPTConfig) { c.Width = 0 }, "width is 0"},
		"negative MLP":     {func(c *model.GPTConfig) { c.MLP = -4 }, "MLP width is -4"},
		"heads":            {func(c *model.GPTConfig) { c.Heads = 5 }, "width is 12; it is not divisible by 5 heads; use 10 or 15"},
		"heads > width":    {func(c *model.GPTConfig) { c.Heads = 13 }, "use 13"},
		"dropout 1":        {func(c *model.GPTConfig) { c.AttentionDropout = 1 }, "attention dropout is 1"},
		"dropout -":        {func(c *model.GPTConfig) { c.EmbeddingDropout = -0.1 }, "embedding dropout"},
		"dropout NaN":      {func(c *model.GPTConfig) { c.ResidualDropout = math.NaN() }, "residual dropout"},
		"negative epsilon": {func(c *model.GPTConfig) { c.Eps = -1e-5 }, "epsilon"},
		"tiny epsilon":     {func(c *model.GPTConfig) { c.Eps = 1e-60 }, "epsilon"}, // 0 in float32
		"scales":           {granite(1, 0.5, 0.22, 8), ""},
		"scale of GPT-2":   {func(c *model.GPTConfig) { c.LogitsDivisor = 2 }, "logits_divisor is for granite, and the model is gpt2"},
		"scale of Llama":   {func(c *model.GPTConfig) { granite(2, 0, 0, 0)(c); c.Family = model.Llama }, "embedding_scale is for granite, and the model is llama"},
		"negative scale":   {granite(1, -0.5, 0.22, 8), "attention_scale is -0.5; it must be from"},
		"tiny divisor":     {granite(1, 0.5, 0.22, 1e-60), "logits_divisor is 1e-60"},
		"NaN scale":        {granite(1, 0.5, math.NaN(), 8), "branch_scale is NaN"},
		"NaN epsilon":      {func(c *model.GPTConfig) { c.Eps = math.NaN() }, "epsilon"},
	} {
		cfg := tiny()
		c.change(&cfg)
		err := cfg.Validate()
		if (err == nil) != (c.part == "") || err != nil && (!strings.Contains(err.Error(), c.part) || !strings.HasPrefix(err.Error(), "model: ")) {
			t.Errorf("%s: error %v, want one with %q", name, err, c.part)
		}
		if _, made := model.NewGPT(plan.New(64), cfg, bdia.DefaultOptions()); (made == nil) != (err == nil) {
			t.Errorf("%s: NewGPT says %v, Validate %v", name, made, err)
		}
	}
	if _, err := model.NewGPT(plan.New(64), tiny(), bdia.Options{Grid: bdia.NoGrid}); err == nil {
		t.Error("NewGPT accepts options that cannot be")
	}
}

// TestFits: sizes beyond the device's limits are refused when the model is made, by a plan
// as by the device itself, and without limits they are none of the model's business.
func TestFits(t *testing.T) {
	t.Parallel()
	limits := newCPU(t, 1).Limits()
	wide, long := tiny(), tiny()
	wide.Width, wide.Heads = 2*limits.HeadWidth+2, 2
	long.Context, long.Heads, long.AttentionDropout = 1<<16, 2, 0.1
	for want, c := range map[string]model.GPTConfig{
		"model: heads of width 257 (514/2) are wider than 256, the most that the device can do; use more heads":                 wide,
		"2 heads over 65536 positions have 8589934592 attention weights a sample, and the device can drop out among 4294967296": long,
	} {
		if err := c.Validate(); err != nil {
			t.Error(err)
		}
		if _, err := model.NewGPT(plan.NewLimited(64, limits, backend.Float32), c, bdia.DefaultOptions()); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("a plan with limits: error %v, want one with %q", err, want)
		}
		if _, err := model.NewGPT(plan.New(64), c, bdia.DefaultOptions()); err != nil {
			t.Errorf("a plan without limits: %v", err)
		}
	}
	if _, err := model.NewGPT(newCPU(t, 1), wide, bdia.DefaultOptions()); err == nil || !strings.Contains(err.Error(), "use more heads") {
		t.Errorf("the device: error %v", err)
	}
	long.AttentionDropout = 0
	if err := long.Fits(limits); err != nil {
		t.Errorf("without dropout: %v", err)
	}
}

// TestPresets counts the parameters of the published models, as Hugging Face's
// checkpoints have them.
func TestPresets(t *testing.T) {
	t.Parallel()
	for name, want := range map[string]int64{"gpt2": 124439808, "gpt2-medium": 354823168, "gpt2-large": 774030080, "gpt2-xl": 1557611200, "smollm2-135m": 134515008, "qwen3-0.6b": 596049920,
		"qwen2.5-0.5b": 494032768, "llama-3.2-1b": 1235814400, "qwen3-1.7b": 1720574976, "llama-3.2-3b": 3212749824} {
		c, err := model.GPTPreset(name)
		if err != nil {
			t.Fatal(err)
		}
		for _, untied := range []bool{false, true} {
			c.Untied = untied
			m, err := model.NewGPT(plan.New(64), c, bdia.DefaultOptions())
			if err != nil {
				t.Fatal(err)
			}
			var got int64
			for _, p := range m.Params() {
				got += int64(p.Value.Len())
			}
			if untied {
				got -= int64(c.Vocab) * int64(c.Width)
			}
			if got != want {
				t.Errorf("%s has %d parameters, want %d", name, got, want)
			}
		}
	}
	names := model.GPTPresets()
	if !slices.Equal(names, []string{"llama-nano", "nano", "smollm2-135m", "gpt2", "qwen2.5-0.5b", "gpt2-medium", "qwen3-0.6b", "gpt2-large", "gpt2-xl", "llama-3.2-1b", "qwen3-1.7b", "llama-3.2-3b"}) {
		t.Errorf("presets %v", names)
	}
	for _, name := range names {
		if c, err := model.GPTPreset(name); err != nil || c.Validate() != nil {
			t.Errorf("preset %s: %v, %v", name, err, c.Validate())
		}
	}
	if _, err := model.GPTPreset("gpt3"); err == nil || !strings.Contains(err.Error(), "gpt2-xl") {
		t.Errorf("unknown preset: %v", err)
	}
}

func TestParams(t *testing.T) {
	t.Parallel()
	c := tiny()
	c.Layers = 1
	block := "ln1.weight ln1.bias attn.qkv.weight attn.qkv.bias attn.proj.weight attn.proj.bias " +
		"ln2.weight ln2.bias mlp.fc1.weight mlp.fc1.bias mlp.fc2.weight mlp.fc2.bias"
	for _, variant := range []struct {
		untied, noBias bool
	}{{false, false}, {true, false}, {false, true}, {true, true}} {
		c.Untied, c.NoBias = variant.untied, variant.noBias
		want := []string{"wte.weight", "wpe.weight"}
		for _, n := range strings.Fields(block) {
			want = append(want, "blocks.0."+n)
		}
		want = append(want, "lnf.weight", "lnf.bias")
		if variant.untied {
			want = append(want, "head.weight")
		}
		if variant.noBias {
			want = slices.DeleteFunc(want, func(n string) bool { return strings.HasSuffix(n, ".bias") })
		}
		m, err := model.NewGPT(plan.New(64), c, bdia.DefaultOptions())
		if err != nil {
			t.Fatal(err)
		}
		var got []string
		for _, p := range m.Params() {
			got = append(got, p.Name)
			matrix := p.Value.Shape.Rank() == 2
			if p.Decay != matrix || p.Embedding != (p.Name == "wte.weight" || p.Name == "wpe.weight") {
				t.Errorf("%s: decay %v, embedding %v", p.Name, p.Decay, p.Embedding)
			}
			if p.Tied != (p.Name == "wte.weight" && !variant.untied) {
				t.Errorf("%s: tied %v", p.Name, p.Tied)
			}
		}
		if !slices.Equal(got, want) {
			t.Errorf("parameters %v, want %v", got, want)
		}
	}
}
