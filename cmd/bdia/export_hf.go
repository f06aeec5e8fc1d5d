package main

import (
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"

	"github.com/spf13/cobra"

	"github.com/bdia-go/bdia"
	"github.com/bdia-go/bdia/convert"
	"github.com/bdia-go/bdia/format/safetensors"
	"github.com/bdia-go/bdia/hub"
)

// hfTypes are the types of weights by their names in --dtype.
var hfTypes = map[string]safetensors.DType{"f32": safetensors.F32, "f16": safetensors.F16, "bf16": safetensors.BF16}

// exportHF writes a Hugging Face model folder. What was written is compared by
// reading it back, for what reads it computes as float inference here does.
func exportHF(_ *cobra.Command, from *source, o exportOptions) error {
	if err := from.load(); err != nil {
		return err
	}
	if err := os.MkdirAll(o.path, 0o777); err != nil {
		return err
	}
	weights, err := convert.OpenWeights(from.Weights)
	if err != nil {
		return err
	}
	form := convert.FormOf(weights)
	if from.net.ViT != nil {
		form = convert.ViTFormOf(from.net.ViT, weights)
	}
	if d, ok := hfTypes[o.dtype]; ok {
		form = form.All(d)
	}
	err = writeHF(o, from, form)
	if err := errors.Join(err, weights.Close()); err != nil {
		return err
	}
	types, err := weightTypes(o.path)
	if err != nil {
		return err
	}
	return o.report.compare(from, types, func() ([]float32, error) {
		if err := from.read(o.path); err != nil {
			return nil, err
		}
		return from.net.logits(from.sample, bdia.NoGrid)
	})
}

// writeHF writes the files of the folder o.path. A vision transformer that Hugging
// Face's ViT cannot be is written as timm's, which transformers loads too.
func writeHF(o exportOptions, from *source, form convert.Form) error {
	if err := describeHF(o, from, form); err != nil {
		return err
	}
	return createFile(o.path, "model.safetensors", func(w io.Writer) error {
		switch {
		case from.net.GPT != nil:
			return convert.WriteGPT2As(w, from.be, from.net.GPT, form)
		case from.net.Seq2Seq != nil:
			return convert.WriteSeq2SeqAs(w, from.be, from.net.Seq2Seq, form)
		case from.ViTInfo.Config.MeanPool && !from.ViTInfo.Config.TwoStream:
			return convert.WriteViTAs(w, from.be, from.net.ViT, form)
		}
		return convert.WriteHFViT(w, from.be, from.net.ViT, form)
	})
}

// describeHF writes the files of the folder o.path beside the weights: configuration
// and tokenizers.
func describeHF(o exportOptions, from *source, form convert.Form) error {
	files := map[string]func(io.Writer) error{}
	const config = "config.json"
	switch from.Kind {
	case convert.GPT2:
		info := convert.GPT2Info{Config: from.GPTInfo.Config, End: from.GPTInfo.End, DType: form.Of(form.Prefix + "wte.weight")}
		files[config] = func(w io.Writer) error { return convert.WriteGPT2Info(w, info) }
		if from.tok != nil && from.tok.Kind() == "char" {
			o.report.Notes = append(o.report.Notes, "transformers and transformers.js know no vocabulary of characters (chars.json): give them token ids, or train with --tokenizer bpe")
		}
		if from.GPTInfo.End != nil {
			files["generation_config.json"] = func(w io.Writer) error { return convert.WriteGeneration(w, *from.GPTInfo.End) }
		}
	case convert.Seq2Seq:
		info := from.Seq2SeqInfo
		info.DType = form.Of(from.net.Seq2Seq.Params()[0].Name)
		files[config] = func(w io.Writer) error { return convert.WriteSeq2SeqConfig(w, info) }
	case convert.ViT:
		if convert.HFViT(from.ViTInfo.Config) != nil {
			files[config] = func(w io.Writer) error { return convert.WriteViTConfig(w, from.ViTInfo) }
			break
		}
		files[config] = func(w io.Writer) error {
			return convert.WriteHFViTConfig(w, from.ViTInfo, form.Of("patch_embed.proj.weight"))
		}
		files["preprocessor_config.json"] = func(w io.Writer) error { return convert.WritePreprocessor(w, from.ViTInfo) }
	}
	for name, write := range files {
		if err := createFile(o.path, name, write); err != nil {
			return err
		}
	}
	if from.tok == nil {
		return nil
	}
	if from.Target == nil {
		return from.tok.Save(o.path)
	}
	return hub.SaveTokenizers(o.path, from.tok, from.Target)
}

// weightTypes lists the types of the weights in the folder dir.
func weightTypes(dir string) (string, error) {
	w, err := convert.OpenWeights(dir)
	if err != nil {
		return "", err
	}
	found := map[safetensors.DType]bool{}
	for _, name := range w.Names() {
		info, _ := w.Info(name)
		found[info.DType] = true
	}
	var list []string
	for _, name := range []string{"f32", "f16", "bf16"} {
		if found[hfTypes[name]] {
			list = append(list, name)
		}
	}
	return strings.Join(list, " and "), w.Close()
}

// createFile writes the file name of the folder dir.
func createFile(dir, name string, write func(io.Writer) error) (err error) {
	f, err := os.Create(filepath.Join(dir, name))
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	return write(f)
}
