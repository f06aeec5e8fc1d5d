package bdia_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/bdia-go/bdia"
	"github.com/bdia-go/bdia/backend"
	"github.com/bdia-go/bdia/backend/cpu"
	"github.com/bdia-go/bdia/internal/cpufeat"
	"github.com/bdia-go/bdia/internal/golden"
	"github.com/bdia-go/bdia/internal/testkit"
	"github.com/bdia-go/bdia/model"
	"github.com/bdia-go/bdia/tensor"
)

// tinySeq2Seq is the model of encdec_tiny_bdia.safetensors.
var tinySeq2Seq = model.Seq2SeqConfig{SourceVocab: 40, TargetVocab: 44, SourceContext: 7, TargetContext: 6, EncoderLayers: 2, DecoderLayers: 2,
	Heads: 4, Width: 32, Untied: true, GELU: backend.GELUErf}

// TestGoldenSeq2Seq holds an encoder-decoder against the reference: states and side
// information of both stacks in bits; loss, gradients, the memory's too, and logits
// within 1e-5.
func TestGoldenSeq2Seq(t *testing.T) {
	t.Parallel()
	g := golden.Open(t, "encdec_tiny_bdia.safetensors")
	for _, level := range cpufeat.Supported() {
		for _, memory := range []bdia.Memory{bdia.Reversible, bdia.Store, bdia.Recompute} {
			t.Run(fmt.Sprintf("%v/%v", level, memory), func(t *testing.T) {
				t.Parallel()
				goldenSeq2Seq(t, g, newCPU(t, cpu.Options{Threads: 2, ISA: level.String()}), memory)
			})
		}
	}
}

// memorySink is collect, which also looks at the memory's gradient when the
// encoder's turn comes.
type memorySink struct {
	collect
	m      *model.Seq2Seq
	memory []float32
}

func (s *memorySink) Open(params []*tensor.Param) {
	if s.memory == nil && strings.HasPrefix(params[0].Name, "enc.blocks.") {
		s.memory = read(s.be, s.m.Encoded.Grad)
	}
	s.collect.Open(params)
}

func goldenSeq2Seq(t *testing.T, g *golden.File, be backend.Backend, memory bdia.Memory) {
	opt := bdia.DefaultOptions()
	opt.Memory = memory
	m, err := model.NewSeq2Seq(be, tinySeq2Seq, opt)
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range m.Params() {
		be.Upload(p.Value, g.F32("param."+p.Name))
	}
	batch := model.NewPairBatch(3, 7, 6)
	batch.Source, batch.Input, batch.Target = g.I32("input.src"), g.I32("input.tgt_in"), g.I32("input.targets")
	tokens := float64(len(batch.Target))

	stacks := map[string]*bdia.Stack{"enc": m.Encoder, "dec": m.Decoder}
	seen := map[string]int{}
	for side, stack := range stacks {
		stack.SetGammas(g.F32(side + ".gamma"))
		stack.Observe = func(k int, x tensor.Tensor) {
			seen[side]++
			testkit.EqualBits(t, fmt.Sprintf("%s x_%d", side, k), read(be, x), g.F32(fmt.Sprintf("%s.x.%d", side, k)))
		}
	}
	sink := &memorySink{collect: collect{be: be, grads: map[string][]float32{}}, m: m}
	var sum float64
	if err := testkit.AddTo(&sum)(m.MicroStep(batch, backend.Pass{Train: true}, float32(1/tokens), sink)); err != nil {
		t.Fatal(err)
	}
	for side := range stacks {
		if seen[side] != 3 {
			t.Errorf("%d states of %s were observed, want 3", seen[side], side)
		}
	}
	testkit.Near(t, "loss", []float32{float32(sum / tokens)}, g.F32("loss"), 1e-5)
	testkit.Near(t, "dloss/dmemory", sink.memory, g.F32("grad_memory"), 1e-5)
	for name, grad := range sink.grads {
		testkit.Near(t, "gradient of "+name, grad, g.F32("grad."+name), 1e-5)
	}
	if len(sink.grads) != len(m.Params()) {
		t.Errorf("%d gradients for %d parameters", len(sink.grads), len(m.Params()))
	}

	// Inference.
	for side, stack := range stacks {
		stack.Observe = func(k int, x tensor.Tensor) {
			testkit.EqualBits(t, fmt.Sprintf("inference %s x_%d", side, k), read(be, x), g.F32(fmt.Sprintf("infer.%s.x.%d", side, k)))
		}
	}
	sum = 0
	if err := testkit.AddTo(&sum)(m.Loss(batch, bdia.DefaultGrid)); err != nil {
		t.Fatal(err)
	}
	testkit.Near(t, "inference loss", []float32{float32(sum / tokens)}, g.F32("infer.loss"), 1e-5)
	logits := make([]float32, len(batch.Input)*tinySeq2Seq.TargetVocab)
	if err := m.Logits(logits, batch, bdia.DefaultGrid); err != nil {
		t.Fatal(err)
	}
	testkit.Near(t, "inference logits", logits, g.F32("infer.logits"), 1e-5)
}
