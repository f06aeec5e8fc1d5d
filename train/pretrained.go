package train

import (
	"errors"
	"fmt"
	"io"

	"github.com/bdia-go/bdia"
	"github.com/bdia-go/bdia/backend"
	"github.com/bdia-go/bdia/convert"
	"github.com/bdia-go/bdia/hub"
	"github.com/bdia-go/bdia/model"
)

// Pretrained is the language model of a folder, to learn from a source of your own. Its run begins with the folder's
// weights, and what it keeps are model folders again, which hub opens. For example:
//
//	folder, err := hub.Open("gpt2", hub.Options{})
//	...
//	run, err := train.Pretrained{Folder: folder, Source: source}.Start("tuned", options)
//
// States of a large model may be too large for the grid of options.Method (bdia.RangeError): take a coarser one then.
// Package train/tune measures the model and chooses a grid by itself.
type Pretrained struct {
	Folder  *hub.Folder // without adapters
	Source  Source[model.Batch]
	HeldOut Source[model.Batch] // to evaluate on; nil: the run is not evaluated and has no best weights
	Batches int                 // of HeldOut in an evaluation
}

// Start begins or resumes a run in dir, as the function Start does.
func (p Pretrained) Start(dir string, o Options) (*Run, error) {
	if p.Folder == nil || p.Source == nil {
		return nil, errors.New("train: Pretrained needs a Folder and a Source")
	}
	if p.HeldOut != nil && p.Batches < 1 {
		return nil, fmt.Errorf("train: Pretrained evaluates on %d batches of HeldOut; set Batches to 1 or more", p.Batches)
	}
	return Start(dir, func(be backend.Backend) (Learner, error) { return p.learner(be, o.Method) }, o)
}

func (p Pretrained) learner(be backend.Backend, method bdia.Options) (Learner, error) {
	m, err := p.Folder.NewGPT(be, method)
	if err != nil {
		return nil, err
	}
	load := func(uint64) error { return hub.LoadGPT(be, m, p.Folder.Weights) }
	abilities := []any{InitialiseFunc(load), GPTFolder(be, m, p.Folder.GPTInfo.End)}
	if p.HeldOut != nil {
		abilities = append(abilities, Measure(m, p.HeldOut, p.Batches, method.Grid))
	}
	if p.Folder.Tokenizer != nil {
		abilities = append(abilities, p.Folder.Tokenizer)
	}
	return Learn(m, p.Source, abilities...), nil
}

// GPTFolder returns the Folder of a GPT on be: a model folder of Hugging Face, in which other programs find the model.
// End is the token that ends a text; nil if there is none. The GPT has no adapters.
func GPTFolder(be backend.Backend, m *model.GPT, end *int32) Folder { return gptFiles{be, m, end} }

type gptFiles struct {
	be  backend.Backend
	m   *model.GPT
	end *int32
}

func (f gptFiles) Files() []File {
	config := func(w io.Writer) error {
		return convert.WriteGPTInfo(w, convert.GPTInfo{Config: f.m.Config, End: f.end, DType: convert.WeightsDType(f.m)})
	}
	return []File{{ConfigFile, nil, config}, {WeightsFile, f.m.Params(), f.WriteWeights}}
}

func (f gptFiles) ReadModel(dir string) error          { return hub.LoadGPT(f.be, f.m, dir) }
func (f gptFiles) WriteWeights(w io.Writer) error      { return convert.WriteGPT(w, f.be, f.m) }
func (f gptFiles) ReadWeights(t convert.Tensors) error { return convert.ReadGPT(f.be, f.m, t) }
