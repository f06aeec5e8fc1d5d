// Owndata trains a language model from a folder on data of its own, with an optimiser of its own, and lets the best
// weights write something:
//
//	go run ./examples/owndata gpt2 run
package main

import (
	"context"
	"fmt"
	"log"
	"os"
	"path/filepath"

	"github.com/bdia-go/bdia"
	"github.com/bdia-go/bdia/backend"
	_ "github.com/bdia-go/bdia/backend/cpu"
	"github.com/bdia-go/bdia/generate"
	"github.com/bdia-go/bdia/hub"
	"github.com/bdia-go/bdia/model"
	"github.com/bdia-go/bdia/optim"
	"github.com/bdia-go/bdia/tensor"
	"github.com/bdia-go/bdia/train"
)

// counting is a train.Source: samples of T tokens that count up by one, from a start that step and sample choose.
type counting struct{ T, tokens int }

const batch = 8 // samples of a step

func (c counting) Size(int) (samples, losses int, err error) { return batch, batch * c.T, nil }

func (c counting) Fill(step, first, n int, b *model.Batch) error {
	*b = model.NewBatch(n, c.T)
	for i := range b.Inputs {
		at := 31*step + 7*(first+i/c.T) + i%c.T
		b.Inputs[i], b.Targets[i] = int32(at%c.tokens), int32((at+1)%c.tokens)
	}
	return nil
}

// descent is an optimiser: plain gradient descent, which has no state.
type descent struct{ be backend.Backend }

func (descent) New(be backend.Backend, _ []*tensor.Param) (optim.Optimizer, error) {
	return descent{be}, nil
}
func (descent) Moments() []optim.Moment { return nil }
func (d descent) Update(params []*tensor.Param, _ int, lr float64) {
	for _, p := range params {
		d.be.Scale(p.Grad, float32(-lr))
		d.be.Add(p.Value, p.Value, p.Grad)
	}
}

// run trains the model of the folder from, keeps the run in dir, which it resumes if it was interrupted, and returns
// what the best weights write.
func run(ctx context.Context, from, dir string) (string, error) {
	folder, err := hub.Open(from, hub.Options{})
	if err != nil {
		return "", err
	}
	options := train.Options{Common: train.DefaultCommon(100), Maker: descent{}, Baseline: true}
	options.Schedule.LR = 0.1
	r, err := train.Start(dir, func(be backend.Backend) (train.Learner, error) {
		m, err := model.NewGPT(be, folder.GPTInfo.Config, options.Method)
		data := counting{T: 16, tokens: 50}
		load := func(uint64) error { return hub.LoadGPT(be, m, folder.Weights) }
		return train.Learn(m, data, train.Measure(m, data, 4, options.Method.Grid), train.GPTFolder(be, m, nil),
			folder.Tokenizer, train.InitialiseFunc(load)), err
	}, options)
	if err != nil {
		return "", err
	}
	sum, err := r.Train(ctx, nil)
	if err != nil {
		return "", err
	}
	fmt.Printf("loss %.3f before, %.3f at best\n", sum.FirstVal.Loss, sum.BestVal.Loss)
	best, err := hub.Open(filepath.Join(dir, "best"), hub.Options{})
	if err != nil {
		return "", err
	}
	o := generate.DefaultOptions()
	o.MaxTokens, o.Grid = 20, bdia.NoGrid
	gpt, err := best.GPT(backend.Options{}, func(m *model.GPT) error { return generate.Rehearse(m, 1, o) })
	if err != nil {
		return "", err
	}
	defer gpt.Close()
	return generate.Text(gpt.GPT, best.Tokenizer, []int32{5}, o)
}

func main() {
	text, err := run(context.Background(), os.Args[1], os.Args[2])
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(text)
}
