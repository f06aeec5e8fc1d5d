package main

import (
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// documentedKeys are the keys of a section of docs/json.md. The ones that are only sometimes there are false.
func documentedKeys(t *testing.T, section string) map[string]bool {
	t.Helper()
	_, rest, ok := strings.Cut(string(readFile(t, "../../docs", "json.md")), "\n## "+section+"\n")
	if !ok {
		t.Fatalf("docs/json.md has no section %q", section)
	}
	text, _, _ := strings.Cut(rest, "\n## ")
	keys := map[string]bool{}
	for line := range strings.Lines(text) {
		cells := strings.Split(line, " | ")
		if !strings.HasPrefix(line, "| `") || len(cells) < 2 {
			continue
		}
		for _, m := range regexp.MustCompile("`([a-z0-9_]+)`").FindAllStringSubmatch(cells[0], -1) {
			keys[m[1]] = !strings.HasPrefix(cells[1], "Only ")
		}
	}
	return keys
}

// checkKeys compares printed keys with the ones of a section.
func checkKeys(t *testing.T, section string, printed map[string]any) {
	t.Helper()
	documented := documentedKeys(t, section)
	for key := range printed {
		if _, ok := documented[key]; !ok {
			t.Errorf("docs/json.md lacks %q of %s", key, section)
		}
	}
	for key, always := range documented {
		if _, ok := printed[key]; always && !ok {
			t.Errorf("%s does not print %q, which docs/json.md has", section, key)
		}
	}
}

// TestJSONKeys: docs/json.md has the keys that commands print.
func TestJSONKeys(t *testing.T) {
	t.Parallel()
	dir, run := t.TempDir(), trainedRun(t)
	data := filepath.Join(scratch, "text.txt")
	table := write(t, dir, "pairs.csv", questions(60))
	train := append([]string{"train", "--data", data, "--json", "--steps", "20"}, tiny("--steps", "20")...)
	summary := object(t, mustCall(t, append(train, "--out", filepath.Join(dir, "run"))...))
	checkKeys(t, "bdia train", summary)
	checkKeys(t, "forecast", summary["forecast"].(map[string]any))
	checkKeys(t, "bdia train --dry-run", object(t, mustCall(t, append(train, "--dry-run")...)))
	inspected := object(t, mustCall(t, "inspect", table, "--json"))
	checkKeys(t, "bdia inspect", inspected)
	checkKeys(t, "data", inspected["inputs"].([]any)[0].(map[string]any)["data"].(map[string]any))
	compared := object(t, mustCall(t, "compare", filepath.Join(dir, "run"), "--json"))
	checkKeys(t, "bdia compare", compared)
	one := compared["runs"].([]any)[0].(map[string]any)
	for _, key := range []string{"steps", "best_val_loss", "best_step", "val_loss", "seconds"} {
		if one[key] != summary[key] {
			t.Errorf("%s of the run is %v in compare and %v in the summary", key, one[key], summary[key])
		}
	}
	checkKeys(t, "bdia eval", object(t, mustCall(t, "eval", run, "--json")))
	checkKeys(t, "bdia verify", object(t, mustCall(t, "verify", run, "--json")))
	checkKeys(t, "bdia plan", object(t, mustCall(t, "plan", "--preset", "nano", "--json")))
	checkKeys(t, "bdia generate", object(t, mustCall(t, "generate", run, "--json", "--max-tokens", "3")))
	checkKeys(t, "bdia translate", object(t, mustCall(t, "translate", translatorRun(t), "one", "--json")))
	checkKeys(t, "bdia classify", object(t, mustCall(t, "classify", imageRun(t), filepath.Join(photos(), "red", "00.png"), "--json")))
	for _, metric := range []string{"bleu", "chrf", "ter"} {
		checkKeys(t, "bdia score", object(t, mustCall(t, "score", metric, "--hypotheses", data, "--references", data, "--json")))
	}
	checkKeys(t, "bdia score e2e", object(t, mustCall(t, "score", "e2e", "--hypotheses", data, "--references", data, "--json")))
	checkKeys(t, "bdia bench --memory", object(t, mustCall(t, strings.Fields("bench --memory store --layers 2 --heads 2 --width 16 --seq 8 --vocab 11 --batch 1 --steps 1 --json")...)))
	checkKeys(t, "bdia tokenizer encode", object(t, mustCall(t, "tokenizer", "encode", run, data, "--json")))
	decoded := object(t, callWith(t.Context(), "3,4 5\n", "tokenizer", "decode", run, "--json"))
	checkKeys(t, "bdia tokenizer decode", decoded)
	checkKeys(t, "bdia tokenizer info", object(t, mustCall(t, "tokenizer", "info", run, "--json")))
	if decoded["tokens"] != 3.0 {
		t.Errorf("decoded %v", decoded)
	}
	checkKeys(t, "bdia export", object(t, mustCall(t, "export", run, "--format", "gguf", "--out", filepath.Join(dir, "x.gguf"), "--json")))
	checkKeys(t, "bdia tokenizer train", object(t, mustCall(t, "tokenizer", "train", data, "--vocab", "300", "-o", filepath.Join(dir, "tok"), "--json")))
	quick := object(t, mustCall(t, "quickstart", data, "--seconds", "0.2", "-o", filepath.Join(dir, "quick"), "--threads", "1", "--json"))
	for key := range documentedKeys(t, "bdia train") {
		delete(quick, key)
	}
	checkKeys(t, "bdia quickstart", quick)
}
