package bdia_test

import (
	"fmt"
	"testing"

	"github.com/bdia-go/bdia"
	"github.com/bdia-go/bdia/internal/cpufeat"
	"github.com/bdia-go/bdia/model"
)

// TestMemoryModesAgree: the reversible walk gives every state back, and the
// gradients of stored and of recomputed activations, bit for bit.
func TestMemoryModesAgree(t *testing.T) {
	t.Parallel()
	for _, gamma := range []bdia.Gamma{0.5, 0.25, 0.125} {
		for _, K := range []int{1, 2, 3, 4, 5, 48} {
			t.Run(fmt.Sprintf("gamma %v/K %d", gamma, K), func(t *testing.T) {
				t.Parallel()
				c := small(K)
				c.opt.Gamma = gamma
				want := c.run(t)
				want.lively(t)
				for _, memory := range []bdia.Memory{bdia.Store, bdia.Recompute} {
					c.opt.Memory = memory
					c.run(t).equal(t, want)
				}
			})
		}
	}
	for _, f := range model.Families() {
		t.Run(string(f), func(t *testing.T) {
			t.Parallel()
			c := small(5)
			c.family(f)
			want := c.run(t)
			want.lively(t)
			for _, memory := range []bdia.Memory{bdia.Store, bdia.Recompute} {
				c.opt.Memory = memory
				c.run(t).equal(t, want)
			}
			c.parts = []int{1, 2}
			c.run(t).equal(t, want)
		})
	}
}

// TestOptionsWithoutReversal: what only Store and Recompute can do, they do alike.
func TestOptionsWithoutReversal(t *testing.T) {
	t.Parallel()
	for _, opt := range []bdia.Options{{Gamma: 0, Grid: bdia.NoGrid}, {Gamma: 0, Grid: 9}, {Gamma: 0.6, Grid: bdia.NoGrid},
		{Gamma: 0.6, Grid: 9}, {Gamma: 0.5, Grid: bdia.NoGrid}, {Gamma: 0.5, Grid: 0}, {Gamma: 0.5, Grid: 15}} {
		t.Run(fmt.Sprintf("gamma %v grid %v", opt.Gamma, opt.Grid), func(t *testing.T) {
			t.Parallel()
			c := small(5)
			c.opt = opt
			c.opt.Memory = bdia.Store
			want := c.run(t)
			c.opt.Memory = bdia.Recompute
			c.run(t).equal(t, want)
		})
	}
}

// TestOddSizes: samples whose side information ends within a byte, or a vector.
func TestOddSizes(t *testing.T) {
	t.Parallel()
	for _, s := range []struct{ T, H, D int }{{1, 1, 1}, {1, 1, 3}, {7, 3, 12}, {3, 1, 11}, {5, 5, 1}, {9, 1, 7}, {67, 2, 8}} {
		for _, gamma := range []bdia.Gamma{0.5, 0.25} {
			t.Run(fmt.Sprintf("%+v gamma %v", s, gamma), func(t *testing.T) {
				t.Parallel()
				c := small(6)
				c.model.Context, c.model.Heads, c.model.Width = s.T, s.H, s.H*s.D
				c.opt.Gamma = gamma
				want := c.run(t)
				c.opt.Memory = bdia.Store
				c.run(t).equal(t, want)
			})
		}
	}
}

// TestPathsAgree: instruction sets and numbers of threads change no bit.
func TestPathsAgree(t *testing.T) {
	t.Parallel()
	for name, change := range map[string]func(c *trial){
		"small": func(*trial) {},
		"odd": func(c *trial) {
			c.model.Context, c.model.Heads, c.model.Width, c.model.MLP, c.model.Vocab = 7, 3, 36, 0, 65
		},
		"deep":    func(c *trial) { c.model.Layers = 48 },
		"llama":   func(c *trial) { c.family(model.Llama) },
		"qwen2":   func(c *trial) { c.family(model.Qwen2) },
		"qwen3":   func(c *trial) { c.family(model.Qwen3) },
		"mistral": func(c *trial) { c.family(model.Mistral) },
		"granite": func(c *trial) { c.family(model.Granite) },
		"olmo2":   func(c *trial) { c.family(model.OLMo2) },
		"no bias, erf": func(c *trial) {
			c.model.NoBias, c.model.Untied, c.model.GELU = true, true, 1
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c := small(4)
			change(&c)
			want := c.run(t)
			for _, level := range cpufeat.Supported() {
				for _, threads := range []int{1, 2, 3} {
					if level == cpufeat.Portable && threads != 3 {
						continue
					}
					c.isa, c.threads = level.String(), threads
					c.run(t).equal(t, want)
				}
			}
		})
	}
}

// TestMicroBatchesAgree: gradients over a batch do not depend on how its samples
// are split into micro-batches.
func TestMicroBatchesAgree(t *testing.T) {
	t.Parallel()
	for _, memory := range []bdia.Memory{bdia.Reversible, bdia.Store} {
		for _, untied := range []bool{true, false} {
			t.Run(fmt.Sprintf("%v/untied %v", memory, untied), func(t *testing.T) {
				t.Parallel()
				c := small(4)
				c.samples, c.opt.Memory, c.model.Untied = 5, memory, untied
				want := c.run(t)
				for _, parts := range [][]int{{1, 1, 1, 1, 1}, {2, 3}, {4, 1}} {
					c.parts = parts
					c.run(t).equal(t, want)
				}
			})
		}
	}
}

// TestAdaptersAgree: adapters, dropout before them included, change none of the
// promises: memory modes, instruction sets, threads and micro-batches give the
// same bits.
func TestAdaptersAgree(t *testing.T) {
	t.Parallel()
	all := model.LoRAConfig{Rank: 3, Alpha: 5, Dropout: 0.2, Targets: model.Targets{"all"}}
	for _, lora := range []struct {
		model.Family
		model.LoRAConfig
	}{{model.GPT2, all}, {model.GPT2, model.LoRAConfig{Rank: 1, Alpha: 1, Targets: model.Targets{"qkv", "fc2"}}},
		{model.Llama, all}, {model.Qwen3, all}, {model.Granite, all}, {model.OLMo2, all}, {model.Mistral, model.LoRAConfig{Rank: 1, Alpha: 1, Targets: model.Targets{"v_proj", "up_proj"}}}} {
		for _, freeze := range []int{0, 2} {
			t.Run(fmt.Sprintf("%+v/frozen %d", lora, freeze), func(t *testing.T) {
				t.Parallel()
				c, lora, family := small(5), lora.LoRAConfig, lora.Family
				if family != model.GPT2 {
					c.family(family)
				}
				c.samples, c.lora, c.freeze = 4, lora, freeze
				want := c.run(t)
				want.lively(t)
				if n := len(want.grads); n != (5-freeze)*2*len(lora.Targets.Layers(c.model)) {
					t.Errorf("%d tensors learn", n)
				}
				for _, memory := range []bdia.Memory{bdia.Store, bdia.Recompute} {
					other := c
					other.opt.Memory = memory
					other.run(t).equal(t, want)
				}
				for _, level := range cpufeat.Supported() {
					other := c
					other.isa, other.threads = level.String(), 2
					other.run(t).equal(t, want)
				}
				c.parts = []int{1, 3}
				c.run(t).equal(t, want)
			})
		}
	}
}

// TestFrozenBlocks: the gradients of what learns are those of the run in which
// everything does, in every memory mode.
func TestFrozenBlocks(t *testing.T) {
	t.Parallel()
	for _, K := range []int{1, 2, 3, 6} {
		for _, opt := range []bdia.Options{bdia.DefaultOptions(), {Gamma: 0.25, Grid: 9}, {Memory: bdia.Store, Gamma: 0, Grid: bdia.NoGrid},
			{Memory: bdia.Store, Gamma: 0.6, Grid: 9}, {Memory: bdia.Store, Gamma: 0, Grid: 9}} {
			t.Run(fmt.Sprintf("K %d/%+v", K, opt), func(t *testing.T) {
				t.Parallel()
				c := small(K)
				c.opt, c.model.Untied = opt, true
				full := c.run(t)
				for c.freeze = 1; c.freeze <= K; c.freeze++ {
					for _, memory := range []bdia.Memory{opt.Memory, bdia.Store, bdia.Recompute} {
						c.opt.Memory = memory
						got := c.run(t)
						got.lively(t)
						full.equal(t, got)
						if want := 12*(K-c.freeze) + 3; len(got.grads) != want {
							t.Errorf("%d tensors learn, want %d", len(got.grads), want)
						}
					}
				}
			})
		}
	}
}
