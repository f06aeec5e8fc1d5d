package hub

import (
	"errors"
	"strings"
	"testing"

	"github.com/bdia-go/bdia"
	"github.com/bdia-go/bdia/backend"
)

func TestParseSettings(t *testing.T) {
	t.Parallel()
	def := Settings{Task: "text", Grid: bdia.DefaultGrid, Separator: "\n"}
	with := func(change func(*Settings)) Settings {
		s := def
		change(&s)
		return s
	}
	sep := func(text string) Settings { return with(func(s *Settings) { s.Separator = text }) }
	for text, want := range map[string]Settings{
		"":                                     def,
		"---\r\n# a run\r\n\r\ntask: text\r\n": def,
		"task: completion # of prompts\nmethod:\n  gamma: \"0.5\"\n  grid: \"7\"\ntune:\n  from: /a\n  base: sha256:1\n  lora:\n    base: 3\n  separator: \" => \"\n": {
			Task: "completion", Grid: 7, Separator: " => ", Base: "sha256:1"},
		"task: completion\ntune:\n  chat_template: true\n":                              with(func(s *Settings) { s.Task, s.Template = "completion", true }),
		"method: # how\n    grid: none\nother:\n  - {a: [1]}\n  text: |\n    grid: 3\n": with(func(s *Settings) { s.Grid = bdia.NoGrid }),
		"method:\n  grid: 0 # bits\n":                                                   with(func(s *Settings) { s.Grid = 0 }),
		"tune:\n  separator: 'it''s # one'\n":                                           sep("it's # one"),
		"tune:\n  separator: \"\\u2028\\x00\\\"\\\\\" # odd\n":                          sep("\u2028\x00\"\\"),
		"tune:\n  separator: \"\"\n":                                                    sep(""),
		"tune:\n  separator: a#b\n":                                                     sep("a#b"),
		"tune:\n  separator: ''\n  base: \"\"":                                          sep(""),
	} {
		for engine, precision := range map[string]backend.Precision{"engine:\n  threads: 1\n": backend.Float32, "engine: {threads: 1}\n": backend.Float32,
			"engine:\n  isa: \"\"\n  precision: bf16 # fast\n": backend.BFloat16, "engine:\n    precision: \"float32\"\n": backend.Float32} {
			want.Precision = precision
			if got, err := parseSettings(text + "\n" + engine); err != nil || got != want {
				t.Errorf("%q: %+v, %v, want %+v", text+engine, got, err, want)
			}
		}
	}
	for _, text := range []string{
		"{task: text}", "[1]", "task", "task: ", "task:\n", "task: [a]", "task: {}", "task: &a text", "task: *a", "task: !!str text", "task: |\n  a",
		"task: >\n  a", "task: text\n  and more", "task: text\ntask: text", "\"task\": text", "? task\n: text", "task: null", "task: ~", "task: a: b",
		"task: \"a\" b", "task: \"a", "task: 'a", "task: 'a' 'b'", "task:text", "\ttask: text", "task: text\n---\ntask: text", "- task: text",
		"method: {grid: 9}", "method: *a", "method:\n  grid: 9\nmethod:\n  grid: 8", "method:\n  <<: *a", "method:\n  grid: 9\n grid: 8", "method:\n  \"grid\": 9",
		"method:\n  grid: 27", "method:\n  grid: many", "method:\n  - grid: 9", "method:\n\tgrid: 9", "tune:\n  separator: \"\\1\"", "tune:\n  separator: \"\\101\"",
		"tune:\n  separator: \"\\xff\"", "tune:\n  separator: \"\\e\"", "tune:\n  separator: \"a\n    b\"", "tune:\n  separator: a\n    b", "tune:\n  separator: `a`",
		"tune:\n  separator:\n    a", "task: text\u2028a", "task: \xff",
	} {
		if got, err := parseSettings(text + "\nengine:\n"); err == nil {
			t.Errorf("%q: %+v", text, got)
		} else if !errors.Is(err, ErrSettings) && !strings.Contains(err.Error(), "grid") || strings.Contains(err.Error(), "\n") {
			t.Errorf("%q: %v", text, err)
		}
	}
	for _, text := range []string{"engine: {precision: bf16}\n", "engine:\n  precision: bf16\n  precision: bf16\n", "engine:\n  precision: bf16\nengine:\n", "engine:\n  precision:\n", "engine:\n  precision: fp16\n"} {
		got, err := parseSettings(text)
		if err == nil || strings.Contains(err.Error(), "\n") || !errors.Is(err, ErrSettings) && !strings.Contains(err.Error(), `engine.precision: backend: unknown precision "fp16"; use float32 or bf16`) {
			t.Errorf("%q: %+v, %v", text, got, err)
		}
	}
	for _, text := range []string{"", "# gone\n", "task: completion\nmethod:\n  grid: \"7\"\n", "task: text\nloop:\n  engine:\n"} {
		if got, err := parseSettings(text); !errors.Is(err, ErrSettings) || !strings.Contains(err.Error(), "empty or cut off") {
			t.Errorf("%q: %+v, %v", text, got, err)
		}
	}
}
