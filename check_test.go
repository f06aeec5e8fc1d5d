package bdia_test

import (
	"errors"
	"fmt"
	"testing"

	"github.com/bdia-go/bdia"
	"github.com/bdia-go/bdia/backend"
	"github.com/bdia-go/bdia/backend/backendtest"
	"github.com/bdia-go/bdia/backend/cpu"
	"github.com/bdia-go/bdia/internal/rng"
	"github.com/bdia-go/bdia/model"
	"github.com/bdia-go/bdia/tensor"
)

// flipper turns over one bit of a tensor when a stack of GPT observes something for the nth time.
type flipper struct {
	be   backend.Backend
	key  rng.Key
	n    int
	then func(k int, x tensor.Tensor) tensor.Tensor // what to damage
}

func (f *flipper) observe(k int, x tensor.Tensor) {
	if f.n--; f.n != 0 {
		return
	}
	backendtest.Flip(f.be, f.then(k, x), f.key.Uint64(0))
}

// TestCheckFindsEveryFlip: a bit of a state, of what float32 rounds off it, or of the side information, that is turned over anywhere in a checked pass
// is found, in every memory mode that keeps or rebuilds it, and the error names a sample. A pass that is not checked
// finds nothing, and one that nothing disturbs is not blamed.
func TestCheckFindsEveryFlip(t *testing.T) {
	t.Parallel()
	const K, each = 6, 120
	for _, memory := range []bdia.Memory{bdia.Reversible, bdia.Store, bdia.Recompute} {
		for _, kind := range []string{"state", "rest", "side bit"} {
			if kind == "side bit" && memory != bdia.Reversible {
				continue
			}
			t.Run(fmt.Sprint(memory, " ", kind), func(t *testing.T) {
				t.Parallel()
				be := newCPU(t, cpu.Options{Threads: 1})
				c := small(K)
				c.model.Context = 8 // so that every bit of the side information is one of a state
				c.opt.Memory = memory
				m := newModel(t, be, c.model, c.opt)
				sink := newKeepAll(be, m.Trainable())
				b := newBatch(c.model, c.samples)
				step := func() error {
					_, err := m.MicroStep(b, trainPass, 1, sink)
					return err
				}
				m.SetCheck(true)
				if err := step(); err != nil {
					t.Fatal(err)
				}
				for i := range each {
					key := rng.Key{Seed: 5, Step: uint32(i)}
					f := &flipper{be: be, key: key}
					switch {
					case kind == "side bit": // when all of them are written
						f.n = K + 1
						f.then = func(int, tensor.Tensor) tensor.Tensor { return m.Stack.Side().Of(i % (K - 2)) }
					case kind == "rest" && memory != bdia.Reversible: // of a state that is of use in the forward pass only
						f.n = 1 + i%(K-1)
						f.then = func(k int, _ tensor.Tensor) tensor.Tensor { return m.Stack.Rest(k) }
					case memory == bdia.Reversible: // whatever state has just been computed or rebuilt, but x_K
						f.n = 1 + i%(K+K-2)
						if f.n > K {
							f.n++
						}
						f.then = func(k int, x tensor.Tensor) tensor.Tensor {
							if kind == "rest" {
								return m.Stack.Rest(k)
							}
							return x
						}
					default: // a kept state, at the end of the forward pass
						kept := map[int]tensor.Tensor{}
						f.n = -1
						m.Stack.Observe = func(k int, x tensor.Tensor) {
							if kept[k] = x; k == K {
								f.n = 1
								f.then = func(int, tensor.Tensor) tensor.Tensor { return kept[i%K] }
								f.observe(k, x)
							}
						}
					}
					if f.n > 0 {
						m.Stack.Observe = f.observe
					}
					err := step()
					var found *bdia.CorruptionError
					switch {
					case errors.Is(err, bdia.ErrRange), errors.Is(err, model.ErrDiverged): // the flip made it large: found too
					case !errors.As(err, &found) || !errors.Is(err, bdia.ErrCorrupt):
						t.Errorf("flip %d: %v", i, err)
					case found.Step != trainPass.Step || found.Sample < trainPass.Sample || found.Sample >= trainPass.Sample+c.samples || found.Block < 0 || found.Block >= K:
						t.Errorf("flip %d: %+v", i, found)
					}
				}
				m.Stack.Observe = nil
				if err := step(); err != nil {
					t.Errorf("without a flip: %v", err)
				}
			})
		}
	}
}
