package convert

import (
	"errors"
	"io"
	"testing"

	"github.com/bdia-go/bdia"
	"github.com/bdia-go/bdia/backend/plan"
	"github.com/bdia-go/bdia/format/safetensors"
	"github.com/bdia-go/bdia/model"
	"github.com/bdia-go/bdia/nn"
)

// TestOwnBlocks: formats of other programs refuse a model with blocks that are not GPT-2's; weights are written under
// the blocks' own names.
func TestOwnBlocks(t *testing.T) {
	t.Parallel()
	be := plan.New(64)
	m, err := model.NewGPTWith(be, model.GPTConfig{Vocab: 5, Context: 4, Layers: 1, Width: 8}, bdia.DefaultOptions(), func(k int) bdia.Block {
		return nn.NewMLP(be, "own.", k, nn.BlockConfig{Width: 8, MLP: 8, Eps: 1e-5})
	})
	if err != nil {
		t.Fatal(err)
	}
	_, graph := GPTGraph(be, m, false)
	_, file := WriteGGUF(io.Discard, be, m, GGUFOptions{})
	for format, err := range map[string]error{"ONNX": graph, "GGUF": file} {
		if !errors.Is(err, ErrUnsupported) || !errors.Is(err, model.ErrAbility) {
			t.Errorf("%s: error %v", format, err)
		}
	}
	if err := WriteGPTAs(io.Discard, be, m, Form{}.All(safetensors.F32)); err != nil {
		t.Error(err)
	}
}
