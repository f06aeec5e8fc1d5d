package main

import (
	"cmp"
	"fmt"
	"io"
	"path/filepath"

	"github.com/spf13/cobra"

	"github.com/bdia-go/bdia"
	"github.com/bdia-go/bdia/convert"
	"github.com/bdia-go/bdia/format/gguf"
)

// ggufTypes are the types of a GGUF file's matrices by their names in --dtype.
var ggufTypes = map[string]gguf.Type{"f32": gguf.F32, "f16": gguf.F16, "bf16": gguf.BF16, "q8_0": gguf.Q8_0}

// exportGGUF writes a GGUF file. Of the logits of what was written, those of its
// weights in float32 are compared: an interpreter may round further.
func exportGGUF(cmd *cobra.Command, from *source, o exportOptions) error {
	if from.Kind != convert.GPT2 {
		return fmt.Errorf("--format gguf is for language models; %s holds another kind: export it to hf or onnx", from.Dir)
	}
	if err := from.load(); err != nil {
		return err
	}
	dtype := cmp.Or(o.dtype, "f32")
	name := filepath.Base(filepath.Clean(o.from))
	if full, err := filepath.Abs(o.from); err == nil {
		name = filepath.Base(full)
	}
	err := createFile(filepath.Dir(o.path), filepath.Base(o.path), func(w io.Writer) error {
		notes, err := convert.WriteGGUF(w, from.be, from.net.GPT, convert.GGUFOptions{Name: name, Type: ggufTypes[dtype], Tokenizer: from.tok})
		o.report.Notes = notes
		return err
	})
	if err != nil {
		return err
	}
	return o.report.compare(from, dtype, func() ([]float32, error) {
		f, err := gguf.Open(o.path)
		if err != nil {
			return nil, err
		}
		defer f.Close()
		if err := convert.ReadGGUF(from.be, from.net.GPT, f); err != nil {
			return nil, err
		}
		return from.net.logits(from.sample, bdia.NoGrid)
	})
}
