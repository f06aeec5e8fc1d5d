//go:build clients

package convert

import (
	"fmt"
	"math"
	"path/filepath"
	"slices"
	"testing"

	"github.com/bdia-go/bdia/backend"
	"github.com/bdia-go/bdia/format/onnx"
	"github.com/bdia-go/bdia/internal/onnxeval"
	"github.com/bdia-go/bdia/internal/testkit"
	"github.com/bdia-go/bdia/model"
)

// What onnxruntime.mjs is asked, and what it answers for each run.
type (
	ortTensor struct {
		Dims   []int     `json:"dims"`
		Ints   []int64   `json:"ints,omitempty"`
		Floats []float32 `json:"floats,omitempty"`
	}
	ortRun struct {
		File   string               `json:"file"`
		Inputs map[string]ortTensor `json:"inputs,omitempty"`
		Prompt []int32              `json:"prompt,omitempty"`
		Steps  int                  `json:"steps,omitempty"`
		Heads  int                  `json:"heads,omitempty"` // of keys
		Width  int                  `json:"width,omitempty"`
	}
	ortAnswer struct {
		Outputs map[string]struct {
			Dims []int
			Data []float32
		}
		Tokens []int32
	}
)

// ortCase is a run and what it has to answer.
type ortCase struct {
	name string
	run  ortRun
	want map[string][]float32
}

// onnxPath writes m into dir and returns where.
func onnxPath(t *testing.T, dir, name string, m *onnx.Model) string {
	t.Helper()
	path := filepath.Join(dir, name+".onnx")
	if err := onnx.Create(path, m); err != nil {
		t.Fatal(err)
	}
	return path
}

// inputsOf are the inputs of the evaluator, as JSON has them.
func inputsOf(values map[string]onnxeval.Value) map[string]ortTensor {
	inputs := map[string]ortTensor{}
	for name, v := range values {
		inputs[name] = ortTensor{v.Shape, v.Ints, v.Floats}
	}
	return inputs
}

// clientGraph is GPTGraph written into dir.
func clientGraph(t *testing.T, dir, name string, be backend.Backend, m *model.GPT, cached bool) string {
	t.Helper()
	g, err := GPTGraph(be, m, cached)
	if err != nil {
		t.Fatal(err)
	}
	return onnxPath(t, dir, name, g)
}

// TestClientONNX: onnxruntime gives our logits, for every kind of model and several
// sizes of batch and length, with padding, with keys and values of the positions
// before; and ONNX's checker has nothing to say. The largest difference is logged.
func TestClientONNX(t *testing.T) {
	testkit.Clients(t)
	const most = 1e-4
	dir := t.TempDir()
	var cases []ortCase
	for _, tc := range onnxGPTs {
		be, m := onnxGPT(t, tc.change)
		plain, cached := clientGraph(t, dir, tc.name, be, m, false), clientGraph(t, dir, tc.name+" cached", be, m, true)
		for _, s := range [][2]int{{1, 1}, {3, 5}, {2, 8}} {
			B, T := s[0], s[1]
			ids := ids64(B*T, m.Config.Vocab)
			want := map[string][]float32{"logits": gptLogits(m, B, ids)}
			inputs := map[string]onnxeval.Value{"input_ids": onnxeval.Ints(ids, B, T), "attention_mask": onnxeval.Ints(ones(B*T), B, T)}
			cases = append(cases, ortCase{fmt.Sprint(tc.name, s), ortRun{File: plain, Inputs: inputsOf(inputs)}, want})
			inputs["position_ids"] = onnxeval.Ints(slices.Repeat(count(0, T), B), B, T)
			empty(inputs, m, B)
			cases = append(cases, ortCase{fmt.Sprint(tc.name, " cached", s), ortRun{File: cached, Inputs: inputsOf(inputs)}, want})
		}
		// Whatever our evaluator says of later pieces and padding, onnxruntime says too.
		g := gptGraph(t, be, m, true)
		for _, mask := range [][]int64{ones(10), {0, 1, 1, 1, 1, 1, 1, 1, 1, 1}} {
			inputs := map[string]onnxeval.Value{}
			empty(inputs, m, 2)
			for at, n := 0, 3; at < 5; at, n = at+n, 2 {
				inputs["input_ids"] = onnxeval.Ints(ids64(2*n, m.Config.Vocab), 2, n)
				inputs["position_ids"] = onnxeval.Ints(slices.Repeat(count(at, n), 2), 2, n)
				inputs["attention_mask"] = onnxeval.Ints(slices.Concat(mask[:at+n], mask[5:5+at+n]), 2, at+n)
				out := evaluate(t, g, inputs)
				want := map[string][]float32{}
				for name, v := range out {
					want[name] = v.Floats
				}
				cases = append(cases, ortCase{fmt.Sprint(tc.name, " piece from ", at, mask), ortRun{File: cached, Inputs: inputsOf(inputs)}, want})
				for k := range m.Config.Layers {
					for _, what := range []string{"key", "value"} {
						inputs[fmt.Sprintf("past_key_values.%d.%s", k, what)] = out[fmt.Sprintf("present.%d.%s", k, what)]
					}
				}
			}
		}
	}
	for _, tc := range onnxViTs {
		be, m, b := onnxViT(t, tc.change)
		side := m.Config.Image
		inputs := map[string]onnxeval.Value{"pixel_values": onnxeval.Floats(b.Pixels, b.Size, 3, side, side)}
		cases = append(cases, ortCase{tc.name, ortRun{File: onnxPath(t, dir, tc.name, ViTGraph(be, m)), Inputs: inputsOf(inputs)},
			map[string][]float32{"logits": vitLogits(t, m, b)}})
	}
	for _, tc := range onnxSeq2Seqs {
		be, m, b := onnxSeq2Seq(t, tc.change)
		encoder, decoder := Seq2SeqGraphs(be, m)
		mask := onnxeval.Ints(sourceMask(b), b.B, b.S)
		inputs := map[string]onnxeval.Value{"input_ids": onnxeval.Ints(to64(b.Source), b.B, b.S), "attention_mask": mask}
		memory := evaluate(t, onnxFile(t, encoder), inputs)["last_hidden_state"]
		cases = append(cases, ortCase{tc.name + " encoder", ortRun{File: onnxPath(t, dir, tc.name+" encoder", encoder), Inputs: inputsOf(inputs)},
			map[string][]float32{"last_hidden_state": memory.Floats}})
		inputs = map[string]onnxeval.Value{"input_ids": onnxeval.Ints(to64(b.Input), b.B, b.T), "encoder_attention_mask": mask, "encoder_hidden_states": memory}
		cases = append(cases, ortCase{tc.name + " decoder", ortRun{File: onnxPath(t, dir, tc.name+" decoder", decoder), Inputs: inputsOf(inputs)},
			map[string][]float32{"logits": seq2seqLogits(t, m, b)}})
	}

	var runs []ortRun
	var files []string
	for _, c := range cases {
		runs = append(runs, c.run)
		if !slices.Contains(files, c.run.File) {
			files = append(files, c.run.File)
		}
	}
	t.Run("checker", func(t *testing.T) {
		var complaints []string
		testkit.Python(t, filepath.Join("testdata", "onnx_check.py"), files, &complaints)
		for i, c := range complaints {
			if c != "" {
				t.Errorf("%s: %s", files[i], c)
			}
		}
	})
	var answers []ortAnswer
	testkit.Node(t, filepath.Join("testdata", "onnxruntime.mjs"), runs, &answers)
	largest, top := 0.0, 0.0
	for i, c := range cases {
		for name, want := range c.want {
			got := answers[i].Outputs[name].Data
			testkit.Near(t, c.name+": "+name, got, want, most)
			for j := range got {
				largest, top = max(largest, math.Abs(float64(got[j]-want[j]))), max(top, math.Abs(float64(want[j])))
			}
		}
	}
	t.Logf("%d runs of %d files, largest difference %.3g, of values up to %.3g", len(cases), len(files), largest, top)
}

// TestClientONNXText: through onnxruntime's keys and values the likeliest tokens are
// ours.
func TestClientONNXText(t *testing.T) {
	testkit.Clients(t)
	var runs []ortRun
	var want [][]int32
	for _, tc := range onnxGPTs {
		be, m := onnxGPT(t, func(c *model.GPTConfig) {
			tc.change(c)
			c.Context, c.Vocab = 64, 200
		})
		prompt := to32(ids64(4, m.Config.Vocab))
		all, lead := continuation(t, m, prompt, 60)
		t.Logf("%s: least lead %.3g", tc.name, lead)
		keys, head := cached(m.Config)
		runs = append(runs, ortRun{File: clientGraph(t, t.TempDir(), "model", be, m, true), Prompt: prompt, Steps: 60, Heads: keys, Width: head})
		want = append(want, all)
	}
	var answers []ortAnswer
	testkit.Node(t, filepath.Join("testdata", "onnxruntime.mjs"), runs, &answers)
	for i, a := range answers {
		if !slices.Equal(a.Tokens, want[i]) {
			t.Errorf("%s: tokens %v, ours %v", onnxGPTs[i].name, a.Tokens, want[i])
		}
	}
}
