package main

import (
	"errors"
	"fmt"
	"os"

	"github.com/bdia-go/bdia"
	"github.com/bdia-go/bdia/backend"
	"github.com/bdia-go/bdia/cmd/bdia/internal/cli"
	"github.com/bdia-go/bdia/convert"
	"github.com/bdia-go/bdia/hub"
	"github.com/bdia-go/bdia/model"
	"github.com/bdia-go/bdia/tokenizer"
)

// openFolder is hub.Open for what the command line names: an option that does not go
// with the folder is a mistake of the caller's. A run's settings must be whole, though a
// model needs few of them.
func openFolder(dir string, o hub.Options) (*hub.Folder, error) {
	f, err := hub.Open(dir, o)
	if kind := (*convert.KindError)(nil); o.Adapter != "" && errors.As(err, &kind) {
		return nil, cli.Usage(fmt.Errorf("--adapter is for language models: %w", err))
	}
	if o.Adapter != "" && errors.Is(err, hub.ErrAdapters) || errors.Is(err, hub.ErrNoRun) {
		err = cli.Usage(err)
	}
	if err == nil && f.Run != "" {
		_, err = readRun(f.Run)
	}
	if err == nil {
		for _, note := range f.Notes {
			fmt.Fprintln(os.Stderr, "Note:", note)
		}
	}
	return f, err
}

// loaded is a language model ready for inference.
type loaded struct {
	*hub.Folder
	cfg   model.GPTConfig
	tok   tokenizer.Tokenizer // nil for a foreign folder without one
	grid  bdia.Grid           // of inference
	be    backend.Device      // and model: nil until load
	model *model.GPT
}

// openDir opens the language model in a run directory, or in any Hugging Face
// folder, which without text need have no tokenizer. lora is a folder of its adapters, or empty.
func openDir(dir, lora string, text bool) (*loaded, error) {
	f, err := openFolder(dir, hub.Options{Kind: convert.GPT, Adapter: lora, WithoutText: !text})
	if err != nil {
		return nil, err
	}
	return &loaded{Folder: f, cfg: f.GPTInfo.Config, tok: f.Tokenizer, grid: f.Grid}, nil
}

// loadRun loads the weights in dir, a folder of a run, and the adapters in lora, for what use does. Dropout is as in c,
// the run's settings.
func loadRun(c model.GPTConfig, engine device, dir, lora string, use func(m *model.GPT) error) (*loaded, error) {
	l, err := openDir(dir, lora, true)
	if err != nil {
		return nil, err
	}
	l.GPTInfo.Config, l.cfg = c, c
	return l, l.load(engine, use)
}

// load takes the memory for what use does with a model, then loads the weights.
func (l *loaded) load(engine device, use func(m *model.GPT) error) error {
	m, err := l.GPT(engine.of(l.Folder), use)
	if err == nil {
		l.be, l.model = m.Device, m.GPT
	}
	return err
}
