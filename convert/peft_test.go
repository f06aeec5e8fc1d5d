package convert

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/bdia-go/bdia/backend"
	"github.com/bdia-go/bdia/format/safetensors"
	"github.com/bdia-go/bdia/internal/testkit"
	"github.com/bdia-go/bdia/model"
)

// adapted returns a model of two blocks with numbered adapters in all but the
// first frozen.
func adapted(t testing.TB, frozen int, c model.LoRAConfig) (backend.Backend, *model.GPT) {
	t.Helper()
	be, m := newModel(t, config())
	if frozen > 0 {
		if err := m.Freeze(frozen); err != nil {
			t.Fatal(err)
		}
	}
	if err := m.AddLoRA(c); err != nil {
		t.Fatal(err)
	}
	for i, p := range m.Adapters() {
		host := make([]float32, p.Value.Len())
		for j := range host {
			host[j] = float32(i*1000 + j)
		}
		be.Upload(p.Value, host)
	}
	return be, m
}

func writeAdapter(t testing.TB, be backend.Backend, m *model.GPT) []byte {
	t.Helper()
	var b bytes.Buffer
	if err := WriteAdapter(&b, be, m); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// TestAdapterNames: names and shapes are those that PEFT gives LoRA beside
// Hugging Face's GPT2LMHeadModel with n_layer 2 and n_embd 6: (r,in) and (out,r),
// although c_attn itself is (in,out).
func TestAdapterNames(t *testing.T) {
	t.Parallel()
	be, m := adapted(t, 0, model.LoRAConfig{Rank: 3, Alpha: 6, Targets: model.Targets{"all"}})
	f := openBytes(t, writeAdapter(t, be, m))
	var got, want []string
	for _, name := range f.Names() {
		info, _ := f.Info(name)
		got = append(got, fmt.Sprint(name, " ", info.Shape))
	}
	for n := range 2 {
		for _, s := range []string{"attn.c_attn.lora_A.weight [3 6]", "attn.c_attn.lora_B.weight [18 3]", "attn.c_proj.lora_A.weight [3 6]", "attn.c_proj.lora_B.weight [6 3]",
			"mlp.c_fc.lora_A.weight [3 6]", "mlp.c_fc.lora_B.weight [24 3]", "mlp.c_proj.lora_A.weight [3 24]", "mlp.c_proj.lora_B.weight [6 3]"} {
			want = append(want, fmt.Sprintf("base_model.model.transformer.h.%d.%s", n, s))
		}
	}
	slices.Sort(got)
	slices.Sort(want)
	if !slices.Equal(got, want) {
		t.Errorf("tensors\n%q\nwant\n%q", got, want)
	}
	if f.Metadata()["format"] != "pt" {
		t.Errorf("metadata %v; transformers wants a format", f.Metadata())
	}
}

// TestAdapterRoundTrip: configuration and weights come back as they were.
func TestAdapterRoundTrip(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		frozen int
		lora   model.LoRAConfig
		json   []string // parts of the file
	}{
		{0, model.LoRAConfig{Rank: 2, Alpha: 16, Dropout: 0.05, Targets: model.Targets{"qkv"}}, []string{`"r": 2`, `"lora_alpha": 16,`, `"lora_dropout": 0.05`, `"layers_to_transform": null`,
			`"fan_in_fan_out": true`, `"peft_type": "LORA"`, `"task_type": "CAUSAL_LM"`, `"bias": "none"`, `"base_model_name_or_path": "gpt2"`, `"attn.c_attn"`}},
		{1, model.LoRAConfig{Rank: 6, Alpha: 1.5, Targets: model.Targets{"proj", "fc2"}}, []string{`"attn.c_proj"`, `"mlp.c_proj"`}},
		{1, model.LoRAConfig{Rank: 1, Alpha: 1, Targets: model.Targets{"qkv", "proj", "fc1", "fc2"}}, []string{`"mlp.c_fc"`}},
	} {
		be, m := adapted(t, tc.frozen, tc.lora)
		var text bytes.Buffer
		if err := WriteAdapterConfig(&text, m, "gpt2"); err != nil {
			t.Fatal(err)
		}
		for _, part := range tc.json {
			if !strings.Contains(text.String(), part) {
				t.Errorf("%s is not in\n%s", part, text.String())
			}
		}
		path := filepath.Join(t.TempDir(), "adapter_config.json")
		if err := os.WriteFile(path, text.Bytes(), 0o666); err != nil {
			t.Fatal(err)
		}
		c, err := ReadAdapterConfig(path)
		blocks := 0
		if tc.frozen > 0 {
			blocks = m.Config.Layers
		}
		if want := (AdapterConfig{LoRA: tc.lora, Frozen: tc.frozen, Blocks: blocks, Base: "gpt2"}); err != nil || !reflect.DeepEqual(c, want) {
			t.Errorf("the configuration comes back as %+v, %v; want %+v", c, err, want)
		}
		for _, bare := range []bool{false, true} {
			b := writeAdapter(t, be, m)
			if bare { // the adapter of a model without a head
				b = rename(t, b, func(name string) string { return strings.Replace(name, ".transformer", "", 1) })
			}
			other, n := adapted(t, tc.frozen, tc.lora)
			for _, p := range n.Adapters() {
				other.Zero(p.Value)
			}
			if err := ReadAdapter(other, n, openBytes(t, b)); err != nil {
				t.Fatal(err)
			}
			for i, p := range n.Adapters() {
				testkit.EqualBits(t, p.Name, download(other, p.Value), download(be, m.Adapters()[i].Value))
			}
		}
	}
}

// rename returns the safetensors file b with other names.
func rename(t testing.TB, b []byte, name func(string) string) []byte {
	t.Helper()
	f := openBytes(t, b)
	var infos []safetensors.Info
	for _, n := range f.Names() {
		info, _ := f.Info(n)
		infos = append(infos, safetensors.Info{Name: name(n), DType: info.DType, Shape: info.Shape})
	}
	var out bytes.Buffer
	w, err := safetensors.NewWriter(&out, infos, nil)
	if err != nil {
		t.Fatal(err)
	}
	for i, n := range f.Names() {
		data, err := f.Bytes(n)
		if err != nil {
			t.Fatal(err)
		}
		if err := w.Write(infos[i].Name, data); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return out.Bytes()
}

// TestForeignAdapterConfig: a file as PEFT saves it, with more keys, and the
// names that people give modules.
func TestForeignAdapterConfig(t *testing.T) {
	t.Parallel()
	const text = `{"alora_invocation_tokens": null, "alpha_pattern": {}, "arrow_config": null, "auto_mapping": null, "base_model_name_or_path": "openai-community/gpt2",
"bias": "none", "corda_config": null, "ensure_weight_tying": false, "eva_config": null, "exclude_modules": null, "fan_in_fan_out": true,
"inference_mode": true, "init_lora_weights": true, "layer_replication": null, "layers_pattern": null, "layers_to_transform": LAYERS,
"loftq_config": {}, "lora_alpha": 32, "lora_bias": false, "lora_dropout": 0.1, "megatron_config": null, "megatron_core": "megatron.core",
"modules_to_save": null, "peft_type": "LORA", "qalora_group_size": 16, "r": 16, "rank_pattern": {}, "revision": null, "target_modules": MODULES,
"target_parameters": null, "task_type": "CAUSAL_LM", "trainable_token_indices": null, "use_dora": false, "use_qalora": false, "use_rslora": false}`
	for _, tc := range []struct {
		modules, layers, targets string
		frozen, blocks           int
		part                     string // of the error
	}{
		{`["c_attn"]`, "null", "qkv", 0, 0, ""},
		{`["attn.c_attn"]`, "[]", "qkv", 0, 0, ""},
		{`["c_proj", "c_attn"]`, "[3, 4, 5]", "qkv,proj,fc2", 3, 6, ""},
		{`["mlp.c_proj", "c_fc"]`, "[0, 1]", "fc1,fc2", 0, 2, ""},
		{`["c_attn", "wte"]`, "null", "", 0, 0, `"wte"`},
		{`["attn"]`, "null", "", 0, 0, `"attn"`},
		{`[""]`, "null", "", 0, 0, `""`},
		{`["h.0.attn.c_attn"]`, "null", "", 0, 0, `"h.0.attn.c_attn"`},
		{`[]`, "null", "", 0, 0, "target_modules"},
		{`null`, "null", "", 0, 0, "target_modules"},
		{`"all-linear"`, "null", "qkv,proj,fc1,fc2", 0, 0, ""},
		{`".*c_attn"`, "null", "qkv", 0, 0, ""},
		{`".*\\.(attn\\.c_proj|c_fc)"`, "null", "proj,fc1", 0, 0, ""},
		{`".*h\\.[0-5]\\..*c_attn"`, "null", "", 0, 0, "other layers"},
		{`".*x_proj"`, "null", "", 0, 0, "none of"},
		{`".*q_proj"`, "null", "q_proj", 0, 0, ""},
		{`["v_proj", "q_proj", "mlp.down_proj"]`, "null", "q_proj,v_proj,down_proj", 0, 0, ""},
		{`"(?<x>.*"`, "null", "", 0, 0, "no regular expression"},
		{`["c_attn"]`, "[1, 3]", "", 0, 0, "layers_to_transform"},
		{`["c_attn"]`, "[-1]", "", 0, 0, "layers_to_transform"},
	} {
		c, err := parseAdapterConfig([]byte(strings.NewReplacer("MODULES", tc.modules, "LAYERS", tc.layers).Replace(text)))
		if tc.part != "" {
			if !errors.Is(err, ErrUnsupported) || !strings.Contains(err.Error(), tc.part) {
				t.Errorf("%s, layers %s: error %v, want %q", tc.modules, tc.layers, err, tc.part)
			}
			continue
		}
		want := AdapterConfig{LoRA: model.LoRAConfig{Rank: 16, Alpha: 32, Dropout: 0.1, Targets: strings.Split(tc.targets, ",")}, Frozen: tc.frozen, Blocks: tc.blocks, Base: "openai-community/gpt2"}
		if strings.Contains(tc.modules, "all") {
			want.Family = model.GPTConfig{Family: model.Llama}.LoRATargets()
		} else if strings.Contains(tc.targets, "_proj") {
			want.Family = want.LoRA.Targets
		}
		if err != nil || !reflect.DeepEqual(c, want) {
			t.Errorf("%s, layers %s: %+v, %v; want %+v", tc.modules, tc.layers, c, err, want)
		}
	}
}

func TestBadAdapterConfig(t *testing.T) {
	t.Parallel()
	_, m := adapted(t, 0, model.LoRAConfig{Rank: 2, Alpha: 4, Targets: model.Targets{"qkv"}})
	var good bytes.Buffer
	if err := WriteAdapterConfig(&good, m, "gpt2"); err != nil {
		t.Fatal(err)
	}
	for key, value := range map[string]string{
		"peft_type": `"IA3"`, "bias": `"all"`, "use_rslora": "true", "use_dora": "true", "lora_bias": "true", "modules_to_save": `["lm_head"]`,
		"exclude_modules": `["c_fc"]`, "layer_replication": "[[0,1]]", "target_parameters": `["x"]`, "rank_pattern": `{"c_attn": 3}`, "alpha_pattern": `{"c_attn": 3}`,
		"r": "0", "lora_alpha": "-1", "lora_dropout": "1.5", "layers_to_transform": `"all"`, "target_modules": "7",
	} {
		all := map[string]json.RawMessage{}
		if err := json.Unmarshal(good.Bytes(), &all); err != nil {
			t.Fatal(err)
		}
		all[key] = json.RawMessage(value)
		text, err := json.Marshal(all)
		if err != nil {
			t.Fatal(err)
		}
		if c, err := parseAdapterConfig(text); err == nil {
			t.Errorf("%s %s reads as %+v", key, value, c)
		}
	}
	for _, text := range []string{"", "[]", "{", `{"peft_type": "LORA"}`, strings.Repeat("[", 1<<16), `{"r": 1e400}`} {
		if c, err := parseAdapterConfig([]byte(text)); err == nil {
			t.Errorf("%.20q reads as %+v", text, c)
		}
	}
	long := filepath.Join(t.TempDir(), "adapter_config.json")
	if err := os.WriteFile(long, bytes.Repeat([]byte(" "), maxConfig+1), 0o666); err != nil {
		t.Fatal(err)
	}
	if _, err := ReadAdapterConfig(long); err == nil || !strings.Contains(err.Error(), "larger") {
		t.Errorf("a long file: %v", err)
	}
	plainBE, plain := newModel(t, config())
	if err := WriteAdapterConfig(&good, plain, ""); err == nil {
		t.Error("a model without adapters has an adapter_config.json")
	}
	if err := WriteAdapter(&good, plainBE, plain); err == nil {
		t.Error("a model without adapters has an adapter_model.safetensors")
	}
}

// TestBadAdapter: files that are not those of the model's adapters.
func TestBadAdapter(t *testing.T) {
	t.Parallel()
	lora := model.LoRAConfig{Rank: 2, Alpha: 4, Targets: model.Targets{"qkv"}}
	be, m := adapted(t, 1, lora)
	for part, other := range map[string]func() []byte{
		"missing": func() []byte {
			return fileOf(t, 1, model.LoRAConfig{Rank: 2, Alpha: 4, Targets: model.Targets{"proj"}})
		},
		"has shape [3 6]": func() []byte {
			return fileOf(t, 1, model.LoRAConfig{Rank: 3, Alpha: 4, Targets: model.Targets{"qkv"}})
		},
		"belongs to no adapter": func() []byte { return fileOf(t, 0, lora) },
		"h.1.attn.c_attn.lora_B.weight is missing": func() []byte {
			return rename(t, writeAdapter(t, be, m), func(n string) string { return strings.Replace(n, "lora_B", "lora_C", 1) })
		},
	} {
		if err := ReadAdapter(be, m, openBytes(t, other())); !errors.Is(err, ErrMismatch) || !strings.Contains(err.Error(), part) {
			t.Errorf("error %v, want %q", err, part)
		}
	}
}

// TestWrappedAdapter: names with what training loops put around the model, or around PEFT's, are the same adapters.
func TestWrappedAdapter(t *testing.T) {
	t.Parallel()
	be, m := adapted(t, 0, model.LoRAConfig{Rank: 2, Alpha: 4, Targets: model.Targets{"qkv"}})
	file := writeAdapter(t, be, m)
	for _, to := range []string{"base_model.model._orig_mod.transformer.", "module.base_model.model.transformer.", "_orig_mod.base_model.model.module.transformer."} {
		wrapped := rename(t, file, func(n string) string { return strings.Replace(n, "base_model.model.transformer.", to, 1) })
		for _, p := range m.Adapters() {
			be.Zero(p.Value)
		}
		if err := ReadAdapter(be, m, openBytes(t, wrapped)); err != nil {
			t.Fatal(err)
		}
		if !bytes.Equal(writeAdapter(t, be, m), file) {
			t.Errorf("adapters under %s are not what was written", to)
		}
	}
}

// TestAdapterLayers: adapters of other blocks than the first, where there are tensors
// for all, are not merged into all.
func TestAdapterLayers(t *testing.T) {
	t.Parallel()
	lora := model.LoRAConfig{Rank: 2, Alpha: 4, Targets: model.Targets{"qkv"}}
	for layers, part := range map[string]string{
		"null": "", "[0, 1]": "", "[0]": "ends with block 0 of 2", "[1, 2]": "ends with block 2 of 2", "[1]": "belongs to no adapter",
	} {
		be, m := adapted(t, 0, lora)
		var text bytes.Buffer
		if err := WriteAdapterConfig(&text, m, "gpt2"); err != nil {
			t.Fatal(err)
		}
		config := strings.Replace(text.String(), `"layers_to_transform": null`, `"layers_to_transform": `+layers, 1)
		dir := t.TempDir()
		if err := errors.Join(os.WriteFile(filepath.Join(dir, AdapterConfigFile), []byte(config), 0o666),
			os.WriteFile(filepath.Join(dir, AdapterFile), writeAdapter(t, be, m), 0o666)); err != nil {
			t.Fatal(err)
		}
		otherBE, other := newModel(t, m.Config)
		if err := AddAdapter(otherBE, other, dir); (err == nil) != (part == "") || err != nil && !strings.Contains(err.Error(), part) {
			t.Errorf("layers %s: %v, want %q", layers, err, part)
		}
	}
}

// fileOf returns the file of another model's adapters.
func fileOf(t *testing.T, frozen int, c model.LoRAConfig) []byte {
	t.Helper()
	be, m := adapted(t, frozen, c)
	return writeAdapter(t, be, m)
}

// FuzzAdapterConfig: what is read is valid, and is written as it was read.
func FuzzAdapterConfig(f *testing.F) {
	_, m := adapted(f, 1, model.LoRAConfig{Rank: 2, Alpha: 4, Targets: model.Targets{"all"}})
	var good bytes.Buffer
	if err := WriteAdapterConfig(&good, m, "x"); err != nil {
		f.Fatal(err)
	}
	f.Add(good.Bytes())
	f.Add([]byte(`{"peft_type": "LORA", "r": 1, "lora_alpha": 1, "target_modules": ["c_proj"], "layers_to_transform": [2]}`))
	for _, text := range testkit.Longer(good.Bytes()) {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		c, err := parseAdapterConfig(text)
		testkit.Refused(t, err)
		if err != nil {
			return
		}
		if err := c.LoRA.Validate(); err != nil || c.Frozen < 0 {
			t.Fatalf("%+v is not valid: %v", c, err)
		}
	})
}
