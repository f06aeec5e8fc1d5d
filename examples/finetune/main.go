// Finetune trains the language model of a folder on a text, keeps the best weights in a model folder of their own, and
// continues a prompt with them. A run that was interrupted goes on:
//
//	go run ./examples/finetune gpt2 play.txt tuned "To be"
package main

import (
	"context"
	"fmt"
	"log"
	"os"

	_ "github.com/bdia-go/bdia/backend/cpu" // the device
	"github.com/bdia-go/bdia/generate"
	"github.com/bdia-go/bdia/hub"
	"github.com/bdia-go/bdia/train"
)

// run trains for so many steps, keeps the run in dir, and returns what it measured and the text.
func run(from, file, dir, prompt string, steps int) (sum train.Summary, text string, err error) {
	folder, err := hub.Open(from, hub.Options{})
	if err != nil {
		return sum, "", err
	}
	const T, samples = 32, 8 // a step learns 8 windows of 32 tokens
	learned, heldOut, err := train.TextWindows(file, folder.Tokenizer, T, samples, 0.1)
	if err != nil {
		return sum, "", err
	}
	o := train.Options{Common: train.DefaultCommon(steps)} // AdamW, exact reversible back-propagation
	o.Schedule.LR = 3e-4
	r, err := train.Pretrained{Folder: folder, Source: learned, HeldOut: heldOut, Batches: 10}.Start(dir, o)
	if err != nil {
		return sum, "", err
	}
	if sum, err = r.Train(context.Background(), nil); err != nil {
		return sum, "", err
	}
	best, err := hub.Open(r.BestDir(), hub.Options{}) // other programs read it too
	if err != nil {
		return sum, "", err
	}
	text, err = generate.FromFolder(best, o.Engine, prompt, generate.DefaultOptions())
	return sum, text, err
}

func main() {
	if len(os.Args) != 5 {
		log.Fatal("usage: finetune MODEL TEXT RUN PROMPT")
	}
	sum, text, err := run(os.Args[1], os.Args[2], os.Args[3], os.Args[4], 500)
	if err != nil {
		log.Fatal(err)
	}
	fmt.Printf("%s\nheld-out loss %.3f, at best %.3f in step %d\n", text, sum.FirstVal.Loss, sum.BestVal.Loss, sum.BestStep)
}
