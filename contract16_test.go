package bdia_test

import (
	"fmt"
	"math"
	"testing"

	"github.com/bdia-go/bdia"
	"github.com/bdia-go/bdia/backend"
	"github.com/bdia-go/bdia/internal/cpufeat"
	"github.com/bdia-go/bdia/model"
)

// near fails unless gradients of products in bfloat16 point where those in float32 do.
func (a outcome) near(t *testing.T, b outcome) {
	t.Helper()
	if math.Abs(a.loss-b.loss) > 0.05*math.Abs(b.loss) {
		t.Errorf("loss %v, in float32 %v", a.loss, b.loss)
	}
	for name, x := range a.grads {
		var xy, xx, yy float64
		for i, v := range x {
			w := b.grads[name][i]
			xy, xx, yy = xy+float64(v)*float64(w), xx+float64(v)*float64(v), yy+float64(w)*float64(w)
		}
		if cos := xy / math.Sqrt(xx*yy); !(cos > 0.98) || math.Abs(math.Log(xx/yy)) > 0.3 {
			t.Errorf("the gradient of %s has cosine %.4f with float32's, and %.3f times its length", name, cos, math.Sqrt(xx/yy))
		}
	}
}

// TestBFloat16Contract: with products in bfloat16 the promises are those of float32: memory modes, instruction sets,
// threads and micro-batches of whole samples change no bit.
func TestBFloat16Contract(t *testing.T) {
	t.Parallel()
	cases := map[string]func(c *trial){
		"gpt2":                 func(*trial) {},
		"long":                 func(c *trial) { c.model.Context = 70; c.model.Layers = 2 },
		"no bias, erf, untied": func(c *trial) { c.model.NoBias, c.model.Untied, c.model.GELU = true, true, backend.GELUErf },
		"lora": func(c *trial) {
			c.family(model.Llama)
			c.lora, c.freeze = model.LoRAConfig{Rank: 3, Alpha: 5, Dropout: 0.2, Targets: model.Targets{"all"}}, 1
		},
		"lora of gpt2": func(c *trial) { c.lora = model.LoRAConfig{Rank: 3, Alpha: 5, Targets: model.Targets{"all"}} },
	}
	for _, f := range model.Families() {
		cases[string(f)] = func(c *trial) { c.family(f) }
	}
	for name, change := range cases {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c := small(3)
			change(&c)
			float32s := c.run(t)
			c.precision = backend.BFloat16
			want := c.run(t)
			want.lively(t)
			want.near(t, float32s)
			for _, memory := range []bdia.Memory{bdia.Store, bdia.Recompute} {
				c := c
				c.opt.Memory = memory
				c.run(t).equal(t, want)
			}
			for _, level := range cpufeat.SupportedBF16() {
				c := c
				c.isa, c.threads = level.String(), 2
				c.run(t).equal(t, want)
			}
			for _, parts := range [][]int{{1, 1, 1}, {1, 2}} {
				c := c
				c.parts, c.threads = parts, 3
				c.run(t).equal(t, want)
			}
		})
	}
}

// TestBFloat16Images and TestBFloat16Pairs: the same of a vision transformer and of an encoder-decoder.
func TestBFloat16Images(t *testing.T) {
	t.Parallel()
	for _, mean := range []bool{false, true} {
		t.Run(fmt.Sprintf("mean %v", mean), func(t *testing.T) {
			t.Parallel()
			c := smallViT(3)
			c.model.MeanPool = mean
			float32s := c.run(t)
			c.precision = backend.BFloat16
			want := c.run(t)
			want.near(t, float32s)
			c.opt.Memory, c.threads = bdia.Store, 2
			c.run(t).equal(t, want)
			c.parts = []int{1, 2, 4}
			c.run(t).equal(t, want)
			for _, level := range cpufeat.SupportedBF16() {
				c.isa = level.String()
				c.run(t).equal(t, want)
			}
		})
	}
}

func TestBFloat16Pairs(t *testing.T) {
	t.Parallel()
	c := smallPairs(3, 2)
	float32s := c.run(t)
	c.precision = backend.BFloat16
	want := c.run(t)
	want.near(t, float32s)
	c.opt.Memory, c.threads = bdia.Store, 2
	c.run(t).equal(t, want)
	c.parts = []int{1, 2}
	c.run(t).equal(t, want)
	for _, level := range cpufeat.SupportedBF16() {
		c.isa = level.String()
		c.run(t).equal(t, want)
	}
}
