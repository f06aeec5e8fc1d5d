package train_test

import (
	"os"
	"path/filepath"
	"reflect"
	"testing"

	"github.com/goccy/go-yaml"

	"github.com/bdia-go/bdia"
	"github.com/bdia-go/bdia/backend"
	"github.com/bdia-go/bdia/hub"
	"github.com/bdia-go/bdia/internal/testkit"
	"github.com/bdia-go/bdia/train"
	"github.com/bdia-go/bdia/train/tune"
)

// sameSettings compares what the reader by hand takes from a bdia.yaml with what the YAML
// library reads.
func sameSettings(t *testing.T, text string) (read bool) {
	t.Helper()
	dir := t.TempDir()
	path := filepath.Join(dir, hub.RunFile)
	if err := os.WriteFile(path, []byte(text), 0o666); err != nil {
		t.Fatal(err)
	}
	got, err := hub.ReadSettings(dir)
	testkit.Refused(t, err)
	one, rerr := train.ReadConfig(path, tune.New(tune.Default()))
	testkit.Refused(t, rerr)
	if err != nil {
		return false
	}
	err = rerr
	of, ok := one.(*tune.Task)
	if err != nil || !ok || got.Task != tune.Name {
		return true // not a run's settings, or of a task that has no separator
	}
	cfg := of.Settings
	want := hub.Settings{Task: tune.Name, Grid: cfg.Method.Grid, Separator: string(cfg.Tune.Separator), Base: cfg.Tune.Base, Precision: cfg.Engine.Precision}
	if got != want {
		t.Errorf("%q: %+v; the YAML library reads %+v", text, got, want)
	}
	return true
}

// TestSettingsOfRuns: files that the YAML library writes, with all kinds of separators,
// are read by hand as by that library.
func TestSettingsOfRuns(t *testing.T) {
	t.Parallel()
	for _, separator := range []string{"", "\n", " ", "\n\n", "\t", "=>", " -> ", "'", `"`, `\`, `\n`, "#", " #", ": ", "a: b", "[", "{", "|", "null", "~", "0", "true",
		"\x00", "\x1b", "\x7f", "\r\n", "\u0085", "\u2028", "\ufeff", "é", "→", "😀", "\U0010ffff", "a\nb: c\n  d", "<|endoftext|>", "%", "@", "`", "---"} {
		for _, grid := range []bdia.Grid{bdia.NoGrid, 0, 9} {
			cfg := tune.Default()
			cfg.Tune.From, cfg.Tune.Base, cfg.Tune.Separator, cfg.Method.Grid = "/a: #b\n'", "sha256:0e1", tune.Separator(separator), grid
			if grid == 0 {
				cfg.Engine.Precision = backend.BFloat16
			}
			text, err := yaml.Marshal(cfg)
			if err != nil {
				t.Fatal(err)
			}
			if !sameSettings(t, "task: completion\n"+string(text)) {
				t.Errorf("separator %q is not read in\n%s", separator, text)
			}
		}
	}
}

func FuzzSettings(f *testing.F) {
	for _, text := range []string{"task: completion\nmethod:\n  grid: \"7\"\ntune:\n  separator: \"\\n\"\n  base: sha256:1\nengine:\n", "task: completion\ntune:\n  separator: 'it''s' # a\nengine:\n",
		"task: completion\ntune:\n  lora:\n    rank: 2\n  separator: \" \"\nengine:\n"} {
		f.Add(text)
		for _, longer := range testkit.Longer(text) {
			f.Add(longer)
		}
	}
	f.Fuzz(func(t *testing.T, text string) { sameSettings(t, text) })
}

// TestSeparators: any text is the same after it was written to bdia.yaml.
func TestSeparators(t *testing.T) {
	t.Parallel()
	for _, s := range []tune.Separator{"", "\n", "\t", " ", "  ", "\n\n", " \n", "\r\n", "\"", "'", `\`, `\n`, "a\tb\nc", ": ", " #", "# ", "- ", "~", "null", "true", "12", "1e3", "0x10",
		"{}", "[", "%", "|", ">", "&a", "*a", "!!str", "###\n", "é", "日本語", "🙂", "\u00a0", "\u2028", "\ufeff", "\x00", "\x01", "\x7f", "\u0085", "===\n  ->\t\"x\""} {
		path := filepath.Join(t.TempDir(), hub.RunFile)
		cfg := tune.Default()
		cfg.Tune.Separator = s
		written, err := yaml.Marshal(cfg)
		if err != nil {
			t.Errorf("%q: %v", s, err)
			continue
		}
		if err := os.WriteFile(path, append([]byte("task: completion\n"), written...), 0o666); err != nil {
			t.Fatal(err)
		}
		got := tune.New(tune.Default())
		if _, err := train.ReadConfig(path, got); err != nil || !reflect.DeepEqual(got.Settings, cfg) {
			t.Errorf("%q became %q: %v", s, got.Settings.Tune.Separator, err)
		}
	}
}
