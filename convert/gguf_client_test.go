//go:build clients

package convert

import (
	"bytes"
	"errors"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/bdia-go/bdia"
	"github.com/bdia-go/bdia/backend"
	"github.com/bdia-go/bdia/backend/cpu"
	"github.com/bdia-go/bdia/format/gguf"
	"github.com/bdia-go/bdia/internal/testkit"
	"github.com/bdia-go/bdia/model"
	"github.com/bdia-go/bdia/tokenizer"
)

// What llama.mjs is asked, and what it answers for each model.
type (
	llamaModel struct {
		File   string  `json:"file"`
		Prompt string  `json:"prompt"`
		Tokens int     `json:"tokens"`
		Forced []int32 `json:"forced"`
	}
	llamaRequest struct {
		Texts  []string     `json:"texts"`
		Models []llamaModel `json:"models"`
	}
	llamaAnswer struct {
		BOS, EOS   *int32
		AddsBOS    bool
		IDs        [][]int32 // of each text as it is
		Special    [][]int32 // with special tokens matched
		Completion string
		Generated  []int32
		Logits     [][]float32
	}
)

// askLlama runs llama.cpp.
func askLlama(t *testing.T, r llamaRequest) (answers []llamaAnswer) {
	t.Helper()
	testkit.Node(t, filepath.Join("testdata", "llama.mjs"), r, &answers)
	if len(answers) != len(r.Models) {
		t.Fatalf("%d answers to %d questions", len(answers), len(r.Models))
	}
	return answers
}

// mixed are texts on which tokenizers of GPT-2's kind have differed.
var mixed = []string{
	"First Citizen:\nBefore we proceed any further, hear me speak.",
	"I'll we've you're it's I'M 'S don't o'clock 12345 3.14 ½ ² Ⅷ",
	"two  spaces   three\ttabs\t\t\n\n\n newlines \r\n  \n end   ",
	"naïve Ελληνικά Русский עברית العربية हिन्दी 中文字 日本語 한국어 ไทย",
	"👍🏽👩‍👩‍👧‍👦🏳️‍🌈 e\u0301 \u00a0nbsp\u2003em\u3000ideographic\u200bzero\u2028line\u0085next",
	"\x00\x01\x1f\x7f control \u0080\ufeff\ufffd \U0001f9ff",
	"func (m *GPT) Params() []*tensor.Param { return m.params } // a_b__c",
	"<|endoftext|> is text here , and so are spaces before a comma .",
	"",
}

const (
	clientPrompt = "The model is"
	clientTokens = 120
)

// continuation is what m writes after ids, the likeliest token each time, with the
// least lead of one over the second.
func continuation(t testing.TB, m *model.GPT, ids []int32, n int) (all []int32, lead float64) {
	t.Helper()
	all, lead = slices.Clone(ids), math.Inf(1)
	logits := make([]float32, m.Config.Vocab)
	for range n {
		testkit.OK(t, m.NextLogits(logits, all, bdia.NoGrid))
		best, ahead := first(logits)
		all, lead = append(all, best), min(lead, ahead)
	}
	return all, lead
}

// first returns the index of the largest logit and its lead over the second.
func first(logits []float32) (best int32, lead float64) {
	second := math.Inf(-1)
	for i, v := range logits[1:] {
		if v > logits[best] {
			second, best = float64(logits[best]), int32(i+1)
		} else {
			second = max(second, float64(v))
		}
	}
	return best, float64(logits[best]) - second
}

// spread draws weights large enough for logits that differ, with logits of zero for
// the tokens from end on.
func spread(be backend.Backend, m *model.GPT, seed uint64, end int32) {
	m.Init(seed)
	for i, p := range m.Params() {
		host := download(be, p.Value)
		if p.Value.Shape[0] == m.Config.Vocab {
			clear(host[int(end)*m.Config.Width:])
		}
		if p.Value.Shape.Rank() > 1 && (i > 0 || m.Config.Untied) {
			for j := range host {
				host[j] *= 6
			}
		}
		if p.Value.Shape.Rank() == 1 { // norms and biases, each with values of its own
			for j := range host {
				host[j] += float32((5*i+7*j)%11-5) / 50
			}
		}
		be.Upload(p.Value, host)
	}
}

// TestClientLlama: llama.cpp reads our files, cuts text into the same tokens, gives
// nearly the same logits, and writes the same text where it takes the likeliest
// token. It rounds more than the file does: GELU through a table of binary16, and
// the states before a product with F16, BF16 or Q8_0 weights to that type.
func TestClientLlama(t *testing.T) {
	testkit.Clients(t)
	texts := slices.Clone(mixed)
	book, err := os.ReadFile(filepath.Join("..", "LICENSE")) // a text that stays as it is
	if err != nil {
		t.Fatal(err)
	}
	texts = append(texts, string(book))
	tok, err := tokenizer.TrainBPE(t.Context(), bytes.NewReader(book), tokenizer.TrainOptions{VocabSize: 600})
	if err != nil {
		t.Fatal(err)
	}
	chars, err := tokenizer.NewChar(strings.NewReader(strings.Join(texts, "")))
	if err != nil {
		t.Fatal(err)
	}
	sizes := model.GPTConfig{Context: 144, Layers: 3, Heads: 4, Width: 64}
	others := model.GPTConfig{Context: 160, Layers: 2, Heads: 2, Width: 48, MLP: 96, Untied: true, NoBias: true, Eps: 1e-4}
	type subject struct {
		name   string
		tok    tokenizer.Tokenizer
		prompt []int32
		typ    gguf.Type
		tol    float64 // of the logits, as a share of the largest
		same   bool    // the whole text
		tokens []int32
		want   []float32 // logits after each of tokens
	}
	var subjects []subject
	request := llamaRequest{Texts: texts}
	for _, of := range []struct {
		name string
		tok  tokenizer.Tokenizer
		c    model.GPTConfig
		pad  int // tokens that the tokenizer lacks
	}{{"BPE", tok, sizes, 0}, {"BPE, other sizes, padded, untied, without biases", tok, others, 40}, {"characters", chars, sizes, 3}} {
		c := of.c
		c.Vocab = of.tok.VocabSize() + of.pad
		be, m := clientModel(t, c)
		end, ok := tokenizer.EndOfText(of.tok)
		if !ok {
			end = int32(of.tok.VocabSize())
		}
		prompt, err := of.tok.Encode([]byte(clientPrompt))
		if err != nil {
			t.Fatal(err)
		}
		for _, s := range []subject{
			{typ: gguf.F32, tol: 2e-3, same: true},
			{typ: gguf.F16, tol: 4e-3},
			{typ: gguf.BF16, tol: 2e-2},
			{typ: gguf.Q8_0, tol: 5e-2},
		} {
			s.name, s.tok, s.prompt = fmt.Sprint(of.name, " as ", s.typ), of.tok, prompt
			file := filepath.Join(t.TempDir(), "model.gguf")
			// A text is the same only where no two tokens are nearly as likely: the
			// first seed of such a one.
			for seed := uint64(1); ; seed++ {
				spread(be, m, seed, end)
				asInFile(t, file, be, m, GGUFOptions{Name: s.name, Type: s.typ, Tokenizer: s.tok})
				var lead float64
				s.tokens, lead = continuation(t, m, prompt, clientTokens)
				s.want = make([]float32, len(s.tokens)*c.Vocab)
				testkit.OK(t, m.Logits(s.want, model.Batch{Size: 1, Inputs: s.tokens}, bdia.NoGrid))
				if !s.same || lead > 3e-3*largest(s.want) && slices.Max(s.tokens) < end {
					t.Logf("%s: seed %d, smallest lead %.3g, largest |logit| %.3g", s.name, seed, lead, largest(s.want))
					break
				}
				if seed == 200 {
					t.Fatalf("%s: no seed gives a text without near ties", s.name)
				}
			}
			subjects = append(subjects, s)
			request.Models = append(request.Models, llamaModel{file, clientPrompt, clientTokens, s.tokens})
		}
	}

	for i, got := range askLlama(t, request) {
		s := subjects[i]
		end, ok := tokenizer.EndOfText(s.tok)
		for _, id := range []*int32{got.BOS, got.EOS} {
			if ok != (id != nil) || ok && *id != end || got.AddsBOS {
				t.Errorf("%s: begin or end is token %v, added: %v; want %d, %v", s.name, id, got.AddsBOS, end, ok)
			}
		}
		sameTokens(t, s.name, tokenizer.Raw(s.tok), texts, got.IDs)
		sameTokens(t, s.name+", special tokens matched", s.tok, texts, got.Special)
		logits := slices.Concat(got.Logits...)
		testkit.Near(t, s.name+": logits", logits, s.want, s.tol)
		off := 0.0
		for k := range logits {
			off = max(off, math.Abs(float64(logits[k])-float64(s.want[k])))
		}
		same := 0
		for same < len(got.Generated) && got.Generated[same] == s.tokens[len(s.prompt)+same] {
			same++
		}
		t.Logf("%s: largest difference of a logit %.3g of %.3g; %d of %d tokens the same", s.name, off, largest(s.want), same, clientTokens)
		if !s.same {
			continue
		}
		text, err := s.tok.Decode(s.tokens[len(s.prompt):])
		if err != nil {
			t.Fatal(err)
		}
		// After bytes that may begin a character, the completion goes on for a token.
		if same < clientTokens || !strings.HasPrefix(written(got.Completion), written(string(text))) {
			t.Errorf("%s: tokens %v\nand text %q,\nwant %v\nand %q", s.name, got.Generated, got.Completion, s.tokens[len(s.prompt):], text)
		}
	}
}

// asInFile writes m into file, and gives it the weights that the file has.
func asInFile(t *testing.T, file string, be backend.Backend, m *model.GPT, o GGUFOptions) {
	t.Helper()
	out, err := os.Create(file)
	testkit.OK(t, err)
	_, err = WriteGGUF(out, be, m, o)
	testkit.OK(t, errors.Join(err, out.Close()))
	f, err := gguf.Open(file)
	testkit.OK(t, err)
	defer f.Close()
	testkit.OK(t, ReadGGUF(be, m, f))
}

// written is text as far as both programs write it in the same way: llama.cpp
// drops spaces before punctuation, and bytes that are not UTF-8 become U+FFFD.
func written(text string) string {
	return strings.NewReplacer(" ", "", "\ufffd", "").Replace(strings.ToValidUTF8(text, ""))
}

// clientModel allocates a model of c, larger than those of other tests.
func clientModel(t *testing.T, c model.GPTConfig) (backend.Backend, *model.GPT) {
	t.Helper()
	be, err := cpu.New(cpu.Options{Threads: 1, ArenaBytes: cpu.ScratchBytes(1) + 64<<20})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(be.Close)
	m, err := model.NewGPT(be, c, bdia.DefaultOptions())
	if err != nil {
		t.Fatal(err)
	}
	return be, m
}

// TestClientLlamaGPT2: with GPT-2's own vocabulary, llama.cpp cuts long texts into
// the tokens that we do.
func TestClientLlamaGPT2(t *testing.T) {
	testkit.Clients(t)
	tok, err := tokenizer.Load(testkit.SharedPath(t, "data", "gpt2-bpe"))
	if err != nil {
		t.Fatal(err)
	}
	play, err := os.ReadFile(testkit.SharedPath(t, "data", "tinyshakespeare", "input.txt"))
	if err != nil {
		t.Fatal(err)
	}
	texts := append(slices.Clone(mixed), string(play))
	code, err := filepath.Glob(filepath.Join("..", "*", "*.go"))
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range code {
		b, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		texts = append(texts, string(b))
	}
	be, m := clientModel(t, model.GPTConfig{Vocab: 50257, Context: 16, Layers: 1, Heads: 1, Width: 32})
	m.Init(1)
	file := filepath.Join(t.TempDir(), "model.gguf")
	out, err := os.Create(file)
	if err == nil {
		_, err = WriteGGUF(out, be, m, GGUFOptions{Name: "GPT-2's tokenizer", Type: gguf.Q8_0, Tokenizer: tok})
		err = errors.Join(err, out.Close())
	}
	if err != nil {
		t.Fatal(err)
	}
	got := askLlama(t, llamaRequest{Texts: texts, Models: []llamaModel{{File: file, Prompt: "a", Tokens: 1, Forced: []int32{0}}}})[0]
	t.Logf("%d texts of %d tokens", len(texts), sameTokens(t, "GPT-2", tokenizer.Raw(tok), texts, got.IDs))
	sameTokens(t, "GPT-2, special tokens matched", tok, texts, got.Special)
}

// sameTokens compares the tokens of texts with those of tok, and counts them.
func sameTokens(t *testing.T, what string, tok tokenizer.Tokenizer, texts []string, got [][]int32) (count int) {
	t.Helper()
	for k, text := range texts {
		want, err := tok.Encode([]byte(text))
		if err != nil {
			t.Fatal(err)
		}
		count += len(want)
		if slices.Equal(got[k], want) {
			continue
		}
		same := 0
		for same < min(len(got[k]), len(want)) && got[k][same] == want[same] {
			same++
		}
		t.Errorf("%s: text %d, %.60q: %d tokens, want %d; from token %d on %v, want %v", what, k, text, len(got[k]), len(want), same,
			got[k][same:min(same+8, len(got[k]))], want[same:min(same+8, len(want))])
	}
	return count
}

func largest(v []float32) (most float64) {
	for _, x := range v {
		most = max(most, math.Abs(float64(x)))
	}
	return most
}
