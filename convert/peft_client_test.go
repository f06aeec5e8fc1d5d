//go:build clients

package convert

import (
	"bytes"
	"io"
	"math"
	"os"
	"path/filepath"
	"testing"

	"github.com/bdia-go/bdia"
	"github.com/bdia-go/bdia/internal/testkit"
	"github.com/bdia-go/bdia/model"
	"github.com/bdia-go/bdia/nn"
)

// TestClientAdapter: PyTorch computes our logits from a model and its adapters in
// PEFT's files, before and after they are merged here.
func TestClientAdapter(t *testing.T) {
	gpt2 := model.GPTConfig{Vocab: 31, Context: 12, Layers: 3, Heads: 4, Width: 24}
	qwen := model.GPTConfig{Family: model.Qwen3, Vocab: 31, Context: 12, Layers: 3, Heads: 4, KVHeads: 2, HeadWidth: 8, Width: 24, MLP: 40, Eps: 1e-6, Rope: model.Rope{Theta: 1e4}}
	for _, tc := range []struct {
		c      model.GPTConfig
		frozen int
		lora   model.LoRAConfig
	}{
		{qwen, 0, model.LoRAConfig{Rank: 3, Alpha: 6, Targets: model.Targets{"all"}}},
		{qwen, 1, model.LoRAConfig{Rank: 2, Alpha: 3, Targets: model.Targets{"q_proj", "v_proj", "down_proj"}}},
		{gpt2, 0, model.LoRAConfig{Rank: 3, Alpha: 6, Targets: model.Targets{"all"}}}, {gpt2, 0, model.LoRAConfig{Rank: 1, Alpha: 2, Targets: model.Targets{"qkv"}}},
		{gpt2, 2, model.LoRAConfig{Rank: 4, Alpha: 3, Targets: model.Targets{"proj"}}}, {gpt2, 1, model.LoRAConfig{Rank: 2, Alpha: 2, Targets: model.Targets{"fc2"}}},
	} {
		be, m := newModel(t, tc.c)
		if tc.frozen > 0 {
			if err := m.Freeze(tc.frozen); err != nil {
				t.Fatal(err)
			}
		}
		if err := m.AddLoRA(tc.lora); err != nil {
			t.Fatal(err)
		}
		for i, p := range append(m.Params(), m.Adapters()...) {
			nn.Normal(be, p, 0.3, 5, i)
		}
		dir := t.TempDir()
		for name, write := range map[string]func(w io.Writer) error{
			"config.json":               func(w io.Writer) error { return WriteGPTConfig(w, m.Config) },
			"model.safetensors":         func(w io.Writer) error { return WriteGPT(w, be, m) },
			"adapter_config.json":       func(w io.Writer) error { return WriteAdapterConfig(w, m, dir) },
			"adapter_model.safetensors": func(w io.Writer) error { return WriteAdapter(w, be, m) },
		} {
			var b bytes.Buffer
			if err := write(&b); err != nil {
				t.Fatal(err)
			}
			if err := os.WriteFile(filepath.Join(dir, name), b.Bytes(), 0o666); err != nil {
				t.Fatal(err)
			}
		}
		ids := []int32{3, 1, 4, 1, 5, 9, 2, 6, 5, 30, 0}
		var want []float64
		testkit.Python(t, filepath.Join("testdata", "peft.py"), map[string]any{"dir": dir, "ids": ids}, &want)
		for _, merged := range []bool{false, true} {
			if merged {
				m.MergeLoRA()
			}
			got := make([]float32, len(ids)*m.Config.Vocab)
			testkit.OK(t, m.Logits(got, model.Batch{Size: 1, Inputs: ids}, bdia.NoGrid))
			largest := 0.0
			for i := range got {
				largest = max(largest, math.Abs(float64(got[i])-want[i]))
			}
			t.Logf("%+v: logits are at most %.2g off", tc.lora, largest)
			if !(largest < 1e-4) || len(want) != len(got) {
				t.Errorf("%+v, merged %v: %d logits of PyTorch are at most %v off %d of ours", tc.lora, merged, len(want), largest, len(got))
			}
		}
	}
}
