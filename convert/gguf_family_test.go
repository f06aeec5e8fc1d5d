package convert

import (
	"bytes"
	"errors"
	"fmt"
	"math"
	"slices"
	"strings"
	"testing"

	"github.com/bdia-go/bdia/format/gguf"
	"github.com/bdia-go/bdia/internal/testkit"
	"github.com/bdia-go/bdia/model"
	"github.com/bdia-go/bdia/tensor"
	"github.com/bdia-go/bdia/tokenizer"
)

// TestGGUFFamilies: what is written of a family is read again with the same bits, rows of queries and keys included, and
// every key has the value that the configuration says.
func TestGGUFFamilies(t *testing.T) {
	t.Parallel()
	tok := pieces(t, "", testkit.SomeTokens()...)
	want := map[string]map[string]any{
		"llama": {"general.architecture": "llama", "llama.context_length": uint32(144), "llama.attention.head_count_kv": uint32(2), "llama.attention.layer_norm_rms_epsilon": float32(1e-5),
			"llama.rope.freq_base": float32(1e4), "llama.rope.dimension_count": uint32(16), "llama.feed_forward_length": uint32(96), "llama.attention.key_length": nil},
		"llama, as Llama 3.2":        {"llama.attention.key_length": uint32(16), "llama.attention.value_length": uint32(16), "llama.rope.scaling.type": nil},
		"llama, with biases, linear": {"llama.rope.scaling.type": "linear", "llama.rope.scaling.factor": float32(4), "llama.attention.head_count_kv": uint32(4)},
		"mistral":                    {"general.architecture": "llama", "llama.rope.freq_base": float32(1e6)},
		"qwen2":                      {"general.architecture": "qwen2", "qwen2.attention.head_count_kv": uint32(1), "qwen2.attention.layer_norm_rms_epsilon": float32(1e-6)},
		"qwen2, by yarn": {"qwen2.rope.scaling.type": "yarn", "qwen2.rope.scaling.factor": float32(4), "qwen2.rope.scaling.original_context_length": uint32(36),
			"qwen2.rope.scaling.attn_factor": nil},
		"qwen3, by yarn of its own": {"qwen3.rope.scaling.attn_factor": float32(1.5) / float32(0.1*math.Log(2)+1)},
		"qwen3":                     {"general.architecture": "qwen3", "qwen3.attention.key_length": uint32(32)},
		"granite": {"general.architecture": "granite", "granite.embedding_scale": float32(2), "granite.attention.scale": float32(0.4), "granite.residual_scale": float32(0.7),
			"granite.logit_scale": float32(0.6), "granite.attention.key_length": nil},
		"granite, wide heads": {"granite.embedding_scale": float32(1), "granite.attention.scale": float32(1 / math.Sqrt(32)), "granite.residual_scale": float32(1), "granite.logit_scale": float32(1)},
		"olmo2":               {"general.architecture": "olmo2", "olmo2.attention.head_count_kv": uint32(2), "olmo2.embedding_scale": nil},
	}
	for _, of := range familyModels {
		t.Run(of.name, func(t *testing.T) {
			t.Parallel()
			c := of.c
			c.Vocab = tok.VocabSize() + 3
			be, m := newModel(t, c)
			m.Init(1)
			for i, p := range m.Params() {
				if strings.HasSuffix(p.Name, "bias") {
					host := make([]float32, p.Value.Len())
					for j := range host {
						host[j] = float32(i + j)
					}
					be.Upload(p.Value, host)
				}
			}
			f, notes := writeGGUF(t, be, m, GGUFOptions{Name: "x", Tokenizer: tok})
			if len(notes) > 0 {
				t.Errorf("notes %q", notes)
			}
			for key, want := range want[of.name] {
				if got, _ := f.Value(key); got != want {
					t.Errorf("%s is %v, want %v", key, got, want)
				}
			}
			other, back := newModel(t, c)
			testkit.OK(t, ReadGGUF(other, back, f))
			for i, p := range m.Params() {
				testkit.EqualBits(t, p.Name, download(other, back.Params()[i].Value), download(be, p.Value))
			}
			if _, ok := f.Info("output.weight"); ok != (c.Untied || c.Family == model.OLMo2) {
				t.Errorf("output.weight: %v, untied: %v", ok, c.Untied)
			}
			checkRows(t, f, c, download(be, param(m, "blocks.0.attn.qkv.weight").Value))
		})
	}
}

// param is the parameter of that name.
func param(m *model.GPT, name string) *tensor.Param {
	return m.Params()[slices.IndexFunc(m.Params(), func(p *tensor.Param) bool { return p.Name == name })]
}

// checkRows: in the architectures llama and granite, row 2i of a head of queries is our row i, and row 2i+1 our row i+D/2; in
// another rows stay.
func checkRows(t *testing.T, f *gguf.File, c model.GPTConfig, queries []float32) {
	t.Helper()
	D := c.HeadWidth
	if D == 0 {
		D = c.Width / c.Heads
	}
	got := make([]float32, c.Heads*D*c.Width)
	testkit.OK(t, f.ReadFloat32("blk.0.attn_q.weight", 0, got))
	arch, _ := f.Value("general.architecture")
	for head := range c.Heads {
		for row := range D {
			from := row
			if arch == "llama" || arch == "granite" {
				from = row/2 + row%2*D/2
			}
			at, of := (head*D+row)*c.Width, (head*D+from)*c.Width
			if !slices.Equal(got[at:at+c.Width], queries[of:of+c.Width]) {
				t.Fatalf("row %d of head %d is not our row %d", row, head, from)
			}
		}
	}
}

// TestGGUFDivisors: the tensor of a rotation that is scaled as Llama 3's divides each frequency.
func TestGGUFDivisors(t *testing.T) {
	t.Parallel()
	tok := pieces(t, "", testkit.SomeTokens()...)
	c := familyModels[1].c
	c.Vocab = tok.VocabSize()
	be, m := newModel(t, c)
	m.Init(1)
	f, _ := writeGGUF(t, be, m, GGUFOptions{Tokenizer: tok})
	by := make([]float32, 8)
	testkit.OK(t, f.ReadFloat32("rope_freqs.weight", 0, by))
	frequencies, _ := c.Rope.Frequencies(16)
	between := 0
	for i := range by {
		f := math.Pow(5e5, -float64(2*i)/16)
		wave, want := 2*math.Pi/f, 1.0
		switch s := (64/wave - 1) / (4 - 1); {
		case wave > 64:
			want = 8
		case wave >= 64.0/4:
			want, between = 1/((1-s)/8+s), between+1
		}
		if math.Abs(float64(by[i])/want-1) > 1e-5 {
			t.Errorf("divisor %d is %v, want %v", i, by[i], want)
		}
		if got := f / float64(by[i]); math.Abs(got/float64(frequencies[i])-1) > 1e-6 {
			t.Errorf("frequency %d is %v, the model's %v", i, got, frequencies[i])
		}
	}
	if between == 0 {
		t.Error("no frequency lies between the two limits")
	}
}

// TestGGUFWindow: a window that is shorter than the context becomes the context, which a note tells.
func TestGGUFWindow(t *testing.T) {
	t.Parallel()
	tok := pieces(t, "", testkit.SomeTokens()...)
	for window, want := range map[int]uint32{0: 144, 48: 48, 144: 144, 200: 144} {
		c := familyModels[3].c
		c.Vocab, c.Window = tok.VocabSize(), window
		be, m := newModel(t, c)
		m.Init(1)
		f, notes := writeGGUF(t, be, m, GGUFOptions{Tokenizer: tok})
		if got, _ := f.Value("llama.context_length"); got != want {
			t.Errorf("window %d: a context of %v, want %d", window, got, want)
		}
		if want := window == 48; want != (len(notes) == 1 && strings.Contains(notes[0], "the file's context is 48 tokens in place of 144")) {
			t.Errorf("window %d: notes %q", window, notes)
		}
	}
}

// TestGGUFDynamic: where the length of a text scales its rotation, the context before scaling becomes the context.
func TestGGUFDynamic(t *testing.T) {
	t.Parallel()
	tok := pieces(t, "", testkit.SomeTokens()...)
	c := familyModels[0].c
	c.Vocab, c.Rope = tok.VocabSize(), model.Rope{Theta: 1e4, Kind: model.RopeDynamic, Factor: 2, OriginalContext: 72}
	be, m := newModel(t, c)
	m.Init(1)
	f, notes := writeGGUF(t, be, m, GGUFOptions{Tokenizer: tok})
	if got, _ := f.Value("llama.context_length"); got != uint32(72) || len(notes) != 1 || !strings.HasPrefix(notes[0], "the rotation of longer texts is scaled by their length, ") ||
		!strings.Contains(notes[0], " 72 tokens in place of 144,") {
		t.Errorf("a context of %v, notes %q", got, notes)
	}
}

// TestGGUFPipelines: a byte-level tokenizer is called by llama.cpp's name of its pipeline.
func TestGGUFPipelines(t *testing.T) {
	t.Parallel()
	for name, parts := range testkit.Pipelines {
		keys, notes, err := ggufVocabulary(pipelined(t, bpe(t, 259), parts), 300)
		testkit.OK(t, err)
		got := values(keys)
		if got["tokenizer.ggml.pre"] != name || got["tokenizer.ggml.model"] != "gpt2" || got["tokenizer.ggml.add_bos_token"] != (name == "llama-bpe") {
			t.Errorf("%s: model %v, pre %v, begins with a token: %v", name, got["tokenizer.ggml.model"], got["tokenizer.ggml.pre"], got["tokenizer.ggml.add_bos_token"])
		}
		if nfc := len(notes) == 1 && strings.Contains(notes[0], "NFC"); nfc != (name == "qwen2") {
			t.Errorf("%s: notes %q", name, notes)
		}
	}
}

func values(keys []gguf.KV) map[string]any {
	of := map[string]any{}
	for _, kv := range keys {
		of[kv.Key] = kv.Value
	}
	return of
}

// TestGGUFMarks: a tokenizer after SentencePiece has scores that go down with the ranks of merges, and kinds of tokens.
func TestGGUFMarks(t *testing.T) {
	t.Parallel()
	tok := pieces(t, "", "▁t", "he", "▁the")
	keys, notes, err := ggufVocabulary(tok, tok.VocabSize()+2)
	if err != nil || len(notes) > 0 {
		t.Fatal(notes, err)
	}
	got := values(keys)
	for key, want := range map[string]any{"tokenizer.ggml.model": "llama", "tokenizer.ggml.pre": "default", "tokenizer.ggml.add_space_prefix": true,
		"tokenizer.ggml.bos_token_id": uint32(1), "tokenizer.ggml.eos_token_id": uint32(2), "tokenizer.ggml.unknown_token_id": uint32(0),
		"tokenizer.ggml.add_bos_token": true, "tokenizer.ggml.add_eos_token": false, "tokenizer.ggml.merges": nil, "tokenizer.ggml.padding_token_id": nil} {
		if got[key] != want {
			t.Errorf("%s is %v, want %v", key, got[key], want)
		}
	}
	tokens, types, scores := got["tokenizer.ggml.tokens"].([]string), got["tokenizer.ggml.token_type"].([]int32), got["tokenizer.ggml.scores"].([]float32)
	var list []string
	for id, token := range tokens {
		if id < 5 || id > 257 {
			list = append(list, fmt.Sprint(token, " ", types[id], " ", scores[id]))
		}
	}
	// ▁the is made of ▁t and he, which is the third merge
	want := []string{"<unk> 2 -1000", "<s> 3 -1000", "</s> 3 -1000", "<0x00> 6 0", "<0x01> 6 0", "<0xFF> 6 0", "▁t 1 0", "he 1 -1", "▁the 1 -2", "▁ 1 0", "t 1 0", "h 1 0", "e 1 0",
		"[PAD266] 5 0", "[PAD267] 5 0"}
	if !slices.Equal(list, want) {
		t.Errorf("tokens\n%q\nwant\n%q", list, want)
	}
	for scheme, notes := range map[string]int{"always": 1, "first": 2, "never": 0} {
		keys, told, err := ggufVocabulary(pieces(t, scheme, "▁t", "he", "▁the"), 266)
		if err != nil || len(told) != notes || values(keys)["tokenizer.ggml.add_space_prefix"] != (scheme != "never") {
			t.Errorf("%s: notes %q, %v", scheme, told, err)
		}
	}
	// ▁the could be made of ▁t and he, of ▁th and e, and of ▁ and the; here it is a later token than all of them.
	if keys, told, err := ggufVocabulary(pieces(t, "", "▁t", "he", "th", "▁th", "the", "▁the"), 300); err != nil || len(told) > 0 {
		t.Errorf("notes %q, %v, %v", told, err, values(keys)["tokenizer.ggml.scores"].([]float32)[259:])
	}
}

// TestGGUFFamilyRefused: what llama.cpp cannot compute is refused.
func TestGGUFFamilyRefused(t *testing.T) {
	t.Parallel()
	tok := pieces(t, "", testkit.SomeTokens()...)
	for _, tc := range []struct {
		of     int
		change func(*model.GPTConfig)
		tok    tokenizer.Tokenizer
		want   string
	}{
		{6, func(c *model.GPTConfig) { c.AttentionBias = true }, tok, "have biases, which llama.cpp does not read in the architecture qwen3"},
		{6, func(c *model.GPTConfig) { c.Rope = familyModels[1].c.Rope }, tok, "scaled as Llama 3's, which llama.cpp does not read in the architecture qwen3"},
		{10, func(c *model.GPTConfig) { c.AttentionBias = true }, tok, "have biases, which llama.cpp does not read in the architecture olmo2"},
		{10, func(c *model.GPTConfig) { c.Rope = familyModels[1].c.Rope }, tok, "scaled as Llama 3's, which llama.cpp does not read in the architecture olmo2"},
		{10, func(c *model.GPTConfig) { c.HeadWidth = 32 }, tok, "are 128 wide together and the model 64, which llama.cpp does not read in the architecture olmo2"},
		{5, func(c *model.GPTConfig) { c.Rope.NoTruncate = true }, tok, "beta_slow 1 and truncate false"},
		{5, func(c *model.GPTConfig) { c.Rope.BetaFast = 16 }, tok, "beta_fast 16"},
		{0, nil, pipelined(t, bpe(t, 259), map[string]string{"pre_tokenizer": testkit.Sequence(`{"type":"Digits","individual_digits":false}`, testkit.NoRegex)}), "cuts it into words in a way"},
		{0, nil, pipelined(t, bpe(t, 259), map[string]string{"normalizer": `{"type":"Replace","pattern":{"String":"a"},"content":"b"}`}), "changes text"},
		{0, nil, pipelined(t, bpe(t, 259), map[string]string{"post_processor": testkit.Begin("<|endoftext|>", "258, 257")}), "puts 2 tokens before a text"},
	} {
		c := familyModels[tc.of].c
		c.Vocab = 400
		if tc.change != nil {
			tc.change(&c)
		}
		be, m := newModel(t, c)
		m.Init(1)
		_, err := WriteGGUF(&bytes.Buffer{}, be, m, GGUFOptions{Tokenizer: tc.tok})
		if err == nil || !errors.Is(err, ErrUnsupported) || !strings.Contains(err.Error(), tc.want) {
			t.Errorf("%v, want %q", err, tc.want)
		}
	}
}

// TestGGUFRealTokenizers: published tokenizers are of kinds that llama.cpp knows, and merges of the older ones go by
// scores.
func TestGGUFRealTokenizers(t *testing.T) {
	t.Parallel()
	for name, want := range map[string][2]string{"llama2": {"llama", "default"}, "mistral_v01": {"llama", "default"}, "llama3_1": {"gpt2", "llama-bpe"}, "qwen3": {"gpt2", "qwen2"},
		"SmolLM2": {"gpt2", "smollm"}} {
		tok := load(t, testkit.RealTokenizer(t, name))
		keys, notes, err := ggufVocabulary(tok, tok.VocabSize()+1)
		testkit.OK(t, err)
		got := values(keys)
		if got := [2]string{got["tokenizer.ggml.model"].(string), got["tokenizer.ggml.pre"].(string)}; got != want {
			t.Errorf("%s is %q, want %q", name, got, want)
		}
		t.Logf("%s: notes %q", name, notes)
		if name != "qwen3" && len(notes) > 0 {
			t.Errorf("%s: notes %q", name, notes)
		}
	}
}
