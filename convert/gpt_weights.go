package convert

import (
	"cmp"
	"fmt"
	"io"
	"math"
	"slices"
	"strings"

	"github.com/bdia-go/bdia/backend"
	"github.com/bdia-go/bdia/format/safetensors"
	"github.com/bdia-go/bdia/model"
	"github.com/bdia-go/bdia/tensor"
)

// Form is the types and names of the weights in a file. The zero Form is the types that the weights have in memory,
// F32 or BF16, and names without a prefix.
type Form struct {
	// DType returns the type (F32, F16 or BF16) of the tensor with that name in
	// the file.
	DType func(name string) safetensors.DType
	// Prefix is put before the names of a GPT-2, except the head's: "transformer."
	// or nothing. Other software reads both.
	Prefix string
}

// FormOf returns the form of f, so that its weights, read and written again, give
// the same bytes. F64 becomes F32.
func FormOf(f Tensors) Form {
	if short, err := bare(f); err == nil {
		f = short
	}
	form := Form{DType: func(name string) safetensors.DType {
		info, ok := f.Info(name)
		if !ok {
			info, ok = f.Info(bareName(name))
		}
		if !ok || info.DType == safetensors.F64 {
			return safetensors.F32
		}
		return info.DType
	}}
	if _, ok := f.Info(gpt2Prefix + "wte.weight"); ok {
		form.Prefix = gpt2Prefix
	}
	return form
}

// gpt2Prefix is the prefix of names in files written by GPT2LMHeadModel.
const gpt2Prefix = "transformer."

// All returns the form f with one type for all tensors.
func (f Form) All(d safetensors.DType) Form {
	f.DType = func(string) safetensors.DType { return d }
	return f
}

// Of returns the type of the named tensor, which is F32 in memory.
func (f Form) Of(name string) safetensors.DType { return f.of(name, tensor.F32) }

// of returns the type of the named tensor, which is of type d in memory.
func (f Form) of(name string, d tensor.DType) safetensors.DType {
	switch {
	case f.DType != nil:
		return f.DType(name)
	case d == tensor.BF16:
		return safetensors.BF16
	}
	return safetensors.F32
}

// part is one tensor of a file to be written.
type part struct {
	name       string
	shape      []int         // in the file
	src        tensor.Tensor // if unset, the tensor is zeros
	transposed bool
}

// write writes a file of the parts, wider types first, so that all are aligned.
func (f Form) write(w io.Writer, be backend.Backend, parts []part) error {
	of := func(p part) safetensors.DType { return f.of(p.name, p.src.DType) }
	slices.SortStableFunc(parts, func(a, b part) int { return cmp.Compare(of(b).Size(), of(a).Size()) })
	infos := make([]safetensors.Info, len(parts))
	for i, p := range parts {
		infos[i] = safetensors.Info{Name: p.name, DType: of(p), Shape: p.shape}
	}
	sw, err := safetensors.NewWriter(w, infos, map[string]string{"format": "pt"})
	if err != nil {
		return err
	}
	mover := NewMover(be)
	for i, p := range parts {
		switch {
		case !p.src.Valid():
			err = sw.WriteFloat32(p.name, make([]float32, infos[i].Elems()))
		case p.transposed:
			err = mover.WriteTransposed(sw, p.name, p.src)
		default:
			err = mover.Write(sw, p.name, p.src)
		}
		if err != nil {
			return err
		}
	}
	return sw.Close()
}

// WriteGPT writes a model's parameters as Hugging Face's model.safetensors, in the types that they have in memory (see
// WeightsDType). A model without biases gets zero biases, so that other tools can load it.
func WriteGPT(w io.Writer, be backend.Backend, m *model.GPT) error {
	return WriteGPTAs(w, be, m, Form{})
}

// WriteGPTAs is WriteGPT in a form.
func WriteGPTAs(w io.Writer, be backend.Backend, m *model.GPT, form Form) error {
	prefix := form.prefix(m.Config)
	var parts []part
	for _, p := range gptTensors(m) {
		parts = append(parts, part{name: p.in(prefix), shape: p.shape.Dims(), transposed: p.transposed, src: p.value})
	}
	return form.write(w, be, parts)
}

// WeightsDType is the type in which WriteGPT writes the table of tokens and the other matrices of m.
func WeightsDType(m *model.GPT) safetensors.DType { return Form{}.of("", m.Params()[0].Value.DType) }

// InBF16 reports whether all matrices in f are BF16, so that a model may hold them so without rounding: weights, and no
// masks, which have more dimensions.
func InBF16(f Tensors) bool {
	any := false
	for _, name := range f.Names() {
		switch info, _ := f.Info(name); {
		case len(info.Shape) != 2:
		case info.DType != safetensors.BF16:
			return false
		default:
			any = true
		}
	}
	return any
}

// ReadGPT loads a model's parameters from Hugging Face's tensors, with or without
// the prefix "transformer." or "model." and those that torch.compile and data parallelism put
// before names. A missing, misshapen or unknown tensor is
// ErrMismatch. Two kinds of extra tensors are allowed: the masks and angles in old files, and
// a tied head that equals its table.
func ReadGPT(be backend.Backend, m *model.GPT, f Tensors) error {
	f, err := bare(f)
	if err != nil {
		return err
	}
	prefix := FormOf(f).Prefix
	names := namesOf(m.Config)
	if name := quantised(f); name != "" {
		return fmt.Errorf("convert: %w: tensor %.80s: %s", ErrUnsupported, name, quantisedAdvice)
	}
	if _, ok := f.Info(prefix + fmt.Sprintf(names.norm, m.Config.Layers)); ok {
		return fmt.Errorf("convert: %w: the file has more than %d blocks", ErrMismatch, m.Config.Layers)
	}
	hint := fmt.Sprintf("a %s of %d blocks", names.what, m.Config.Layers)
	params := gptTensors(m)
	known := map[string]bool{headName: true}
	for _, p := range params {
		known[p.in(prefix)] = true
		if !p.value.Valid() {
			continue
		}
		if err := fits(f, p.in(prefix), p.shape.Dims(), hint); err != nil {
			return err
		}
	}
	for _, name := range f.Names() {
		if !known[name] && !slices.ContainsFunc(names.ignored, func(end string) bool { return strings.HasSuffix(name, end) }) {
			return fmt.Errorf("convert: %w: tensor %.80s is none of %s%s", ErrMismatch, name, hint, otherHeads[name])
		}
	}
	if !m.Config.Untied {
		if err := tiedHead(f, prefix+names.table); err != nil {
			return err
		}
	}
	mover := NewMover(be)
	for _, p := range params {
		var err error
		switch {
		case !p.value.Valid():
		case p.transposed:
			err = mover.ReadTransposed(p.value, f, p.in(prefix))
		default:
			err = mover.Read(p.value, f, p.in(prefix), 0)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// quantised returns the first tensor that only quantised weights have, or "".
func quantised(f Tensors) string {
	for _, name := range f.Names() {
		info, _ := f.Info(name)
		if slices.Contains([]safetensors.DType{safetensors.F8E4M3, safetensors.F8E5M2}, info.DType) ||
			slices.ContainsFunc(quantisedParts, func(end string) bool { return strings.HasSuffix(name, end) }) {
			return name
		}
	}
	return ""
}

// quantisedParts end the names of the parts of quantised weights: GPTQ's and AWQ's, bitsandbytes', and others.
var quantisedParts = []string{".qweight", ".qzeros", ".weight.absmax", ".weight.quant_map", ".weight_format", ".SCB", ".weight_packed", ".weight_scale", ".weight_scale_inv"}

// otherHeads say what a tensor that no language model has belongs to.
var otherHeads = map[string]string{
	"score.weight":      ": it classifies texts (GPT2ForSequenceClassification); take the language model that it was made from",
	"classifier.weight": ": it classifies tokens (GPT2ForTokenClassification); take the language model that it was made from",
	"qa_outputs.weight": ": it answers questions (GPT2ForQuestionAnswering); take the language model that it was made from",
}

// tiedHead returns an error if the file has a head that should be tied to the
// token table but differs from it: loading would drop that head.
func tiedHead(f Tensors, table string) error {
	head, ok := f.Info(headName)
	if !ok {
		return nil
	}
	info, _ := f.Info(table)
	same, n := slices.Equal(head.Shape, info.Shape), int(info.Elems())
	a, b := make([]float32, min(n, pieceLen)), make([]float32, min(n, pieceLen))
	for at := 0; same && at < n; at += pieceLen {
		a, b = a[:min(n-at, pieceLen)], b[:min(n-at, pieceLen)]
		err := f.ReadFloat32At(headName, a, at)
		if err == nil {
			err = f.ReadFloat32At(table, b, at)
		}
		if err != nil {
			return err
		}
		f.Forget(headName, at, at+len(a))
		same = slices.EqualFunc(a, b, func(x, y float32) bool { return math.Float32bits(x) == math.Float32bits(y) })
	}
	if !same {
		return fmt.Errorf("convert: %w: %s differs from %s, to which config.json ties it; if the model has a head of its own, set tie_word_embeddings to false there",
			ErrMismatch, headName, table)
	}
	return nil
}

// headName is the name of the head's weight.
const headName = "lm_head.weight"

// gptTensor is one tensor of a file: shape as stored there, no value for a bias
// that the model does not have.
type gptTensor struct {
	hf         string
	shape      tensor.Shape
	transposed bool
	value      tensor.Tensor
}

// in returns the name in a file with a prefix; the head's name never has it.
func (p gptTensor) in(prefix string) string {
	if p.hf == headName {
		return p.hf
	}
	return prefix + p.hf
}

// gptTensors lists the tensors of m's file in order.
func gptTensors(m *model.GPT) []gptTensor {
	if m.Config.Family != model.GPT2 {
		return familyTensors(m)
	}
	var list []gptTensor
	for _, p := range m.Params() {
		hf, transposed := gpt2Name(p.Name)
		s := p.Value.Shape
		if transposed {
			s[0], s[1] = s[1], s[0]
		}
		list = append(list, gptTensor{hf, s, transposed, p.Value})
		base, _ := strings.CutSuffix(hf, ".weight")
		if m.Config.NoBias && (strings.HasPrefix(base, "h.") || base == "ln_f") {
			list = append(list, gptTensor{hf: base + ".bias", shape: tensor.Shape{p.Value.Shape[0]}})
		}
	}
	return list
}
