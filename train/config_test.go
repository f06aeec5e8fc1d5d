package train_test

import (
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"

	"github.com/goccy/go-yaml"

	"github.com/bdia-go/bdia"
	"github.com/bdia-go/bdia/internal/traintest"
	"github.com/bdia-go/bdia/train"
	_ "github.com/bdia-go/bdia/train/images"
	_ "github.com/bdia-go/bdia/train/pairs"
	_ "github.com/bdia-go/bdia/train/text"
	"github.com/bdia-go/bdia/train/tune"
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

// TestFileNamesGamma: a file that names gamma has no ramp but its own, whatever the default is; one that does not has the
// default's.
func TestFileNamesGamma(t *testing.T) {
	t.Parallel()
	law := tune.DefaultMethod()
	for text, want := range map[string]bdia.Options{
		"memory: store":       {Memory: bdia.Store, Gamma: law.Gamma, Grid: law.Grid, Ramp: law.Ramp},
		`gamma: "0.5"`:        {Gamma: 0.5, Grid: law.Grid},
		"gamma: 0":            {Grid: law.Grid},
		"ramp: {lower: 0.25}": {Gamma: law.Gamma, Grid: law.Grid, Ramp: bdia.Ramp{Lower: 0.25}},
		"{gamma: 0.25, ramp: {from: 0.0625, steps: 7}}": {Gamma: 0.25, Grid: law.Grid, Ramp: bdia.Ramp{From: 0.0625, Steps: 7}},
	} {
		path := filepath.Join(t.TempDir(), "settings.yaml")
		if err := os.WriteFile(path, []byte("task: completion\nmethod:\n  "+text+"\n"), 0o666); err != nil {
			t.Fatal(err)
		}
		if got, err := train.ReadConfig(path, nil); err != nil || got.Common().Method != want {
			t.Errorf("%s: %+v, %v, want %+v", text, got, err, want)
		}
	}
}
