// Owndata trains the language model of a folder on data of its own, with an optimiser of its own, and lets the best
// weights continue a text. A run that was interrupted goes on:
//
//	go run ./examples/owndata gpt2 run "1 2 3"
package main

import (
	"context"
	"fmt"
	"log"
	"os"

	"github.com/bdia-go/bdia/backend"
	_ "github.com/bdia-go/bdia/backend/cpu" // the device
	"github.com/bdia-go/bdia/generate"
	"github.com/bdia-go/bdia/hub"
	"github.com/bdia-go/bdia/model"
	"github.com/bdia-go/bdia/optim"
	"github.com/bdia-go/bdia/tensor"
	"github.com/bdia-go/bdia/train"
)

// counting is data: 8 windows of 16 tokens in each step, which count up. The batch of a step is always the same.
type counting struct{}

func (counting) Size(int) (samples, losses int, err error) { return 8, 8 * 16, nil }

func (counting) Fill(step, first, n int, b *model.Batch) error {
	*b = model.NewBatch(n, 16)
	for i := range b.Inputs {
		at := 31*step + 16*first + i
		b.Inputs[i], b.Targets[i] = int32(at%50), int32((at+1)%50)
	}
	return nil
}

// descent is an optimiser. One with a state to save is an optim.Maker.
func descent(be backend.Backend, params []*tensor.Param, _ int, lr float64) {
	for _, p := range params {
		be.Scale(p.Grad, float32(-lr))
		be.Add(p.Value, p.Value, p.Grad)
	}
}

// run trains for so many steps, keeps everything in dir, and returns the text.
func run(from, dir, prompt string, steps int) (string, error) {
	folder, err := hub.Open(from, hub.Options{})
	if err != nil {
		return "", err
	}
	o := train.Options{Common: train.DefaultCommon(steps), Maker: optim.Func(descent)}
	o.Schedule.LR = 0.1
	r, err := train.Pretrained{Folder: folder, Source: counting{}, HeldOut: counting{}, Batches: 4}.Start(dir, o)
	if err != nil {
		return "", err
	}
	if _, err := r.Train(context.Background(), nil); err != nil {
		return "", err
	}
	best, err := hub.Open(r.BestDir(), hub.Options{})
	if err != nil {
		return "", err
	}
	return generate.FromFolder(best, o.Engine, prompt, generate.DefaultOptions())
}

func main() {
	text, err := run(os.Args[1], os.Args[2], os.Args[3], 100)
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(text)
}
