package pairs_test

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	_ "github.com/bdia-go/bdia/backend/cpu" // the device cpu
	"github.com/bdia-go/bdia/train"
	"github.com/bdia-go/bdia/train/pairs"
)

// An encoder-decoder learns to translate from a table of sentences.
func Example() {
	dir, err := os.MkdirTemp("", "pairs-")
	if err != nil {
		panic(err)
	}
	defer os.RemoveAll(dir)
	table := filepath.Join(dir, "pairs.tsv")
	var rows strings.Builder
	for i := range 100 {
		fmt.Fprintf(&rows, "number %d\tnombre %d\n", i, i)
	}
	if err := os.WriteFile(table, []byte(rows.String()), 0o666); err != nil {
		panic(err)
	}
	c := pairs.Default()
	c.Pairs.Files.Source, c.Pairs.Tokenizer = table, "char"
	c.Seq2Seq.EncoderLayers, c.Seq2Seq.DecoderLayers, c.Seq2Seq.Heads, c.Seq2Seq.Width = 2, 2, 2, 16
	c.Pairs.BatchTokens, c.Pairs.Epochs, c.Schedule.Warmup, c.Schedule.LR = 512, 10, 5, 0.01
	run, err := train.Create(context.Background(), filepath.Join(dir, "run"), pairs.New(c), nil)
	if err != nil {
		panic(err)
	}
	defer run.Close()
	sum, err := run.Train(context.Background(), nil)
	fmt.Printf("loss %.2f, then %.2f, %v\n", sum.FirstVal.Loss, sum.LastVal.Loss, err)
	// Output: loss 3.10, then 0.90, <nil>
}
