package main

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/bdia-go/bdia/cmd/bdia/internal/cli"
	"github.com/bdia-go/bdia/format/safetensors"
)

// plainGPT2 is a GPT-2 of 2 blocks, width 16 and 280 tokens; its end of a text is token 279.
const plainGPT2 = "../../train/testdata/oldruns/base"

// modelCopies makes folders from plainGPT2 by changes.
type modelCopies struct {
	t    *testing.T
	root string
}

func (m modelCopies) copy(name string, changes ...func(dir string)) string {
	m.t.Helper()
	dir := filepath.Join(m.root, name)
	if err := os.CopyFS(dir, os.DirFS(plainGPT2)); err != nil {
		m.t.Fatal(err)
	}
	for _, change := range changes {
		change(dir)
	}
	return dir
}

// put writes a file.
func (m modelCopies) put(name, text string) func(string) {
	return func(dir string) {
		if err := os.MkdirAll(filepath.Dir(filepath.Join(dir, name)), 0o777); err != nil {
			m.t.Fatal(err)
		}
		write(m.t, dir, name, text)
	}
}

// edit replaces a text in a file.
func (m modelCopies) edit(name, old, new string) func(string) {
	return func(dir string) {
		text := string(readFile(m.t, dir, name))
		if !strings.Contains(text, old) {
			m.t.Fatalf("%s has no %s", name, old)
		}
		write(m.t, dir, name, strings.Replace(text, old, new, 1))
	}
}

// first puts a text before a file.
func (m modelCopies) first(name, before string) func(string) {
	return func(dir string) { write(m.t, dir, name, before+string(readFile(m.t, dir, name))) }
}

// config sets a key of config.json: of two of a name, the last counts.
func (m modelCopies) config(key, value string) func(string) {
	return m.edit("config.json", "\n}", fmt.Sprintf(",\n  %q: %s\n}", key, value))
}

// text is a file of text.
func (m modelCopies) text() string {
	return write(m.t, m.root, "text.txt", strings.Repeat("To be, or not to be, that is the question. ", 20))
}

func (m modelCopies) remove(names ...string) func(string) {
	return func(dir string) {
		for _, name := range names {
			if err := os.Remove(filepath.Join(dir, name)); err != nil {
				m.t.Fatal(err)
			}
		}
	}
}

func (m modelCopies) rename(old, new string) func(string) {
	return func(dir string) {
		if err := os.Rename(filepath.Join(dir, old), filepath.Join(dir, new)); err != nil {
			m.t.Fatal(err)
		}
	}
}

// floatTensor is a tensor of a file of weights.
type floatTensor struct {
	name  string
	shape []int
	at    func(i int) float32
}

// weightsOf returns a file of tensors.
func weightsOf(t *testing.T, tensors []floatTensor) string {
	t.Helper()
	var infos []safetensors.Info
	for _, x := range tensors {
		infos = append(infos, safetensors.Info{Name: x.name, DType: safetensors.F32, Shape: x.shape})
	}
	var b bytes.Buffer
	w, err := safetensors.NewWriter(&b, infos, map[string]string{"format": "pt"})
	if err != nil {
		t.Fatal(err)
	}
	for i, x := range tensors {
		values := make([]float32, infos[i].Elems())
		for k := range values {
			values[k] = x.at(k)
		}
		if err := w.WriteFloat32(x.name, values); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return b.String()
}

// tensorsIn returns the tensors of a folder.
func tensorsIn(t *testing.T, dir string) (list []floatTensor) {
	t.Helper()
	f, err := safetensors.Open(filepath.Join(dir, "model.safetensors"))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	for _, name := range f.Names() {
		info, _ := f.Info(name)
		data, err := f.Bytes(name)
		if err != nil {
			t.Fatal(err)
		}
		values := make([]float32, info.Elems())
		for i := range values {
			values[i] = math.Float32frombits(binary.LittleEndian.Uint32(data[4*i:]))
		}
		list = append(list, floatTensor{name, info.Shape, func(i int) float32 { return values[i] }})
	}
	return list
}

// named renames the tensors of the weights.
func (m modelCopies) named(name func(string) string) func(string) {
	return func(dir string) {
		list := tensorsIn(m.t, dir)
		for i := range list {
			list[i].name = name(list[i].name)
		}
		write(m.t, dir, "model.safetensors", weightsOf(m.t, list))
	}
}

// with adds tensors to the weights.
func (m modelCopies) with(more ...floatTensor) func(string) {
	return func(dir string) {
		write(m.t, dir, "model.safetensors", weightsOf(m.t, append(tensorsIn(m.t, dir), more...)))
	}
}

// prefixed puts a text before every name.
func prefixed(prefix string) func(string) string {
	return func(name string) string { return prefix + name }
}

// goWords are what no message may have.
var goWords = []string{"Go struct", "json: cannot", "cannot unmarshal", "goroutine", "gpt2JSON", "int32", "float64"}

// checkSaid fails unless a call failed with one message that says all of says.
func checkSaid(t *testing.T, name string, r result, says ...string) {
	t.Helper()
	if r.code != cli.ExitFailure && r.code != cli.ExitUsage || strings.Count(r.err, "bdia: ") != 1 {
		t.Errorf("%s: exit code %d, %s", name, r.code, r.err)
	}
	for _, s := range says {
		if !strings.Contains(r.err, s) {
			t.Errorf("%s: %q does not say %q", name, r.err, s)
		}
	}
	for _, s := range goWords {
		if strings.Contains(r.err, s) {
			t.Errorf("%s: %q", name, r.err)
		}
	}
}

// generateFrom writes 6 tokens greedily after a prompt.
func generateFrom(dir string, more ...string) result {
	return call(append([]string{"generate", "--from", dir, "--prompt", "hello", "--print-ids", "--greedy", "--max-tokens", "6", "--threads", "1"}, more...)...)
}

// TestForeignModels: folders as other programs leave them do what the model does, or the message says what they are and
// what to do.
func TestForeignModels(t *testing.T) {
	t.Parallel()
	m := modelCopies{t, t.TempDir()}
	want := generateFrom(m.copy("plain"))
	if want.code != cli.ExitOK || want.out == "" {
		t.Fatalf("%+v", want)
	}
	zero := func(int) float32 { return 0 }
	halfIndex := `{"weight_map": {"wte.weight": "model-00001-of-00002.safetensors"}}`
	for _, c := range []struct {
		name    string
		changes []func(string)
		says    []string // none: it does what the model does
	}{
		// 01: names of training loops
		{"prefix transformer", []func(string){m.named(prefixed("transformer."))}, nil},
		{"prefix model", []func(string){m.named(prefixed("model."))}, nil},
		{"prefix module", []func(string){m.named(prefixed("module.transformer."))}, nil},
		{"prefix orig_mod", []func(string){m.named(prefixed("_orig_mod.transformer."))}, nil},
		{"prefix of all", []func(string){m.named(prefixed("module._orig_mod.model.transformer."))}, nil},
		{"prefix lightning", []func(string){m.named(prefixed("model._orig_mod."))}, nil},
		{"prefix model.transformer", []func(string){m.named(prefixed("model.transformer."))}, nil},
		{"compiled blocks", []func(string){m.named(func(s string) string { return strings.Replace(s, "h.1.", "h.1._orig_mod.", 1) })}, nil},
		{"fsdp", []func(string){m.named(prefixed("_fsdp_wrapped_module."))}, nil},
		{"twice a name", []func(string){m.with(floatTensor{"module.ln_f.bias", []int{16}, zero})}, []string{"ln_f.bias", "module.ln_f.bias", "which of them is meant"}},
		{"other prefix", []func(string){m.named(prefixed("gpt."))}, []string{"wte.weight is missing", `there is "gpt.wte.weight"`, "without this prefix"}},
		// 02, 03: buffers
		{"mask", []func(string){m.with(floatTensor{"h.0.attn.bias", []int{1, 1, 4, 4}, zero}, floatTensor{"h.0.attn.masked_bias", []int{}, zero})}, nil},
		{"empty tensor", []func(string){m.with(floatTensor{"h.0.attn.masked_bias", []int{0}, zero})}, nil},
		{"unknown tensor", []func(string){m.with(floatTensor{"extra", []int{0}, zero})}, []string{"tensor extra is none of a GPT-2"}},
		// 04: tokens beyond the table
		{"pad beyond", []func(string){m.edit("tokenizer.json", `"added_tokens":[`, `"added_tokens":[{"id":280,"content":"[PAD]","special":true},`),
			m.edit("tokenizer_config.json", `{"add`, `{"pad_token":"[PAD]","add`)}, nil},
		{"two beyond", []func(string){m.edit("tokenizer.json", `"added_tokens":[`, `"added_tokens":[{"id":280,"content":"<|user|>","special":false},{"id":281,"content":"[PAD]","special":true},`)}, nil},
		{"another tokenizer", []func(string){m.config("vocab_size", "270")}, []string{"the tokenizer has 280 tokens, the model only 270", "put the tokenizer's files"}},
		// 06, 07: variants of the architecture
		{"quick_gelu", []func(string){m.config("activation_function", `"quick_gelu"`)}, []string{`"quick_gelu"`, "gelu_new and gelu are supported"}},
		{"gelu_pytorch_tanh", []func(string){m.config("activation_function", `"gelu_pytorch_tanh"`)}, nil},
		{"inverse", []func(string){m.config("scale_attn_by_inverse_layer_idx", "true")}, []string{"scale_attn_by_inverse_layer_idx is true"}},
		{"upcast", []func(string){m.config("reorder_and_upcast_attn", "true")}, nil},
		// 08: forms of config.json
		{"mark", []func(string){m.first("config.json", "\ufeff")}, nil},
		{"ends", []func(string){m.config("eos_token_id", "[279, 278]")}, nil},
		{"end as text", []func(string){m.config("eos_token_id", `"279"`)}, nil},
		{"ends as texts", []func(string){m.config("eos_token_id", `["279"]`)}, nil},
		{"end -1", []func(string){m.config("eos_token_id", "-1")}, nil},
		{"no end", []func(string){m.config("eos_token_id", "null")}, nil},
		{"end of another vocabulary", []func(string){m.config("eos_token_id", "50256")}, nil},
		{"eps as text", []func(string){m.config("layer_norm_epsilon", `"1e-05"`)}, nil},
		{"sizes 16.0", []func(string){m.config("n_embd", "16.0"), m.config("n_layer", "2.0")}, nil},
		{"nulls", []func(string){m.config("n_inner", "null"), m.config("pad_token_id", "null"), m.config("tie_word_embeddings", "null")}, nil},
		{"NaN", []func(string){m.config("loss_scale", "NaN"), m.config("limit", "[-Infinity, Infinity]")}, nil},
		{"capitals", []func(string){m.config("model_type", `"GPT2"`)}, nil},
		{"no model_type", []func(string){m.edit("config.json", `"model_type": "gpt2",`, "")}, nil},
		{"gemma", []func(string){m.config("model_type", `"gemma3"`)}, []string{`"gemma3"`, "gpt2, llama, qwen2, qwen3, mistral, granite, olmo2 are supported"}},
		{"words for numbers", []func(string){m.config("n_layer", `"two"`)}, []string{`n_layer is the text "two", and must be a whole number`}},
		{"a list for a number", []func(string){m.config("n_layer", `[2]`)}, []string{`n_layer is a list, and must be a whole number`}},
		{"NaN where it counts", []func(string){m.config("layer_norm_epsilon", "NaN")}, []string{"layer_norm_epsilon", "NaN", "a number"}},
		{"comma at the end", []func(string){m.edit("config.json", "\n}", ",\n}")}, []string{"config.json", "line 21: a comma before \"}\""}},
		{"comments", []func(string){m.edit("config.json", "{", "{ // a GPT-2\n")}, []string{"config.json", "line 1: a comment"}},
		{"config half there", []func(string){m.put("config.json", `{"model_type": "gpt2",`)}, []string{"config.json", "cut short"}},
		{"config a page", []func(string){m.put("config.json", "<!DOCTYPE html>\n<html></html>")}, []string{"config.json", "web page", "download failed"}},
		{"config a link's text", []func(string){m.put("config.json", "../../blobs/0123456789abcdef")}, []string{"config.json", "a link that was copied as a text"}},
		// 09: other heads
		{"classifier", []func(string){m.with(floatTensor{"score.weight", []int{2, 16}, zero})}, []string{"score.weight", "classifies texts"}},
		{"head differs", []func(string){m.with(floatTensor{"lm_head.weight", []int{280, 16}, zero})}, []string{"lm_head.weight differs", "tie_word_embeddings"}},
		// 11: files of weights
		{"page", []func(string){m.put("model.safetensors", "<!DOCTYPE html><html><body>404</body></html>")}, []string{"web page: the download failed"}},
		{"pointer", []func(string){m.put("model.safetensors", "version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 1\n")}, []string{"Git LFS pointer"}},
		{"zip", []func(string){m.put("model.safetensors", "PK\x03\x04.................")}, []string{"zip archive", "PyTorch"}},
		{"pickle", []func(string){m.put("model.safetensors", "\x80\x02}q\x00.........")}, []string{"a pickle of PyTorch"}},
		{"empty weights", []func(string){m.put("model.safetensors", "")}, []string{"it is empty"}},
		// 12: shards
		{"no index", []func(string){m.rename("model.safetensors", "model-00001-of-00001.safetensors")}, nil},
		{"shard missing, no index", []func(string){m.rename("model.safetensors", "model-00001-of-00002.safetensors")}, []string{"model-00001-of-00002.safetensors", "model.safetensors.index.json"}},
		{"shard missing", []func(string){m.put("model.safetensors.index.json", strings.Replace(halfIndex, "00001", "00002", 1)), m.rename("model.safetensors", "model-00001-of-00002.safetensors")},
			[]string{"shard model-00002-of-00002.safetensors", "fetch it"}},
		{"index with mark", []func(string){func(dir string) { shard(t, dir, 2) }, m.first("model.safetensors.index.json", "\ufeff")}, nil},
		{"bin and safetensors", []func(string){m.put("pytorch_model.bin", "PK")}, nil},
		{"another name", []func(string){m.rename("model.safetensors", "pytorch_model.safetensors")}, []string{"pytorch_model.safetensors", "rename it"}},
		// 16: tokenizers
		{"tokenizer with mark", []func(string){m.first("tokenizer.json", "\ufeff"), m.first("tokenizer_config.json", "\ufeff")}, nil},
		{"vocabulary with mark", []func(string){m.remove("tokenizer.json"), m.first("vocab.json", "\ufeff"), m.first("merges.txt", "\ufeff")}, nil},
		{"pad named only", []func(string){m.edit("tokenizer_config.json", `{"add`, `{"pad_token":"[PAD]","add`)}, nil},
		{"unk named only", []func(string){m.edit("tokenizer_config.json", `"unk_token":"<|endoftext|>"`, `"unk_token":{"content":"[UNK]"}`)}, nil},
		{"length of 1e30", []func(string){m.edit("tokenizer_config.json", `{"add`, `{"model_max_length":1000000000000000019884624838656,"add`)}, nil},
		{"composing", []func(string){m.edit("tokenizer.json", `"normalizer":null`, `"normalizer":{"type":"NFC"}`)}, nil},
		{"normalizer", []func(string){m.edit("tokenizer.json", `"normalizer":null`, `"normalizer":{"type":"Lowercase"}`)}, []string{"a normalizer (Lowercase) is not supported"}},
		{"tokenizer a page", []func(string){m.put("tokenizer.json", "<html></html>")}, []string{"tokenizer.json", "web page"}},
		{"tokenizer of numbers", []func(string){m.edit("tokenizer_config.json", `{"add`, `{"tokenizer_class":7,"add`), m.edit("tokenizer_config.json", `,"tokenizer_class":"GPT2Tokenizer"`, "")}, []string{"tokenizer_class", "is 7, and must be a text"}},
		// generation_config.json, as people have it
		{"generation NaN", []func(string){m.put("generation_config.json", "\ufeff"+`{"eos_token_id": [279, 278], "temperature": NaN, "pad_token_id": null}`)}, nil},
		{"generation broken", []func(string){m.put("generation_config.json", `{"eos_token_id": "end"}`)}, []string{"generation_config.json", "a whole number"}},
		// 19: pickles
		{"pickled with space and ü", []func(string){m.remove("model.safetensors"), m.put("pytorch_model.bin", "PK")}, []string{"pytorch_model.bin", "only safetensors are read", "with space and ü'"}},
	} {
		dir := m.copy(strings.ReplaceAll(c.name, "/", "-"), c.changes...)
		got := generateFrom(dir)
		if c.says == nil {
			if got != want {
				t.Errorf("%s: %+v, want %+v", c.name, got, want)
				continue
			}
			out := filepath.Join(m.root, "exported")
			if r := call("export", "--from", dir, "--format", "hf", "--out", out, "--force", "--threads", "1"); r.code != cli.ExitOK {
				t.Errorf("%s: export: %+v", c.name, r)
			} else if again := generateFrom(out); again != want {
				t.Errorf("%s: its export writes %+v", c.name, again)
			}
			continue
		}
		checkSaid(t, c.name, got, c.says...)
		checkSaid(t, c.name+", fine-tuned", call("finetune", "--from", dir, "--data", m.text(), "--window", "8", "--steps", "1", "--out", filepath.Join(m.root, "none"), "--threads", "1"), c.says...)
	}
}

// TestEnds: a text ends at each token that config.json or generation_config.json lists.
func TestEnds(t *testing.T) {
	t.Parallel()
	m := modelCopies{t, t.TempDir()}
	ids := strings.FieldsFunc(strings.TrimSpace(generateFrom(m.copy("plain")).out), func(r rune) bool { return r == ',' || r == ' ' || r == '\n' })
	if len(ids) != 6 {
		t.Fatalf("%q", ids)
	}
	for name, change := range map[string]func(string){"config": m.config("eos_token_id", "["+ids[0]+", 279]"),
		"generation": m.put("generation_config.json", `{"eos_token_id": [279, `+ids[0]+`]}`)} {
		if r := generateFrom(m.copy(name, change)); r.code != cli.ExitOK || strings.TrimSpace(r.out) != "" {
			t.Errorf("%s: %+v goes on past token %s", name, r, ids[0])
		}
	}
}

// TestBeyond: a text with a token that the model does not reach is refused by name.
func TestBeyond(t *testing.T) {
	t.Parallel()
	m := modelCopies{t, t.TempDir()}
	dir := m.copy("pad", m.edit("tokenizer.json", `"added_tokens":[`, `"added_tokens":[{"id":280,"content":"[PAD]","special":true},`))
	checkSaid(t, "generate", call("generate", "--from", dir, "--prompt", "a[PAD]", "--threads", "1"), "[PAD]", "280", "leave it out")
	r := callWith(t.Context(), "a[PAD]", "tokenizer", "encode", dir)
	if r.code != cli.ExitOK || !strings.Contains(r.out, "280") {
		t.Errorf("%+v: a tokenizer alone has the token", r)
	}
	out := filepath.Join(m.root, "run")
	if r := call("finetune", "--from", dir, "--data", m.text(), "--window", "8", "--batch", "2", "--steps", "1", "--out", out, "--threads", "1"); r.code != cli.ExitOK {
		t.Fatalf("%+v", r)
	}
	if r := generateFrom(out); r.code != cli.ExitOK {
		t.Errorf("%+v", r)
	}
}
