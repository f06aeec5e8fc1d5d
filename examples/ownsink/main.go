// Ownsink watches the gradients of a model while it learns: a sink of its own stands between back-propagation, which
// finishes one block after the other, and the update of each:
//
//	go run ./examples/ownsink
package main

import (
	"context"
	"fmt"
	"log"
	"math"

	"github.com/bdia-go/bdia/backend"
	_ "github.com/bdia-go/bdia/backend/cpu" // the device
	"github.com/bdia-go/bdia/model"
	"github.com/bdia-go/bdia/optim"
	"github.com/bdia-go/bdia/tensor"
	"github.com/bdia-go/bdia/train"
)

// norms is a train.Sink that notes the norms of the gradients. An all-reduce over ranks would stand here too.
type norms struct {
	train.Sink // the next one, which updates
	be         backend.Backend
	step       int
	seen       map[int][]float64 // step: norms of the head, the blocks, the last first, and the tables
}

func (s *norms) Begin(step int, lr float64) {
	s.step = step
	s.Sink.Begin(step, lr)
}

func (s *norms) Close(params []*tensor.Param) {
	s.seen[s.step] = append(s.seen[s.step], optim.ClipGlobalNorm(s.be, params, math.Inf(1)))
	s.Sink.Close(params)
}

// run trains on digits that count up. With seen, it notes norms there.
func run(seen map[int][]float64, steps int) (train.Summary, error) {
	o := train.Options{Common: train.DefaultCommon(steps)}
	o.Schedule.LR = 0.01
	if seen != nil {
		o.Through = func(be backend.Backend, next train.Sink) train.Sink {
			clear(seen) // a plan of the memory has run a step before
			return &norms{Sink: next, be: be, seen: seen}
		}
	}
	config := model.GPTConfig{Vocab: 10, Context: 16, Layers: 4, Heads: 2, Width: 32}
	digits := train.Sequences(4, 16, func(step, sample, t int) int32 { return int32((step + sample + t) % 10) })
	r, err := train.Start("", func(be backend.Backend) (train.Learner, error) {
		m, err := model.NewGPT(be, config, o.Method)
		return train.Learn(m, digits, train.Measure(m, digits, 1, o.Method.Grid)), err
	}, o)
	if err != nil {
		return train.Summary{}, err
	}
	return r.Train(context.Background(), nil)
}

func main() {
	seen := map[int][]float64{}
	if _, err := run(seen, 50); err != nil {
		log.Fatal(err)
	}
	for _, step := range []int{1, 10, 50} {
		fmt.Printf("step %2d: %.3f\n", step, seen[step])
	}
}
