// Ownblock trains a language model with blocks of its own by reversible back-propagation, and generates with it:
//
//	go run ./examples/ownblock
package main

import (
	"fmt"
	"log"

	"github.com/bdia-go/bdia"
	"github.com/bdia-go/bdia/backend"
	_ "github.com/bdia-go/bdia/backend/cpu"
	"github.com/bdia-go/bdia/generate"
	"github.com/bdia-go/bdia/model"
	"github.com/bdia-go/bdia/nn"
	"github.com/bdia-go/bdia/optim"
	"github.com/bdia-go/bdia/tensor"
	"github.com/bdia-go/bdia/train"
)

// block is a bdia.Block: h(x) = gelu(x Aᵀ) Bᵀ, for rows x of C channels.
type block struct {
	be   backend.Backend
	a, b *tensor.Param // (M,C), (C,M)
	u, v tensor.Tensor // (B,T,M): before and after gelu
}

func newBlock(be backend.Backend, k, C, M int) *block {
	weight := func(name string, id, out, in int) *tensor.Param {
		p := &tensor.Param{Name: fmt.Sprintf("blocks.%d.%s", k, name), Value: be.Alloc(backend.Weights, tensor.F32, tensor.Shape{out, in})}
		nn.Normal(be, p, 0.1, 1, 2*k+id)
		return p
	}
	return &block{be: be, a: weight("a", 0, M, C), b: weight("b", 1, C, M)}
}

func (l *block) Params() []*tensor.Param { return []*tensor.Param{l.a, l.b} }

func (l *block) Forward(h, x tensor.Tensor, _ backend.Pass) {
	s := tensor.Shape{x.Shape[0], x.Shape[1], l.a.Value.Rows()}
	l.u, l.v = l.be.Alloc(backend.Activation, tensor.F32, s), l.be.Alloc(backend.Activation, tensor.F32, s)
	l.be.Linear(l.u, x, l.a.Value, tensor.Tensor{})
	l.be.GELU(l.v, l.u, backend.GELUTanh)
	l.be.Linear(h, l.v, l.b.Value, tensor.Tensor{})
}

func (l *block) Backward(g, x tensor.Tensor) {
	l.be.LinearBackwardWeight(l.b.Grad, tensor.Tensor{}, g, l.v)
	l.be.LinearBackwardInput(l.v, g, l.b.Value)
	l.be.GELUBackward(l.v, l.v, l.u, backend.GELUTanh)
	l.be.LinearBackwardWeight(l.a.Grad, tensor.Tensor{}, l.v, x)
	l.be.LinearBackwardInput(g, l.v, l.a.Value)
}

// run trains on texts that count up by one and returns the loss of the last step and what follows token 3.
func run(steps int) (loss float64, text []int32, err error) {
	c := model.GPTConfig{Vocab: 10, Context: 8, Layers: 4, Width: 32}
	b := model.NewBatch(4, c.Context)
	for i := range b.Inputs {
		n := int32(i + i/c.Context)
		b.Inputs[i], b.Targets[i] = n%10, (n+1)%10
	}
	var m *model.GPT
	var sink train.Sink
	step := func(n int) ([]float32, error) {
		sink.Begin(n, 0.01)
		losses, err := m.Step(b, backend.Pass{Train: true, Seed: 1, Step: n}, 1/float32(len(b.Inputs)), sink)
		if err == nil {
			_, err = sink.End()
		}
		return losses, err
	}
	o := generate.DefaultOptions()
	o.MaxTokens, o.Temperature = 5, 0
	be, err := backend.Fit(backend.Options{}, func(be backend.Backend) (err error) {
		m, err = model.NewGPTWith(be, c, bdia.DefaultOptions(), func(k int) bdia.Block { return newBlock(be, k, c.Width, 64) })
		if err != nil {
			return err
		}
		opt, err := optim.DefaultAdamW().New(be, m.Trainable())
		sink = train.UpdateNow(be, opt) // inside the reverse walk: no gradient outlives its block
		return err
	}, func() error {
		if _, err := step(1); err != nil {
			return err
		}
		return generate.Rehearse(m, 1, o)
	})
	if err != nil {
		return 0, nil, err
	}
	defer be.Close()
	m.Init(1)
	for n := 1; n <= steps; n++ {
		losses, err := step(n)
		if err != nil {
			return 0, nil, err
		}
		loss = model.AddLosses(0, losses) / float64(len(losses))
	}
	err = generate.Tokens(m, []int32{3}, o, func(id int32) bool { text = append(text, id); return true })
	return loss, text, err
}

func main() {
	loss, text, err := run(100)
	if err != nil {
		log.Fatal(err)
	}
	fmt.Printf("loss %.4f; after 3 come %v\n", loss, text)
}
