package convert

import (
	"bytes"
	"regexp"
	"strings"
	"testing"

	"github.com/bdia-go/bdia/internal/testkit"
)

// TestFamilyKeyMissing: a config.json that lacks a size is refused by the name of its key. None is guessed.
func TestFamilyKeyMissing(t *testing.T) {
	const whole = `{"model_type":"qwen2","num_key_value_heads":2,"vocab_size":9,"hidden_size":8,"intermediate_size":8,` +
		`"num_hidden_layers":3,"num_attention_heads":4,"max_position_embeddings":8}`
	if _, err := parseGPTInfo([]byte(whole)); err != nil {
		t.Fatal(err)
	}
	for _, key := range []string{"vocab_size", "hidden_size", "intermediate_size", "num_hidden_layers", "num_attention_heads", "max_position_embeddings"} {
		value := regexp.MustCompile(`"` + key + `":\d+`)
		for _, instead := range []string{`"a":1`, `"` + key + `":0`, `"` + key + `":null`} {
			_, err := parseGPTInfo([]byte(value.ReplaceAllString(whole, instead)))
			if err == nil || !strings.Contains(err.Error(), key+" is missing, or 0") {
				t.Errorf("%s for %s: error %v", instead, key, err)
			}
		}
	}
}

// TestScaledContext: the context of a scaled rotation is what it is scaled to, and a config.json that is written anew
// describes the same model.
func TestScaledContext(t *testing.T) {
	for scaling, want := range map[string]int{
		`{"type":"linear","factor":4.0}`:                                             40,
		`{"rope_type":"dynamic","factor":2.5}`:                                       100,
		`{"rope_type":"yarn","factor":4.0}`:                                          160,
		`{"rope_type":"yarn","factor":4.0,"original_max_position_embeddings":32}`:    128,
		`{"rope_type":"yarn","factor":4.0,"original_max_position_embeddings":8}`:     40,
		`{"rope_type":"llama3","factor":4,"low_freq_factor":1,"high_freq_factor":4}`: 40,
	} {
		info, err := parseGPTInfo([]byte(`{"model_type":"qwen2","num_key_value_heads":2,"vocab_size":9,"hidden_size":16,"intermediate_size":8,` +
			`"num_hidden_layers":3,"num_attention_heads":4,"max_position_embeddings":40,"rope_scaling":` + scaling + `}`))
		if err != nil || info.Config.Context != want {
			t.Errorf("%s: context %d, %v; want %d", scaling, info.Config.Context, err, want)
			continue
		}
		info.Source = nil
		var text bytes.Buffer
		testkit.OK(t, writeFamily(&text, info))
		if again, err := parseGPTInfo(text.Bytes()); err != nil || again.Config != info.Config {
			t.Errorf("%s is written as\n%s\n%+v, %v\nwant %+v", scaling, &text, again.Config, err, info.Config)
		}
	}
}

// TestTokensOutside: a token that ends a text, and is outside the vocabulary, ends none and is told.
func TestTokensOutside(t *testing.T) {
	const llama = `{"model_type":"llama","vocab_size":9,"hidden_size":8,"intermediate_size":8,"num_hidden_layers":3,"num_attention_heads":4,"max_position_embeddings":8,`
	const gpt2 = `{"model_type":"gpt2","vocab_size":9,"n_embd":8,"n_layer":3,"n_head":4,"n_positions":8,`
	for text, want := range map[string][]string{
		llama + `"eos_token_id":[2,9,null,-1],"bos_token_id":77}`: {"bos_token_id is 77", "eos_token_id is 9", "eos_token_id is -1"},
		llama + `"eos_token_id":2,"bos_token_id":null}`:           nil,
		gpt2 + `"eos_token_id":[2,50256]}`:                        {"eos_token_id is 50256"},
		gpt2 + `"eos_token_id":50256}`:                            nil, // the default of every GPT2Config
	} {
		info, err := parseGPTInfo([]byte(text))
		if err != nil || len(info.Outside) != len(want) {
			t.Errorf("%s: %q, %v; want %q", text, info.Outside, err, want)
			continue
		}
		for i, want := range want {
			if !strings.Contains(info.Outside[i], "config.json: "+want+", and the vocabulary has the tokens 0 to 8") {
				t.Errorf("%s: %q, want %q", text, info.Outside[i], want)
			}
		}
		if ids := info.StopIDs(); strings.Contains(text, "2") && want != nil && (len(ids) != 1 || ids[0] != 2) {
			t.Errorf("%s: texts end at %d", text, ids)
		}
	}
}

// TestKeyHeadsNull: without their number a family has its usual heads of keys and values, and with null as many as of
// queries.
func TestKeyHeadsNull(t *testing.T) {
	for _, x := range []struct {
		family, keys string
		want         int
	}{
		{"llama", ``, 16}, {"llama", `"num_key_value_heads":null,`, 16},
		{"mistral", ``, 8}, {"mistral", `"num_key_value_heads":null,`, 16}, {"mistral", `"num_key_value_heads":4,`, 4},
	} {
		info, err := parseGPTInfo([]byte(`{"model_type":"` + x.family + `",` + x.keys + `"vocab_size":9,"hidden_size":32,"intermediate_size":8,` +
			`"num_hidden_layers":3,"num_attention_heads":16,"max_position_embeddings":8}`))
		if err != nil || info.Config.KVHeads != x.want {
			t.Errorf("%s, %s: %d heads of keys, %v; want %d", x.family, x.keys, info.Config.KVHeads, err, x.want)
		}
	}
}
