package model_test

import (
	"testing"

	"github.com/bdia-go/bdia"
	"github.com/bdia-go/bdia/backend"
	"github.com/bdia-go/bdia/internal/rng"
	"github.com/bdia-go/bdia/internal/testkit"
	"github.com/bdia-go/bdia/model"
	"github.com/bdia-go/bdia/optim"
)

// TestSeq2SeqLearns: a small encoder-decoder learns to say sequences of 2 to 5
// digits backwards, reversibly, and then says unseen ones by decoding greedily.
func TestSeq2SeqLearns(t *testing.T) {
	t.Parallel()
	if testing.Short() {
		t.Skip("trains for seconds")
	}
	const digits, begin, end, most, size, steps = 10, 10, 11, 5, 32, 250
	c := model.Seq2SeqConfig{SourceVocab: 12, TargetVocab: 12, SourceContext: most + 1, TargetContext: most + 1, EncoderLayers: 3, DecoderLayers: 3,
		Heads: 4, Width: 48, Shared: true, LabelSmoothing: 0.1}
	be := newCPU(t, 2)
	m, err := model.NewSeq2Seq(be, c, bdia.DefaultOptions())
	if err != nil {
		t.Fatal(err)
	}
	m.Init(1)
	cfg, err := optim.Default("adamw")
	if err != nil {
		t.Fatal(err)
	}
	o, err := cfg.New(be, m.Params())
	if err != nil {
		t.Fatal(err)
	}
	s := newSink(be, m.Params())
	batch := func(step int) (b model.PairBatch, said [][]int32, targets int) {
		b = model.NewPairBatch(size, most+1, most+1)
		for i := range size {
			key := rng.Key{Seed: 7, Step: uint32(step), Sample: uint32(i)}
			n := 2 + int(key.At(0)[0]%(most-1))
			source, input, target := b.Source[i*b.S:][:b.S], b.Input[i*b.T:][:b.T], b.Target[i*b.T:][:b.T]
			for j := range n {
				source[j] = int32(key.At(uint32(j))[1] % digits)
			}
			source[n], input[0] = end, begin
			for j := range n {
				input[j+1], target[j] = source[n-1-j], source[n-1-j]
			}
			target[n] = end
			for j := n + 1; j < b.T; j++ {
				target[j] = backend.Ignore
			}
			b.SourceLengths[i] = int32(n + 1)
			said, targets = append(said, target[:n+1]), targets+n+1
		}
		return b, said, targets
	}
	for step := range steps {
		b, _, targets := batch(step)
		var sum float64
		if err := testkit.AddTo(&sum)(m.MicroStep(b, backend.Pass{Train: true, Seed: 1, Step: step}, 1/float32(targets), s)); err != nil {
			t.Fatal(err)
		}
		o.Update(m.Params(), step+1, 3e-3*min(1, float64(step+1)/50))
		for _, p := range m.Params() {
			be.Zero(p.Grad)
		}
	}
	b, want, _ := batch(steps)
	d, err := m.Decode(b, 1, most+1, bdia.DefaultGrid)
	if err != nil {
		t.Fatal(err)
	}
	defer d.Close()
	ids, logits, right := make([]int32, size), make([]float32, size*c.TargetVocab), make([]bool, size)
	for i := range ids {
		ids[i], right[i] = begin, true
	}
	for at := range most + 1 {
		if err := d.Next(logits, ids); err != nil {
			t.Fatal(err)
		}
		for i := range ids {
			row := logits[i*c.TargetVocab:][:c.TargetVocab]
			ids[i] = 0
			for id, l := range row {
				if l > row[ids[i]] {
					ids[i] = int32(id)
				}
			}
			right[i] = right[i] && (at >= len(want[i]) || ids[i] == want[i][at])
		}
	}
	n := 0
	for _, r := range right {
		if r {
			n++
		}
	}
	if n < size*9/10 {
		t.Errorf("%d of %d sequences are said backwards", n, size)
	}
}
