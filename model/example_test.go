package model_test

import (
	"fmt"

	"github.com/bdia-go/bdia"
	"github.com/bdia-go/bdia/backend/plan"
	"github.com/bdia-go/bdia/model"
	"github.com/bdia-go/bdia/tensor"
)

// Adapters of rank 8 beside GPT-2: what learns, and what it is added to. (PEFT
// counts the same.)
func ExampleGPT_AddLoRA() {
	c, err := model.GPTPreset("gpt2")
	if err != nil {
		panic(err)
	}
	m, err := model.NewGPT(plan.New(0), c, bdia.DefaultOptions())
	if err != nil {
		panic(err)
	}
	if err := m.AddLoRA(model.DefaultLoRA()); err != nil {
		panic(err)
	}
	count := func(params []*tensor.Param) (n int) {
		for _, p := range params {
			n += p.Value.Len()
		}
		return n
	}
	fmt.Println(count(m.Trainable()), "beside", count(m.Params()))
	// Output: 294912 beside 124439808
}
