package main

import (
	"fmt"
	"path/filepath"
	"strings"
	"testing"
)

// TestLongPairs: a note on pairs that are longer than the model's context, or than the window, names the flags with
// which they are cut or kept, and no flag that is given.
func TestLongPairs(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	var rows strings.Builder
	for i := range 40 {
		fmt.Fprintf(&rows, "{\"prompt\": \"no %d\", \"completion\": \"%s\"}\n", i, strings.Repeat("so ", 1+i%2*200))
	}
	write(t, dir, "rows.jsonl", rows.String())
	const truncate, window, context = "--on-long truncate", "a larger --window", "a model with a longer context, named with --from, keeps them"
	for flags, want := range map[string][3]bool{"": {true, false, true}, "--on-long truncate": {false, false, true}, "--window 16": {true, true, false}} {
		r := mustCall(t, append([]string{"finetune", "--from", baseModel(t), "--data", filepath.Join(dir, "rows.jsonl"), "--steps", "2", "--dry-run"}, strings.Fields(flags)...)...)
		text := strings.Join(strings.Fields(r.out), " ")
		_, note, _ := strings.Cut(text, "keeps all; ")
		note, _, _ = strings.Cut(note, " Note ")
		if got := [3]bool{strings.Contains(note, truncate), strings.Contains(note, window), strings.Contains(note, context)}; got != want {
			t.Errorf("%q: %s\n%s", flags, note, r.out)
		}
	}
}
