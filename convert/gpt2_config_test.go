package convert

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/bdia-go/bdia/internal/testkit"
	"github.com/bdia-go/bdia/model"
)

// configFile writes text to a config.json.
func configFile(t testing.TB, text string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "config.json")
	if err := os.WriteFile(path, []byte(text), 0o666); err != nil {
		t.Fatal(err)
	}
	return path
}

// theirs is config.json of openai-community/gpt2, in part.
const theirs = `{"activation_function": "gelu_new", "architectures": ["GPT2LMHeadModel"], "attn_pdrop": 0.1, "bos_token_id": 50256,
 "embd_pdrop": 0.1, "eos_token_id": 50256, "initializer_range": 0.02, "layer_norm_epsilon": 1e-05, "model_type": "gpt2",
 "n_ctx": 1024, "n_embd": 768, "n_head": 12, "n_layer": 12, "n_positions": 1024, "resid_pdrop": 0.1, "summary_activation": null,
 "summary_type": "cls_index", "task_specific_params": {"text-generation": {"do_sample": true, "max_length": 50}}, "vocab_size": 50257}`

func TestReadConfig(t *testing.T) {
	t.Parallel()
	want, err := model.GPTPreset("gpt2")
	if err != nil {
		t.Fatal(err)
	}
	want.Eps, want.EmbeddingDropout, want.AttentionDropout, want.ResidualDropout = 1e-5, 0.1, 0.1, 0.1
	got, err := ReadGPTConfig(configFile(t, theirs))
	if err != nil || got != want {
		t.Errorf("%+v, %v, want %+v", got, err, want)
	}
	for _, tc := range []struct {
		old, new string
		is       error
		says     string // empty: accepted
	}{
		{`"gpt2"`, `"gemma3"`, ErrUnsupported, `"gemma3"`},
		{`"model_type": "gpt2",`, ``, nil, ``}, // its architecture says it
		{`"gpt2"`, `"GPT2"`, nil, ``},
		{`"gpt2"`, `"gpt_bigcode"`, ErrUnsupported, `"gpt_bigcode"`},
		{theirs, "\ufeff" + theirs, nil, ``},
		{`"n_ctx"`, `"loss_scale": NaN, "n_ctx"`, nil, ``},
		{`1e-05`, `"1e-05"`, nil, ``},
		{`1e-05`, `NaN`, nil, `layer_norm_epsilon is the text "NaN", and must be a number`},
		{`"n_ctx"`, `"a": 1, // one
 "n_ctx"`, nil, `a comment`},
		{`"gelu_new"`, `"swish"`, ErrUnsupported, `"swish"`},
		{`"gelu_new"`, `"gelu"`, nil, ``},
		{`"activation_function": "gelu_new",`, ``, nil, ``}, // the default of Hugging Face's GPT2Config
		{`"n_ctx": 1024,`, ``, nil, ``},
		{`"n_ctx"`, `"scale_attn_by_inverse_layer_idx": true, "n_ctx"`, ErrUnsupported, `scale_attn_by_inverse_layer_idx`},
		{`"n_ctx"`, `"scale_attn_weights": false, "n_ctx"`, ErrUnsupported, `scale_attn_weights`},
		{`"n_ctx"`, `"scale_attn_weights": true, "n_inner": null, "n_ctx"`, nil, ``},
		{`"n_ctx"`, `"add_cross_attention": true, "n_ctx"`, ErrUnsupported, `add_cross_attention`},
		{`"n_layer": 12,`, ``, nil, `n_layer is missing, or 0; it must be from 1 to`},
		{`"n_layer": 12`, `"n_layer": -12`, nil, `n_layer is -12;`},
		{`"n_layer": 12`, `"n_layer": 12.0`, nil, ``},
		{`"n_layer": 12`, `"n_layer": 1.5`, nil, `n_layer is 1.5, and must be a whole number`},
		{`"n_layer": 12`, `"n_layer": 1000000000000`, nil, `n_layer is 1000000000000;`},
		{`"n_layer": 12`, `"n_layer": 99999999999999999999`, nil, `n_layer`},
		{`"n_layer": 12`, `"n_layer": "12"`, nil, ``},
		{`"n_layer": 12`, `"n_layer": "twelve"`, nil, `n_layer is the text "twelve", and must be a whole number`},
		{`"n_layer": 12`, `"n_layer": [[[[12]]]]`, nil, `n_layer`},
		{`"n_embd": 768`, `"n_embd": 770`, nil, `n_embd is 770; it is not divisible by 12 heads; use 768 or 780`},
		{`"n_embd": 768`, `"n_embd": 4611686018427387904`, nil, `n_embd is 46`},
		{`"n_embd": 768`, `"n_inner": -1, "n_embd": 768`, nil, `n_inner is -1;`},
		{`"n_head": 12`, `"n_head": 0`, nil, `n_head is missing, or 0;`},
		{`"vocab_size": 50257`, `"vocab_size": 0`, nil, `vocab_size is missing, or 0;`},
		{`"attn_pdrop": 0.1`, `"attn_pdrop": 1`, nil, `attn_pdrop is 1;`},
		{`1e-05`, `-1`, nil, `layer_norm_epsilon is -1;`},
		{`{"activation`, `[{"activation`, nil, `config.json`},
		{theirs, ``, nil, `config.json`},
		{theirs, `null`, ErrUnsupported, `model_type`},
		{theirs, timmsOwn, ErrUnsupported, `it is a vision transformer`},
		{theirs, strings.Repeat("[", 100000), nil, `config.json`},
		{theirs, theirs + strings.Repeat(" ", maxConfig), nil, `larger than`},
	} {
		text := strings.Replace(theirs, tc.old, tc.new, 1)
		if text == theirs && tc.old != tc.new {
			t.Fatalf("%s is not in the text", tc.old)
		}
		_, err := ReadGPTConfig(configFile(t, text))
		if tc.says == "" {
			if err != nil {
				t.Errorf("%.60s: %v", tc.new, err)
			}
			continue
		}
		if err == nil || tc.is != nil && !errors.Is(err, tc.is) {
			t.Errorf("%.60s: error %v, want %v", tc.new, err, tc.is)
			continue
		}
		for _, s := range []string{"convert: ", "config.json", tc.says} {
			if !strings.Contains(err.Error(), s) || strings.Contains(err.Error(), "\n") {
				t.Errorf("%.60s: error %q does not say %q in one line", tc.new, err, s)
			}
		}
	}
	if _, err := ReadGPTConfig(filepath.Join(t.TempDir(), "config.json")); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("absent file: %v", err)
	}
}

// TestWriteConfig: the keys are Hugging Face's.
func TestWriteConfig(t *testing.T) {
	t.Parallel()
	c := config()
	c.Untied, c.MLP = true, 10
	var b bytes.Buffer
	if err := WriteGPTConfig(&b, c); err != nil {
		t.Fatal(err)
	}
	var got map[string]any
	if err := json.Unmarshal(b.Bytes(), &got); err != nil {
		t.Fatal(err)
	}
	for key, want := range map[string]any{"model_type": "gpt2", "n_layer": 2.0, "n_head": 2.0, "n_embd": 6.0, "n_positions": 5.0,
		"n_ctx": 5.0, "n_inner": 10.0, "vocab_size": 7.0, "layer_norm_epsilon": 1e-5, "activation_function": "gelu_new",
		"embd_pdrop": 0.0, "attn_pdrop": 0.0, "resid_pdrop": 0.0, "tie_word_embeddings": false} {
		if got[key] != want {
			t.Errorf("%s is %v, want %v", key, got[key], want)
		}
	}
	if arch := fmt.Sprint(got["architectures"]); arch != "[GPT2LMHeadModel]" {
		t.Errorf("architectures %s", arch)
	}
	for _, key := range slices.Sorted(maps.Keys(got)) {
		if strings.HasPrefix(key, "scale_") || strings.HasPrefix(key, "add_") || strings.HasPrefix(key, "bdia_") {
			t.Errorf("%s is written for a plain model", key)
		}
	}
}

func FuzzReadGPTConfig(f *testing.F) {
	f.Add([]byte(theirs))
	f.Add([]byte(`{"model_type":"gpt2","n_layer":1,"n_head":1,"n_embd":1,"n_positions":1,"vocab_size":1,"n_inner":0}`))
	f.Add([]byte(`{"model_type":"gpt2","n_embd":1e300}`))
	f.Add([]byte(`[`))
	for _, text := range testkit.Longer([]byte(theirs)) {
		f.Add(text)
	}
	const family = `,"vocab_size":9,"hidden_size":8,"intermediate_size":8,"num_hidden_layers":3,"num_attention_heads":4,"max_position_embeddings":8`
	f.Add([]byte(`{"model_type":"llama","rope_scaling":{"rope_type":"llama3","factor":8,"low_freq_factor":1,"high_freq_factor":4},"torch_dtype":"bfloat16"` + family + `}`))
	f.Add([]byte(`{"model_type":"qwen2","num_key_value_heads":2,"use_sliding_window":true,"sliding_window":4,"layer_types":["full_attention","sliding_attention","sliding_attention"],"eos_token_id":[1,2]` + family + `}`))
	f.Add([]byte(`{"model_type":"granite","embedding_multiplier":12.0,"attention_multiplier":0.015625,"residual_multiplier":0.22,"logits_scaling":8` + family + `}`))
	f.Add([]byte(`{"model_type":"olmo2","attention_bias":true` + family + `}`))
	f.Add([]byte(`{"model_type":"qwen3","num_key_value_heads":1,"attention_bias":true,"rope_parameters":{"rope_type":"yarn","factor":2.5,"truncate":false,"mscale":1}` + family + `}`))
	f.Add([]byte(`{"model_type":"mistral","num_key_value_heads":4,"sliding_window":null,"bos_token_id":1` + family + `}`))
	f.Fuzz(func(t *testing.T, text []byte) {
		info, err := parseGPTInfo(text)
		testkit.Refused(t, err)
		if err != nil {
			return
		}
		// What is accepted is valid, and is read back as it was written.
		c := info.Config
		if err := c.Validate(); err != nil {
			t.Fatalf("accepted %+v: %v", c, err)
		}
		for _, info.Source = range [][]byte{info.Source, nil} { // as it was, and in our words
			var b bytes.Buffer
			if err := WriteGPTInfo(&b, info); err != nil {
				t.Fatal(err)
			}
			read, err := parseGPTInfo(b.Bytes())
			if err != nil {
				t.Fatalf("%v: %s", err, b.Bytes())
			}
			again := read.Config
			c.Eps, c.MLP, again.Eps, again.MLP = c.Epsilon(), c.MLPWidth(), again.Epsilon(), again.MLPWidth()
			if again != c || (read.End == nil) != (info.End == nil) || info.End != nil && *read.End != *info.End {
				t.Errorf("read %+v, written and read again %+v: %s", info, read, b.Bytes())
			}
		}
	})
}
