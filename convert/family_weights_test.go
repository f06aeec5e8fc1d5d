package convert

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/bdia-go/bdia/format/safetensors"
	"github.com/bdia-go/bdia/model"
)

// listed is a file of nothing but names, with one type.
type listed struct {
	names []string
	dtype safetensors.DType
}

func (l listed) Names() []string { return l.names }
func (l listed) Info(name string) (safetensors.Info, bool) {
	for _, n := range l.names {
		if n == name {
			return safetensors.Info{Name: n, DType: l.dtype, Shape: []int{2}}, true
		}
	}
	return safetensors.Info{}, false
}
func (l listed) ReadFloat32At(string, []float32, int) error { return errors.New("nothing is read") }
func (l listed) Forget(string, int, int)                    {}

// TestQuantised: weights that are quantised are named as such, whatever config.json says.
func TestQuantised(t *testing.T) {
	t.Parallel()
	c := familyModels[0].c
	c.Vocab = 16
	be, m := newModel(t, c)
	for _, f := range []listed{
		{[]string{"model.layers.0.self_attn.q_proj.qweight", "model.embed_tokens.weight"}, safetensors.F16},
		{[]string{"model.layers.0.self_attn.q_proj.weight.absmax"}, safetensors.F32},
		{[]string{"model.layers.0.mlp.up_proj.weight_packed"}, safetensors.F32},
		{[]string{"model.layers.0.mlp.up_proj.weight"}, safetensors.F8E4M3},
	} {
		if err := ReadGPT(be, m, f); !errors.Is(err, ErrUnsupported) || !strings.Contains(err.Error(), f.names[0][6:]) || !strings.Contains(err.Error(), "take the model that they were made from") {
			t.Errorf("%q: %v", f.names, err)
		}
	}
	if err := ReadGPT(be, m, listed{[]string{"model.norm.weight"}, safetensors.F32}); !errors.Is(err, ErrMismatch) {
		t.Errorf("%v", err)
	}
}

// TestFamilyAdapterNames: adapters have the names and shapes that PEFT looks for in a model of a family, and its
// configuration lists modules by their own names.
func TestFamilyAdapterNames(t *testing.T) {
	t.Parallel()
	c := familyModels[6].c // heads of another width than the model's
	c.Vocab = 16
	be, m := newModel(t, c)
	if err := m.Freeze(1); err != nil {
		t.Fatal(err)
	}
	if err := m.AddLoRA(model.LoRAConfig{Rank: 4, Alpha: 8, Targets: model.Targets{"q_proj", "v_proj", "down_proj"}}); err != nil {
		t.Fatal(err)
	}
	m.InitLoRA(1)
	var want []string
	for _, s := range []string{"self_attn.q_proj.lora_A.weight [4 64]", "self_attn.q_proj.lora_B.weight [128 4]", "self_attn.v_proj.lora_A.weight [4 64]",
		"self_attn.v_proj.lora_B.weight [64 4]", "mlp.down_proj.lora_A.weight [4 96]", "mlp.down_proj.lora_B.weight [64 4]"} {
		want = append(want, "base_model.model.model.layers.1."+s)
	}
	f := openBytes(t, writeAdapter(t, be, m))
	var got []string
	for _, name := range f.Names() {
		info, _ := f.Info(name)
		got = append(got, fmt.Sprint(name, " ", info.Shape))
	}
	slices.Sort(got)
	slices.Sort(want)
	if !slices.Equal(got, want) {
		t.Errorf("tensors\n%q\nwant\n%q", got, want)
	}
	var text bytes.Buffer
	if err := WriteAdapterConfig(&text, m, "Qwen/Qwen3-0.6B"); err != nil {
		t.Fatal(err)
	}
	var config map[string]any
	if err := json.Unmarshal(text.Bytes(), &config); err != nil {
		t.Fatal(err)
	}
	for key, want := range map[string]string{"peft_type": "LORA", "task_type": "CAUSAL_LM", "base_model_name_or_path": "Qwen/Qwen3-0.6B", "r": "4", "lora_alpha": "8",
		"target_modules": "[q_proj v_proj down_proj]", "layers_to_transform": "[1]", "fan_in_fan_out": "false", "bias": "none", "inference_mode": "true", "modules_to_save": "<nil>"} {
		if got := fmt.Sprint(config[key]); got != want {
			t.Errorf("%s is %s, want %s", key, got, want)
		}
	}
}

// TestFamilyAdapterEmbeddings: adapters that were trained with embeddings of their own are refused by name.
func TestFamilyAdapterEmbeddings(t *testing.T) {
	t.Parallel()
	for more, want := range map[string]string{`"modules_to_save": ["embed_tokens", "lm_head"]`: `modules_to_save is ["embed_tokens","lm_head"]`,
		`"trainable_token_indices": [151665]`: "trainable_token_indices is [151665]"} {
		_, err := parseAdapterConfig([]byte(`{"peft_type": "LORA", "r": 4, "lora_alpha": 8, "target_modules": ["q_proj"], ` + more + `}`))
		if !errors.Is(err, ErrUnsupported) || !strings.Contains(err.Error(), want) || !strings.Contains(err.Error(), "merge_and_unload") {
			t.Errorf("%v, want %q", err, want)
		}
	}
}
