package hub_test

import (
	"fmt"

	"github.com/bdia-go/bdia/backend"
	_ "github.com/bdia-go/bdia/backend/cpu" // the device cpu
	"github.com/bdia-go/bdia/generate"
	"github.com/bdia-go/bdia/hub"
	"github.com/bdia-go/bdia/model"
)

// A folder is opened without its weights; GPT makes the model, with memory for what the program does with it.
func ExampleOpen() {
	folder, err := hub.Open("../train/testdata/oldruns/base", hub.Options{})
	if err != nil {
		panic(err)
	}
	c := folder.GPTInfo.Config
	fmt.Println(folder.Kind, "of", c.Layers, "blocks,", c.Vocab, "tokens")
	o := generate.DefaultOptions()
	o.MaxTokens, o.Grid, o.Temperature = 8, folder.Grid, 0.5
	m, err := folder.GPT(backend.Options{}, func(m *model.GPT) error { return generate.Rehearse(m, 10, o) })
	if err != nil {
		panic(err)
	}
	defer m.Close()
	ids, err := folder.Encode("the ")
	if err != nil {
		panic(err)
	}
	text, err := generate.Text(m.GPT, folder.Tokenizer, ids, o)
	fmt.Printf("%q %v\n", text, err)
	// Output:
	// gpt2 of 2 blocks, 280 tokens
	// "the mill\xb2the h b theaka" <nil>
}
