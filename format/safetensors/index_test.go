package safetensors

import (
	"errors"
	"maps"
	"strings"
	"testing"

	"github.com/bdia-go/bdia/internal/testkit"
)

const sampleIndex = `{"metadata": {"total_size": 12, "x": [1, {"y": null}]}, "weight_map": {"a.weight": "m-1.safetensors", "b": "m-2.safetensors"}}`

func TestParseIndex(t *testing.T) {
	t.Parallel()
	got, err := ParseIndex([]byte(sampleIndex))
	if err != nil || !maps.Equal(got, map[string]string{"a.weight": "m-1.safetensors", "b": "m-2.safetensors"}) {
		t.Errorf("%v, %v", got, err)
	}
	for text, says := range map[string]string{
		"":                       "it is empty",
		"[]":                     "want {",
		"{}":                     "no weight_map",
		`{"weight_map":{}}`:      "no weight_map",
		`{"weight_map":{"a":1}}`: "want a string",
		`{"weight_map":{"a":"x.safetensors","a":"x.safetensors"}}`:                                             "duplicate",
		`{"weight_map":{"a":"x.safetensors"},"weight_map":{"a":"x.safetensors"}}`:                              "duplicate",
		`{"weight_map":{"a":"d/x.safetensors"}}`:                                                               "same folder",
		`{"weight_map":{"a":"..\\x.safetensors"}}`:                                                             "same folder",
		`{"weight_map":{"a":"c:x.safetensors"}}`:                                                               "same folder",
		`{"weight_map":{"a":"x.bin"}}`:                                                                         "same folder",
		`{"weight_map":{"a":"x.safetensors"}} {}`:                                                              "out of place",
		`{"weight_map":{"a":"x.safetensors"`:                                                                   "it is cut short",
		`{"m":` + strings.Repeat("[", 100) + strings.Repeat("]", 100) + `,"weight_map":{"a":"x.safetensors"}}`: "nested",
		`{"m":` + strings.Repeat(`{"a":`, 1<<20) + `,"weight_map":{"a":"x.safetensors"}}`:                      "no JSON",
		`{"weight_map":{"` + strings.Repeat("n", maxName+1) + `":"x.safetensors"}}`:                            "name of",
		"{\"weight_map\":{\"\xff\":\"x.safetensors\"}}":                                                        "UTF-8",
		`{"weight_map":{"a":"` + strings.Repeat("x", 300) + `.safetensors"}}` + strings.Repeat(" ", 10):        "same folder",
	} {
		_, err := ParseIndex([]byte(text))
		if !errors.Is(err, ErrCorrupt) || !strings.Contains(err.Error(), says) || strings.Contains(err.Error(), "\n") {
			t.Errorf("%.60s: error %v does not say %q", text, err, says)
		}
	}
}

func FuzzParseIndex(f *testing.F) {
	f.Add([]byte(sampleIndex))
	f.Add([]byte(`{"weight_map":{"a":"../x.safetensors"}}`))
	f.Add([]byte(`{"a":[[[[`))
	for _, text := range testkit.Longer([]byte(sampleIndex)) {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		m, err := ParseIndex(text)
		testkit.Refused(t, err)
		if err != nil {
			if !errors.Is(err, ErrCorrupt) {
				t.Fatalf("%v", err)
			}
			return
		}
		for tensor, file := range m {
			if !plainName(file) || strings.Contains(file, "/") {
				t.Errorf("tensor %q is in %q", tensor, file)
			}
		}
	})
}
