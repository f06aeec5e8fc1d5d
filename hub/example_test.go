package hub_test

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/bdia-go/bdia"
	"github.com/bdia-go/bdia/backend"
	_ "github.com/bdia-go/bdia/backend/cpu" // the device cpu
	"github.com/bdia-go/bdia/convert"
	"github.com/bdia-go/bdia/generate"
	"github.com/bdia-go/bdia/hub"
	"github.com/bdia-go/bdia/model"
	"github.com/bdia-go/bdia/tokenizer"
)

// A folder is opened, its model made on a device, and a text continued. The device has
// memory for exactly this prompt and this many tokens.
func ExampleOpen() {
	dir := tinyFolder()
	defer os.RemoveAll(dir)

	folder, err := hub.Open(dir, hub.Options{})
	check(err)
	prompt, err := folder.Encode("to be")
	check(err)
	o := generate.DefaultOptions()
	o.MaxTokens, o.Temperature, o.Grid = 8, 0, folder.Grid
	m, err := folder.GPT(backend.Options{}, func(m *model.GPT) error { return generate.Rehearse(m, len(prompt), o) })
	check(err)
	defer m.Close()
	text, err := generate.Text(m.GPT, folder.Tokenizer, prompt, o)
	check(err)
	fmt.Println(len(text), "letters of a", folder.Kind)
	// Output: 13 letters of a gpt2
}

// tinyFolder makes a folder with a model of one block that has learned nothing.
func tinyFolder() string {
	dir, err := os.MkdirTemp("", "hub")
	check(err)
	tok, err := tokenizer.NewChar(strings.NewReader("to be or not"))
	check(err)
	check(tok.Save(dir))
	config := model.GPTConfig{Vocab: tok.VocabSize(), Context: 32, Layers: 1, Heads: 1, Width: 8}
	var m *model.GPT
	device, err := backend.Fit(backend.Options{}, func(be backend.Backend) (err error) {
		m, err = model.NewGPT(be, config, bdia.DefaultOptions())
		return err
	}, nil)
	check(err)
	defer device.Close()
	m.Init(1)
	weights, err := os.Create(filepath.Join(dir, "model.safetensors"))
	check(err)
	check(convert.WriteGPT2(weights, device, m))
	check(weights.Close())
	description, err := os.Create(filepath.Join(dir, "config.json"))
	check(err)
	check(convert.WriteGPT2Info(description, convert.GPT2Info{Config: config}))
	check(description.Close())
	return dir
}

func check(err error) {
	if err != nil {
		panic(err)
	}
}
