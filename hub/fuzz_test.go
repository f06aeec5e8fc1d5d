package hub

import (
	"strings"
	"testing"

	"github.com/bdia-go/bdia/checkpoint"
	"github.com/bdia-go/bdia/internal/testkit"
)

// FuzzFolder: whatever a run's bdia.yaml, config.json, adapter_config.json and manifest.json hold, the folder is
// described or there is an error.
func FuzzFolder(f *testing.F) {
	f.Add("task: completion\nmethod:\n  grid: 7\ntune:\n  separator: \"\\n\"\nengine:\n", `{"model_type":"gpt2","n_layer":1,"n_head":1,"n_embd":4,"n_positions":4,"vocab_size":5}`, "{}", "")
	long := strings.Repeat("x", 50_000)
	f.Add("task: "+long+"\n", `{"model_type":"`+long+`"}`, "{}", "")
	f.Add(long+": 1\n", `{"architecture":"`+long+`"}`, `{"base_model_name_or_path":"`+long+`","peft_type":"LORA"}`, `{"version":1,"hash":"xxh3-128","files":{"config.json":{"size":2,"hash":"00"}}}`)
	f.Add("tune:\n  separator: \"\\"+long, `{"model_type":"gpt2","activation_function":"`+long+`"}`, "{}", "")
	f.Add("task: [", `{"architecture":"vit_tiny_patch16_224","num_classes":2}`, `{"base_model_name_or_path":"../x","peft_type":"LORA"}`, "")
	f.Add("", `{"model_type":"gpt2"}`, "{}", `{"manifest_version":3,"version":3}`)
	f.Fuzz(func(t *testing.T, settings, config, adapter, manifest string) {
		files := map[string][]byte{"config.json": []byte(config), "adapter_config.json": []byte(adapter)}
		if settings != "" {
			files[RunFile] = []byte(settings)
		}
		if manifest != "" {
			files[checkpoint.ManifestFile] = []byte(manifest)
		}
		dir := testkit.Folder(t, files)
		_, err := ReadSettings(dir)
		testkit.Refused(t, err)
		_, err = Open(dir, Options{WithoutText: true})
		testkit.Refused(t, err)
	})
}
