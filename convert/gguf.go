package convert

import (
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/bdia-go/bdia/backend"
	"github.com/bdia-go/bdia/format/gguf"
	"github.com/bdia-go/bdia/model"
	"github.com/bdia-go/bdia/tensor"
	"github.com/bdia-go/bdia/tokenizer"
)

// ggufNames maps the names of a model's parts to llama.cpp's names for its
// architecture gpt2. Layouts are the same: (out,in).
var ggufNames = strings.NewReplacer(
	"wte.", "token_embd.", "wpe.", "position_embd.", "lnf.", "output_norm.", "head.", "output.",
	"blocks.", "blk.", "ln1.", "attn_norm.", "ln2.", "ffn_norm.", "attn.qkv.", "attn_qkv.", "attn.proj.", "attn_output.",
	"mlp.fc1.", "ffn_up.", "mlp.fc2.", "ffn_down.")

// ggufFileTypes are the values of general.file_type.
var ggufFileTypes = map[gguf.Type]uint32{gguf.F32: 0, gguf.F16: 1, gguf.Q8_0: 7, gguf.BF16: 32}

// GGUFOptions are the options of WriteGGUF.
type GGUFOptions struct {
	Name      string              // of the model, for people
	Type      gguf.Type           // type of the matrices; vectors and positions are F32
	Tokenizer tokenizer.Tokenizer // becomes part of the file
	// ChatTemplate is the template of conversations, in Jinja; empty: the file has none.
	ChatTemplate string
	Unsealed     bool // leave a place for the file's checksum, which gguf.Seal writes
}

// WriteGGUF writes a model and its tokenizer as a GGUF file of llama.cpp's
// architecture gpt2, in pieces. A model without biases gets zero biases, and
// output.weight is written whether it is tied or not, for older readers. A matrix
// with rows that do not fit o.Type is stored as F16. notes lists these matrices and
// what llama.cpp computes differently. A model that the architecture cannot express
// is ErrUnsupported.
func WriteGGUF(w io.Writer, be backend.Backend, m *model.GPT, o GGUFOptions) (notes []string, err error) {
	if len(m.Adapters()) > 0 {
		return nil, fmt.Errorf("convert: %w: the file has no adapters; merge them into the weights first", ErrUnsupported)
	}
	if err := m.PlainBlocks(); err != nil {
		return nil, fmt.Errorf("convert: %w: %w", ErrUnsupported, err)
	}
	if m.Config.GELU != backend.GELUTanh {
		return nil, fmt.Errorf("convert: %w: the GELU is the erf form, and llama.cpp computes GPT-2's, the tanh form; export to another format", ErrUnsupported)
	}
	vocabulary, notes, err := ggufVocabulary(o.Tokenizer, m.Config.Vocab)
	if err != nil {
		return nil, fmt.Errorf("convert: %w", err)
	}
	if o.ChatTemplate != "" {
		vocabulary = append(vocabulary, gguf.KV{Key: "tokenizer.chat_template", Value: o.ChatTemplate})
	}
	tensors := ggufTensors(m)
	infos := make([]gguf.Info, len(tensors))
	var fallback []string
	for i, t := range tensors {
		infos[i] = gguf.Info{Name: t.name, Type: gguf.F32, Shape: t.shape.Dims()}
		if t.shape.Rank() == 1 || t.name == "position_embd.weight" {
			continue
		}
		infos[i].Type = o.Type
		if !o.Type.Fits(t.shape.Last()) {
			infos[i].Type = gguf.F16
			fallback = append(fallback, t.name)
		}
	}
	if n := len(fallback); n > 0 {
		notes = append(notes, fmt.Sprintf("%d matrices are F16, their rows being no multiple of 32 long: %s", n, strings.Join(fallback, ", ")))
	}
	gw, err := gguf.NewWriter(w, append(ggufKeys(m.Config, o), vocabulary...), infos)
	if err != nil {
		return nil, err
	}
	var buf []float32
	for _, t := range tensors {
		if t.param == nil {
			err = gw.Write(t.name, make([]float32, t.shape.Len()))
		} else {
			err = eachPiece(t.param.Value, func(piece tensor.Tensor, _ int) error {
				buf = resize(buf, piece.Len())
				be.Download(buf, piece)
				return gw.Write(t.name, buf)
			})
		}
		if err != nil {
			return nil, err
		}
	}
	return notes, gw.Close()
}

// ggufKeys returns the keys that describe the model.
func ggufKeys(c model.GPTConfig, o GGUFOptions) (keys []gguf.KV) {
	if o.Unsealed {
		keys = append(keys, gguf.Unsealed())
	}
	return append(keys, []gguf.KV{
		{Key: "general.architecture", Value: "gpt2"},
		{Key: "general.type", Value: "model"},
		{Key: "general.name", Value: o.Name},
		{Key: "general.file_type", Value: ggufFileTypes[o.Type]},
		{Key: "general.quantization_version", Value: uint32(2)},
		{Key: "gpt2.context_length", Value: uint32(c.Context)},
		{Key: "gpt2.embedding_length", Value: uint32(c.Width)},
		{Key: "gpt2.feed_forward_length", Value: uint32(c.MLPWidth())},
		{Key: "gpt2.block_count", Value: uint32(c.Layers)},
		{Key: "gpt2.attention.head_count", Value: uint32(c.Heads)},
		{Key: "gpt2.attention.layer_norm_epsilon", Value: float32(c.Epsilon())},
	}...)
}

// Kinds of tokens in a GGUF file.
const (
	ggufNormal  = 1
	ggufControl = 3 // matched in text only if the program asks for special tokens
	ggufAdded   = 4 // matched in text
	ggufUnused  = 5
)

// ggufVocabulary returns the keys of a tokenizer for a model of vocab tokens.
// Tokens that the tokenizer lacks are marked unused, as by llama.cpp's own
// converter.
func ggufVocabulary(tok tokenizer.Tokenizer, vocab int) (keys []gguf.KV, notes []string, err error) {
	if tok == nil {
		return nil, nil, errors.New("a GGUF file needs a tokenizer, and the model has none; put tokenizer.json, or vocab.json and merges.txt, into its folder")
	}
	if n := tok.VocabSize(); n > vocab {
		return nil, nil, fmt.Errorf("%w: the tokenizer has %d tokens, the model only %d", ErrMismatch, n, vocab)
	}
	switch tok := tok.(type) {
	case *tokenizer.BPE:
		return ggufBPE(tok, vocab)
	case *tokenizer.Char:
		keys, err = ggufChars(tok, vocab)
		return keys, nil, err
	}
	return nil, nil, fmt.Errorf("%w: llama.cpp has no tokenizer like this one (%s); export to another format", ErrUnsupported, tok.Kind())
}

// ggufChars returns the keys of a vocabulary of characters. It uses llama.cpp's
// RWKV tokenizer, which takes the longest token at each place: with single
// characters, the only one. It is also the only tokenizer there that needs no token
// for the end of a text. Unknown characters become spaces (or the first token),
// since programs that ask llama.cpp for the id of unknown text abort without one.
func ggufChars(c *tokenizer.Char, vocab int) ([]gguf.KV, error) {
	unknown := uint32(0)
	if space, err := c.Encode([]byte(" ")); err == nil {
		unknown = uint32(space[0])
	}
	tokens, types := make([]string, vocab), make([]int32, vocab)
	for id := range tokens {
		// The byte ff never occurs in UTF-8, so no text contains an unused token.
		text, kind := fmt.Appendf(nil, "\xff%d", id), int32(ggufUnused)
		if id < c.VocabSize() {
			var err error
			if text, err = c.Decode([]int32{int32(id)}); err != nil {
				return nil, err
			}
			kind = ggufNormal
		}
		for _, b := range text {
			tokens[id] += fmt.Sprintf(`\x%02x`, b)
		}
		types[id] = kind
	}
	return []gguf.KV{
		{Key: "tokenizer.ggml.model", Value: "rwkv"},
		{Key: "tokenizer.ggml.tokens", Value: tokens},
		{Key: "tokenizer.ggml.token_type", Value: types},
		{Key: "tokenizer.ggml.unknown_token_id", Value: unknown},
	}, nil
}

// ggufBPE returns the keys of a byte-level BPE.
func ggufBPE(b *tokenizer.BPE, vocab int) (keys []gguf.KV, notes []string, err error) {
	if !b.GPT2() {
		return nil, nil, fmt.Errorf("%w: the tokenizer cuts text into words in another way than GPT-2's, which a GGUF file of GPT-2 cannot say; export to another format", ErrUnsupported)
	}
	n := b.VocabSize()
	tokens, types := make([]string, vocab), make([]int32, vocab)
	ids := make(map[string]int, vocab)
	for id := range tokens {
		tokens[id], types[id] = fmt.Sprintf("[PAD%d]", id), ggufUnused
		if id < n {
			tokens[id], _ = b.Spelling(int32(id))
			types[id] = ggufNormal
		}
		if other, twice := ids[tokens[id]]; twice {
			return nil, nil, fmt.Errorf("%w: tokens %d and %d are both spelt %q; llama.cpp would confuse them", ErrUnsupported, other, id, tokens[id])
		}
		ids[tokens[id]] = id
	}
	for _, t := range b.Added() {
		types[t.ID] = ggufAdded
		if t.Special {
			types[t.ID] = ggufControl
		}
		if t.Lstrip || t.Rstrip || t.SingleWord {
			notes = append(notes, fmt.Sprintf("llama.cpp matches the token %q wherever it is spelt, without the white space around it", t.Content))
		}
	}
	var merges []string
	for left, right := range b.Merges() {
		merges = append(merges, left+" "+right)
	}
	end, ok := b.EndOfText()
	if !ok && n == vocab {
		return nil, nil, fmt.Errorf("%w: the tokenizer has no %s, and llama.cpp would take an ordinary token for the end of the text; add it to the vocabulary", ErrUnsupported, tokenizer.EndOfTextToken)
	}
	if !ok {
		end = int32(n) // an unused one
	}
	return []gguf.KV{
		{Key: "tokenizer.ggml.model", Value: "gpt2"},
		{Key: "tokenizer.ggml.pre", Value: "gpt-2"},
		{Key: "tokenizer.ggml.tokens", Value: tokens},
		{Key: "tokenizer.ggml.token_type", Value: types},
		{Key: "tokenizer.ggml.merges", Value: merges},
		{Key: "tokenizer.ggml.bos_token_id", Value: uint32(end)},
		{Key: "tokenizer.ggml.eos_token_id", Value: uint32(end)},
		{Key: "tokenizer.ggml.add_bos_token", Value: false},
		{Key: "tokenizer.ggml.add_eos_token", Value: false},
	}, notes, nil
}

// ggufTensor is one tensor of a file. param is nil for a bias that the model does
// not have.
type ggufTensor struct {
	name  string
	shape tensor.Shape
	param *tensor.Param
}

// ggufTensors lists the tensors of m's file in order.
func ggufTensors(m *model.GPT) []ggufTensor {
	var list []ggufTensor
	for _, p := range m.Params() {
		name := ggufNames.Replace(p.Name)
		list = append(list, ggufTensor{name, p.Value.Shape, p})
		base, _ := strings.CutSuffix(name, ".weight")
		if m.Config.NoBias && (strings.HasPrefix(base, "blk.") || base == "output_norm") {
			list = append(list, ggufTensor{base + ".bias", tensor.Shape{p.Value.Shape[0]}, nil})
		}
	}
	if !m.Config.Untied {
		tokens := m.Params()[0]
		list = append(list, ggufTensor{"output.weight", tokens.Value.Shape, tokens})
	}
	return list
}

// ReadGGUFConfig returns the configuration of the model in a GGUF file of
// llama.cpp's architecture gpt2. The model has biases; its output weight is tied
// unless the file has one.
func ReadGGUFConfig(f *gguf.File) (c model.GPTConfig, err error) {
	v, _ := f.Value("general.architecture")
	if a, _ := v.(string); a != "gpt2" {
		return c, fmt.Errorf("convert: %w: general.architecture is %.40q; gpt2 is supported", ErrUnsupported, a)
	}
	for _, k := range []struct {
		key string
		to  *int
	}{{"context_length", &c.Context}, {"embedding_length", &c.Width}, {"feed_forward_length", &c.MLP},
		{"block_count", &c.Layers}, {"attention.head_count", &c.Heads}} {
		v, _ := f.Value("gpt2." + k.key)
		n, ok := v.(uint32)
		if !ok {
			return c, fmt.Errorf("convert: %w: key gpt2.%s is of type %T, not uint32", ErrMismatch, k.key, v)
		}
		*k.to = int(n)
	}
	eps, _ := f.Value("gpt2.attention.layer_norm_epsilon")
	if v, ok := eps.(float32); ok {
		c.Eps = float64(v)
	}
	if t, ok := f.Info("token_embd.weight"); ok {
		c.Vocab = t.Shape[0]
	}
	_, c.Untied = f.Info("output.weight")
	return c, c.Validate()
}

// ReadGGUF loads a model's parameters from a GGUF file, in pieces. Biases that the
// model does not have are skipped, and so is the output weight of a tied model.
func ReadGGUF(be backend.Backend, m *model.GPT, f *gguf.File) error {
	if _, ok := f.Info(fmt.Sprintf("blk.%d.attn_norm.weight", m.Config.Layers)); ok {
		return fmt.Errorf("convert: %w: the file has more than %d blocks", ErrMismatch, m.Config.Layers)
	}
	var buf []float32
	for _, t := range ggufTensors(m) {
		if t.param == nil || t.name == "output.weight" && !m.Config.Untied {
			continue
		}
		info, ok := f.Info(t.name)
		if !ok {
			return fmt.Errorf("convert: %w: tensor %s is missing; is this a GPT-2 of %d blocks?", ErrMismatch, t.name, m.Config.Layers)
		}
		if want := t.shape.Dims(); fmt.Sprint(info.Shape) != fmt.Sprint(want) {
			return fmt.Errorf("convert: %w: tensor %s has shape %v, the model asks for %v", ErrMismatch, t.name, info.Shape, want)
		}
		err := eachPiece(t.param.Value, func(piece tensor.Tensor, at int) error {
			buf = resize(buf, piece.Len())
			err := f.ReadFloat32(t.name, at, buf)
			if err == nil {
				be.Upload(piece, buf)
			}
			return err
		})
		if err != nil {
			return err
		}
	}
	return nil
}
