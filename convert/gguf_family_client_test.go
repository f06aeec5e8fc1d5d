//go:build clients

package convert

import (
	"bytes"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/bdia-go/bdia"
	"github.com/bdia-go/bdia/backend"
	"github.com/bdia-go/bdia/format/gguf"
	"github.com/bdia-go/bdia/internal/testkit"
	"github.com/bdia-go/bdia/model"
	"github.com/bdia-go/bdia/tokenizer"
)

// clientTokenizers are one of each kind, small, learned from a text that stays as it is.
func clientTokenizers(t *testing.T) map[string]*tokenizer.BPE {
	t.Helper()
	text, err := os.ReadFile(filepath.Join("..", "LICENSE"))
	testkit.OK(t, err)
	level, err := tokenizer.TrainBPE(t.Context(), bytes.NewReader(text), tokenizer.TrainOptions{VocabSize: 400})
	testkit.OK(t, err)
	list := map[string]*tokenizer.BPE{}
	for name, parts := range testkit.Pipelines {
		list[name] = pipelined(t, level, parts)
	}
	for name, scheme := range map[string]string{"marks": "", "metaspace": "first", "no mark before": "never"} {
		list[name] = pieces(t, scheme, testkit.SomeTokens()...)
	}
	return list
}

// TestClientLlamaFamilies: llama.cpp gives nearly our logits, and the same text, with models of every family in every
// type of weights.
func TestClientLlamaFamilies(t *testing.T) {
	testkit.Clients(t)
	tokenizers := clientTokenizers(t)
	kinds := map[model.Family]string{model.Llama: "llama-bpe", model.Mistral: "marks", model.Qwen2: "qwen2", model.Qwen3: "smollm", model.Granite: "llama-bpe", model.OLMo2: "qwen2"}
	type subject struct {
		name   string
		typ    gguf.Type
		tokens []int32
		from   int       // of them what is generated
		want   []float32 // logits after each of tokens
	}
	const most, long = 1e-2, 60
	var subjects []subject
	var request llamaRequest
	for _, of := range familyModels {
		tok := tokenizers[kinds[of.c.Family]]
		c := of.c
		c.Vocab = tok.VocabSize() + 2
		be, m := clientModel(t, c)
		prompt, err := tokenizer.EncodePrompt(tok, []byte(clientPrompt))
		testkit.OK(t, err)
		for _, typ := range []gguf.Type{gguf.F32, gguf.F16, gguf.BF16, gguf.Q8_0} {
			s := subject{name: fmt.Sprint(of.name, " as ", typ), typ: typ, from: len(prompt)}
			file := filepath.Join(t.TempDir(), "model.gguf")
			s.tokens, s.want = distinct(t, file, be, m, GGUFOptions{Name: s.name, Type: typ, Tokenizer: tok}, prompt, long)
			subjects = append(subjects, s)
			request.Models = append(request.Models, llamaModel{file, clientPrompt, long, s.tokens})
		}
	}
	request.Texts = []string{}
	for i, got := range askLlama(t, request) {
		s := subjects[i]
		logits := slices.Concat(got.Logits...)
		off := 0.0
		for k := range logits {
			off = max(off, math.Abs(float64(logits[k])-float64(s.want[k])))
		}
		t.Logf("%s: largest difference of a logit %.3g of %.3g", s.name, off, largest(s.want))
		tol := map[gguf.Type]float64{gguf.F32: 2e-3, gguf.F16: 4e-3, gguf.BF16: 3e-2, gguf.Q8_0: 6e-2}[s.typ]
		testkit.Near(t, s.name+": logits", logits, s.want, tol)
		if want := s.tokens[s.from:]; s.typ == gguf.F32 && !slices.Equal(got.Generated, want) {
			t.Errorf("%s: tokens %v, want %v", s.name, got.Generated, want)
		}
	}
}

// distinct writes m with the first weights that continue a prompt without near ties and without special tokens, and
// returns prompt and continuation with the logits after each token.
func distinct(t *testing.T, file string, be backend.Backend, m *model.GPT, o GGUFOptions, prompt []int32, n int) (tokens []int32, logits []float32) {
	t.Helper()
	end := int32(m.Config.Vocab)
	for _, a := range o.Tokenizer.(*tokenizer.BPE).Added() {
		if a.ID > 2 { // those after the vocabulary
			end = min(end, a.ID)
		}
	}
	for seed := uint64(1); seed <= 300; seed++ {
		spread(be, m, seed, end)
		asInFile(t, file, be, m, o)
		tokens, lead := continuation(t, m, prompt, n)
		if o.Type == gguf.F32 && (slices.Max(tokens[len(prompt):]) >= end || slices.Min(tokens[len(prompt):]) <= 2) {
			continue
		}
		logits = make([]float32, len(tokens)*m.Config.Vocab)
		testkit.OK(t, m.Logits(logits, model.Batch{Size: 1, Inputs: tokens}, bdia.NoGrid))
		if o.Type != gguf.F32 || lead > 3e-3*largest(logits) {
			return tokens, logits
		}
	}
	t.Fatalf("%s: no seed gives a text without near ties", o.Name)
	return nil, nil
}

// differs are texts that llama.cpp cuts in another way, by kinds of tokenizers, as notes of an export say.
var differs = map[string]func(text string) bool{
	"qwen2": func(text string) bool { return strings.Contains(text, "e\u0301") },
	"metaspace": func(text string) bool {
		return strings.HasPrefix(text, " ") || strings.HasPrefix(text, "▁") || strings.Contains(text, "<")
	},
	// llama.cpp takes an ordinary token that is spelt like an end for one.
	"qwen3": func(text string) bool { return strings.Contains(text, "e\u0301") || strings.Contains(text, "</s>") },
}

// TestClientLlamaTokenizers: llama.cpp cuts texts into our tokens, with tokenizers of every kind: small ones, and
// published ones if they are at hand.
func TestClientLlamaTokenizers(t *testing.T) {
	testkit.Clients(t)
	license, err := os.ReadFile(filepath.Join("..", "LICENSE"))
	testkit.OK(t, err)
	texts := append(slices.Clone(mixed), string(license), " a", "  b", "a<s>b", "x</s> y", "1234567 12 3", "Schöne Grüße\t\n\n \r\n x", "ALLCaps McDonald", "dogs'", "I'LL", "▁a▁b", "ſ")
	tokenizers := clientTokenizers(t)
	if _, err := os.Stat(filepath.Join("..", "..", "shared", "llm", "tokenizers")); err == nil {
		for _, name := range []string{"llama2", "mistral_v01", "llama3_1", "qwen3", "SmolLM2"} {
			tokenizers[name] = load(t, testkit.RealTokenizer(t, name))
		}
	}
	request := llamaRequest{Texts: texts}
	var names []string
	for name, tok := range tokenizers {
		c := familyModels[0].c
		c.Vocab, c.Layers, c.Width, c.Heads, c.KVHeads, c.MLP = tok.VocabSize(), 1, 32, 2, 1, 32
		be, m := clientModel(t, c)
		m.Init(1)
		file := filepath.Join(t.TempDir(), "model.gguf")
		asInFile(t, file, be, m, GGUFOptions{Name: name, Type: gguf.Q8_0, Tokenizer: tok})
		names = append(names, name)
		request.Models = append(request.Models, llamaModel{file, "a", 1, []int32{0}})
	}
	for i, got := range askLlama(t, request) {
		name, tok := names[i], tokenizers[names[i]]
		before, _ := tokenizer.Around(tok)
		if got.AddsBOS != (len(before) > 0) || len(before) > 0 && *got.BOS != before[0] {
			t.Errorf("%s: a text begins with token %v: %v, want %v", name, got.BOS, got.AddsBOS, before)
		}
		for k, text := range texts {
			if differs[name] == nil || !differs[name](text) {
				sameTokens(t, name, tokenizer.Raw(tok), texts[k:k+1], got.IDs[k:k+1])
				sameTokens(t, name+", special tokens matched", tok, texts[k:k+1], got.Special[k:k+1])
			}
		}
	}
}
