package generate

import (
	"errors"
	"fmt"
	"slices"
	"testing"

	"github.com/bdia-go/bdia"
	"github.com/bdia-go/bdia/backend"
	"github.com/bdia-go/bdia/backend/cpu"
	"github.com/bdia-go/bdia/backend/plan"
	"github.com/bdia-go/bdia/model"
	"github.com/bdia-go/bdia/nn"
)

// mlpModel returns a model with blocks that are an MLP alone, and so have no cache.
func mlpModel(t *testing.T, be backend.Backend) *model.GPT {
	t.Helper()
	m, err := model.NewGPTWith(be, model.GPTConfig{Vocab: 12, Context: 6, Layers: 2, Width: 16}, bdia.DefaultOptions(), func(k int) bdia.Block {
		return nn.NewMLP(be, fmt.Sprintf("mlp.%d.", k), k, nn.BlockConfig{Width: 16, MLP: 24, Eps: 1e-5})
	})
	if err != nil {
		t.Fatal(err)
	}
	return m
}

// TestBlocksWithoutCache: texts of a model with blocks that have no cache are generated without one, beam search says
// that it needs one, and the plan holds.
func TestBlocksWithoutCache(t *testing.T) {
	t.Parallel()
	o := DefaultOptions()
	o.MaxTokens, o.Temperature = 9, 0
	prompt := []int32{3, 1}
	planned := plan.New(cpu.ScratchBytes(1))
	if err := Rehearse(mlpModel(t, planned), len(prompt), o); err != nil {
		t.Fatal(err)
	}
	be := newCPU(t, planned.Peak().Total)
	m := mlpModel(t, be)
	m.Init(4)
	for _, p := range m.Params() {
		if p.Decay {
			be.Scale(p.Value, 8)
		}
	}
	got := tokens(t, m, prompt, o)
	text := slices.Clone(prompt)
	for range o.MaxTokens {
		l := logits(m, text)
		text = append(text, int32(slices.Index(l, slices.Max(l))))
	}
	if want := text[len(prompt):]; !slices.Equal(got, want) {
		t.Errorf("generated %v, want %v", got, want)
	}
	search := SearchOptions{Beam: 2}
	if err := RehearseBeam(m, 1, 2, 3, search, bdia.DefaultGrid); !errors.Is(err, model.ErrAbility) {
		t.Errorf("beam search: error %v", err)
	}
}
