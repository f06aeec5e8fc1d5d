package hub_test

import (
	"bytes"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/bdia-go/bdia"
	"github.com/bdia-go/bdia/convert"
	"github.com/bdia-go/bdia/generate"
	"github.com/bdia-go/bdia/hub"
	"github.com/bdia-go/bdia/internal/golden"
	"github.com/bdia-go/bdia/internal/testkit"
	"github.com/bdia-go/bdia/model"
)

// ids opens a folder of a family without its tokenizer: these tests are of token ids.
func ids(t *testing.T, from string) *hub.Folder {
	t.Helper()
	dir := t.TempDir()
	entries, err := os.ReadDir(from)
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		if !strings.HasPrefix(e.Name(), "tokenizer") && e.Name() != "reference.safetensors" {
			text, err := os.ReadFile(filepath.Join(from, e.Name()))
			if err == nil {
				err = os.WriteFile(filepath.Join(dir, e.Name()), text, 0o666)
			}
			if err != nil {
				t.Fatal(err)
			}
		}
	}
	return mustOpen(t, dir, hub.Options{WithoutText: true})
}

// TestFamilies: folders of Hugging Face's give the logits and the greedy ids that its own library gives, in every type of
// weights, in one file or several. Saved, a folder has its config.json byte for byte, but for the type of the weights.
func TestFamilies(t *testing.T) {
	t.Parallel()
	for _, name := range []string{"llama3-f32", "llama2-bf16-sharded", "qwen2-bf16", "qwen3-f32", "mistral-f16-window"} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			from := testkit.SharedPath(t, "llm", "hf_tiny", name)
			want := golden.Open(t, "../llm/hf_tiny/"+name+"/reference.safetensors")
			f := ids(t, from)
			inputs, prompt, greedy := want.I32("input_ids"), want.I32("greedy_prompt"), want.I32("greedy_ids")
			batch, logits := model.Batch{Size: 1, Inputs: inputs}, make([]float32, len(want.F32("logits")))
			o := generate.DefaultOptions()
			o.Temperature, o.MaxTokens, o.Grid = 0, len(greedy), bdia.NoGrid
			m, err := f.GPT(one, func(m *model.GPT) error { return m.Logits(logits, batch, bdia.NoGrid) },
				func(m *model.GPT) error { return generate.Rehearse(m, len(prompt), o) },
				func(m *model.GPT) error { o := o; o.NoCache = true; return generate.Rehearse(m, len(prompt), o) })
			if err != nil {
				t.Fatal(err)
			}
			defer m.Close()
			testkit.OK(t, m.Logits(logits, batch, bdia.NoGrid))
			testkit.Near(t, "logits", logits, want.F32("logits"), 1e-4)
			for _, o.NoCache = range []bool{false, true} {
				var got []int32
				testkit.OK(t, generate.Tokens(m.GPT, prompt, o, func(id int32) bool { got = append(got, id); return true }))
				if !slices.Equal(got, greedy) {
					t.Errorf("without cache %v: %v, want %v", o.NoCache, got, greedy)
				}
			}
			saved(t, m, from, logits, batch)
		})
	}
}

// saved saves the model and reads it again.
func saved(t *testing.T, m *hub.GPT, from string, logits []float32, batch model.Batch) {
	t.Helper()
	dir := t.TempDir()
	testkit.OK(t, m.Save(dir))
	config, err := os.ReadFile(filepath.Join(from, "config.json"))
	if err != nil {
		t.Fatal(err)
	}
	// Weights are saved as memory has them: in BF16, or in float32.
	config = bytes.Replace(config, []byte(`"torch_dtype": "float16"`), []byte(`"torch_dtype": "float32"`), 1)
	if got, err := os.ReadFile(filepath.Join(dir, "config.json")); err != nil || !bytes.Equal(got, config) {
		t.Errorf("config.json is %v\n%s\nwant\n%s", err, got, config)
	}
	generation, err := os.ReadFile(filepath.Join(from, "generation_config.json"))
	testkit.OK(t, err)
	if got, err := os.ReadFile(filepath.Join(dir, "generation_config.json")); err != nil || !bytes.Equal(got, generation) {
		t.Errorf("generation_config.json is %v\n%s\nwant\n%s", err, got, generation)
	}
	again := make([]float32, len(logits))
	m2, err := mustOpen(t, dir, hub.Options{WithoutText: true}).GPT(one, func(m *model.GPT) error { return m.Logits(again, batch, bdia.NoGrid) })
	if err != nil {
		t.Fatal(err)
	}
	defer m2.Close()
	testkit.OK(t, m2.Logits(again, batch, bdia.NoGrid))
	testkit.EqualBits(t, "logits of the saved model", again, logits)
}

// TestStory: a real trained Llama writes its published greedy text.
func TestStory(t *testing.T) {
	t.Parallel()
	o := generate.DefaultOptions()
	o.Temperature, o.MaxTokens = 0, 160
	text, err := generate.FromFolder(mustOpen(t, testkit.SharedPath(t, "llm", "stories260K", "hf"), hub.Options{}), one, "Once upon a time", o)
	const published = "Once upon a time, there was a little girl named Lily. She loved to play outside in the park. One day, she saw a big, red ball. " +
		"She wanted to play with it, but it was too high.\nLily's mom said, \"Lily, let's go to the park.\" Lily was sad and didn't know what to do."
	if err != nil || !strings.HasPrefix(text, published) {
		t.Errorf("%v: %q\nwant %q ...", err, text, published)
	}
}

// TestStoryIDs: the same, token by token from the one that begins a text.
func TestStoryIDs(t *testing.T) {
	t.Parallel()
	f := ids(t, testkit.SharedPath(t, "llm", "stories260K", "hf"))
	want := golden.Open(t, "../llm/stories260K/reference.safetensors")
	greedy := want.I32("greedy_ids")
	begin := f.GPTInfo.Begin
	if begin == nil || *begin != greedy[0] {
		t.Fatalf("texts begin with %v, want %d", begin, greedy[0])
	}
	o := generate.DefaultOptions()
	o.Temperature, o.MaxTokens, o.Grid = 0, len(greedy)-1, bdia.NoGrid
	m, err := f.GPT(one, func(m *model.GPT) error { return generate.Rehearse(m, 1, o) })
	if err != nil {
		t.Fatal(err)
	}
	defer m.Close()
	got := []int32{*begin}
	testkit.OK(t, generate.Tokens(m.GPT, got, o, func(id int32) bool { got = append(got, id); return true }))
	if !slices.Equal(got, greedy) {
		t.Errorf("%v\nwant\n%v", got, greedy)
	}
}

// TestFamilyRefused: what a folder has that is not supported is named.
func TestFamilyRefused(t *testing.T) {
	t.Parallel()
	const config = `{"model_type": "llama", "vocab_size": 16, "hidden_size": 8, "intermediate_size": 8, "num_hidden_layers": 2,
"num_attention_heads": 2, "max_position_embeddings": 8, "pretraining_tp": 2, MORE "tie_word_embeddings": true}`
	for more, want := range map[string]string{
		``:                                                "",
		`"hidden_act": "gelu",`:                           `hidden_act is "gelu"`,
		`"quantization_config": {"bits": 4},`:             `quantization_config is {"bits":4}: its weights are quantised; take the model that they were made from`,
		`"auto_map": {"AutoModel": "x.Y"},`:               `auto_map is {"AutoModel":"x.Y"}: it computes with code of its own`,
		`"num_experts": 8,`:                               "num_experts is 8: it is a mixture of experts; take a dense model",
		`"num_local_experts": 8,`:                         "num_local_experts is 8",
		`"vision_config": {"a": 1},`:                      `vision_config is {"a":1}: it is more than a language model`,
		`"rope_scaling": {"type": "longrope"},`:           `rope_type is "longrope"`,
		`"rope_scaling": {"rope_type": "linear"},`:        "config.json: rope_scaling.factor is missing, or 0; a rotation of kind linear needs it positive",
		`"rope_scaling": {"type": "yarn", "factor": -1},`: "rope_scaling.factor is -1;",
		`"rope_scaling": {"type": "yarn", "factor": 4.0, "attention_factor": -1.0},`:                            "rope_scaling.attention_factor is -1;",
		`"rope_scaling": {"type": "yarn", "factor": 4.0, "mscale": -1.0},`:                                      "rope_scaling.mscale is -1;",
		`"rope_scaling": {"type": "yarn", "factor": 4.0}, "rope_theta": 1.0,`:                                   "rope_theta is 1;",
		`"rope_scaling": {"rope_type": "llama3", "factor": 8, "high_freq_factor": 4},`:                          "rope_scaling.low_freq_factor is missing, or 0;",
		`"rope_parameters": {"rope_type": "llama3", "factor": 8, "low_freq_factor": 4, "high_freq_factor": 4},`: "rope_parameters.high_freq_factor is 4; it must be above",
		`"rope_scaling": {"factor": 4.0},`:                                                                      "rope_scaling has no rope_type",
		`"rope_parameters": {"full_attention": {"rope_type": "default"}},`:                                      `rope_parameters.full_attention is {"rope_type": "default"}; one rotation for all layers is supported`,
		`"rope_parameters": {"rope_type": "default", "partial_rotary_factor": 0.5},`:                            "rope_parameters.partial_rotary_factor is 0.5: only a part of each head turns",
		`"rope_scaling": {"type": "default", "mrope_section": [2, 1, 1]},`:                                      "rope_scaling.mrope_section is [2, 1, 1]",
		`"rope_scaling": {"type": "linear", "factor": 2.0, "finetuned": true},`:                                 "",
		`"rope_scaling": {},`: "",
		`"rope_scaling": {"type": "dynamic", "factor": 2.0}, "head_dim": 2,`: "head_dim is 2; dynamic scaling of the rotation needs",
		`"num_attention_heads": -2,`:                                         "num_attention_heads is -2;",
		`"num_attention_heads": 3,`:                                          "hidden_size is 8; it is not divisible by 3 heads",
		`"num_attention_heads": 8,`:                                          "hidden_size is 8; its 8 heads are 1 wide, and only heads of an even width can turn",
		`"num_key_value_heads": -1,`:                                         "num_key_value_heads is -1;",
		`"num_key_value_heads": 0,`:                                          "num_key_value_heads is 0;",
		`"num_key_value_heads": null,`:                                       "",
		`"head_dim": 0,`:                                                     "head_dim is 0;",
		`"head_dim": null,`:                                                  "",
		`"head_dim": -4,`:                                                    "head_dim is -4;",
		`"rms_norm_eps": 0,`:                                                 "rms_norm_eps is 0;",
		`"rms_norm_eps": -1,`:                                                "rms_norm_eps is -1;",
		`"max_position_embeddings": -8,`:                                     "max_position_embeddings is -8;",
		`"eos_token_id": [null, 2],`:                                         "",
		`"model_type": "mistral", "num_key_value_heads": 2, "sliding_window": -3,`:                                                             "sliding_window is -3; it must not be negative",
		`"model_type": "qwen2", "num_key_value_heads": 2, "use_sliding_window": true, "sliding_window": 3, "max_window_layers": -2,`:           "max_window_layers is -2;",
		`"model_type": "qwen2", "num_key_value_heads": 2, "use_sliding_window": true, "sliding_window": 3, "layer_types": ["full_attention"],`: "layer_types has 1 layers, and num_hidden_layers is 2",
		`"rope_parameters": {"rope_type": "default", "rope_theta": -1},`:                                                                       "rope_parameters.rope_theta is -1;",
		`"partial_rotary_factor": 0.5,`: "partial_rotary_factor is 0.5",
		`"num_key_value_heads": 3,`:     "num_key_value_heads is 3; 2 heads cannot share",
		`"head_dim": 3,`:                "head_dim is 3; only heads of an even width can turn",
		`"model_type": "qwen2", "num_key_value_heads": 2, "layer_types": ["sliding_attention"],`:             "", // which count with use_sliding_window
		`"model_type": "mistral", "layer_types": ["chunked_attention"],`:                                     `layer_types has "chunked_attention"`,
		`"model_type": "qwen3_moe", "num_experts": 128,`:                                                     `model_type is "qwen3_moe", and num_experts is 128: it is a mixture of experts`,
		`"model_type": "mixtral", "num_local_experts": 8,`:                                                   `model_type is "mixtral", and num_local_experts is 8: it is a mixture`,
		`"model_type": "qwen2_vl", "vision_config": {"a": 1},`:                                               `model_type is "qwen2_vl", and vision_config is`,
		`"model_type": "gpt2", "quantization_config": {"a": 1},`:                                             "quantization_config: its weights are quantised",
		`"model_type": "gemma2",`:                                                                            `model_type is "gemma2"; gpt2, llama, qwen2, qwen3, mistral`,
		`"model_type": "granitemoe", "num_local_experts": 40,`:                                               `model_type is "granitemoe", and num_local_experts is 40: it is a mixture of experts`,
		`"model_type": "granitemoehybrid",`:                                                                  `model_type is "granitemoehybrid"; gpt2, llama, qwen2, qwen3, mistral, granite, olmo2`,
		`"model_type": "olmo",`:                                                                              `model_type is "olmo"; gpt2,`,
		`"model_type": "olmo3",`:                                                                             `model_type is "olmo3"; gpt2,`,
		`"model_type": "granite", "logits_scaling": 0,`:                                                      "logits_scaling is 0; it must be positive",
		`"model_type": "granite", "residual_multiplier": -0.2,`:                                              "residual_multiplier is -0.2; it must be from",
		`"model_type": "granite",`:                                                                           "",
		`"model_type": "olmo2",`:                                                                             "",
		`"model_type": "mistral", "num_key_value_heads": 2,`:                                                 "",
		`"model_type": "qwen3", "num_key_value_heads": 1,"head_dim": 8,`:                                     "",
		`"model_type": "mistral", "sliding_window": null, "num_key_value_heads": 2,`:                         "",
		`"rope_scaling": {"type": "yarn", "factor": 4.0},`:                                                   "",
		`"rope_scaling": {"rope_type": "dynamic", "factor": 2},`:                                             "",
		`"rope_scaling": {"rope_type": "llama3", "factor": 8, "low_freq_factor": 1, "high_freq_factor": 4},`: "",
	} {
		dir := t.TempDir()
		text := strings.Replace(config, "MORE", more, 1)
		for _, key := range []string{`"num_attention_heads": 2,`, `"max_position_embeddings": 8,`} {
			if name, _, _ := strings.Cut(key, ":"); strings.HasPrefix(more, name) {
				text = strings.Replace(text, key, "", 1)
			}
		}
		if strings.Contains(more, "model_type") {
			text = strings.Replace(text, `"model_type": "llama", `, "", 1)
		}
		testkit.OK(t, os.WriteFile(filepath.Join(dir, "config.json"), []byte(text), 0o666))
		_, err := convert.KindOf(dir)
		if err == nil {
			_, err = convert.ReadGPTInfo(filepath.Join(dir, "config.json"))
		}
		if (err == nil) != (want == "") || err != nil && !strings.Contains(err.Error(), want) {
			t.Errorf("%s: error %v, want %q", more, err, want)
		}
	}
}
