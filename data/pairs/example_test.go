package pairs_test

import (
	"context"
	"fmt"
	"os"
	"path/filepath"

	"github.com/bdia-go/bdia/data/pairs"
	"github.com/bdia-go/bdia/tokenizer"
)

// From a table of sentences to the batches that a model learns from.
func Example() {
	ctx := context.Background()
	dir, err := os.MkdirTemp("", "pairs")
	check(err)
	defer os.RemoveAll(dir)
	table := filepath.Join(dir, "table.csv")
	check(os.WriteFile(table, []byte("en,fr\nRun!,Courez !\nRun!,Courez !\nWow!,\n\"Yes, go on.\",\"Oui, continue.\"\nHelp!,À l'aide !\n"), 0o644))
	o := pairs.Options{Files: pairs.Files{Source: table, SourceColumn: "en", TargetColumn: "fr"}}

	r, err := pairs.NewReader(o)
	check(err)
	tok, err := tokenizer.TrainBPE(ctx, r.Text(pairs.Train, true, true), tokenizer.TrainOptions{VocabSize: 260})
	check(err)
	check(r.Close())

	r, err = pairs.NewReader(o)
	check(err)
	defer r.Close()
	v := pairs.Vocabulary{Size: tok.VocabSize()}
	w, err := pairs.Create(dir, "train", v, v)
	check(err)
	defer w.Abort()
	check(r.Encode(ctx, pairs.EncodeOptions{Source: tok, Target: tok}, func(_ pairs.Part, source, target []int32) error {
		return w.Add(source, target)
	}))
	check(w.Close())
	fmt.Println(r.Report())

	set, err := pairs.Open(dir, "train", pairs.OpenOptions{})
	check(err)
	defer set.Close()
	begin, end, pad := int32(v.Size), int32(v.Size+1), int32(v.Size+2) // just above the tokenizer's
	batches, err := pairs.NewBatches(set, pairs.BatchOptions{Tokens: 60,
		Special: pairs.Special{SourceEnd: end, SourcePad: pad, Begin: begin, End: end, Pad: pad}})
	check(err)
	steps := batches.Steps(1)
	most, err := batches.Capacity(steps)
	check(err)
	batch := pairs.NewBatch(most)
	for step := 1; step <= steps; step++ {
		shape, err := batches.Shape(step)
		check(err)
		check(batches.Fill(step, 0, shape.B, batch))
		fmt.Printf("step %d: (%d,%d) and (%d,%d), lengths %v and %v\n", step, batch.B, batch.S, batch.B, batch.T, batch.SourceLengths, batch.TargetLengths)
	}
	// Output:
	// 5 pairs read, 3 kept; 1 empty (first in line 4), 1 duplicate (first in line 3)
	// step 1: (2,6) and (2,11), lengths [5 6] and [8 11]
	// step 2: (1,11) and (1,14), lengths [11] and [14]
}

func check(err error) {
	if err != nil {
		panic(err)
	}
}
