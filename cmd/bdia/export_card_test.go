package main

import (
	"encoding/json"
	"fmt"
	"path/filepath"
	"strings"
	"testing"

	"github.com/ardanlabs/jinja"

	"github.com/bdia-go/bdia/cmd/bdia/internal/cli"
	"github.com/bdia-go/bdia/export"
	"github.com/bdia-go/bdia/format/gguf"
	"github.com/bdia-go/bdia/internal/testkit"
	"github.com/bdia-go/bdia/train"
)

// rendered is a conversation as a template in Jinja writes it.
func rendered(t *testing.T, template string, messages []map[string]any, prompt bool) string {
	t.Helper()
	compiled, err := jinja.Compile(template)
	if err != nil {
		t.Fatal(err)
	}
	text, err := compiled.Render(map[string]any{"messages": messages, "add_generation_prompt": prompt})
	if err != nil {
		t.Fatal(err)
	}
	return text
}

// finetunePairs trains the model in from for a step on a file of pairs.
func finetunePairs(t *testing.T, from, data, out string, more ...string) {
	t.Helper()
	mustCall(t, append([]string{"finetune", "--from", from, "--data", data, "--steps", "1", "--batch-tokens", "96", "--val-fraction", "0.2", "--out", out, "--threads", "1"}, more...)...)
}

// jsonKeys returns the keys of a JSON file.
func jsonKeys(t *testing.T, elem ...string) map[string]any {
	t.Helper()
	var keys map[string]any
	if err := json.Unmarshal(readFile(t, elem...), &keys); err != nil {
		t.Fatal(err)
	}
	return keys
}

// talkMessages is conversation i.
func talkMessages(i int) []map[string]any {
	return []map[string]any{{"role": "system", "content": "Be brief."}, {"role": "user", "content": fmt.Sprintf("%d?", i)}, {"role": "assistant", "content": "No."},
		{"role": "user", "content": "Why?"}, {"role": "assistant", "content": fmt.Sprintf("It is %d.", i)}}
}

// TestExportTalk: what is exported of a run that learned conversations has the template that writes exactly the prompts
// which the run learned, and the model card and the Modelfile say the same.
func TestExportTalk(t *testing.T) {
	t.Parallel()
	for name, separator := range map[string]string{"line": "\n", "space": " ", "odd": "'\\\t", "begin": "\n"} {
		m := modelCopies{t, t.TempDir()}
		var lines strings.Builder
		for i := range 20 {
			line, err := json.Marshal(map[string]any{"messages": talkMessages(i)})
			if err != nil {
				t.Fatal(err)
			}
			fmt.Fprintf(&lines, "%s\n", line)
		}
		run, base := filepath.Join(m.root, "run"), m.copy("base")
		if name == "begin" { // a text begins with a token of its own, as a Llama's
			testkit.Repipe(t, base, 279, testkit.Pipelines["llama-bpe"])
		}
		finetunePairs(t, base, write(t, m.root, "talk.jsonl", lines.String()), run, "--separator", separator)
		out := filepath.Join(m.root, "hf")
		report := exported(t, "--from", run, "--format", "hf", "--out", out)
		template, _ := jsonKeys(t, out, "tokenizer_config.json")["chat_template"].(string)
		learned := map[string]bool{}
		r, err := train.Open(run)
		if err != nil {
			t.Fatal(err)
		}
		defer r.Close()
		picture, err := r.Task.(train.Pictured).Picture(8)
		if err != nil {
			t.Fatal(err)
		}
		for _, s := range picture.Samples {
			text := ""
			for _, p := range s.Pieces {
				if !p.Counts {
					text += p.Text
				}
			}
			learned[text] = true
		}
		prompts := map[string]bool{}
		for i := range 20 {
			prompts[rendered(t, template, talkMessages(i)[:2], true)], prompts[rendered(t, template, talkMessages(i)[:4], true)] = true, true
		}
		for text := range learned {
			if !prompts[text] {
				t.Errorf("%s: the template does not write %q, which was learned", name, text)
			}
		}
		if len(learned) == 0 || !strings.Contains(fmt.Sprint(report.Notes), "the chat template writes them so") {
			t.Errorf("%s: %d prompts, %+v", name, len(learned), report)
		}
		ask := func(dir string) answerJSON {
			r := callWith(t.Context(), `{"messages":[{"role":"system","content":"Be brief."},{"role":"user","content":"7?"}]}`, "chat", dir, "--json", "--greedy", "--max-tokens", "4", "--threads", "1", "--grid", "none")
			list := answersOf(t, r.out)
			if r.code != cli.ExitOK || len(list) != 1 {
				t.Fatalf("%+v", r)
			}
			return list[0]
		}
		if a, b := ask(run), ask(out); a != b {
			t.Errorf("%s: the run answers %+v, what was exported of it %+v", name, a, b)
		}
		card := string(readFile(t, out, "README.md"))
		for _, s := range []string{"# run", "| Data | talk.jsonl |", "| Started from | base |", "gamma ±0.125..0.5@", "lines of", fmt.Sprintf("%q", "user: Hello\nassistant:"+separator), "pipeline('text-generation', 'hf')", "| Seed | 1 |"} {
			if name == "line" && !strings.Contains(strings.ReplaceAll(card, "a line `role", "lines of `role"), s) {
				t.Errorf("the card does not say %q:\n%s", s, card)
			}
		}
		if strings.Contains(card, m.root) {
			t.Errorf("the card names a folder of this machine:\n%s", card)
		}
		file := filepath.Join(m.root, "m.gguf")
		exported(t, "--from", run, "--format", "gguf", "--out", file)
		f, err := gguf.Open(file)
		if err != nil {
			t.Fatal(err)
		}
		defer f.Close()
		if v, _ := f.Value("tokenizer.chat_template"); v != template {
			t.Errorf("%s: the GGUF file has the template %q, want %q", name, v, template)
		}
		if text := string(readFile(t, m.root, "m.Modelfile")); !strings.Contains(text, "FROM ./m.gguf\n") || !strings.Contains(text, "assistant:"+separator+`"""`) {
			t.Errorf("%s: %s", name, text)
		}
		if text := string(readFile(t, m.root, "m.README.md")); !strings.Contains(text, "llama-cli -m m.gguf") || !strings.Contains(text, "ollama create run -f m.Modelfile") {
			t.Errorf("%s: %s", name, text)
		}
	}
}

// TestExportPairs: the separator of prompts and completions is named, and there is no template of conversations.
func TestExportPairs(t *testing.T) {
	t.Parallel()
	m := modelCopies{t, t.TempDir()}
	var lines strings.Builder
	for i := range 20 {
		fmt.Fprintf(&lines, "{\"prompt\": \"What is %d?\", \"completion\": \"A number, %d.\"}\n", i, i)
	}
	run, out := filepath.Join(m.root, "run"), filepath.Join(m.root, "onnx")
	finetunePairs(t, m.copy("base"), write(t, m.root, "pairs.jsonl", lines.String()), run, "--separator", " =>\n")
	r := mustCall(t, "export", run, "--format", "onnx", "--out", out, "--threads", "1")
	if !strings.Contains(r.out, `Note: after each prompt comes the separator " =>\n"`) {
		t.Error(r.out)
	}
	if keys := jsonKeys(t, out, "tokenizer_config.json"); keys["chat_template"] != nil {
		t.Errorf("%v", keys)
	}
	if card := string(readFile(t, out, "README.md")); !strings.Contains(card, "the separator `\" =>\\n\"`") || !strings.Contains(card, "@huggingface/transformers") {
		t.Error(card)
	}
}

// TestExportKeeps: what other programs have said of a model is in an export of it, and in one of a run that started
// from it.
func TestExportKeeps(t *testing.T) {
	t.Parallel()
	m := modelCopies{t, t.TempDir()}
	const template = "{% for m in messages %}<|{{ m.role }}|>{{ m.content }}{% endfor %}"
	base := m.copy("base", m.config("task_specific_params", `{"text-generation": {"max_length": 50}}`), m.config("eos_token_id", "[279, 278]"), m.config("_name_or_path", `"/home/me/secret"`),
		m.put("generation_config.json", `{"eos_token_id": [279, 277], "temperature": 0.7, "top_p": NaN, "transformers_version": "5.0"}`),
		m.put("special_tokens_map.json", `{"eos_token": "<|endoftext|>", "additional_special_tokens": ["<|x|>"]}`),
		m.put("chat_template.jinja", template),
		m.edit("tokenizer_config.json", `{"add`, `{"model_max_length": 48, "chat_template": "old", "pad_token": "[PAD]", "extra": {"a": [1]}, "length": Infinity, "add_bos_token": true, "add`))
	run := filepath.Join(m.root, "run")
	mustCall(t, "finetune", "--from", base, "--data", m.text(), "--window", "8", "--batch", "2", "--steps", "2", "--eval-every", "1", "--out", run, "--threads", "1")
	adapted := filepath.Join(m.root, "adapted")
	mustCall(t, "finetune", "--from", base, "--data", m.text(), "--window", "8", "--batch", "2", "--steps", "1", "--lora-rank", "2", "--out", adapted, "--threads", "1")
	again := filepath.Join(m.root, "again")
	mustCall(t, "finetune", "--from", run, "--data", m.text(), "--window", "8", "--batch", "2", "--steps", "1", "--out", again, "--threads", "1")
	for i, from := range []string{base, run, adapted, again} {
		for _, format := range []string{"hf", "onnx"} {
			out := filepath.Join(m.root, fmt.Sprint("out", i, format))
			exported(t, "--from", from, "--format", format, "--out", out)
			config, generation, tokens := jsonKeys(t, out, "config.json"), jsonKeys(t, out, "generation_config.json"), jsonKeys(t, out, "tokenizer_config.json")
			if fmt.Sprint(config["eos_token_id"]) != "[279 278 277]" || fmt.Sprint(config["task_specific_params"]) != "map[text-generation:map[max_length:50]]" || config["_name_or_path"] != nil {
				t.Errorf("%s, %s: config.json %v", from, format, config)
			}
			if fmt.Sprint(generation["eos_token_id"]) != "[279 278 277]" || generation["temperature"] != 0.7 || generation["transformers_version"] != nil || generation["top_p"] != nil {
				t.Errorf("%s, %s: generation_config.json %v", from, format, generation)
			}
			if tokens["model_max_length"] != 48. || tokens["chat_template"] != "old" || tokens["pad_token"] != "[PAD]" || fmt.Sprint(tokens["extra"]) != "map[a:[1]]" || tokens["add_bos_token"] != nil || tokens["length"] != nil {
				t.Errorf("%s, %s: tokenizer_config.json %v", from, format, tokens)
			}
			if text := string(readFile(t, out, "chat_template.jinja")); text != template {
				t.Errorf("%s, %s: %q", from, format, text)
			}
			if keys := jsonKeys(t, out, "special_tokens_map.json"); keys["additional_special_tokens"] == nil {
				t.Errorf("%s, %s: %v", from, format, keys)
			}
			if r := call("export", "--from", from, "--format", format, "--out", out, "--force", "--threads", "1"); r.code != cli.ExitOK {
				t.Errorf("again: %+v", r)
			}
		}
	}
}

// TestExportCardOfOthers: --force does not replace a card or a Modelfile that somebody wrote or changed.
func TestExportCardOfOthers(t *testing.T) {
	t.Parallel()
	m := modelCopies{t, t.TempDir()}
	base, folder, file := m.copy("base"), filepath.Join(m.root, "hf"), filepath.Join(m.root, "m.gguf")
	again := func(format, out string) result {
		return call("export", base, "--format", format, "--out", out, "--force", "--threads", "1")
	}
	for range 2 { // the second replaces the first
		for format, out := range map[string]string{"hf": folder, "gguf": file} {
			if r := again(format, out); r.code != cli.ExitOK {
				t.Fatalf("%+v", r)
			}
		}
	}
	m.first("README.md", "Mine.\n")(folder)
	checkSaid(t, "a changed card", again("hf", folder), "README.md", "changed by hand", "move it away")
	m.first("m.Modelfile", "# mine\n")(m.root)
	checkSaid(t, "a changed Modelfile", again("gguf", file), "m.Modelfile", "changed by hand")
	checkSaid(t, "no force", call("export", base, "--format", "gguf", "--out", filepath.Join(m.root, "m.bin"), "--threads", "1"), "m.")
	if text := string(readFile(t, folder, "README.md")); !strings.HasPrefix(text, "Mine.\n") {
		t.Error(text)
	}
}

// TestCarriedNames: the lines of an export name the files that were carried over, the first ones of many, each as one word.
func TestCarriedNames(t *testing.T) {
	t.Parallel()
	names := []string{"LICENSE", "a\nb"}
	var b strings.Builder
	printExport(&b, &export.Report{Carried: names})
	if want := "\nCopied from the folder of the model that it was made from: LICENSE, a\\nb.\n"; !strings.Contains(b.String(), want) {
		t.Errorf("%q, want %q", b.String(), want)
	}
	for len(names) < 12 {
		names = append(names, "x")
	}
	if got := someNames(names); !strings.HasSuffix(got, ", x, x, and 2 more") || strings.Count(got, "x") != 8 {
		t.Error(got)
	}
}
