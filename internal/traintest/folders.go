package traintest

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/bdia-go/bdia"
	"github.com/bdia-go/bdia/backend"
	"github.com/bdia-go/bdia/convert"
	"github.com/bdia-go/bdia/format/safetensors"
	"github.com/bdia-go/bdia/internal/testkit"
	"github.com/bdia-go/bdia/model"
	"github.com/bdia-go/bdia/tokenizer"
	"github.com/bdia-go/bdia/train"
)

// Words are a language and another one.
var Words = [][2]string{{"one", "un"}, {"two", "deux"}, {"three", "trois"}, {"four", "quatre"}, {"five", "cinq"}, {"six", "six"}, {"seven", "sept"}}

// Sentences writes n different ones of 1 to 4 words, and their translations, word
// for word.
func Sentences(t testing.TB, n int) (source, target string) {
	t.Helper()
	var a, b strings.Builder
	seen := map[string]bool{}
	for r := uint32(1); len(seen) < n; {
		r = r*1664525 + 1013904223
		var x, y []string
		for range 1 + r>>16%4 {
			r = r*1664525 + 1013904223
			w := Words[r>>24%7]
			x, y = append(x, w[0]), append(y, w[1])
		}
		if s := strings.Join(x, " "); !seen[s] {
			seen[s] = true
			fmt.Fprintln(&a, s)
			fmt.Fprintln(&b, strings.Join(y, " "))
		}
	}
	return TextFile(t, a.String()), TextFile(t, b.String())
}

// GPTFolder writes the folder of a small GPT-2 with a byte-level BPE, whose initial
// weights change may change. Its vocabulary is larger than the tokenizer's.
func GPTFolder(t testing.TB, change func(be backend.Backend, m *model.GPT)) string {
	t.Helper()
	return gptFolder(t, smallGPT, change)
}

// smallGPT is the model of GPTFolder.
var smallGPT = model.GPTConfig{Vocab: 275, Context: 32, Layers: 4, Heads: 2, Width: 24}

// ChatTemplate is the template of ChatFolder: that of Qwen2, without its first system message.
const ChatTemplate = `{% for m in messages %}{% if m.role == 'system' and not loop.first %}{{ raise_exception('the system speaks first') }}{% endif %}{{ '<|im_start|>' + m.role + '\n' + (m.content or '') }}{% for c in m.tool_calls or [] %}{{ c.function | tojson }}{% endfor %}{{ '<|im_end|>\n' }}{% endfor %}{% if add_generation_prompt %}{{ '<|im_start|>assistant\n' }}{% endif %}`

// ChatFolder is GPTFolder of a model with a chat template, and its tokens <|im_start|> (270) and <|im_end|>.
func ChatFolder(t testing.TB) string {
	t.Helper()
	c := smallGPT
	c.Context = 96
	return chatFolder(t, c)
}

// QwenFolder is ChatFolder for a Qwen2, with a licence.
func QwenFolder(t testing.TB) string {
	t.Helper()
	dir := chatFolder(t, model.GPTConfig{Family: model.Qwen2, Vocab: 275, Context: 96, Layers: 2, Heads: 4, KVHeads: 2, Width: 32, MLP: 48, Eps: 1e-6, Rope: model.Rope{Theta: 1e6}})
	testkit.Repipe(t, dir, 269, testkit.Pipelines["qwen2"])
	testkit.OK(t, os.WriteFile(filepath.Join(dir, "LICENSE"), []byte("Apache License\n"), 0o666))
	return dir
}

func chatFolder(t testing.TB, c model.GPTConfig) string {
	t.Helper()
	dir := gptFolder(t, c, nil)
	testkit.AddSpecial(t, dir, 270, "<|im_start|>", "<|im_end|>")
	writeTo(t, filepath.Join(dir, "chat_template.jinja"), func(f *os.File) error { _, err := f.WriteString(ChatTemplate + "\n"); return err })
	return dir
}

// FamilyFolder is GPTFolder for a small model of a family, with heads that share keys and values.
func FamilyFolder(t testing.TB, f model.Family) string {
	t.Helper()
	return gptFolder(t, familyGPT(f), nil)
}

// HalfFolder is FamilyFolder, or GPTFolder for GPT2, with matrices of values that BF16 holds, in files of type d.
func HalfFolder(t testing.TB, f model.Family, d safetensors.DType) string {
	t.Helper()
	c := smallGPT
	if f != model.GPT2 {
		c = familyGPT(f)
	}
	c.Weights = model.WeightsBF16
	form := convert.Form{}
	if d != safetensors.BF16 {
		form = form.All(d)
	}
	return gptFolderAs(t, c, nil, form)
}

func familyGPT(f model.Family) model.GPTConfig {
	c := model.GPTConfig{Family: f, Vocab: 275, Context: 32, Layers: 4, Heads: 4, KVHeads: 2, HeadWidth: 8, Width: 24, MLP: 40, Untied: f == model.Mistral || f == model.OLMo2,
		Rope: model.Rope{Theta: 1e4, Kind: model.RopeYarn, Factor: 2, BetaFast: 32, BetaSlow: 1, OriginalContext: 16}}
	if f == model.Granite {
		c.EmbeddingScale, c.AttentionScale, c.BranchScale, c.LogitsDivisor = 3, 0.25, 0.4, 1.5
	}
	return c
}

// gptFolder writes the folder of the model c.
func gptFolder(t testing.TB, c model.GPTConfig, change func(be backend.Backend, m *model.GPT)) string {
	t.Helper()
	return gptFolderAs(t, c, change, convert.Form{})
}

// gptFolderAs is gptFolder with files of a form.
func gptFolderAs(t testing.TB, c model.GPTConfig, change func(be backend.Backend, m *model.GPT), form convert.Form) string {
	t.Helper()
	dir := t.TempDir()
	tok, err := tokenizer.TrainBPE(context.Background(), strings.NewReader(Text(2000)), tokenizer.TrainOptions{VocabSize: 270})
	if err == nil {
		err = tok.Save(dir)
	}
	if err != nil {
		t.Fatal(err)
	}
	be, err := backend.Open(backend.Options{Threads: 1}, 4<<20)
	if err != nil {
		t.Fatal(err)
	}
	defer be.Close()
	m, err := model.NewGPT(be, c, bdia.DefaultOptions())
	if err != nil {
		t.Fatal(err)
	}
	m.Init(3)
	if change != nil {
		change(be, m)
	}
	writeTo(t, filepath.Join(dir, train.ConfigFile), func(f *os.File) error { return convert.WriteGPTInfo(f, convert.GPTInfo{Config: m.Config}) })
	writeTo(t, filepath.Join(dir, train.WeightsFile), func(f *os.File) error { return convert.WriteGPTAs(f, be, m, form) })
	return dir
}

func writeTo(t testing.TB, path string, write func(*os.File) error) {
	t.Helper()
	f, err := os.Create(path)
	if err == nil {
		err = write(f)
	}
	if err == nil {
		err = f.Close()
	}
	if err != nil {
		t.Fatal(err)
	}
}
