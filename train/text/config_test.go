package text

import (
	"fmt"
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/bdia-go/bdia"
	"github.com/bdia-go/bdia/train"
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
		_, err := train.ReadConfig(path, New(Default()))
		if err == nil || strings.Contains(err.Error(), "\n") {
			t.Errorf("%s: error %v", name, err)
		}
	}
}

// Bounds of a configuration file.
const (
	maxConfig   = 1 << 14 // bytes
	maxBrackets = 32
)

// TestHugeSizes: sizes that no machine holds are errors before anything of them
// is allocated, and the search for a batch stops short of them.
func TestHugeSizes(t *testing.T) {
	t.Parallel()
	for name, change := range map[string]func(*Config){
		"batch":       func(c *Config) { c.Loop.Batch = math.MaxInt },
		"tokens":      func(c *Config) { c.Loop.Batch = train.MaxTokens/c.Model.Context + 1 },
		"micro-batch": func(c *Config) { c.Loop.Batch, c.Loop.MicroBatch = 1<<20, 1<<19 },
		"threads":     func(c *Config) { c.Engine.Threads = math.MaxInt },
	} {
		cfg := Default()
		cfg.Assume()
		change(&cfg)
		if _, err := train.Plan(New(cfg)); err == nil || strings.Contains(err.Error(), "\n") {
			t.Errorf("%s: error %v", name, err)
		}
	}
	cfg := Default()
	cfg.Assume()
	cfg.Model.Context = 1 << 20
	n, _, err := train.LargestBatch(New(cfg), bdia.Reversible, 1<<60)
	if want := train.MaxTokens >> 20; err != nil || n != want {
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
		_, err := train.ReadConfig(path, New(Default()))
		if want = "train: " + path + ": " + want; err == nil || err.Error() != want {
			t.Errorf("%q: error %v, want %s", text, err, want)
		}
	}
}

// TestExtensions: endings may be given without their dot.
func TestExtensions(t *testing.T) {
	t.Parallel()
	var e Extensions
	if err := e.Set("txt, .md"); err != nil || e.String() != ".txt,.md" {
		t.Errorf("%q, %v", e.String(), err)
	}
}
