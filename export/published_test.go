package export

import (
	"bytes"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/bdia-go/bdia/backend"
	"github.com/bdia-go/bdia/convert"
	"github.com/bdia-go/bdia/format/safetensors"
	"github.com/bdia-go/bdia/hub"
	"github.com/bdia-go/bdia/internal/testkit"
	"github.com/bdia-go/bdia/model"
	"github.com/bdia-go/bdia/tensor"
)

// published are config.json files as they are published, of smaller sizes, and the tensors of their models: shapes by
// names, and our name of those that other families call otherwise.
var published = map[string]struct {
	config  string
	want    model.GPTConfig
	tensors map[string][]int
	ours    map[string]string
}{
	"granite": {`{
  "architectures": [
    "GraniteForCausalLM"
  ],
  "attention_bias": false,
  "attention_dropout": 0.0,
  "attention_multiplier": 0.015625,
  "bos_token_id": 0,
  "embedding_multiplier": 12.0,
  "eos_token_id": 0,
  "hidden_act": "silu",
  "hidden_size": 24,
  "initializer_range": 0.02,
  "intermediate_size": 40,
  "logits_scaling": 8.0,
  "max_position_embeddings": 16,
  "mlp_bias": false,
  "model_type": "granite",
  "num_attention_heads": 4,
  "num_hidden_layers": 1,
  "num_key_value_heads": 2,
  "pad_token_id": 0,
  "residual_multiplier": 0.22,
  "rms_norm_eps": 1e-05,
  "rope_scaling": null,
  "rope_theta": 10000000.0,
  "tie_word_embeddings": true,
  "torch_dtype": "bfloat16",
  "transformers_version": "4.49.0",
  "use_cache": true,
  "vocab_size": 50
}
`, model.GPTConfig{Family: model.Granite, Vocab: 50, Context: 16, Layers: 1, Heads: 4, KVHeads: 2, Width: 24, MLP: 40, Eps: 1e-5, Rope: model.Rope{Theta: 1e7},
		EmbeddingScale: 12, AttentionScale: 0.015625, BranchScale: 0.22, LogitsDivisor: 8},
		map[string][]int{"model.embed_tokens.weight": {50, 24}, "model.norm.weight": {24},
			"model.layers.0.input_layernorm.weight": {24}, "model.layers.0.post_attention_layernorm.weight": {24},
			"model.layers.0.self_attn.q_proj.weight": {24, 24}, "model.layers.0.self_attn.k_proj.weight": {12, 24}, "model.layers.0.self_attn.v_proj.weight": {12, 24},
			"model.layers.0.self_attn.o_proj.weight": {24, 24}, "model.layers.0.mlp.gate_proj.weight": {40, 24}, "model.layers.0.mlp.up_proj.weight": {40, 24},
			"model.layers.0.mlp.down_proj.weight": {24, 40}},
		map[string]string{"model.layers.0.input_layernorm.weight": "blocks.0.ln1.weight", "model.layers.0.post_attention_layernorm.weight": "blocks.0.ln2.weight"},
	},
	"olmo2": {`{
  "architectures": [
    "Olmo2ForCausalLM"
  ],
  "attention_bias": false,
  "attention_dropout": 0.0,
  "eos_token_id": 48,
  "hidden_act": "silu",
  "hidden_size": 24,
  "initializer_range": 0.02,
  "intermediate_size": 40,
  "max_position_embeddings": 16,
  "model_type": "olmo2",
  "num_attention_heads": 4,
  "num_hidden_layers": 1,
  "num_key_value_heads": 2,
  "pad_token_id": 49,
  "rms_norm_eps": 1e-06,
  "rope_scaling": null,
  "rope_theta": 500000,
  "tie_word_embeddings": false,
  "torch_dtype": "bfloat16",
  "transformers_version": "4.47.0",
  "use_cache": true,
  "vocab_size": 50
}
`, model.GPTConfig{Family: model.OLMo2, Vocab: 50, Context: 16, Layers: 1, Heads: 4, KVHeads: 2, Width: 24, MLP: 40, Eps: 1e-6, Untied: true, Rope: model.Rope{Theta: 5e5}},
		map[string][]int{"model.embed_tokens.weight": {50, 24}, "model.norm.weight": {24}, "lm_head.weight": {50, 24},
			"model.layers.0.post_attention_layernorm.weight": {24}, "model.layers.0.post_feedforward_layernorm.weight": {24},
			"model.layers.0.self_attn.q_norm.weight": {24}, "model.layers.0.self_attn.k_norm.weight": {12},
			"model.layers.0.self_attn.q_proj.weight": {24, 24}, "model.layers.0.self_attn.k_proj.weight": {12, 24}, "model.layers.0.self_attn.v_proj.weight": {12, 24},
			"model.layers.0.self_attn.o_proj.weight": {24, 24}, "model.layers.0.mlp.gate_proj.weight": {40, 24}, "model.layers.0.mlp.up_proj.weight": {40, 24},
			"model.layers.0.mlp.down_proj.weight": {24, 40}},
		map[string]string{"model.layers.0.post_attention_layernorm.weight": "blocks.0.ln1.weight", "model.layers.0.post_feedforward_layernorm.weight": "blocks.0.ln2.weight",
			"model.layers.0.self_attn.q_norm.weight": "blocks.0.attn.qnorm.weight", "model.layers.0.self_attn.k_norm.weight": "blocks.0.attn.knorm.weight"},
	},
}

// TestPublishedFolders: a Granite's and an OLMo2's folder are what their config.json says, and exported they have the same
// config.json and tensors, byte for byte. Without the file that they were read from, what is written says the same.
func TestPublishedFolders(t *testing.T) {
	t.Parallel()
	for name, of := range published {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			from, to := t.TempDir(), filepath.Join(t.TempDir(), "to")
			testkit.OK(t, os.WriteFile(filepath.Join(from, "config.json"), []byte(of.config), 0o666))
			writeTensors(t, filepath.Join(from, "model.safetensors"), of.tensors)
			f, err := hub.Open(from, hub.Options{WithoutText: true})
			testkit.OK(t, err)
			if c := f.GPTInfo.Config; c != of.want {
				t.Errorf("the configuration is %+v,\nwant %+v", c, of.want)
			}
			device := backend.Options{Threads: 1}
			_, err = Write(t.Context(), f, RandomSample(f), Options{Format: "hf", Out: to, Device: device})
			testkit.OK(t, err)
			if got, err := os.ReadFile(filepath.Join(to, "config.json")); err != nil || string(got) != of.config {
				t.Errorf("%v: config.json is\n%s", err, got)
			}
			sameTensors(t, filepath.Join(to, "model.safetensors"), filepath.Join(from, "model.safetensors"))

			file, err := safetensors.Open(filepath.Join(from, "model.safetensors"))
			testkit.OK(t, err)
			defer file.Close()
			m, err := f.GPT(device)
			testkit.OK(t, err)
			defer m.Close()
			for theirs, ours := range of.ours {
				p := m.Params()[slices.IndexFunc(m.Params(), func(p *tensor.Param) bool { return p.Name == ours })]
				got, want := make([]float32, p.Value.Len()), make([]float32, p.Value.Len())
				m.Device.Download(got, p.Value)
				testkit.OK(t, file.ReadFloat32(theirs, want))
				testkit.EqualBits(t, theirs, got, want)
			}

			var text bytes.Buffer
			info := f.GPTInfo
			info.Source = nil
			testkit.OK(t, convert.WriteGPTInfo(&text, info))
			testkit.OK(t, os.WriteFile(filepath.Join(to, "config.json"), text.Bytes(), 0o666))
			if c, err := convert.ReadGPTConfig(filepath.Join(to, "config.json")); err != nil || c != of.want {
				t.Errorf("what is written anew is %+v, %v", c, err)
			}
			if scaled := strings.Contains(text.String(), `"embedding_multiplier": 12.0`); scaled != (name == "granite") {
				t.Errorf("written anew:\n%s", text.String())
			}
		})
	}
}

// writeTensors writes a file of tensors of BF16, all different.
func writeTensors(t *testing.T, path string, shapes map[string][]int) {
	t.Helper()
	var infos []safetensors.Info
	for name, shape := range shapes {
		infos = append(infos, safetensors.Info{Name: name, DType: safetensors.BF16, Shape: shape})
	}
	slices.SortFunc(infos, func(a, b safetensors.Info) int { return strings.Compare(a.Name, b.Name) })
	w, err := os.Create(path)
	testkit.OK(t, err)
	sw, err := safetensors.NewWriter(w, infos, map[string]string{"format": "pt"})
	testkit.OK(t, err)
	for i, info := range infos {
		values := make([]float32, info.Elems())
		for j := range values {
			values[j] = float32(1+(i*31+j*7)%120) / 128
		}
		testkit.OK(t, sw.WriteFloat32(info.Name, values))
	}
	testkit.OK(t, sw.Close())
	testkit.OK(t, w.Close())
}

// sameTensors fails unless both files have the same tensors, byte for byte.
func sameTensors(t *testing.T, got, want string) {
	t.Helper()
	a, err := safetensors.Open(got)
	testkit.OK(t, err)
	defer a.Close()
	b, err := safetensors.Open(want)
	testkit.OK(t, err)
	defer b.Close()
	names := func(f *safetensors.File) []string { return slices.Sorted(slices.Values(f.Names())) }
	if !slices.Equal(names(a), names(b)) {
		t.Fatalf("tensors %q,\nwant %q", names(a), names(b))
	}
	for _, name := range names(b) {
		x, err := a.Bytes(name)
		testkit.OK(t, err)
		y, err := b.Bytes(name)
		testkit.OK(t, err)
		if i, j := mustInfo(a, name), mustInfo(b, name); i.DType != j.DType || !slices.Equal(i.Shape, j.Shape) || !bytes.Equal(x, y) {
			t.Errorf("%s is %v %v, want %v %v; its bytes are the same: %v", name, i.DType, i.Shape, j.DType, j.Shape, bytes.Equal(x, y))
		}
	}
}

func mustInfo(f *safetensors.File, name string) safetensors.Info {
	info, _ := f.Info(name)
	return info
}
