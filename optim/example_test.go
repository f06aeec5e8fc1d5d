package optim_test

import (
	"fmt"

	"github.com/bdia-go/bdia/backend"
	_ "github.com/bdia-go/bdia/backend/cpu" // the device cpu
	"github.com/bdia-go/bdia/optim"
	"github.com/bdia-go/bdia/tensor"
)

// The learning rate rises in the warm-up and then falls to a tenth.
func ExampleSchedule() {
	s := optim.Schedule{Kind: "cosine", LR: 1, Final: 0.1, Warmup: 10, Steps: 100}
	for _, step := range []int{1, 5, 10, 55, 100} {
		fmt.Printf("step %3d: %.2f\n", step, s.At(step))
	}
	// Output:
	// step   1: 0.10
	// step   5: 0.50
	// step  10: 1.00
	// step  55: 0.55
	// step 100: 0.10
}

// momentum is an optimiser with a state, which checkpoints keep.
type momentum struct {
	be      backend.Backend
	of      map[*tensor.Param]tensor.Tensor
	moments []optim.Moment
}

func (o *momentum) Moments() []optim.Moment { return o.moments }

func (o *momentum) Update(params []*tensor.Param, _ int, lr float64) {
	for _, p := range params {
		m := o.of[p]
		o.be.Scale(m, 0.5)
		o.be.Add(m, m, p.Grad)
		o.be.Copy(p.Grad, m)
		o.be.Scale(p.Grad, float32(-lr))
		o.be.Add(p.Value, p.Value, p.Grad)
	}
}

// maker is an optim.Maker: with train.Options.Maker, a run uses its optimiser and resumes with its state.
type maker struct{}

func (maker) New(be backend.Backend, params []*tensor.Param) (optim.Optimizer, error) {
	o := &momentum{be: be, of: map[*tensor.Param]tensor.Tensor{}}
	for _, p := range params {
		m := be.Alloc(backend.Optimiser, tensor.F32, p.Value.Shape)
		be.Zero(m)
		o.of[p] = m
		o.moments = append(o.moments, optim.Moment{Name: p.Name + ".m", Value: m})
	}
	return o, nil
}

// An optimiser of one's own, with momentum: a gradient of 1 moves the value by 0.1, then by 0.15.
func ExampleMaker() {
	p := &tensor.Param{Name: "w"}
	var o optim.Optimizer
	be, err := backend.Fit(backend.Options{Threads: 1}, func(be backend.Backend) (err error) {
		p.Value = be.Alloc(backend.Weights, tensor.F32, tensor.Shape{1})
		p.Grad = be.Alloc(backend.Gradients, tensor.F32, tensor.Shape{1})
		o, err = maker{}.New(be, []*tensor.Param{p})
		return err
	}, nil)
	if err != nil {
		panic(err)
	}
	defer be.Close()
	be.Zero(p.Value)
	value := make([]float32, 1)
	for step := 1; step <= 2; step++ {
		be.Upload(p.Grad, []float32{1})
		o.Update([]*tensor.Param{p}, step, 0.1)
		be.Download(value, p.Value)
		fmt.Printf("%.2f\n", value[0])
	}
	fmt.Println(o.Moments()[0].Name)
	// Output:
	// -0.10
	// -0.25
	// w.m
}
