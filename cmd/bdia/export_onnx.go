package main

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"

	"github.com/spf13/cobra"

	"github.com/bdia-go/bdia/cmd/bdia/internal/cli"
	"github.com/bdia-go/bdia/convert"
	"github.com/bdia-go/bdia/format/onnx"
	"github.com/bdia-go/bdia/internal/onnxeval"
)

// onnxGraph is one file of a model.
type onnxGraph struct {
	name  string // without .onnx
	path  string
	model *onnx.Model
}

// exportONNX writes a folder as optimum and transformers.js have it: config.json, the
// tokenizer, and the graphs in onnx/. If the path ends in .onnx it writes the graph
// alone. What was written is compared by reading it back and computing what it says.
func exportONNX(_ *cobra.Command, from *source, o exportOptions) error {
	alone := o.alone()
	if alone && from.Kind == convert.Seq2Seq {
		return cli.Usage(fmt.Errorf("an encoder-decoder is two files; name a folder in place of --out %s", o.out))
	}
	if o.noCache && from.Kind != convert.GPT2 {
		return cli.Usage(errors.New("--no-cache is for language models"))
	}
	if err := from.load(); err != nil {
		return err
	}
	graphs, err := onnxGraphs(from, !o.noCache)
	if err != nil {
		return err
	}
	if alone {
		graphs[0].path = o.path
		if size := graphs[0].model.Size(); size > onnx.MaxFile {
			return cli.Usage(fmt.Errorf("an ONNX file cannot have the %s of this model, whose weights need a second file; name a folder in place of --out %s", cli.Bytes(size), o.out))
		}
	} else {
		if err := os.MkdirAll(filepath.Join(o.path, "onnx"), 0o777); err != nil {
			return err
		}
		if err := describeHF(o, from, convert.Form{}); err != nil {
			return err
		}
	}
	if o.noCache && !alone {
		o.report.Notes = append(o.report.Notes, "transformers.js generates text through keys and values only: this graph serves onnxruntime")
	}
	for i := range graphs {
		g := &graphs[i]
		if !alone {
			g.path = filepath.Join(o.path, "onnx", g.name+".onnx")
		}
		if err := onnx.Create(g.path, g.model); err != nil {
			return err
		}
		if g.model.Size() > onnx.MaxFile {
			o.report.Notes = append(o.report.Notes, fmt.Sprintf("the weights of onnx/%s.onnx are in %[1]s.onnx_data beside it", g.name))
		}
	}
	return o.report.compare(from, "f32", func() ([]float32, error) { return onnxLogits(from.sample, graphs) })
}

// onnxGraphs returns the graphs of a model by the names of their files.
func onnxGraphs(from *source, cached bool) ([]onnxGraph, error) {
	switch from.Kind {
	case convert.ViT:
		return []onnxGraph{{name: "model", model: convert.ViTGraph(from.be, from.net.ViT)}}, nil
	case convert.Seq2Seq:
		encoder, decoder := convert.Seq2SeqGraphs(from.be, from.net.Seq2Seq)
		return []onnxGraph{{name: "encoder_model", model: encoder}, {name: "decoder_model", model: decoder}}, nil
	}
	m, err := convert.GPTGraph(from.be, from.net.GPT, cached)
	return []onnxGraph{{name: "model", model: m}}, err
}

// run computes what the file says.
func (g onnxGraph) run(inputs map[string]onnxeval.Value) (map[string]onnxeval.Value, error) {
	f, err := onnx.Open(g.path)
	if err != nil {
		return nil, err
	}
	out, err := onnxeval.Run(&f.Model, inputs)
	return out, errors.Join(err, f.Close())
}

// onnxLogits returns the logits of b by the files.
func onnxLogits(b sample, graphs []onnxGraph) ([]float32, error) {
	inputs := map[string]onnxeval.Value{}
	switch {
	case b.pairs.B > 0:
		p := b.pairs
		mask := make([]int64, 0, p.B*p.S)
		for _, n := range p.SourceLengths {
			mask = append(append(mask, slices.Repeat([]int64{1}, int(n))...), make([]int64, p.S-int(n))...)
		}
		seen := onnxeval.Ints(mask, p.B, p.S)
		memory, err := graphs[0].run(map[string]onnxeval.Value{"input_ids": onnxIDs(p.Source, p.B), "attention_mask": seen})
		if err != nil {
			return nil, err
		}
		inputs["input_ids"], inputs["encoder_attention_mask"], inputs["encoder_hidden_states"] = onnxIDs(p.Input, p.B), seen, memory["last_hidden_state"]
		graphs = graphs[1:]
	case b.images.Size > 0:
		pixels := graphs[0].model.Inputs[0]
		inputs[pixels.Name] = onnxeval.Floats(b.images.Pixels, b.images.Size, pixels.Shape[1].Size, pixels.Shape[2].Size, pixels.Shape[3].Size)
	default:
		ids := onnxIDs(b.tokens.Inputs, b.tokens.Size)
		T := ids.Shape[1]
		mask, positions := make([]int64, len(ids.Ints)), make([]int64, len(ids.Ints))
		for i := range mask {
			mask[i], positions[i] = 1, int64(i%T)
		}
		inputs["input_ids"], inputs["attention_mask"] = ids, onnxeval.Ints(mask, ids.Shape...)
		for _, in := range graphs[0].model.Inputs[2:] { // of a cache, which is empty
			if in.Name == "position_ids" {
				inputs[in.Name] = onnxeval.Ints(positions, ids.Shape...)
			} else {
				inputs[in.Name] = onnxeval.Floats(nil, ids.Shape[0], in.Shape[1].Size, 0, in.Shape[3].Size)
			}
		}
	}
	out, err := graphs[0].run(inputs)
	return out["logits"].Floats, err
}

// onnxIDs are ids of so many samples.
func onnxIDs(ids []int32, samples int) onnxeval.Value {
	v := make([]int64, len(ids))
	for i, id := range ids {
		v[i] = int64(id)
	}
	return onnxeval.Ints(v, samples, len(ids)/samples)
}
