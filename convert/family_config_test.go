package convert

import (
	"regexp"
	"strings"
	"testing"
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
