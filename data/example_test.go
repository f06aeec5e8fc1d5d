package data_test

import (
	"fmt"

	"github.com/bdia-go/bdia/data"
)

// Training draws windows at random: the same ones for a seed, a step and a sample. Evaluation takes one after the other.
func ExampleSampler() {
	tokens, err := data.FromIDs([]int32{0, 1, 2, 3, 4, 5, 6, 7, 8, 9}, 10)
	if err != nil {
		panic(err)
	}
	train, val, err := data.Split(tokens, 0.3)
	if err != nil {
		panic(err)
	}
	const T = 2
	inputs, targets := make([]int32, 3*T), make([]int32, 3*T)
	sampler, err := data.NewSampler(train, T, 1)
	if err != nil {
		panic(err)
	}
	for range 2 {
		if err := sampler.Batch(1, 0, 3, inputs, targets); err != nil {
			panic(err)
		}
		fmt.Println(inputs, targets)
	}
	held, err := data.NewSequential(val, T, 0)
	if err != nil {
		panic(err)
	}
	fmt.Println(held.Len(), "window")
	// Output:
	// [2 3 2 3 0 1] [3 4 3 4 1 2]
	// [2 3 2 3 0 1] [3 4 3 4 1 2]
	// 1 window
}
