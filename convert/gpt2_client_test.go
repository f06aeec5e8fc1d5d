//go:build clients

package convert

import (
	"bytes"
	"math"
	"path/filepath"
	"slices"
	"testing"

	"github.com/bdia-go/bdia"
	"github.com/bdia-go/bdia/backend/cpu"
	"github.com/bdia-go/bdia/backend/plan"
	"github.com/bdia-go/bdia/internal/testkit"
	"github.com/bdia-go/bdia/model"
)

// TestClientPyTorch: a folder that PyTorch wrote, in the shape of a GPT-2 and with
// random weights, gives PyTorch's logits and its 200 greedy tokens here; and what is
// written from it in turn has the tensors that came in.
func TestClientPyTorch(t *testing.T) {
	t.Parallel()
	prompt := []int32{5, 250, 17, 93, 4, 4, 111, 60}
	type question struct {
		Dir        string  `json:"dir"`
		Layers     int     `json:"layers"`
		Heads      int     `json:"heads"`
		Width      int     `json:"width"`
		Vocab      int     `json:"vocab"`
		Context    int     `json:"context"`
		DType      string  `json:"dtype"`
		Shards     int     `json:"shards"`
		Prefix     string  `json:"prefix"`
		Tied       bool    `json:"tied"`
		Activation string  `json:"activation"`
		Prompt     []int32 `json:"prompt"`
		Steps      int     `json:"steps"`
	}
	for name, q := range map[string]question{
		"one file":     {DType: "float32", Shards: 1, Prefix: "transformer.", Tied: true, Activation: "gelu_new"},
		"three files":  {DType: "float32", Shards: 3, Tied: false, Activation: "gelu"},
		"half":         {DType: "float16", Shards: 2, Prefix: "transformer.", Tied: false, Activation: "gelu_new"},
		"brain floats": {DType: "bfloat16", Shards: 1, Tied: true, Activation: "gelu_new"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			q.Dir, q.Layers, q.Heads, q.Width, q.Vocab, q.Context, q.Prompt, q.Steps = t.TempDir(), 4, 4, 64, 257, 208, prompt, 200
			var answer struct {
				Logits [][]float32 `json:"logits"`
				Tokens []int32     `json:"tokens"`
				Margin float64     `json:"margin"`
			}
			testkit.Python(t, "testdata/gpt2.py", q, &answer)
			c, err := ReadGPTConfig(filepath.Join(q.Dir, "config.json"))
			if err != nil {
				t.Fatal(err)
			}
			opt := bdia.Options{Memory: bdia.Store, Grid: bdia.NoGrid}
			planner := plan.New(cpu.ScratchBytes(1))
			m, err := model.NewGPT(planner, c, opt)
			if err != nil {
				t.Fatal(err)
			}
			logits, next := make([]float32, len(prompt)*c.Vocab), make([]float32, c.Vocab)
			testkit.OK(t, m.NextLogits(next, make([]int32, c.Context), bdia.NoGrid))
			be, err := cpu.New(cpu.Options{Threads: 1, ArenaBytes: planner.Peak().Total})
			if err != nil {
				t.Fatal(err)
			}
			defer be.Close()
			if m, err = model.NewGPT(be, c, opt); err != nil {
				t.Fatal(err)
			}
			w := openWeights(t, q.Dir)
			if err := ReadGPT(be, m, w); err != nil {
				t.Fatal(err)
			}
			testkit.OK(t, m.Logits(logits, model.Batch{Size: 1, Inputs: prompt}, bdia.NoGrid))
			var furthest, largest float64
			for i, v := range logits {
				want := answer.Logits[i/c.Vocab][i%c.Vocab]
				furthest, largest = max(furthest, math.Abs(float64(v)-float64(want))), max(largest, math.Abs(float64(want)))
			}
			t.Logf("largest difference %.2g of logits up to %.3g; margin of the tokens %.2g", furthest, largest, answer.Margin)
			if !(furthest < 1e-4) {
				t.Errorf("a logit differs by %v", furthest)
			}
			ids := slices.Clone(prompt)
			for range q.Steps {
				testkit.OK(t, m.NextLogits(next, ids, bdia.NoGrid))
				best := 0
				for i, v := range next {
					if v > next[best] {
						best = i
					}
				}
				ids = append(ids, int32(best))
			}
			if !slices.Equal(ids[len(prompt):], answer.Tokens) {
				t.Errorf("greedy tokens\n%v\nof PyTorch\n%v", ids[len(prompt):], answer.Tokens)
			}

			var b bytes.Buffer
			if err := WriteGPTAs(&b, be, m, FormOf(w)); err != nil {
				t.Fatal(err)
			}
			f := openBytes(t, b.Bytes())
			for _, name := range f.Names() {
				var was, is []byte
				if was, err = w.in[name].Bytes(name); err == nil {
					is, err = f.Bytes(name)
				}
				a, _ := w.Info(name)
				b, _ := f.Info(name)
				if err != nil || !bytes.Equal(is, was) || a.DType != b.DType || !slices.Equal(a.Shape, b.Shape) {
					t.Errorf("%s is written as another tensor than came in (%v)", name, err)
				}
			}
			if n := len(f.Names()) + 2*c.Layers; n != len(w.Names()) { // masks are left out
				t.Errorf("%d tensors came in, %d went out", len(w.Names()), len(f.Names()))
			}
		})
	}
}
