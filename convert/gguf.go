package convert

import (
	"fmt"
	"io"
	"strings"

	"github.com/bdia-go/bdia/backend"
	"github.com/bdia-go/bdia/format/gguf"
	"github.com/bdia-go/bdia/model"
	"github.com/bdia-go/bdia/tensor"
	"github.com/bdia-go/bdia/tokenizer"
)

// ggufFileTypes are the values of general.file_type.
var ggufFileTypes = map[gguf.Type]uint32{gguf.F32: 0, gguf.F16: 1, gguf.Q8_0: 7, gguf.BF16: 32}

// GGUFOptions are the options of WriteGGUF.
type GGUFOptions struct {
	Name      string              // of the model, for people
	About     string              // how it was trained, for people; empty: nothing is said
	Type      gguf.Type           // type of the matrices; vectors and positions are F32
	Tokenizer tokenizer.Tokenizer // becomes part of the file
	// ChatTemplate is the template of conversations, in Jinja; empty: the file has none.
	ChatTemplate string
	// TurnEnd is the token that ends the model's turn in a conversation; nil: the one that ends a text.
	TurnEnd  *int32
	Unsealed bool // leave a place for the file's checksum, which gguf.Seal writes
}

// WriteGGUF writes a model and its tokenizer as a GGUF file for llama.cpp, in pieces: of its architecture gpt2, llama
// (the families llama and mistral), qwen2, qwen3, granite or olmo2. A GPT-2 without biases gets zero biases, and its
// output.weight is written whether it is tied or not, for older readers. A matrix with rows that do not fit o.Type is
// stored as F16. notes lists these matrices and what llama.cpp computes differently. A model or a tokenizer that the
// architecture cannot express is ErrUnsupported.
func WriteGGUF(w io.Writer, be backend.Backend, m *model.GPT, o GGUFOptions) (notes []string, err error) {
	if len(m.Adapters()) > 0 {
		return nil, fmt.Errorf("convert: %w: the file has no adapters; merge them into the weights first", ErrUnsupported)
	}
	if err := m.PlainBlocks(); err != nil {
		return nil, fmt.Errorf("convert: %w: %w", ErrUnsupported, err)
	}
	keys, notes, err := ggufKeys(m.Config, o)
	if err != nil {
		return nil, fmt.Errorf("convert: %w", err)
	}
	vocabulary, more, err := ggufVocabulary(o.Tokenizer, m.Config.Vocab)
	if err != nil {
		return nil, fmt.Errorf("convert: %w", err)
	}
	keys, notes = append(keys, vocabulary...), append(notes, more...)
	if o.ChatTemplate != "" {
		keys = append(keys, gguf.KV{Key: "tokenizer.chat_template", Value: o.ChatTemplate})
	}
	if o.TurnEnd != nil {
		keys = append(keys, gguf.KV{Key: "tokenizer.ggml.eot_token_id", Value: uint32(*o.TurnEnd)})
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
	gw, err := gguf.NewWriter(w, keys, infos)
	if err != nil {
		return nil, err
	}
	var mover ggufMover
	for _, t := range tensors {
		if t.host != nil {
			err = gw.Write(t.name, t.host)
		} else {
			err = mover.write(gw, be, t)
		}
		if err != nil {
			return nil, err
		}
	}
	return notes, gw.Close()
}

// ggufArchitecture is llama.cpp's name of the blocks of a family.
func ggufArchitecture(f model.Family) string {
	if f == model.Mistral {
		return string(model.Llama)
	}
	return f.String()
}

// ggufKeys returns the keys that describe the model, and what llama.cpp computes differently.
func ggufKeys(c model.GPTConfig, o GGUFOptions) (keys []gguf.KV, notes []string, err error) {
	if o.Unsealed {
		keys = append(keys, gguf.Unsealed())
	}
	architecture := ggufArchitecture(c.Family)
	keys = append(keys, []gguf.KV{
		{Key: "general.architecture", Value: architecture},
		{Key: "general.type", Value: "model"},
		{Key: "general.name", Value: o.Name},
		{Key: "general.file_type", Value: ggufFileTypes[o.Type]},
		{Key: "general.quantization_version", Value: uint32(2)},
		{Key: architecture + ".context_length", Value: uint32(c.Context)},
		{Key: architecture + ".embedding_length", Value: uint32(c.Width)},
		{Key: architecture + ".feed_forward_length", Value: uint32(c.MLPWidth())},
		{Key: architecture + ".block_count", Value: uint32(c.Layers)},
		{Key: architecture + ".attention.head_count", Value: uint32(c.Heads)},
	}...)
	if o.About != "" {
		keys = append(keys, gguf.KV{Key: "general.description", Value: o.About})
	}
	if c.Family != model.GPT2 {
		return ggufFamilyKeys(keys, architecture+".", c)
	}
	if c.GELU != backend.GELUTanh {
		return nil, nil, fmt.Errorf("%w: the GELU is the erf form, and llama.cpp computes GPT-2's, the tanh form; export to another format", ErrUnsupported)
	}
	return append(keys, gguf.KV{Key: "gpt2.attention.layer_norm_epsilon", Value: float32(c.Epsilon())}), nil, nil
}

// ggufTensor is one tensor of a file.
type ggufTensor struct {
	name  string
	shape tensor.Shape
	value tensor.Tensor // in the model
	host  []float32     // if the model has none: the elements
	pairs int           // rows of a head, of which those that turn together lie side by side in the file; 0: rows stay
}

// ggufTensors lists the tensors of m's file in order.
func ggufTensors(m *model.GPT) []ggufTensor {
	if m.Config.Family != model.GPT2 {
		return ggufFamilyTensors(m)
	}
	var list []ggufTensor
	for _, p := range m.Params() {
		name := ggufNames.Replace(p.Name)
		list = append(list, ggufTensor{name: name, shape: p.Value.Shape, value: p.Value})
		base, _ := strings.CutSuffix(name, ".weight")
		if m.Config.NoBias && (strings.HasPrefix(base, "blk.") || base == "output_norm") {
			n := p.Value.Shape[0]
			list = append(list, ggufTensor{name: base + ".bias", shape: tensor.Shape{n}, host: make([]float32, n)})
		}
	}
	if !m.Config.Untied {
		tokens := m.Params()[0].Value
		list = append(list, ggufTensor{name: "output.weight", shape: tokens.Shape, value: tokens})
	}
	return list
}

// ggufNames maps the names of a GPT-2's parts to llama.cpp's names for its
// architecture gpt2. Layouts are the same: (out,in).
var ggufNames = strings.NewReplacer(
	"wte.", "token_embd.", "wpe.", "position_embd.", "lnf.", "output_norm.", "head.", "output.",
	"blocks.", "blk.", "ln1.", "attn_norm.", "ln2.", "ffn_norm.", "attn.qkv.", "attn_qkv.", "attn.proj.", "attn_output.",
	"mlp.fc1.", "ffn_up.", "mlp.fc2.", "ffn_down.")

// ggufMover moves tensors between a device and files, with two buffers.
type ggufMover struct{ ours, theirs []float32 }

// each calls do for pieces of t, whole heads if rows change places, with buffers for the elements in our order and in
// the file's.
func (g *ggufMover) each(t ggufTensor, do func(piece tensor.Tensor, at int) error) error {
	if t.pairs == 0 {
		return eachPiece(t.value, func(piece tensor.Tensor, at int) error {
			g.ours = resize(g.ours, piece.Len())
			g.theirs = g.ours
			return do(piece, at)
		})
	}
	head := t.pairs * (t.value.Len() / t.shape[0])
	g.ours, g.theirs = make([]float32, head), make([]float32, head)
	for at := 0; at < t.value.Len(); at += head {
		if err := do(t.value.Slice(at, at+head), at); err != nil {
			return err
		}
	}
	return nil
}

func (g *ggufMover) write(w *gguf.Writer, be backend.Backend, t ggufTensor) error {
	return g.each(t, func(piece tensor.Tensor, _ int) error {
		be.Download(g.ours, piece)
		if t.pairs > 0 {
			eachRow(g.ours, g.theirs, t.pairs, func(ours, theirs []float32) { copy(theirs, ours) })
		}
		return w.Write(t.name, g.theirs)
	})
}

func (g *ggufMover) read(f *gguf.File, be backend.Backend, t ggufTensor) error {
	return g.each(t, func(piece tensor.Tensor, at int) error {
		if err := f.ReadFloat32(t.name, at, g.theirs); err != nil {
			return err
		}
		f.Forget(t.name, at, at+len(g.theirs))
		if t.pairs > 0 {
			eachRow(g.ours, g.theirs, t.pairs, func(ours, theirs []float32) { copy(ours, theirs) })
		}
		be.Upload(piece, g.ours)
		return nil
	})
}

// eachRow calls do for the rows of a head in our order, in which row i turns with row i+D/2, and the same rows in the
// file's order, in which row 2i turns with row 2i+1.
func eachRow(ours, theirs []float32, D int, do func(ours, theirs []float32)) {
	n := len(ours) / D
	for i := range D {
		j := 2*i%D + 2*i/D
		do(ours[i*n:(i+1)*n], theirs[j*n:(j+1)*n])
	}
}

// ReadGGUF loads a model's parameters from a GGUF file, in pieces. Biases that the
// model does not have are skipped, and so is the output weight of a tied model.
func ReadGGUF(be backend.Backend, m *model.GPT, f *gguf.File) error {
	if _, ok := f.Info(fmt.Sprintf("blk.%d.attn_output.weight", m.Config.Layers)); ok {
		return fmt.Errorf("convert: %w: the file has more than %d blocks", ErrMismatch, m.Config.Layers)
	}
	var mover ggufMover
	for _, t := range ggufTensors(m) {
		if t.host != nil || t.name == "output.weight" && !m.Config.Untied {
			continue
		}
		info, ok := f.Info(t.name)
		if !ok {
			return fmt.Errorf("convert: %w: tensor %s is missing; is this a %s of %d blocks?", ErrMismatch, t.name, namesOf(m.Config).what, m.Config.Layers)
		}
		if want := t.shape.Dims(); fmt.Sprint(info.Shape) != fmt.Sprint(want) {
			return fmt.Errorf("convert: %w: tensor %s has shape %v, the model asks for %v", ErrMismatch, t.name, info.Shape, want)
		}
		if err := mover.read(f, be, t); err != nil {
			return err
		}
	}
	return nil
}
