package train_test

import (
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"

	"github.com/goccy/go-yaml"

	"github.com/bdia-go/bdia/internal/traintest"
	"github.com/bdia-go/bdia/train"
	_ "github.com/bdia-go/bdia/train/images"
	_ "github.com/bdia-go/bdia/train/pairs"
	_ "github.com/bdia-go/bdia/train/text"
	_ "github.com/bdia-go/bdia/train/tune"
)

// TestSections: a configuration of an earlier version, which had pixels in each, is the same, and settings of another
// task are refused.
func TestSections(t *testing.T) {
	t.Parallel()
	for _, name := range train.Tasks() {
		want, err := train.New(name)
		if err != nil {
			t.Fatal(err)
		}
		train.Assume(want) // every section is written then
		want.Common().Engine.Threads = 1
		text, err := yaml.Marshal(want.Config())
		if err != nil {
			t.Fatal(err)
		}
		read := func(more string) (train.Task, error) {
			path := filepath.Join(t.TempDir(), "bdia.yaml")
			if err := os.WriteFile(path, []byte("task: "+name+"\n"+string(text)+more), 0o666); err != nil {
				t.Fatal(err)
			}
			return train.ReadConfig(path, nil)
		}
		var written map[string]any
		if err := yaml.Unmarshal(text, &written); err != nil {
			t.Fatal(err)
		}
		pixels := "pixels:\n  mean: [0.0, 0.0, 0.0]\n  std: [0.0, 0.0, 0.0]\n"
		got, err := read(pixels)
		if err != nil || got.Name() != name || !reflect.DeepEqual(got.Config(), want.Config()) {
			t.Errorf("%s: read %+v, %v", name, got, err)
		}
		for _, section := range []string{"data", "model", "tune", "images", "augment", "vit", "pairs", "seq2seq"} {
			if _, own := written[section]; own || strings.Contains(string(text), section+":") {
				continue
			}
			_, err := read(section + ":\n  layers: 3\n")
			traintest.OneLine(t, err)
		}
	}
	if _, err := train.New("none"); err == nil {
		t.Error("an unknown task is made")
	}
}
