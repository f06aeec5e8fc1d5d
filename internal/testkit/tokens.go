package testkit

import (
	"encoding/json"
	"os"
	"path/filepath"
	"testing"
)

// AddSpecial adds special tokens to the tokenizer.json in dir, with ids from first.
func AddSpecial(t testing.TB, dir string, first int, spellings ...string) {
	t.Helper()
	path := filepath.Join(dir, "tokenizer.json")
	text, err := os.ReadFile(path)
	OK(t, err)
	var file map[string]json.RawMessage
	OK(t, json.Unmarshal(text, &file))
	var added []map[string]any
	OK(t, json.Unmarshal(file["added_tokens"], &added))
	for i, s := range spellings {
		added = append(added, map[string]any{"id": first + i, "content": s, "special": true, "single_word": false, "lstrip": false, "rstrip": false, "normalized": false})
	}
	file["added_tokens"], err = json.Marshal(added)
	OK(t, err)
	text, err = json.Marshal(file)
	OK(t, err)
	OK(t, os.WriteFile(path, text, 0o666))
}
