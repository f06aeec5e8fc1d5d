package train_test

import (
	"fmt"
	"slices"
	"testing"

	"github.com/goccy/go-yaml"

	"github.com/bdia-go/bdia/model"
)

// TestTargetsInFiles: the layers that have adapters are a text in a file, as in every earlier version, and may be a list.
func TestTargetsInFiles(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]model.Targets{
		"qkv": {"qkv"}, "all": {"all"}, "qkv,fc1": {"qkv", "fc1"}, "qkv, fc1": {"qkv", "fc1"}, `""`: nil, "[proj, fc2]": {"proj", "fc2"},
	} {
		var c model.LoRAConfig
		if err := yaml.UnmarshalWithOptions([]byte("rank: 2\ntargets: "+text+"\n"), &c, yaml.Strict()); err != nil || !slices.Equal(c.Targets, want) {
			t.Errorf("%s: read %v, %v", text, c.Targets, err)
		}
		plain := want.String()
		if len(want) == 0 {
			plain = `""`
		}
		written, err := yaml.Marshal(c)
		if lines := fmt.Sprintf("rank: 2\nalpha: 0.0\ndropout: 0.0\ntargets: %s\n", plain); err != nil || string(written) != lines {
			t.Errorf("%s: wrote %q, %v; want %q", text, written, err, lines)
		}
	}
	if err := yaml.Unmarshal([]byte("targets: {a: 1}\n"), &model.LoRAConfig{}); err == nil {
		t.Error("a section is taken for names")
	}
}
