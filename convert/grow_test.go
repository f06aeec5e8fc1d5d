package convert

import (
	"bytes"
	"math"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"github.com/bdia-go/bdia"
	"github.com/bdia-go/bdia/backend"
	_ "github.com/bdia-go/bdia/backend/cpu"
	"github.com/bdia-go/bdia/format/safetensors"
	"github.com/bdia-go/bdia/model"
)

// TestGrow: a grown model keeps its old rows and old logits to the bit; the logit of a new token is the mean of the old
// ones, so the loss on old tokens rises by log(new size / old size) at most.
func TestGrow(t *testing.T) {
	t.Parallel()
	for _, untied := range []bool{false, true} {
		be, err := backend.Open(backend.Options{Threads: 1}, 8<<20)
		if err != nil {
			t.Fatal(err)
		}
		defer be.Close()
		c := model.GPTConfig{Vocab: 13, Context: 8, Layers: 2, Heads: 2, Width: 24, Untied: untied}
		models := make([]*model.GPT, 2)
		for i, vocab := range []int{13, 18} {
			c.Vocab = vocab
			if models[i], err = model.NewGPT(be, c, bdia.DefaultOptions()); err != nil {
				t.Fatal(err)
			}
			models[i].Init(uint64(i) + 1)
		}
		var file bytes.Buffer
		if err := WriteGPT(&file, be, models[0]); err != nil {
			t.Fatal(err)
		}
		path := filepath.Join(t.TempDir(), "model.safetensors")
		if err := os.WriteFile(path, file.Bytes(), 0o666); err != nil {
			t.Fatal(err)
		}
		f, err := safetensors.Open(path)
		if err != nil {
			t.Fatal(err)
		}
		defer f.Close()
		if err := ReadGPT(be, models[1], f); err == nil {
			t.Error("a table of other size was read")
		}
		if err := ReadGPT(be, models[1], Grow(f, 18)); err != nil {
			t.Fatal(err)
		}
		ids, old, grown := []int32{3, 1, 12, 0, 7}, make([]float32, 13), make([]float32, 18)
		for i, dst := range [][]float32{old, grown} {
			if err := models[i].NextLogits(dst, ids, bdia.DefaultGrid); err != nil {
				t.Fatal(err)
			}
		}
		if !slices.Equal(old, grown[:13]) {
			t.Errorf("untied %v: old logits %v, then %v", untied, old, grown)
		}
		var mean float64
		for _, x := range old {
			mean += float64(x) / 13
		}
		for _, x := range grown[13:] {
			if math.Abs(float64(x)-mean) > 1e-5 {
				t.Errorf("untied %v: a new logit is %v, the mean of the old ones %v", untied, x, mean)
			}
		}
		b := model.NewBatch(1, 8)
		for i := range b.Inputs {
			b.Inputs[i], b.Targets[i] = int32(i), int32(12-i)
		}
		var sums [2]float64
		for i, m := range models {
			losses, err := m.Loss(b, bdia.DefaultGrid)
			if err != nil {
				t.Fatal(err)
			}
			sums[i] = model.AddLosses(0, losses)
		}
		if d := (sums[1] - sums[0]) / 8; !(d > 0 && d <= math.Log(18.0/13)+1e-6) {
			t.Errorf("untied %v: the loss rises by %v", untied, d)
		}
	}
}
