package convert

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
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
	"github.com/google/go-cmp/cmp"
)

// bpe learns a tokenizer of so many tokens.
func bpe(t testing.TB, vocab int) *tokenizer.BPE {
	t.Helper()
	tok, err := tokenizer.TrainBPE(t.Context(), strings.NewReader("the cat that sat on the mat\n"), tokenizer.TrainOptions{VocabSize: vocab})
	if err != nil {
		t.Fatal(err)
	}
	return tok
}

// ggufConfig has sizes that all differ, and an epsilon that is not the default.
func ggufConfig() model.GPTConfig {
	return model.GPTConfig{Vocab: 262, Context: 5, Layers: 2, Heads: 4, Width: 32, MLP: 48, Eps: 1e-3}
}

// writeGGUF writes m and opens the file.
func writeGGUF(t testing.TB, be backend.Backend, m *model.GPT, o GGUFOptions) (*gguf.File, []string) {
	t.Helper()
	path := filepath.Join(t.TempDir(), "model.gguf")
	var b bytes.Buffer
	notes, err := WriteGGUF(&b, be, m, o)
	if err == nil {
		err = os.WriteFile(path, b.Bytes(), 0o666)
	}
	if err != nil {
		t.Fatal(err)
	}
	f, err := gguf.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { f.Close() })
	return f, notes
}

// TestGGUFLayout: keys, names, shapes and types are those that llama.cpp wants of
// its architecture gpt2.
func TestGGUFLayout(t *testing.T) {
	t.Parallel()
	tok := bpe(t, 259)
	for _, tc := range []struct {
		name   string
		change func(*model.GPTConfig)
	}{
		{"tied", func(*model.GPTConfig) {}},
		{"untied", func(c *model.GPTConfig) { c.Untied = true }},
		{"no bias", func(c *model.GPTConfig) { c.NoBias = true }}, // llama.cpp needs the biases: zero
	} {
		c := ggufConfig()
		tc.change(&c)
		be, m := newModel(t, c)
		m.Init(1)
		f, notes := writeGGUF(t, be, m, GGUFOptions{Name: "tiny", Type: gguf.Q8_0, Tokenizer: tok})
		want := []string{"token_embd.weight Q8_0 [262 32]", "position_embd.weight F32 [5 32]", "output_norm.weight F32 [32]",
			"output_norm.bias F32 [32]", "output.weight Q8_0 [262 32]"}
		for n := range 2 {
			for _, s := range []string{"attn_norm.weight F32 [32]", "attn_norm.bias F32 [32]", "attn_qkv.weight Q8_0 [96 32]", "attn_qkv.bias F32 [96]",
				"attn_output.weight Q8_0 [32 32]", "attn_output.bias F32 [32]", "ffn_norm.weight F32 [32]", "ffn_norm.bias F32 [32]",
				"ffn_up.weight Q8_0 [48 32]", "ffn_up.bias F32 [48]", "ffn_down.weight F16 [32 48]", "ffn_down.bias F32 [32]"} {
				want = append(want, fmt.Sprintf("blk.%d.%s", n, s))
			}
		}
		if w := []string{"2 matrices are F16, their rows being no multiple of 32 long: blk.0.ffn_down.weight, blk.1.ffn_down.weight"}; !slices.Equal(notes, w) {
			t.Errorf("%s: notes %q, want %q", tc.name, notes, w)
		}
		var got []string
		for _, n := range f.Names() {
			info, _ := f.Info(n)
			got = append(got, fmt.Sprint(n, " ", info.Type, " ", info.Shape))
			b := slices.Repeat([]float32{1}, info.Elems())
			if err := f.ReadFloat32(n, 0, b); err != nil {
				t.Fatal(err)
			}
			if strings.HasSuffix(n, ".bias") && !slices.Equal(b, make([]float32, len(b))) {
				t.Errorf("%s: %s is %v", tc.name, n, b)
			}
		}
		slices.Sort(got)
		slices.Sort(want)
		if !slices.Equal(got, want) {
			t.Errorf("%s: tensors\n%q\nwant\n%q", tc.name, got, want)
		}
		for key, want := range map[string]any{
			"general.architecture": "gpt2", "general.name": "tiny", "general.file_type": uint32(7),
			"gpt2.context_length": uint32(5), "gpt2.embedding_length": uint32(32), "gpt2.feed_forward_length": uint32(48),
			"gpt2.block_count": uint32(2), "gpt2.attention.head_count": uint32(4), "gpt2.attention.layer_norm_epsilon": float32(1e-3),
			"tokenizer.ggml.model": "gpt2", "tokenizer.ggml.pre": "gpt-2",
			"tokenizer.ggml.bos_token_id": uint32(258), "tokenizer.ggml.eos_token_id": uint32(258),
			"tokenizer.ggml.add_bos_token": false, "tokenizer.ggml.add_eos_token": false,
			"tokenizer.ggml.merges": []string{"a t", "t h"},
		} {
			if got, _ := f.Value(key); fmt.Sprintf("%T %v", got, got) != fmt.Sprintf("%T %v", want, want) {
				t.Errorf("%s: %s is %T %v, want %T %v", tc.name, key, got, got, want, want)
			}
		}
		tokens, _ := f.Value("tokenizer.ggml.tokens")
		types, _ := f.Value("tokenizer.ggml.token_type")
		spelt, kinds := tokens.([]string), types.([]int32)
		if w := []string{"Ġ", "at", "th", "<|endoftext|>", "[PAD259]", "[PAD260]", "[PAD261]"}; len(spelt) != 262 || !slices.Equal(append(spelt[220:221], spelt[256:]...), w) {
			t.Errorf("%s: tokens %q, want %q", tc.name, spelt, w)
		}
		if w := []int32{1, 1, 3, 5, 5, 5}; len(kinds) != 262 || !slices.Equal(kinds[256:], w) {
			t.Errorf("%s: kinds %v, want %v", tc.name, kinds, w)
		}
	}
}

// TestGGUFRoundTrip: what is read is what the types of the file leave of the
// weights, and a file is a function of the model.
func TestGGUFRoundTrip(t *testing.T) {
	t.Parallel()
	tok := bpe(t, 259)
	for _, untied := range []bool{false, true} {
		c := ggufConfig()
		c.Untied = untied
		be, m := newModel(t, c)
		m.Init(3)
		for typ, off := range map[gguf.Type]float64{gguf.F32: 0, gguf.F16: 1.0 / (1 << 11), gguf.BF16: 1.0 / (1 << 8), gguf.Q8_0: 0.51 / 127} {
			o := GGUFOptions{Name: "x", Type: typ, Tokenizer: tok}
			f, _ := writeGGUF(t, be, m, o)
			other, back := newModel(t, c)
			if err := ReadGGUF(other, back, f); err != nil {
				t.Fatal(err)
			}
			for i, p := range m.Params() {
				want, got := download(be, p.Value), download(other, back.Params()[i].Value)
				if p.Value.Shape.Rank() == 1 || strings.HasPrefix(p.Name, "wpe") || typ == gguf.F32 {
					testkit.EqualBits(t, p.Name, got, want)
					continue
				}
				testkit.Near(t, fmt.Sprint(p.Name, " as ", typ), got, want, off)
				if slices.Equal(got, want) {
					t.Errorf("%s as %v is not rounded", p.Name, typ)
				}
			}
			var first, second bytes.Buffer
			if _, err := WriteGGUF(&first, be, m, o); err != nil {
				t.Fatal(err)
			}
			if _, err := WriteGGUF(&second, be, m, o); err != nil || !bytes.Equal(first.Bytes(), second.Bytes()) {
				t.Errorf("%v: written twice, the files differ; %v", typ, err)
			}
		}
	}
}

// words is a tokenizer of a kind that llama.cpp does not have.
type words struct{ *tokenizer.Char }

// named is a BPE of the 256 bytes, as of has them, with added tokens after them.
func named(t *testing.T, of *tokenizer.BPE, tokens ...tokenizer.AddedToken) *tokenizer.BPE {
	t.Helper()
	vocab := map[string]int{}
	for id := range 256 {
		name, _ := of.Spelling(int32(id))
		vocab[name] = id
	}
	for i := range tokens {
		tokens[i].ID = int32(256 + i)
	}
	text, err := json.Marshal(map[string]any{
		"added_tokens":  tokens,
		"pre_tokenizer": map[string]any{"type": "ByteLevel", "add_prefix_space": false, "use_regex": true},
		"decoder":       map[string]any{"type": "ByteLevel"},
		"model":         map[string]any{"type": "BPE", "vocab": vocab, "merges": []string{}},
	})
	dir := t.TempDir()
	if err == nil {
		err = os.WriteFile(filepath.Join(dir, "tokenizer.json"), text, 0o666)
	}
	if err != nil {
		t.Fatal(err)
	}
	tok, err := tokenizer.Load(dir)
	if err != nil {
		t.Fatal(err)
	}
	return tok.(*tokenizer.BPE)
}

// TestGGUFAdded: added tokens are told apart by what they are, and where there is
// none for the end of a text, an unused token is.
func TestGGUFAdded(t *testing.T) {
	t.Parallel()
	tok := named(t, bpe(t, 257), tokenizer.AddedToken{Content: "<MASK>", Lstrip: true}, tokenizer.AddedToken{Content: "<sep>", Special: true})
	keys, notes, err := ggufVocabulary(tok, 260)
	if err != nil {
		t.Fatal(err)
	}
	if len(notes) != 1 || !strings.Contains(notes[0], `"<MASK>" wherever it is spelt`) {
		t.Errorf("notes %q", notes)
	}
	got := map[string]any{}
	for _, kv := range keys {
		got[kv.Key] = kv.Value
	}
	if id := got["tokenizer.ggml.eos_token_id"]; id != uint32(258) {
		t.Errorf("the end is token %v", id)
	}
	if types := got["tokenizer.ggml.token_type"].([]int32)[255:]; !slices.Equal(types, []int32{1, 4, 3, 5, 5}) {
		t.Errorf("kinds %v", types)
	}
	if tokens := got["tokenizer.ggml.tokens"].([]string)[256:]; !slices.Equal(tokens, []string{"<MASK>", "<sep>", "[PAD258]", "[PAD259]"}) {
		t.Errorf("tokens %q", tokens)
	}
}

// TestGGUFChars: characters are spelt by their bytes, and no text is an unused
// token.
func TestGGUFChars(t *testing.T) {
	t.Parallel()
	chars, err := tokenizer.NewChar(strings.NewReader("a \n\\é"))
	if err != nil {
		t.Fatal(err)
	}
	keys, _, err := ggufVocabulary(chars, 6)
	want := []gguf.KV{
		{Key: "tokenizer.ggml.model", Value: "rwkv"},
		{Key: "tokenizer.ggml.tokens", Value: []string{`\x0a`, `\x20`, `\x5c`, `\x61`, `\xc3\xa9`, `\xff\x35`}},
		{Key: "tokenizer.ggml.token_type", Value: []int32{1, 1, 1, 1, 1, 5}},
		{Key: "tokenizer.ggml.unknown_token_id", Value: uint32(1)},
	}
	if d := cmp.Diff(want, keys); err != nil || d != "" {
		t.Errorf("%v\n%s", err, d)
	}
}

func TestGGUFRefuses(t *testing.T) {
	t.Parallel()
	chars, err := tokenizer.NewChar(strings.NewReader("abc"))
	if err != nil {
		t.Fatal(err)
	}
	tok := bpe(t, 259)
	for _, tc := range []struct {
		name   string
		change func(*model.GPTConfig)
		tok    tokenizer.Tokenizer
		is     error
		want   string
	}{
		{"erf", func(c *model.GPTConfig) { c.GELU = backend.GELUErf }, tok, ErrUnsupported, "GELU is the erf form"},
		{"other tokenizer", nil, words{chars}, ErrUnsupported, "no tokenizer like this one (char)"},
		{"no end of text", func(c *model.GPTConfig) { c.Vocab = 256 }, named(t, tok), ErrUnsupported, "has no <|endoftext|>"},
		{"spelt twice", nil, named(t, tok, tokenizer.AddedToken{Content: "[PAD261]"}), ErrUnsupported, `tokens 256 and 261 are both spelt "[PAD261]"`},
		{"no tokenizer", nil, nil, nil, "put tokenizer.json"},
		{"tokenizer too large", func(c *model.GPTConfig) { c.Vocab = 258 }, tok, ErrMismatch, "has 259 tokens, the model only 258"},
	} {
		c := ggufConfig()
		if tc.change != nil {
			tc.change(&c)
		}
		be, m := newModel(t, c)
		_, err := WriteGGUF(&bytes.Buffer{}, be, m, GGUFOptions{Tokenizer: tc.tok})
		if err == nil || !strings.HasPrefix(err.Error(), "convert: ") || !strings.Contains(err.Error(), tc.want) || tc.is != nil && !errors.Is(err, tc.is) {
			t.Errorf("%s: %v", tc.name, err)
		}
	}

	be, m := newModel(t, ggufConfig())
	m.Init(1)
	if err := m.AddLoRA(model.LoRAConfig{Rank: 1, Alpha: 1, Targets: model.Targets{"qkv"}}); err != nil {
		t.Fatal(err)
	}
	if _, err := WriteGGUF(&bytes.Buffer{}, be, m, GGUFOptions{Tokenizer: tok}); !errors.Is(err, ErrUnsupported) || !strings.Contains(err.Error(), "merge them") {
		t.Errorf("adapters: %v", err)
	}
	m.MergeLoRA()
	p := m.Params()[0]
	host := download(be, p.Value)
	host[33] = 1e6
	be.Upload(p.Value, host)
	if _, err := WriteGGUF(&bytes.Buffer{}, be, m, GGUFOptions{Type: gguf.F16, Tokenizer: tok}); err == nil || !strings.Contains(err.Error(), `"token_embd.weight": element 33, 1e+06`) {
		t.Errorf("overflow: %v", err)
	}
}

func TestReadGGUFRefuses(t *testing.T) {
	t.Parallel()
	be, m := newModel(t, ggufConfig())
	m.Init(1)
	f, _ := writeGGUF(t, be, m, GGUFOptions{Tokenizer: bpe(t, 259)})
	for _, tc := range []struct {
		change func(*model.GPTConfig)
		want   string
	}{
		{func(c *model.GPTConfig) { c.Layers = 1 }, "more than 1 blocks"},
		{func(c *model.GPTConfig) { c.Layers = 3 }, "blk.2.attn_norm.weight is missing"},
		{func(c *model.GPTConfig) { c.MLP = 64 }, "blk.0.ffn_up.weight has shape [48 32], the model asks for [64 32]"},
	} {
		c := ggufConfig()
		tc.change(&c)
		be, m := newModel(t, c)
		if err := ReadGGUF(be, m, f); !errors.Is(err, ErrMismatch) || !strings.Contains(err.Error(), tc.want) {
			t.Errorf("%v, want %q", err, tc.want)
		}
	}
}

// TestGGUFLogits: a model of the file's weights computes the same as the one written, with and without biases of its
// own.
func TestGGUFLogits(t *testing.T) {
	t.Parallel()
	for _, noBias := range []bool{false, true} {
		c := ggufConfig()
		c.NoBias = noBias
		be, m := newModel(t, c)
		m.Init(5)
		f, _ := writeGGUF(t, be, m, GGUFOptions{Tokenizer: bpe(t, 259)})
		back := c
		back.NoBias = false // the file has zeros in their place
		other, n := newModel(t, back)
		if err := ReadGGUF(other, n, f); err != nil {
			t.Fatal(err)
		}
		want, got := make([]float32, c.Vocab), make([]float32, c.Vocab)
		ids := []int32{1, 200, 258, 3}
		testkit.OK(t, m.NextLogits(want, ids, bdia.NoGrid))
		testkit.OK(t, n.NextLogits(got, ids, bdia.NoGrid))
		testkit.EqualBits(t, "logits", got, want)
	}
}
