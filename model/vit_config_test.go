package model_test

import (
	"math"
	"slices"
	"strings"
	"testing"

	"github.com/bdia-go/bdia"
	"github.com/bdia-go/bdia/backend/plan"
	"github.com/bdia-go/bdia/model"
)

func TestViTValidate(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		change func(*model.ViTConfig)
		part   string // of the error; none: the configuration is good
	}{
		"good":             {func(*model.ViTConfig) {}, ""},
		"one patch":        {func(c *model.ViTConfig) { c.Patch = 6 }, ""},
		"no image":         {func(c *model.ViTConfig) { c.Image = 0 }, "image size is 0"},
		"huge image":       {func(c *model.ViTConfig) { c.Image = 1 << 20 }, "image size"},
		"no patch":         {func(c *model.ViTConfig) { c.Patch = 0 }, "patch size is 0"},
		"image < patch":    {func(c *model.ViTConfig) { c.Patch = 7 }, "an image of 6 pixels is smaller than a patch of 7"},
		"cut":              {func(c *model.ViTConfig) { c.Patch = 4 }, "cannot be cut into patches of 4; use images of 4 or 8"},
		"too many patches": {func(c *model.ViTConfig) { c.Image, c.Patch = 1<<13, 1 }, "positions"},
		"no classes":       {func(c *model.ViTConfig) { c.Classes = 0 }, "classes is 0"},
		"no layers":        {func(c *model.ViTConfig) { c.Layers = 0 }, "layers is 0"},
		"heads":            {func(c *model.ViTConfig) { c.Heads = 5 }, "not divisible by 5 heads"},
		"MLP":              {func(c *model.ViTConfig) { c.MLP = -1 }, "MLP width is -1"},
		"dropout":          {func(c *model.ViTConfig) { c.ResidualDropout = 1 }, "residual dropout is 1"},
		"depth":            {func(c *model.ViTConfig) { c.StochasticDepth = math.NaN() }, "stochastic depth is NaN"},
		"epsilon":          {func(c *model.ViTConfig) { c.Eps = 2 }, "0 means 1e-6"},
	} {
		cfg := tinyViT()
		c.change(&cfg)
		err := cfg.Validate()
		if (err == nil) != (c.part == "") || err != nil && (!strings.Contains(err.Error(), c.part) || !strings.HasPrefix(err.Error(), "model: ")) {
			t.Errorf("%s: error %v, want one with %q", name, err, c.part)
		}
		if _, made := model.NewViT(plan.New(64), cfg, bdia.DefaultOptions()); (made == nil) != (err == nil) {
			t.Errorf("%s: NewViT says %v, Validate %v", name, made, err)
		}
	}
	two := tinyViT()
	two.TwoStream = true
	for opt, part := range map[bdia.Options]string{
		twoStream:                                "",
		plain(0):                                 "",
		bdia.DefaultOptions():                    "neither gamma (0.5) nor grid (9)",
		plain(0.5):                               "neither gamma",
		{Memory: 9, Gamma: 0, Grid: bdia.NoGrid}: "memory mode",
		{Memory: bdia.Recompute, Gamma: 0, Grid: 9}: "neither gamma",
	} {
		_, err := model.NewViT(plan.New(64), two, opt)
		if again := two.ValidateMethod(opt); (err == nil) != (part == "") || err != nil && !strings.Contains(err.Error(), part) || (again == nil) != (err == nil) {
			t.Errorf("two streams with %+v: error %v (ValidateMethod: %v), want one with %q", opt, err, again, part)
		}
	}
}

// TestViTPresets counts the parameters of timm's vit_*_patch16_224, and of the
// CIFAR models.
func TestViTPresets(t *testing.T) {
	t.Parallel()
	want := map[string]int{"tiny": 349_738, "vit-paper": 9_532_938, "vit-ti": 5_717_416, "vit-s": 22_050_664, "vit-b": 86_567_656}
	if names := model.ViTPresets(); !slices.Equal(names, []string{"tiny", "vit-ti", "vit-s", "vit-paper", "vit-b"}) {
		t.Errorf("presets %v", names)
	}
	for _, name := range model.ViTPresets() {
		c, err := model.ViTPreset(name)
		if err != nil {
			t.Fatal(err)
		}
		m, err := model.NewViT(plan.New(64), c, bdia.DefaultOptions())
		if err != nil {
			t.Fatal(err)
		}
		n := 0
		for _, p := range m.Params() {
			n += p.Value.Len()
		}
		if n != want[name] {
			t.Errorf("%s has %d parameters, want %d", name, n, want[name])
		}
	}
	if _, err := model.ViTPreset("vit-x"); err == nil || !strings.Contains(err.Error(), "vit-s") {
		t.Errorf("error %v", err)
	}
}
