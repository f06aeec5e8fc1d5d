package train

import (
	"fmt"
	"math"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"

	"github.com/goccy/go-yaml"

	"github.com/bdia-go/bdia"
)

// TestHostileYAML feeds the reader text that makes YAML parsers run away. Each
// must fail, soon and without much memory.
func TestHostileYAML(t *testing.T) {
	t.Parallel()
	bomb := "a0: &a0 [x,x,x,x]\n"
	for i := 1; i < 9; i++ {
		bomb += fmt.Sprintf("a%d: &a%d [*a%d,*a%d,*a%d]\n", i, i, i-1, i-1, i-1)
	}
	indent := ""
	for i := range 150 {
		indent += strings.Repeat(" ", i) + "a:\n"
	}
	for name, text := range map[string]string{
		"flow lists": strings.Repeat("[", maxConfig), "flow maps": strings.Repeat("{a: ", maxConfig/4),
		"lists": strings.Repeat("- ", maxConfig/2), "keys": strings.Repeat("? ", maxConfig/2), "maps": indent,
		"anchors": strings.Repeat("&a ", maxConfig/3), "aliases": strings.Repeat("*a ", maxConfig/3), "bomb": bomb,
		"tags": strings.Repeat("!a ", maxConfig/3), "quotes": strings.Repeat("\"", maxConfig),
		"huge": strings.Repeat("#", maxConfig+1), "few brackets": strings.Repeat("[", maxBrackets),
	} {
		path := filepath.Join(t.TempDir(), "c.yaml")
		if err := os.WriteFile(path, []byte(text), 0o666); err != nil {
			t.Fatal(err)
		}
		cfg := DefaultConfig()
		err := ReadConfig(path, &cfg)
		if err == nil || strings.Contains(err.Error(), "\n") {
			t.Errorf("%s: error %v", name, err)
		}
	}
}

// TestHugeSizes: sizes that no machine holds are errors before anything of them
// is allocated, and the search for a batch stops short of them.
func TestHugeSizes(t *testing.T) {
	t.Parallel()
	for name, change := range map[string]func(*Config){
		"batch":       func(c *Config) { c.Loop.Batch = math.MaxInt },
		"tokens":      func(c *Config) { c.Loop.Batch = maxTokens/c.Model.Context + 1 },
		"micro-batch": func(c *Config) { c.Loop.Batch, c.Loop.MicroBatch = 1<<20, 1<<19 },
		"threads":     func(c *Config) { c.Engine.Threads = math.MaxInt },
	} {
		cfg := DefaultConfig()
		change(&cfg)
		if _, err := Plan(cfg); err == nil || strings.Contains(err.Error(), "\n") {
			t.Errorf("%s: error %v", name, err)
		}
	}
	for name, change := range map[string]func(*Config){
		"batch":       func(c *Config) { c.Loop.Batch = math.MaxInt },
		"images":      func(c *Config) { c.ViT.Image, c.ViT.Patch, c.Loop.Batch = 1<<13, 1<<12, 2 },
		"micro-batch": func(c *Config) { c.Loop.Batch, c.Loop.MicroBatch = 1<<20, 1<<19 },
		"image":       func(c *Config) { c.ViT.Image = math.MaxInt },
		"classes":     func(c *Config) { c.ViT.Classes = math.MaxInt },
	} {
		cfg := DefaultImageConfig()
		change(&cfg)
		if _, err := Plan(cfg); err == nil || strings.Contains(err.Error(), "\n") {
			t.Errorf("%s: error %v", name, err)
		}
	}
	cfg := DefaultConfig()
	cfg.Model.Context = 1 << 20
	n, _, err := LargestBatch(cfg, bdia.Reversible, 1<<60)
	if want := maxTokens >> 20; err != nil || n != want {
		t.Errorf("largest batch %d (%v), want %d", n, err, want)
	}
}

// TestYAMLMessages: what is wrong with a value is said in one line, in words for
// people who do not know Go.
func TestYAMLMessages(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{
		"loop:\n  batch: many\n":                         `[2:10] "many" is not a whole number`,
		"loop:\n  seed: -1\n":                            "[2:9] -1 is out of range",
		"loop:\n  clip: none\n":                          `[2:9] "none" is not a number`,
		"loop:\n  tensorboard: 7\n":                      `[2:16] "7" is not true or false`,
		"loop:\n  batch: 1" + "0000000000000000000000\n": "[2:10] 10000000000000000000000 is out of range",
		"loop:\n  batch: 1.5\n":                          "loop.batch is 1.5, not a whole number",
		"loop:\n  save_every: 1e300\n":                   "[2:15] 1e300 is out of range",
		"loop: 5\n":                                      "[1:7] int was used where mapping is expected",
		"loop:\n  bat: 3\n":                              `[2:3] unknown field "bat"`,
	} {
		path := filepath.Join(t.TempDir(), "c.yaml")
		if err := os.WriteFile(path, []byte(text), 0o666); err != nil {
			t.Fatal(err)
		}
		cfg := DefaultConfig()
		err := ReadConfig(path, &cfg)
		if want = "train: " + path + ": " + want; err == nil || err.Error() != want {
			t.Errorf("%q: error %v, want %s", text, err, want)
		}
	}
}

// TestSections: a configuration is written without the sections of other tasks, and
// one of an earlier version, which had pixels in each, is the same.
func TestSections(t *testing.T) {
	t.Parallel()
	for _, task := range Tasks() {
		cfg := Default(task)
		cfg.Engine.Threads = 1
		text, err := yaml.Marshal(cfg)
		if err != nil {
			t.Fatal(err)
		}
		var written map[string]any
		if err := yaml.Unmarshal(text, &written); err != nil {
			t.Fatal(err)
		}
		for _, f := range reflect.VisibleFields(reflect.TypeFor[Config]()) {
			if f.Anonymous { // its fields follow
				continue
			}
			at, _, _ := strings.Cut(f.Tag.Get("yaml"), ",")
			if _, is := written[at]; is == reflect.ValueOf(cfg).FieldByIndex(f.Index).IsZero() {
				t.Errorf("%s: section %s is written: %v", task, at, is)
			}
		}
		path := filepath.Join(t.TempDir(), configFile)
		if err := os.WriteFile(path, append(text, "pixels:\n  mean: [0.0, 0.0, 0.0]\n  std: [0.0, 0.0, 0.0]\n"...), 0o666); err != nil {
			t.Fatal(err)
		}
		got := Config{}
		if err := ReadConfig(path, &got); err != nil || !got.Equal(cfg) {
			t.Errorf("%s: read %+v, %v", task, got, err)
		}
	}
}
