package export

import (
	"cmp"
	"errors"
	"io"
	"path/filepath"
	"strings"

	"github.com/bdia-go/bdia"
	"github.com/bdia-go/bdia/convert"
	"github.com/bdia-go/bdia/format/safetensors"
	"github.com/bdia-go/bdia/hub"
	"github.com/bdia-go/bdia/internal/disk"
)

// hfTypes are the types of weights by their names in Options.DType.
var hfTypes = map[string]safetensors.DType{"f32": safetensors.F32, "f16": safetensors.F16, "bf16": safetensors.BF16}

// writeHF writes a Hugging Face model folder. The comparison reads it back: other
// programs compute like float inference here.
func writeHF(j *job) error {
	if err := j.load(); err != nil {
		return err
	}
	if err := disk.MkdirAll(j.path, 0o777); err != nil {
		return err
	}
	weights, err := convert.OpenWeights(j.folder.Weights)
	if err != nil {
		return err
	}
	form := convert.FormOf(weights)
	if j.vit != nil {
		form = convert.ViTFormOf(j.vit, weights)
	}
	if d, ok := hfTypes[j.DType]; ok {
		form = form.All(d)
	}
	err = j.writeWeights(form)
	if err := errors.Join(err, weights.Close()); err != nil {
		return err
	}
	types, err := weightTypes(j.path)
	if err != nil {
		return err
	}
	return j.compare(types, func() ([]float32, error) {
		if err := j.read(j.path); err != nil {
			return nil, err
		}
		return j.logits(j.sample, bdia.NoGrid)
	})
}

// writeWeights writes the whole folder. A vision transformer that Hugging Face's ViT
// cannot express is written in timm's format, which transformers loads too.
func (j *job) writeWeights(form convert.Form) error {
	if err := j.describe(form); err != nil {
		return err
	}
	return createFile(j.path, "model.safetensors", func(w io.Writer) error {
		switch {
		case j.gpt != nil:
			return convert.WriteGPTAs(w, j.device, j.gpt, form)
		case j.seq2seq != nil:
			return convert.WriteSeq2SeqAs(w, j.device, j.seq2seq, form)
		case j.vit.Config.MeanPool && !j.vit.Config.TwoStream:
			return convert.WriteViTAs(w, j.device, j.vit, form)
		}
		return convert.WriteHFViT(w, j.device, j.vit, form)
	})
}

// describe writes configuration and tokenizers, and carries other files over.
func (j *job) describe(form convert.Form) error {
	files := map[string]func(io.Writer) error{}
	const config = "config.json"
	f := j.folder
	switch f.Kind {
	case convert.GPT:
		info := f.GPTInfo
		info.DType = form.OfTokens(info.Config)
		files[config] = func(w io.Writer) error { return convert.WriteGPTInfo(w, info) }
		if f.Tokenizer != nil && f.Tokenizer.Kind() == "char" {
			j.note("transformers and transformers.js know no vocabulary of characters (chars.json): give them token ids, or train with a bpe tokenizer")
		}
		if len(info.StopIDs()) > 0 || len(info.Generation) > 0 {
			files[convert.GenerationFile] = func(w io.Writer) error { return convert.WriteGeneration(w, info, f.Generation) }
		}
	case convert.Seq2Seq:
		info := f.Seq2SeqInfo
		info.DType = form.Of(j.seq2seq.Params()[0].Name)
		files[config] = func(w io.Writer) error { return convert.WriteSeq2SeqConfig(w, info) }
	case convert.ViT:
		if convert.HFViT(f.ViTInfo.Config) != nil {
			files[config] = func(w io.Writer) error { return convert.WriteViTConfig(w, f.ViTInfo) }
			break
		}
		files[config] = func(w io.Writer) error {
			return convert.WriteHFViTConfig(w, f.ViTInfo, form.Of("patch_embed.proj.weight"))
		}
		files["preprocessor_config.json"] = func(w io.Writer) error { return convert.WritePreprocessor(w, f.ViTInfo) }
	}
	for name, write := range files {
		if err := createFile(j.path, name, write); err != nil {
			return err
		}
	}
	var err error
	switch {
	case f.Tokenizer != nil:
		err = j.withTemplate().Save(j.path)
	case f.Source != nil:
		err = hub.SaveTokenizers(j.path, f.Source, f.Target)
	}
	return cmp.Or(err, j.carry())
}

// note adds a note to the report.
func (j *job) note(text string) { j.report.Notes = append(j.report.Notes, text) }

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

// createFile writes the file name in the folder dir.
func createFile(dir, name string, write func(io.Writer) error) (err error) {
	f, err := disk.Create(filepath.Join(dir, name))
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	return write(f)
}
