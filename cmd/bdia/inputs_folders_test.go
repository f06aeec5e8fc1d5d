package main

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/bdia-go/bdia/cmd/bdia/internal/cli"
)

// adapterIn writes PEFT's adapters of rank 2 for c_attn, and other tensors, into a folder.
func adapterIn(t *testing.T, dir, config string, more ...floatTensor) string {
	t.Helper()
	if err := os.MkdirAll(dir, 0o777); err != nil {
		t.Fatal(err)
	}
	var list []floatTensor
	for k := range 2 {
		name := fmt.Sprintf("base_model.model.transformer.h.%d.attn.c_attn.lora_", k)
		list = append(list, floatTensor{name + "A.weight", []int{2, 16}, func(i int) float32 { return float32(i%5) / 4 }},
			floatTensor{name + "B.weight", []int{48, 2}, func(i int) float32 { return float32(i%7-3) / 2 }})
	}
	write(t, dir, "adapter_model.safetensors", weightsOf(t, append(list, more...)))
	write(t, dir, "adapter_config.json", config)
	return dir
}

// TestForeignAdapters: PEFT's adapters as its versions write them.
func TestForeignAdapters(t *testing.T) {
	t.Parallel()
	m := modelCopies{t, t.TempDir()}
	base := m.copy("base")
	var tokens floatTensor
	for _, x := range tensorsIn(t, base) {
		if x.name == "wte.weight" {
			tokens = x
		}
	}
	table := func(name string, add float32) floatTensor {
		return floatTensor{"base_model.model." + name, tokens.shape, func(i int) float32 { return tokens.at(i) + add }}
	}
	config := func(key, value string) string {
		all := `{"peft_type": "LORA", "task_type": "CAUSAL_LM", "base_model_name_or_path": "gpt2", "r": 2, "lora_alpha": 4, "target_modules": ["c_attn"], "fan_in_fan_out": true`
		if key != "" {
			all += fmt.Sprintf(", %q: %s", key, value)
		}
		return all + "}"
	}
	sampled := func(more ...string) result {
		return generateFrom(base, append(more, "--greedy=false", "--temperature", "3", "--top-k", "0", "--seed", "5")...)
	}
	with := func(name, config string, more ...floatTensor) result {
		return sampled("--adapter", adapterIn(t, filepath.Join(m.root, name), config, more...))
	}
	plain, want := sampled(), with("plain", config("", ""))
	if want.code != cli.ExitOK || want.out == plain.out {
		t.Fatalf("%+v, without adapters %+v", want, plain)
	}
	small := table("transformer.wte.weight", 0)
	small.shape = []int{279, 16}
	for name, c := range map[string]struct {
		config string
		more   []floatTensor
		says   []string // none: as the plain ones
	}{
		"alpha 4.0":             {config("lora_alpha", "4.0"), nil, nil},
		"mark and NaN":          {"\ufeff" + config("loftq", "NaN"), nil, nil},
		"a pattern":             {config("target_modules", `".*c_attn"`), nil, nil},
		"layer as number":       {config("layers_to_transform", `"zero"`), nil, []string{"layers_to_transform", "a whole number"}},
		"embeddings saved":      {config("", ""), []floatTensor{table("transformer.wte.weight", 0)}, nil},
		"head saved":            {config("", ""), []floatTensor{table("transformer.wte.weight", 0), table("lm_head.weight", 0)}, nil},
		"embeddings trained":    {config("", ""), []floatTensor{table("transformer.wte.weight", 1)}, []string{"an embedding of tokens", "base_model.model.transformer.wte.weight", "merge_and_unload"}},
		"embeddings of another": {config("", ""), []floatTensor{small}, []string{"of another size", "merge_and_unload"}},
		"unknown":               {config("", ""), []floatTensor{table("transformer.x", 0)}, []string{"belongs to no adapter"}},
		"modules_to_save":       {config("modules_to_save", `["wte", "lm_head"]`), nil, []string{`modules_to_save is ["wte","lm_head"]`, "merge_and_unload"}},
		"dora":                  {config("use_dora", "true"), nil, []string{"use_dora is true", "merge_and_unload"}},
		"rslora":                {config("use_rslora", "true"), nil, []string{"use_rslora is true"}},
		"lora_bias":             {config("lora_bias", "true"), nil, []string{"lora_bias is true"}},
		"ranks":                 {config("rank_pattern", "{\n\"c_attn\": 4}"), nil, []string{`rank_pattern is {"c_attn":4}`}},
		"ia3":                   {config("peft_type", `"IA3"`), nil, []string{`"IA3"`, "LORA is supported"}},
		"rank in words":         {config("r", `"two"`), nil, []string{`r is the text "two", and must be a whole number`}},
	} {
		got := with(name, c.config, c.more...)
		if c.says == nil && got != want {
			t.Errorf("%s: %+v, want %+v", name, got, want)
		}
		if c.says != nil {
			checkSaid(t, name, got, c.says...)
		}
	}
	if r := sampled("--adapter", filepath.Join(m.root, "plain", "adapter_model.safetensors")); r != want {
		t.Errorf("a file of adapters: %+v, want %+v", r, want)
	}
	checkSaid(t, "no adapter", sampled("--adapter", filepath.Join(m.root, "none")), "there is no folder", "holds no adapters")
	checkSaid(t, "a model as an adapter", sampled("--adapter", base), "holds no adapters: adapter_config.json is missing")
	checkSaid(t, "the folder above", sampled("--adapter", m.root), "holds no adapters", "there are some in ")
	checkSaid(t, "an adapter as a model", generateFrom(filepath.Join(m.root, "plain")), "it has adapters", "name the folder of their model")
}

// TestWrongFolders: a path that leads to no model says what is there, what may be meant, and how to get it.
func TestWrongFolders(t *testing.T) {
	m := modelCopies{t, t.TempDir()}
	t.Chdir(m.root)
	m.root = "."
	plain := must(filepath.Abs(must(os.Getwd())))
	if err := os.CopyFS("model", os.DirFS(filepath.Join(sources, plainGPT2))); err != nil {
		t.Fatal(plain, err)
	}
	copyTo := func(to string) {
		t.Helper()
		if err := os.CopyFS(to, os.DirFS("model")); err != nil {
			t.Fatal(err)
		}
	}
	snapshots := "models--someone--tiny/snapshots/"
	for _, to := range []string{"runs/char", "runs/word", "archive/gpt2-main", "half/best", snapshots + "aa", "models--a--two/snapshots/b", "models--a--two/snapshots/c"} {
		copyTo(to)
	}
	for i := range 7 {
		to := fmt.Sprintf("many/run%d", i)
		copyTo(to)
		at := time.Now().Add(time.Duration(i-100) * time.Hour)
		if err := os.Chtimes(to+"/config.json", at, at); err != nil {
			t.Fatal(err)
		}
	}
	for _, dir := range []string{"empty", "stopped", "loop"} {
		if err := os.MkdirAll(dir, 0o777); err != nil {
			t.Fatal(err)
		}
	}
	write(t, "stopped", "bdia.yaml", string(must(os.ReadFile(filepath.Join(sources, "../../train/testdata/oldruns/text/bdia.yaml")))))
	for name, text := range map[string]string{"m.gguf": "GGUF\x03", "m.onnx": "x", "m.zip": "PK\x03\x04", "pytorch_model.bin": "PK", "alone.safetensors": "x", "notes.txt": "text"} {
		write(t, ".", name, text)
	}
	want := generateFrom("model")
	for _, path := range []string{"model/model.safetensors", "model/config.json", "model/", "models--someone--tiny", snapshots + "aa"} {
		if got := generateFrom(path); got != want || want.code != cli.ExitOK {
			t.Errorf("%s: %+v, want %+v", path, got, want)
		}
	}
	fetch := func(name, dir string) []string {
		return []string{"there is no folder", "bdia downloads nothing: fetch it with git clone https://huggingface.co/" + name + " (git-lfs", "hf download " + name + " --local-dir " + dir}
	}
	for path, says := range map[string][]string{
		"gpt2":                     fetch("openai-community/gpt2", "gpt2"),
		"openai-community/gpt2":    fetch("openai-community/gpt2", "gpt2"),
		"distilgpt2":               fetch("distilbert/distilgpt2", "distilgpt2"),
		"microsoft/DialoGPT-small": fetch("microsoft/DialoGPT-small", "DialoGPT-small"),
		"https://huggingface.co/openai-community/gpt2": fetch("openai-community/gpt2", "gpt2"),
		"https://huggingface.co/gpt2":                  fetch("openai-community/gpt2", "gpt2"),
		"nothing/of/the/kind":                          {"there is no folder nothing/of/the/kind", "name the folder of a run or model"},
		"runs":                                         {"runs holds no model", "there are runs/", "runs/char", "runs/word"},
		"runs/chra":                                    {"there is no folder runs/chra; there is runs/char"},
		"many":                                         {"there are many/run6, many/run5, many/run4, many/run3, many/run2 and 2 more"},
		"archive":                                      {"archive holds no model", "there is archive/gpt2-main"},
		"half":                                         {"there is half/best"},
		"empty":                                        {"it is empty"},
		"stopped":                                      {"stopped before its first checkpoint", "bdia train resume stopped"},
		"models--a--two":                               {"Hugging Face's cache", "snapshots/b", "snapshots/c"},
		"m.gguf":                                       {"it is a GGUF file", "llama.cpp"},
		"m.onnx":                                       {"it is an ONNX file"},
		"m.zip":                                        {"an archive; unpack it"},
		"pytorch_model.bin":                            {"a file of PyTorch", "save_pretrained"},
		"alone.safetensors":                            {"a file of weights", "config.json"},
		"notes.txt":                                    {"it is a file; name the folder"},
		"notes.txt/x":                                  {"there is no folder notes.txt/x"},
	} {
		checkSaid(t, path, generateFrom(path), says...)
		checkSaid(t, path+", exported", call("export", path, "--format", "hf", "--out", "none"), says...)
		checkSaid(t, path+", fine-tuned", call("finetune", "--from", path, "--data", "notes.txt", "--out", "none"), says...)
	}
	checkSaid(t, "eval", call("eval", "runs/chra"), "there is runs/char")
	for _, command := range []string{"train text --data", "train images --data", "train translation --data", "finetune --from model --data"} {
		args := append(strings.Fields(command), "https://example.org/input.csv")
		checkSaid(t, command, call(args...), "bdia downloads nothing", "curl -LO https://example.org/input.csv")
	}
	checkSaid(t, "resume", call("train", "resume", "runs/chra"), "there is runs/char")
	if r := callWith(t.Context(), "hello", "tokenizer", "encode", "model/vocab.json"); r.code != cli.ExitOK {
		t.Errorf("%+v", r)
	}
	checkSaid(t, "tokenizer", call("tokenizer", "encode", "gpt2", "notes.txt"), "git clone")
	if _, err := os.Stat("none"); err == nil || strings.Contains(fmt.Sprint(os.ReadDir(".")), "none") {
		t.Error("a folder was left")
	}
}

// sources is the folder of this package.
var sources = must(os.Getwd())

func must[T any](v T, err error) T {
	if err != nil {
		panic(err)
	}
	return v
}
