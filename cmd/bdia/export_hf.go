package main

import (
	"errors"
	"io"
	"os"
	"path/filepath"

	"github.com/spf13/cobra"

	"github.com/bdia-go/bdia"
	"github.com/bdia-go/bdia/convert"
)

// exportHF writes a Hugging Face model folder.
func exportHF(_ *cobra.Command, from *source, o exportOptions) error {
	if from.kind != convert.GPT2 || o.dtype != "" && o.dtype != "f32" {
		return errors.New("--format hf is for language models in f32 so far")
	}
	if err := from.load(); err != nil {
		return err
	}
	if err := os.MkdirAll(o.path, 0o777); err != nil {
		return err
	}
	if err := createFile(o.path, "config.json", func(w io.Writer) error { return convert.WriteGPT2Config(w, from.gpt) }); err != nil {
		return err
	}
	if err := createFile(o.path, "model.safetensors", func(w io.Writer) error { return convert.WriteGPT2(w, from.be, from.GPT) }); err != nil {
		return err
	}
	if from.tok != nil {
		if err := from.tok.Save(o.path); err != nil {
			return err
		}
	}
	return o.report.compare(from, "f32", func() ([]float32, error) {
		if err := from.read(o.path); err != nil {
			return nil, err
		}
		return from.logits(from.sample, bdia.NoGrid)
	})
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
