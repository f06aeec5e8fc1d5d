// Ownblock trains a language model of blocks of its own by exact reversible back-propagation, and again with stored
// activations. Their memory differs, their losses do not:
//
//	go run ./examples/ownblock
package main

import (
	"context"
	"fmt"
	"log"

	"github.com/bdia-go/bdia"
	"github.com/bdia-go/bdia/backend"
	_ "github.com/bdia-go/bdia/backend/cpu" // the device
	"github.com/bdia-go/bdia/model"
	"github.com/bdia-go/bdia/nn"
	"github.com/bdia-go/bdia/tensor"
	"github.com/bdia-go/bdia/train"
)

// block is a bdia.Block: h(x) = gelu(x Wᵀ), which the model adds to x.
type block struct {
	backend.Backend
	w *tensor.Param // (C,C)
	u tensor.Tensor // x Wᵀ, which Backward needs
}

func newBlock(be backend.Backend, C, k int) *block {
	w := &tensor.Param{Name: fmt.Sprint("block.", k), Value: be.Alloc(backend.Weights, tensor.F32, tensor.Shape{C, C})}
	nn.Normal(be, w, 0.1, 1, k) // initial weights
	return &block{Backend: be, w: w}
}

func (o *block) Params() []*tensor.Param { return []*tensor.Param{o.w} }

func (o *block) Forward(h, x tensor.Tensor, _ backend.Pass) {
	o.u = o.Alloc(backend.Activation, tensor.F32, x.Shape)
	o.Linear(o.u, x, o.w.Value, tensor.Tensor{})
	o.GELU(h, o.u, backend.GELUTanh)
}

// Backward turns g, the gradient of h(x), into the gradient of x, and adds to the gradient of W.
func (o *block) Backward(g, x tensor.Tensor) {
	o.GELUBackward(g, g, o.u, backend.GELUTanh)
	o.LinearBackwardWeight(o.w.Grad, tensor.Tensor{}, g, x)
	o.LinearBackwardInput(o.u, g, o.w.Value)
	o.Copy(g, o.u)
}

// run trains on digits that count up.
func run(memory bdia.Memory, steps int) (train.Summary, error) {
	o := train.Options{Common: train.DefaultCommon(steps)}
	o.Method.Memory, o.Schedule.LR = memory, 0.01
	config := model.GPTConfig{Vocab: 10, Context: 16, Layers: 8, Width: 32}
	digits := train.Sequences(4, 16, func(step, sample, t int) int32 { return int32((step + sample + t) % 10) })
	r, err := train.Start("", func(be backend.Backend) (train.Learner, error) {
		m, err := model.NewGPTWith(be, config, o.Method, func(k int) bdia.Block { return newBlock(be, config.Width, k) })
		return train.Learn(m, digits, train.Measure(m, digits, 1, o.Method.Grid)), err
	}, o)
	if err != nil {
		return train.Summary{}, err
	}
	return r.Train(context.Background(), nil)
}

func main() {
	for _, memory := range []bdia.Memory{bdia.Reversible, bdia.Store} {
		sum, err := run(memory, 100)
		if err != nil {
			log.Fatal(err)
		}
		fmt.Printf("%s: loss %v, then %v, with %d KiB\n", memory, sum.FirstVal.Loss, sum.LastVal.Loss, sum.Peak.Total>>10)
	}
}
