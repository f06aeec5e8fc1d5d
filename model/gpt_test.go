package model_test

import (
	"errors"
	"fmt"
	"math"
	"strings"
	"testing"

	"github.com/bdia-go/bdia"
	"github.com/bdia-go/bdia/backend"
	"github.com/bdia-go/bdia/internal/testkit"
	"github.com/bdia-go/bdia/model"
)

// TestInit: a fresh model knows nothing, so its loss is near ln V; the same seed
// draws the same weights, another one others.
func TestInit(t *testing.T) {
	t.Parallel()
	c := tiny()
	c.Vocab, c.Untied = 101, true
	be := newCPU(t, 1)
	weights := map[uint64][][]float32{}
	m := newModel(t, be, c, bdia.DefaultOptions())
	for _, seed := range []uint64{1, 2, 1} {
		m.Init(seed)
		var all [][]float32
		for _, p := range m.Params() {
			all = append(all, read(be, p.Value))
		}
		if before := weights[seed]; before != nil {
			for i, w := range all {
				testkit.EqualBits(t, "weights from one seed", w, before[i])
			}
		}
		weights[seed] = all
		b := newBatch(c, 4)
		var sum float64
		if err := testkit.AddTo(&sum)(m.Loss(b, bdia.DefaultGrid)); err != nil {
			t.Fatal(err)
		}
		if loss, want := sum/float64(len(b.Inputs)), math.Log(101); math.Abs(loss-want) > 0.05 {
			t.Errorf("loss %v at the start, want about %v", loss, want)
		}
	}
	for i, p := range m.Params() {
		a, b, same := weights[1][i], weights[2][i], true
		var squares float64
		for j := range a {
			same = same && a[j] == b[j]
			squares += float64(a[j]) * float64(a[j])
		}
		rms := math.Sqrt(squares / float64(len(a)))
		want := 0.02
		switch {
		case strings.HasSuffix(p.Name, ".bias"):
			want = 0
		case strings.Contains(p.Name, "ln"):
			want = 1
		case strings.Contains(p.Name, "proj") || strings.Contains(p.Name, "fc2"):
			want /= math.Sqrt(2 * 3) // three blocks
		}
		if random := want != 0 && want != 1; same == random {
			t.Errorf("%s: the same from two seeds: %v", p.Name, same)
		}
		if math.Abs(rms-want) > 0.25*want {
			t.Errorf("%s: root mean square %v, want %v", p.Name, rms, want)
		}
	}
}

// TestLossIsThatOfLogits holds Loss, Logits and NextLogits against each other.
func TestLossIsThatOfLogits(t *testing.T) {
	t.Parallel()
	for _, grid := range []bdia.Grid{bdia.DefaultGrid, bdia.NoGrid} {
		c := tiny()
		c.ResidualDropout, c.EmbeddingDropout, c.AttentionDropout = 0.5, 0.5, 0.5 // must not matter
		be := newCPU(t, 2)
		m := newModel(t, be, c, bdia.DefaultOptions())
		b := newBatch(c, 3)
		var sum, want float64
		if err := testkit.AddTo(&sum)(m.Loss(b, grid)); err != nil {
			t.Fatal(err)
		}
		logits := make([]float32, len(b.Inputs)*c.Vocab)
		testkit.OK(t, m.Logits(logits, b, grid))
		for i, target := range b.Targets {
			row, total := logits[i*c.Vocab:(i+1)*c.Vocab], 0.0
			for _, l := range row {
				total += math.Exp(float64(l))
			}
			want += math.Log(total) - float64(row[target])
		}
		if math.Abs(sum-want) > 1e-5*want {
			t.Errorf("grid %v: loss %v, from the logits %v", grid, sum, want)
		}
		// The model is causal: logits depend on what came before only.
		next := make([]float32, c.Vocab)
		for n := 1; n <= c.Context; n++ {
			testkit.OK(t, m.NextLogits(next, b.Inputs[c.Context:][:n], grid)) // of the second sample
			testkit.EqualBits(t, fmt.Sprintf("logits after %d tokens", n), next, logits[(c.Context+n-1)*c.Vocab:][:c.Vocab])
		}
	}
}

// TestWithOptions: the copy shares its weights, and has a stack of its own.
func TestWithOptions(t *testing.T) {
	t.Parallel()
	be := newCPU(t, 1)
	m := newModel(t, be, tiny(), bdia.DefaultOptions())
	other, err := m.WithOptions(plain(0))
	if err != nil {
		t.Fatal(err)
	}
	if other.Stack == m.Stack || other.Params()[3] != m.Params()[3] {
		t.Error("WithOptions shares the stack, or not the parameters")
	}
	if _, err := m.WithOptions(bdia.Options{Gamma: 0.6, Grid: 9}); err == nil {
		t.Error("WithOptions accepts options that cannot be")
	}
}

func TestTooLongPanics(t *testing.T) {
	t.Parallel()
	m := newModel(t, newCPU(t, 1), tiny(), bdia.DefaultOptions())
	err := m.NextLogits(make([]float32, 11), make([]int32, 6), bdia.NoGrid)
	if !errors.Is(err, model.ErrBatch) || !strings.Contains(err.Error(), "6 positions exceed the context of 5") {
		t.Errorf("error %v", err)
	}
}

// TestBadBatches: a batch that the model cannot take is an error, and leaves no memory behind.
func TestBadBatches(t *testing.T) {
	t.Parallel()
	c := tiny()
	be := newCPU(t, 2)
	m := newModel(t, be, c, bdia.DefaultOptions())
	s := newSink(be, m.Params())
	mark := be.Mark()
	for name, change := range map[string]func(*model.Batch){
		"input too large":  func(b *model.Batch) { b.Inputs[1] = int32(c.Vocab) },
		"input negative":   func(b *model.Batch) { b.Inputs[2] = -1 },
		"target too large": func(b *model.Batch) { b.Targets[3] = int32(c.Vocab) },
		"no samples":       func(b *model.Batch) { b.Size = 0 },
		"empty":            func(b *model.Batch) { b.Inputs, b.Targets = nil, nil },
		"uneven":           func(b *model.Batch) { b.Inputs, b.Targets = b.Inputs[1:], b.Targets[1:] },
		"too long":         func(b *model.Batch) { b.Size = 1 },
		"no targets":       func(b *model.Batch) { b.Targets = nil },
	} {
		b := newBatch(c, 2)
		change(&b)
		var sum float64
		if err := testkit.AddTo(&sum)(m.MicroStep(b, trainPass, 1, s)); !errors.Is(err, model.ErrBatch) {
			t.Errorf("%s: Step: error %v", name, err)
		}
		if err := testkit.AddTo(&sum)(m.Loss(b, bdia.NoGrid)); !errors.Is(err, model.ErrBatch) {
			t.Errorf("%s: Loss: error %v", name, err)
		}
		if name == "no targets" { // which logits do not need
			continue
		}
		if err := m.Logits(make([]float32, 2*c.Context*c.Vocab), b, bdia.NoGrid); !errors.Is(err, model.ErrBatch) {
			t.Errorf("%s: Logits: error %v", name, err)
		}
	}
	if be.Mark() != mark {
		t.Error("memory is left allocated")
	}
}

// TestStepsAlike: the same pass gives the same bits twice, whatever ran between,
// and no step leaves memory behind; another step's randomness is different.
func TestStepsAlike(t *testing.T) {
	t.Parallel()
	c := tiny()
	c.EmbeddingDropout, c.AttentionDropout, c.ResidualDropout = 0.1, 0.1, 0.1
	be := newCPU(t, 2)
	m := newModel(t, be, c, bdia.DefaultOptions())
	s, b := newSink(be, m.Params()), newBatch(c, 3)
	mark := be.Mark()
	run := func(pass backend.Pass) float64 {
		var sum float64
		if err := testkit.AddTo(&sum)(m.MicroStep(b, pass, 1, s)); err != nil {
			t.Fatal(err)
		}
		return sum
	}
	first := run(trainPass)
	var only float64
	if err := testkit.AddTo(&only)(m.TrainLoss(b, trainPass)); err != nil || only != first {
		t.Errorf("loss %v, %v of a pass that goes no further, %v of a whole one", only, err, first)
	}
	other := trainPass
	other.Step++
	if again := run(other); again == first {
		t.Error("two steps drew the same gammas and masks")
	}
	var sum float64
	if err := testkit.AddTo(&sum)(m.Loss(newBatch(c, 1), bdia.NoGrid)); err != nil {
		t.Fatal(err)
	}
	if again := run(trainPass); again != first {
		t.Errorf("loss %v the first time, %v the second", first, again)
	}
	if be.Mark() != mark {
		t.Error("memory is left allocated")
	}
}

// TestStepsDoNotAllocate: nothing on Go's heap after the first step. It is not
// parallel, since it counts every allocation of the process.
func TestStepsDoNotAllocate(t *testing.T) {
	for _, memory := range []bdia.Memory{bdia.Reversible, bdia.Store, bdia.Recompute} {
		for _, threads := range []int{1, 2} {
			for _, tc := range []struct {
				model.Family
				adapters bool
			}{{}, {adapters: true}, {Family: model.Granite}, {model.OLMo2, true}} {
				c, adapters := tiny(), tc.adapters
				if tc.Family != model.GPT2 {
					c = randomFamily(tc.Family, 1)
				}
				c.EmbeddingDropout, c.AttentionDropout, c.ResidualDropout = 0.1, 0.1, 0.1
				be := newCPU(t, threads)
				opt := bdia.DefaultOptions()
				opt.Memory, opt.Ramp = memory, bdia.Ramp{From: 0.125, Steps: 10, Lower: 0.25}
				m := newModel(t, be, c, opt)
				if adapters {
					m = adapted(t, be, c, model.LoRAConfig{Rank: 2, Alpha: 2, Dropout: 0.1, Targets: model.Targets{"all"}}, opt)
				}
				s, b := newSink(be, m.Trainable()), newBatch(c, 3)
				pass := trainPass
				if got := testing.AllocsPerRun(20, func() {
					var sum float64
					pass.Step++
					if err := testkit.AddTo(&sum)(m.MicroStep(b, pass, 1, s)); err != nil {
						t.Fatal(err)
					}
					if err := testkit.AddTo(&sum)(m.Loss(b, opt.Grid)); err != nil {
						t.Fatal(err)
					}
				}); got != 0 {
					t.Errorf("%v, %d threads, %+v: %v allocations a step", memory, threads, tc, got)
				}
			}
		}
	}
}

// TestCountLosses: targets of backend.Ignore have no loss; every image has one.
func TestCountLosses(t *testing.T) {
	t.Parallel()
	b, p := model.NewBatch(2, 3), model.NewPairBatch(2, 3, 4)
	b.Targets[1], p.Target[0], p.Target[7] = backend.Ignore, backend.Ignore, backend.Ignore
	if n := new(model.GPT).CountLosses(b); n != 5 {
		t.Errorf("%d losses of tokens, want 5", n)
	}
	if n := new(model.Seq2Seq).CountLosses(p); n != 6 {
		t.Errorf("%d losses of pairs, want 6", n)
	}
	if n := new(model.ViT).CountLosses(model.ImageBatch{Size: 3}); n != 3 {
		t.Errorf("%d losses of images, want 3", n)
	}
}
