package generate

import (
	"slices"

	"github.com/bdia-go/bdia/backend"
	"github.com/bdia-go/bdia/hub"
	"github.com/bdia-go/bdia/model"
)

// FromFolder continues prompt with the language model in a folder, which has a tokenizer, and returns prompt and
// continuation. It makes the model on a device and frees it again; to write several texts, make it once with f.GPT. A
// token that ends a text ends this one. States are rounded to the folder's grid, not to o.Grid. For example:
//
//	folder, err := hub.Open("gpt2", hub.Options{})
//	...
//	text, err := generate.FromFolder(folder, backend.Options{}, "To be", generate.DefaultOptions())
func FromFolder(f *hub.Folder, device backend.Options, prompt string, o Options) (string, error) {
	ids, err := f.Encode(prompt)
	if err != nil {
		return "", err
	}
	o.Grid = f.Grid
	o.StopIDs = append(slices.Clip(o.StopIDs), f.GPTInfo.StopIDs()...)
	m, err := f.GPT(device, func(m *model.GPT) error { return Rehearse(m, len(ids), o) })
	if err != nil {
		return "", err
	}
	defer m.Close()
	return Text(m.GPT, f.Tokenizer, ids, o)
}
