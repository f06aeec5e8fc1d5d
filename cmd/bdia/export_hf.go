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
	"github.com/bdia-go/bdia/tokenizer"
	"github.com/bdia-go/bdia/train"
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
	weights, err := convert.OpenWeights(from.weights)
	if err != nil {
		return err
	}
	form := convert.FormOf(weights)
	if from.ViT != nil {
		form = convert.ViTFormOf(from.ViT, weights)
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
		return from.logits(from.sample, bdia.NoGrid)
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
		case from.GPT != nil:
			return convert.WriteGPT2As(w, from.be, from.GPT, form)
		case from.Seq2Seq != nil:
			return convert.WriteSeq2SeqAs(w, from.be, from.Seq2Seq, form)
		case from.vit.Config.MeanPool && !from.vit.Config.TwoStream:
			return convert.WriteViTAs(w, from.be, from.ViT, form)
		}
		return convert.WriteHFViT(w, from.be, from.ViT, form)
	})
}

// describeHF writes the files of the folder o.path beside the weights: configuration
// and tokenizers.
func describeHF(o exportOptions, from *source, form convert.Form) error {
	files := map[string]func(io.Writer) error{}
	const config = "config.json"
	switch from.kind {
	case convert.GPT2:
		info := convert.GPT2Info{Config: from.gpt, End: from.end, DType: form.Of(form.Prefix + "wte.weight")}
		files[config] = func(w io.Writer) error { return convert.WriteGPT2Info(w, info) }
		if from.tok != nil && from.tok.Kind() == "char" {
			o.report.Notes = append(o.report.Notes, "transformers and transformers.js know no vocabulary of characters (chars.json): give them token ids, or train with --tokenizer bpe")
		}
		if from.end != nil {
			files["generation_config.json"] = func(w io.Writer) error { return convert.WriteGeneration(w, *from.end) }
		}
	case convert.Seq2Seq:
		info := from.seq2seq
		info.DType = form.Of(from.Seq2Seq.Params()[0].Name)
		files[config] = func(w io.Writer) error { return convert.WriteSeq2SeqConfig(w, info) }
	case convert.ViT:
		if convert.HFViT(from.vit.Config) != nil {
			files[config] = func(w io.Writer) error { return convert.WriteViTConfig(w, from.vit) }
			break
		}
		files[config] = func(w io.Writer) error {
			return convert.WriteHFViTConfig(w, from.vit, form.Of("patch_embed.proj.weight"))
		}
		files["preprocessor_config.json"] = func(w io.Writer) error { return convert.WritePreprocessor(w, from.vit) }
	}
	for name, write := range files {
		if err := createFile(o.path, name, write); err != nil {
			return err
		}
	}
	if from.tok == nil {
		return nil
	}
	if from.target == nil {
		return from.tok.Save(o.path)
	}
	return train.SaveTokenizers(o.path, from.tok, from.target)
}

// endOf returns the token that ends a text: the tokenizer's or, without one, what
// config.json says.
func endOf(tok tokenizer.Tokenizer, info convert.GPT2Info) *int32 {
	if tok == nil {
		return info.End
	}
	if id, ok := tokenizer.EndOfText(tok); ok {
		return &id
	}
	return nil
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
