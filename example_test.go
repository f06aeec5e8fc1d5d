package bdia_test

import (
	"fmt"

	"github.com/bdia-go/bdia"
	"github.com/bdia-go/bdia/backend"
	"github.com/bdia-go/bdia/backend/cpu"
	"github.com/bdia-go/bdia/model"
	"github.com/bdia-go/bdia/optim"
	"github.com/bdia-go/bdia/tensor"
)

// updateNow is a Sink that updates each block's parameters as soon as the
// reverse walk has their gradients: no others exist at that moment.
type updateNow struct {
	be   backend.Backend
	opt  optim.Optimizer
	step int
}

func (u *updateNow) Open(params []*tensor.Param) {
	for _, p := range params {
		p.Grad = u.be.Alloc(backend.Gradients, tensor.F32, p.Value.Shape)
		u.be.Zero(p.Grad)
	}
}

func (u *updateNow) Close(params []*tensor.Param) { u.opt.Update(params, u.step, 0.01) }

// A small language model learns to count modulo 7 by exact reversible
// back-propagation. Every machine prints the same digits.
func Example() {
	be, err := cpu.New(cpu.Options{ArenaBytes: cpu.ScratchBytes(0) + 16<<20})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer be.Close()
	config := model.GPTConfig{Vocab: 7, Context: 8, Layers: 4, Heads: 2, Width: 16}
	m, err := model.NewGPT(be, config, bdia.DefaultOptions()) // reversible, gamma ±0.5, grid 2^-9
	if err != nil {
		fmt.Println(err)
		return
	}
	m.Init(1)
	adam, _ := optim.Default("set-adam")
	opt, err := adam.New(be, m.Params())
	if err != nil {
		fmt.Println(err)
		return
	}
	batch := model.NewBatch(4, config.Context)
	tokens := len(batch.Inputs)
	for i := range batch.Inputs {
		n := int32(i/config.Context + i%config.Context)
		batch.Inputs[i], batch.Targets[i] = n%7, (n+1)%7
	}
	sink := &updateNow{be: be, opt: opt}
	for step := 1; step <= 40; step++ {
		sink.step = step
		pass := backend.Pass{Train: true, Seed: 1, Step: step}
		losses, err := m.MicroStep(batch, pass, 1/float32(tokens), sink)
		if err != nil {
			fmt.Println(err)
			return
		}
		if step%20 == 0 || step == 1 {
			fmt.Printf("step %2d: loss %.3f\n", step, model.AddLosses(0, losses)/float64(tokens))
		}
	}
	// Output:
	// step  1: loss 1.994
	// step 20: loss 0.631
	// step 40: loss 0.142
}
