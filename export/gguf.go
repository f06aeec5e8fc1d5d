package export

import (
	"cmp"
	"fmt"
	"io"
	"path/filepath"

	"github.com/bdia-go/bdia"
	"github.com/bdia-go/bdia/convert"
	"github.com/bdia-go/bdia/format/gguf"
)

// ggufTypes are the types of matrices by their names in Options.DType.
var ggufTypes = map[string]gguf.Type{"f32": gguf.F32, "f16": gguf.F16, "bf16": gguf.BF16, "q8_0": gguf.Q8_0}

// writeGGUF writes a GGUF file. The comparison computes with its weights in
// float32; llama.cpp itself may round further.
func writeGGUF(j *job) error {
	if j.folder.Kind != convert.GPT {
		return fmt.Errorf("export: format gguf is for language models, and %s holds another kind; export it to hf or onnx", j.folder.Dir)
	}
	if err := j.load(); err != nil {
		return err
	}
	dtype := cmp.Or(j.DType, "f32")
	err := createFile(filepath.Dir(j.path), filepath.Base(j.path), func(w io.Writer) error {
		o := convert.GGUFOptions{Name: j.Name, About: j.about(), Type: ggufTypes[dtype], Tokenizer: j.folder.Tokenizer, ChatTemplate: j.template(), Unsealed: true}
		if j.folder.Chat != nil {
			end := j.folder.Chat.End()
			o.TurnEnd = &end
		}
		notes, err := convert.WriteGGUF(w, j.device, j.gpt, o)
		j.report.Notes = notes
		return err
	})
	if err == nil {
		err = gguf.Seal(j.path)
	}
	if err != nil {
		return err
	}
	return j.compare(dtype, func() ([]float32, error) {
		f, err := gguf.Open(j.path)
		if err != nil {
			return nil, err
		}
		defer f.Close()
		if err := convert.ReadGGUF(j.device, j.gpt, f); err != nil {
			return nil, err
		}
		return j.logits(j.sample, bdia.NoGrid)
	})
}
