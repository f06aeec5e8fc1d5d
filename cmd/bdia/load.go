package main

import (
	"errors"
	"fmt"
	"path/filepath"

	"github.com/bdia-go/bdia"
	"github.com/bdia-go/bdia/backend"
	"github.com/bdia-go/bdia/cmd/bdia/internal/cli"
	"github.com/bdia-go/bdia/convert"
	"github.com/bdia-go/bdia/generate"
	"github.com/bdia-go/bdia/hub"
	"github.com/bdia-go/bdia/model"
	"github.com/bdia-go/bdia/tokenizer"
	"github.com/bdia-go/bdia/train/text"
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
		cfg := defaults(text.Name)
		err = readConfig(filepath.Join(f.Run, hub.RunFile), &cfg)
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

// openDir opens the language model in a run directory, or in any Hugging Face GPT-2
// folder, which without text need have no tokenizer. The adapters in lora, if it is not
// empty, are merged into it.
func openDir(dir, lora string, text bool) (*loaded, error) {
	f, err := openFolder(dir, hub.Options{Kind: convert.GPT2, Adapter: lora, WithoutText: !text})
	if err != nil {
		return nil, err
	}
	return &loaded{Folder: f, cfg: f.GPTInfo.Config, tok: f.Tokenizer, grid: f.Grid}, nil
}

// loadRun loads the weights in dir, a folder of r, with the settings of r, and the
// adapters in lora, for what use does.
func loadRun(r *oneRun, dir, lora string, use func(m *model.GPT) error) (*loaded, error) {
	l, err := openDir(dir, lora, true)
	if err != nil {
		return nil, err
	}
	l.GPTInfo.Config, l.cfg = r.Config.Model, r.Config.Model
	return l, l.load(r.Config.Engine, use)
}

// load takes the memory for what use does with a model, then loads the weights.
func (l *loaded) load(engine backend.Options, use func(m *model.GPT) error) error {
	m, err := l.GPT(engine, use)
	if err == nil {
		l.be, l.model = m.Device, m.GPT
	}
	return err
}

// sampleOf continues the beginning of the run's held-out text.
func sampleOf(r *oneRun) (string, error) {
	ids, err := r.Text.Prompt()
	if err != nil {
		return "", err
	}
	o := generate.DefaultOptions()
	o.MaxTokens, o.Grid = 120, r.Config.Method.Grid
	l, err := loadRun(r, r.Dir, "", func(m *model.GPT) error { return generate.Rehearse(m, len(ids), o) })
	if err != nil {
		return "", err
	}
	defer l.be.Close()
	return generate.Text(l.model, l.tok, ids, o)
}
