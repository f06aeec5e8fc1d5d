package bdia_test

import (
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"math"
	"testing"

	"github.com/bdia-go/bdia"
	"github.com/bdia-go/bdia/backend"
	"github.com/bdia-go/bdia/backend/cpu"
	"github.com/bdia-go/bdia/backend/plan"
	"github.com/bdia-go/bdia/internal/testkit"
	"github.com/bdia-go/bdia/nn"
	"github.com/bdia-go/bdia/tensor"
)

// repeat returns a stack that uses one block K times: memory and arithmetic of K
// blocks with the weights of one.
func repeat(t *testing.T, be backend.Backend, K int, cfg nn.BlockConfig, opt bdia.Options) (*bdia.Stack, *nn.Block) {
	t.Helper()
	block := nn.NewBlock(be, "block.", 0, cfg)
	for i, p := range block.Params() {
		nn.Normal(be, p, 0.05, 3, i)
	}
	blocks := make([]bdia.Block, K)
	for k := range blocks {
		blocks[k] = block
	}
	s, err := bdia.NewStack(be, blocks, opt)
	if err != nil {
		t.Fatal(err)
	}
	return s, block
}

// usage returns what one step of a stack of K blocks, the first frozen ones of
// which do not learn, keeps as planned.
func usage(t *testing.T, K, frozen int, shape tensor.Shape, opt bdia.Options) backend.Usage {
	t.Helper()
	be := plan.New(64)
	s, _ := repeat(t, be, K, nn.BlockConfig{Width: shape[2], Heads: 1, MLP: 4 * shape[2], Causal: true, Bias: true}, opt)
	s.Frozen = frozen
	s.Begin(shape, trainPass)
	if _, err := s.Forward(); err != nil {
		t.Fatal(err)
	}
	s.Reverse(&keepAll{})
	return be.Peak()
}

// TestOneBitPerBlock: each further block costs the side information of one
// state, log2(1/gamma) bits per activation, and nothing else.
func TestOneBitPerBlock(t *testing.T) {
	t.Parallel()
	shape := tensor.Shape{2, 16, 64} // 256 bytes of bits: no rounding up in the arena
	activations := int64(shape.Len())
	for gamma, planes := range map[bdia.Gamma]int64{0.5: 1, 0.25: 2, 0.125: 3} {
		opt := bdia.Options{Gamma: gamma, Grid: 9}
		for _, K := range []int{3, 12, 1000} {
			a, b := usage(t, K, 0, shape, opt), usage(t, K+1, 0, shape, opt)
			// gammas and guards are a few bytes for each sample and block
			a.Total -= a.ByComponent[backend.Data]
			b.Total -= b.ByComponent[backend.Data]
			if got, want := 8*(b.Total-a.Total), planes*activations; got != want {
				t.Errorf("gamma %v: block %d adds %d bits, want %d", gamma, K+1, got, want)
			}
			if got, want := b.ByComponent[backend.SideBits]*8, int64(K-1)*planes*activations; got != want {
				t.Errorf("gamma %v: %d blocks keep %d bits of side information, want %d", gamma, K+1, got, want)
			}
			if got, want := b.ByComponent[backend.States], (3*4+2)*activations; got != want {
				t.Errorf("gamma %v: %d blocks keep %d bytes of states, want %d", gamma, K+1, got, want)
			}
		}
	}
	for _, memory := range []bdia.Memory{bdia.Store, bdia.Recompute} {
		u := usage(t, 12, 0, shape, bdia.Options{Memory: memory, Gamma: 0.5, Grid: 9})
		if got := u.ByComponent[backend.States]; got != (13*4+2)*activations || u.ByComponent[backend.SideBits] != 0 {
			t.Errorf("%v keeps %d bytes of states and %d of bits", memory, got, u.ByComponent[backend.SideBits])
		}
	}
}

// TestFrozenBlocksKeepNothing: a block less that learns saves what there was for
// its reverse walk, down to the states that alternate on the way forward.
func TestFrozenBlocksKeepNothing(t *testing.T) {
	t.Parallel()
	shape := tensor.Shape{2, 16, 64}
	state := int64(4 * shape.Len())
	const K = 12
	var above backend.Usage
	for frozen := K; frozen >= 0; frozen-- {
		kept := max(0, K-2-frozen)
		u := usage(t, K, frozen, shape, bdia.DefaultOptions())
		if got, want := u.ByComponent[backend.SideBits], int64(kept)*state/32; got != want {
			t.Errorf("%d frozen: %d bytes of side information, want %d", frozen, got, want)
		}
		if want := min(3, int64(2+K-1-min(frozen, K-1)))*state + state/2; u.ByComponent[backend.States] != want {
			t.Errorf("%d frozen: %d bytes of states, want %d", frozen, u.ByComponent[backend.States], want)
		}
		for _, memory := range []bdia.Memory{bdia.Store, bdia.Recompute} {
			u := usage(t, K, frozen, shape, bdia.Options{Memory: memory, Gamma: 0.5, Grid: 9})
			if want := int64(K+1-frozen+min(2, frozen))*state + state/2; u.ByComponent[backend.States] != want {
				t.Errorf("%v, %d frozen: %d bytes of states, want %d", memory, frozen, u.ByComponent[backend.States], want)
			}
			if memory == bdia.Store && frozen < K-1 && !(u.Total > above.Total+8*state) {
				t.Errorf("%d frozen: %d bytes in all, with one more %d", frozen, u.Total, above.Total)
			}
			if memory == bdia.Store {
				above = u
			}
		}
	}
}

// TestSideInformation: K-2 states have some, of the right size, less those below
// the blocks that learn.
func TestSideInformation(t *testing.T) {
	t.Parallel()
	for _, K := range []int{1, 2, 3, 6} {
		for frozen := range K + 1 {
			be := plan.New(64)
			s, _ := repeat(t, be, K, nn.BlockConfig{Width: 7, Heads: 1, MLP: 8}, bdia.Options{Gamma: 0.25, Grid: 9})
			s.Frozen = frozen
			s.Begin(tensor.Shape{3, 5, 7}, trainPass)
			for k := -1; k < K+2; k++ {
				side := s.Side().Of(k)
				if want := k >= frozen && k < K-2; side.Valid() != want {
					t.Errorf("K %d, %d frozen: state x_%d has side information %v: %v", K, frozen, k, side.Shape, side.Valid())
				} else if want && (side.Shape != tensor.Shape{2, 3, 5} || side.DType != tensor.U8) {
					t.Errorf("K %d: side information of x_%d is %v of type %d", K, k, side.Shape, side.DType)
				}
			}
		}
	}
}

// TestThousandBlocks runs 1000 blocks of width 64: every state comes back bit for
// bit, and the gradients are those of the run that kept all 1001 states.
func TestThousandBlocks(t *testing.T) {
	t.Parallel()
	if testing.Short() {
		t.Skip("some GFLOP")
	}
	const K = 1000
	shape := tensor.Shape{2, 5, 64}
	cfg := nn.BlockConfig{Width: 64, Heads: 4, MLP: 256, Causal: true, Bias: true, Eps: 1e-5, ResidualDropout: 0.1}
	var want map[string][]float32
	for _, memory := range []bdia.Memory{bdia.Recompute, bdia.Reversible} {
		be := newCPU(t, cpu.Options{Threads: 2})
		opt := bdia.DefaultOptions()
		opt.Memory = memory
		s, block := repeat(t, be, K, cfg, opt)
		newKeepAll(be, block.Params())
		var up [][32]byte
		back := 0
		s.Observe = func(k int, x tensor.Tensor) {
			sum := digest(read(be, x))
			if k == len(up) {
				up = append(up, sum)
				return
			}
			back++
			if up[k] != sum {
				t.Errorf("x_%d came back with other bits", k)
			}
		}
		x := s.Begin(shape, trainPass)
		nn.Normal(be, &tensor.Param{Value: x}, 1, 4, 0)
		xK, err := s.Forward()
		if err != nil {
			t.Fatal(err)
		}
		be.Copy(s.Grad(), xK)
		s.Reverse(&keepAll{})
		grads := map[string][]float32{"x_0": read(be, s.Grad())}
		for _, p := range block.Params() {
			grads[p.Name] = read(be, p.Grad)
		}
		if want == nil {
			want = grads
			continue
		}
		if back != K-2 {
			t.Errorf("%d states came back, want %d", back, K-2)
		}
		for name, g := range want {
			testkit.EqualBits(t, "gradient of "+name, grads[name], g)
		}
	}
}

func digest(x []float32) [32]byte {
	var b []byte
	for _, v := range x {
		b = binary.LittleEndian.AppendUint32(b, math.Float32bits(v))
	}
	return sha256.Sum256(b)
}

// TestInference: the stack without training is the ordinary transformer, state
// by state the same as a training pass with gamma 0.
func TestInference(t *testing.T) {
	t.Parallel()
	for _, grid := range []bdia.Grid{9, bdia.NoGrid} {
		be := newCPU(t, cpu.Options{Threads: 1})
		cfg := nn.BlockConfig{Width: 12, Heads: 3, MLP: 20, Causal: true, Bias: true, Eps: 1e-5, ResidualDropout: 0.5, AttentionDropout: 0.5}
		s, _ := repeat(t, be, 5, cfg, bdia.Options{Memory: bdia.Store, Gamma: 0, Grid: grid})
		x := s.Begin(tensor.Shape{2, 3, 12}, backend.Pass{})
		nn.Normal(be, &tensor.Param{Value: x}, 1, 4, 0)
		y := be.Alloc(backend.States, tensor.F32, x.Shape)
		be.Copy(y, x)
		var states [][]float32
		s.Observe = func(k int, x tensor.Tensor) { states = append(states, read(be, x)) }
		if _, err := s.Forward(); err != nil {
			t.Fatal(err)
		}
		s.Observe = func(k int, x tensor.Tensor) {
			testkit.EqualBits(t, fmt.Sprintf("grid %v: x_%d", grid, k), read(be, x), states[k])
		}
		mark := be.Mark()
		s.Infer(y, grid, 0)
		if be.Mark() != mark {
			t.Error("Infer left memory allocated")
		}
		testkit.EqualBits(t, "x_K", read(be, y), states[5])
	}
}
