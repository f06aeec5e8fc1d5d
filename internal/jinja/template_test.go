package jinja

import (
	"encoding/json"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/bdia-go/bdia/internal/testkit"
)

// day is when the expected renderings were made.
var day = time.Date(2026, 11, 27, 12, 0, 0, 0, time.UTC)

// rendering is what Jinja2 makes of a template.
type rendering struct{ Text, Error, Marked string }

// TestRealTemplates renders the templates of 27 models, and compares with Jinja2 as transformers sets it up.
func TestRealTemplates(t *testing.T) {
	t.Parallel()
	dir := testkit.SharedPath(t, "llm", "templates")
	var conversations []json.RawMessage
	var expected map[string]map[string]map[string]rendering
	readJSON(t, filepath.Join(dir, "conversations.json"), &conversations)
	readJSON(t, filepath.Join(dir, "expected.json"), &expected)
	n := 0
	for _, file := range slices.Sorted(maps.Keys(expected)) {
		source, err := os.ReadFile(filepath.Join(dir, file))
		if err != nil {
			t.Fatal(err)
		}
		template, err := Parse(string(source))
		if err != nil {
			t.Errorf("%s: %v", file, err)
			continue
		}
		for _, text := range conversations {
			v, err := FromJSON(text)
			if err != nil {
				t.Fatal(err)
			}
			talk := v.(*Dict)
			name, _ := talk.Get("name")
			for prompt, want := range expected[file][name.(string)] {
				n++
				variables := map[string]any{"bos_token": "<s>", "eos_token": "</s>", "pad_token": "<pad>", "unk_token": "<unk>",
					"add_generation_prompt": prompt == "true", "tools": nil, "documents": nil}
				for _, key := range talk.Keys() {
					variables[key], _ = talk.Get(key)
				}
				compareWithJinja2(t, file+" "+name.(string)+" "+prompt, template, variables, want.Text, want.Error)
			}
		}
	}
	if n < 300 {
		t.Errorf("%d renderings were compared", n)
	}
}

func compareWithJinja2(t *testing.T, what string, template *Template, variables map[string]any, text, failure string) {
	t.Helper()
	got, err := template.Render(variables, day)
	switch {
	case failure != "":
		if err == nil {
			t.Errorf("%s: %.200q, want the error %s", what, got, failure)
		} else if said, raised := strings.CutPrefix(failure, "TemplateError: "); raised && err.Error() != said {
			t.Errorf("%s: error %q, want %q", what, err, said)
		}
	case err != nil:
		t.Errorf("%s: %v", what, err)
	case got != text:
		at := 0
		for at < min(len(got), len(text)) && got[at] == text[at] {
			at++
		}
		t.Errorf("%s: at byte %d:\n got %.300q\nwant %.300q", what, at, got[max(0, at-20):], text[max(0, at-20):])
	}
}

func readJSON(t *testing.T, path string, to any) {
	t.Helper()
	text, err := os.ReadFile(path)
	if err == nil {
		err = json.Unmarshal(text, to)
	}
	if err != nil {
		t.Fatal(err)
	}
}

// TestMoreTemplates renders the templates that transformers.js is tested with.
func TestMoreTemplates(t *testing.T) {
	t.Parallel()
	dir := testkit.SharedPath(t, "llm", "templates")
	var all []struct {
		Name, Template string
		Data           json.RawMessage
		Expected       json.RawMessage
	}
	readJSON(t, filepath.Join(dir, "huggingface_js_e2e.json"), &all)
	for _, one := range all {
		var want rendering
		if json.Unmarshal(one.Expected, &want.Text) != nil {
			if err := json.Unmarshal(one.Expected, &want); err != nil {
				t.Fatal(err)
			}
		}
		template, err := Parse(one.Template)
		if err != nil {
			t.Errorf("%s: %v", one.Name, err)
			continue
		}
		v, err := FromJSON(one.Data)
		if err != nil {
			t.Fatal(err)
		}
		variables := map[string]any{}
		for _, key := range v.(*Dict).Keys() {
			variables[key], _ = v.(*Dict).Get(key)
		}
		compareWithJinja2(t, one.Name, template, variables, want.Text, want.Error)
	}
}
