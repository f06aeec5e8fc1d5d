package export

import (
	"bytes"
	"errors"
	"fmt"
	"path/filepath"
	"slices"

	"github.com/bdia-go/bdia/convert"
	"github.com/bdia-go/bdia/format/onnx"
	"github.com/bdia-go/bdia/internal/atomicfile"
	"github.com/bdia-go/bdia/internal/disk"
	"github.com/bdia-go/bdia/internal/onnxeval"
	"github.com/bdia-go/bdia/internal/textfile"
)

// graph is one ONNX file of a model.
type graph struct {
	name  string // without .onnx
	path  string
	model *onnx.Model
}

// writeONNX writes a folder in the layout of optimum and transformers.js:
// config.json, the tokenizer, and the graphs in onnx/. If the path ends in .onnx it
// writes only the graph. The comparison reads the graph back and runs it.
func writeONNX(j *job) error {
	alone := j.oneFile()
	if alone && j.folder.Kind == convert.Seq2Seq {
		return fmt.Errorf("export: %w: an encoder-decoder is two files; name a folder in place of %s", ErrOptions, j.Out)
	}
	if j.NoCache && j.folder.Kind != convert.GPT {
		return fmt.Errorf("export: %w: leaving out the cache is for language models", ErrOptions)
	}
	if err := j.load(); err != nil {
		return err
	}
	graphs, err := j.graphs()
	if err != nil {
		return err
	}
	for _, g := range graphs {
		g.model.Doc = j.about()
	}
	if alone {
		graphs[0].path = j.path
		if size := graphs[0].model.Size(); size > onnx.MaxFile {
			return fmt.Errorf("export: %w: an ONNX file cannot hold the %.1f GiB of this model: its weights need a second file; name a folder in place of %s",
				ErrOptions, float64(size)/(1<<30), j.Out)
		}
	} else {
		if err := disk.MkdirAll(filepath.Join(j.path, "onnx"), 0o777); err != nil {
			return err
		}
		if err := j.describe(convert.Form{}); err != nil {
			return err
		}
	}
	if j.NoCache && !alone {
		j.note("transformers.js generates text through keys and values only: this graph serves onnxruntime")
	}
	if c := j.folder.GPTInfo.Config; j.folder.Kind == convert.GPT && c.CacheContext() < c.Context {
		j.note(fmt.Sprintf("the rotation of texts longer than %d tokens is scaled by their length, which a graph with a cache cannot do: up to there it is the same model", c.CacheContext()))
	}
	external := false
	for i := range graphs {
		g := &graphs[i]
		if !alone {
			g.path = filepath.Join(j.path, "onnx", g.name+".onnx")
		}
		if err := onnx.Create(g.path, g.model); err != nil {
			return err
		}
		if g.model.Size() > onnx.MaxFile {
			j.note(fmt.Sprintf("the weights of onnx/%s.onnx are in %[1]s.onnx_data beside it", g.name))
			external = true
		}
	}
	if external {
		if err := j.tellExternal(); err != nil {
			return err
		}
	}
	return j.compare("f32", func() ([]float32, error) { return graphLogits(j.sample, graphs) })
}

// tellExternal makes config.json say that weights are in a second file, which transformers.js has to know.
func (j *job) tellExternal() error {
	path := filepath.Join(j.path, "config.json")
	text, err := textfile.ReadFile(path, maxSigned)
	if err != nil {
		return fmt.Errorf("export: %w", err)
	}
	return atomicfile.Write(path, withExternal(text))
}

// withExternal is the text of a config.json, a JSON object with keys, with one more; not if it has it.
func withExternal(text []byte) []byte {
	const key = `"transformers.js_config"`
	end := bytes.LastIndexByte(text, '}')
	if bytes.Contains(text, []byte(key)) || end < 0 {
		return text
	}
	return append(bytes.TrimRight(text[:end:end], " \t\r\n"), ",\n  "+key+": {\"use_external_data_format\": true}\n}\n"...)
}

// graphs returns the graphs of the model by the names of their files.
func (j *job) graphs() ([]graph, error) {
	switch {
	case j.vit != nil:
		return []graph{{name: "model", model: convert.ViTGraph(j.device, j.vit)}}, nil
	case j.seq2seq != nil:
		encoder, decoder := convert.Seq2SeqGraphs(j.device, j.seq2seq)
		return []graph{{name: "encoder_model", model: encoder}, {name: "decoder_model", model: decoder}}, nil
	}
	m, err := convert.GPTGraph(j.device, j.gpt, !j.NoCache)
	return []graph{{name: "model", model: m}}, err
}

// run reads the file and runs its graph.
func (g graph) run(inputs map[string]onnxeval.Value) (map[string]onnxeval.Value, error) {
	f, err := onnx.Open(g.path)
	if err != nil {
		return nil, err
	}
	out, err := onnxeval.Run(&f.Model, inputs)
	return out, errors.Join(err, f.Close())
}

// graphLogits returns the logits of s, computed by the files' graphs.
func graphLogits(s Sample, graphs []graph) ([]float32, error) {
	inputs := map[string]onnxeval.Value{}
	switch {
	case s.Pairs.B > 0:
		p := s.Pairs
		mask := make([]int64, 0, p.B*p.S)
		for _, n := range p.SourceLengths {
			mask = append(append(mask, slices.Repeat([]int64{1}, int(n))...), make([]int64, p.S-int(n))...)
		}
		seen := onnxeval.Ints(mask, p.B, p.S)
		memory, err := graphs[0].run(map[string]onnxeval.Value{"input_ids": idValues(p.Source, p.B), "attention_mask": seen})
		if err != nil {
			return nil, err
		}
		inputs["input_ids"], inputs["encoder_attention_mask"], inputs["encoder_hidden_states"] = idValues(p.Input, p.B), seen, memory["last_hidden_state"]
		graphs = graphs[1:]
	case s.Images.Size > 0:
		pixels := graphs[0].model.Inputs[0]
		inputs[pixels.Name] = onnxeval.Floats(s.Images.Pixels, s.Images.Size, pixels.Shape[1].Size, pixels.Shape[2].Size, pixels.Shape[3].Size)
	default:
		ids := idValues(s.Tokens.Inputs, s.Tokens.Size)
		T := ids.Shape[1]
		mask, positions := make([]int64, len(ids.Ints)), make([]int64, len(ids.Ints))
		for i := range mask {
			mask[i], positions[i] = 1, int64(i%T)
		}
		inputs["input_ids"], inputs["attention_mask"] = ids, onnxeval.Ints(mask, ids.Shape...)
		for _, in := range graphs[0].model.Inputs[2:] { // of an empty cache
			switch in.Name {
			case "position_ids":
				inputs[in.Name] = onnxeval.Ints(positions, ids.Shape...)
			case "num_logits_to_keep":
				inputs[in.Name] = onnxeval.Ints([]int64{0}) // all
			default:
				inputs[in.Name] = onnxeval.Floats(nil, ids.Shape[0], in.Shape[1].Size, 0, in.Shape[3].Size)
			}
		}
	}
	out, err := graphs[0].run(inputs)
	return out["logits"].Floats, err
}

// idValues returns the token ids of the given number of samples.
func idValues(ids []int32, samples int) onnxeval.Value {
	v := make([]int64, len(ids))
	for i, id := range ids {
		v[i] = int64(id)
	}
	return onnxeval.Ints(v, samples, len(ids)/samples)
}
