package train_test

import (
	"bytes"
	"os"
	"path/filepath"
	"testing"

	"github.com/bdia-go/bdia/train"
	_ "github.com/bdia-go/bdia/train/images"
	_ "github.com/bdia-go/bdia/train/pairs"
	_ "github.com/bdia-go/bdia/train/text"
	_ "github.com/bdia-go/bdia/train/tune"
)

// TestSettings lists settings by the names that bdia.yaml has for them, and counts parameters.
func TestSettings(t *testing.T) {
	t.Parallel()
	text, err := os.ReadFile(filepath.Join("testdata", "oldruns", "text", "bdia.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(t.TempDir(), "bdia.yaml")
	if err := os.WriteFile(path, bytes.ReplaceAll(text, []byte("@DIR@"), []byte("dir")), 0o666); err != nil {
		t.Fatal(err)
	}
	task, err := train.ReadConfig(path, nil)
	if err != nil {
		t.Fatal(err)
	}
	got := map[string]string{}
	for _, s := range train.Settings(task) {
		if _, twice := got[s.Name]; twice {
			t.Errorf("%s is listed twice", s.Name)
		}
		got[s.Name] = s.Value
	}
	for name, want := range map[string]string{"data.tokenizer": "char", "model.width": "16", "method.memory": "reversible", "method.gamma": "0.5",
		"method.grid": "9", "optimizer.name": "adamw", "schedule.lr": "0.001", "loop.seed": "1", "engine.isa": ""} {
		if value, ok := got[name]; !ok || value != want {
			t.Errorf("%s is %q, want %q", name, value, want)
		}
	}
	// Embeddings (24 + 16 positions), two blocks of 12 C² + 13 C, a final norm.
	all, trainable, err := train.Parameters(task.(train.Synthetic))
	if want := int64((24+16)*16 + 2*(12*16*16+13*16) + 2*16); err != nil || all != want || trainable != want {
		t.Errorf("%d parameters, %d trainable, %v; want %d", all, trainable, err, want)
	}
}
