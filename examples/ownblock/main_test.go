package main

import (
	"slices"
	"testing"

	"github.com/bdia-go/bdia"
	"github.com/bdia-go/bdia/backend"
	"github.com/bdia-go/bdia/generate"
	"github.com/bdia-go/bdia/model"
	"github.com/bdia-go/bdia/optim"
	"github.com/bdia-go/bdia/train"
)

// TestRun: the model learns, the reversible mode gives the bits of stored activations, and takes less memory.
func TestRun(t *testing.T) {
	t.Parallel()
	reversible, err := run(bdia.Reversible, 100)
	if err != nil {
		t.Fatal(err)
	}
	store, err := run(bdia.Store, 100)
	if err != nil {
		t.Fatal(err)
	}
	if !(reversible.LastVal.Loss < 0.1) {
		t.Errorf("loss %v, then %v", reversible.FirstVal.Loss, reversible.LastVal.Loss)
	}
	if reversible.FirstVal != store.FirstVal || reversible.LastVal != store.LastVal {
		t.Errorf("reversible %v, stored %v", reversible.LastVal, store.LastVal)
	}
	if reversible.Peak.Total >= store.Peak.Total {
		t.Errorf("reversible takes %d bytes, stored activations %d", reversible.Peak.Total, store.Peak.Total)
	}
}

// TestContinues: a model of such blocks, trained by hand inside the reverse walk, counts on.
func TestContinues(t *testing.T) {
	t.Parallel()
	c := model.GPTConfig{Vocab: 10, Context: 8, Layers: 4, Width: 32}
	b := model.NewBatch(4, c.Context)
	for i := range b.Inputs {
		n := int32(i + i/c.Context)
		b.Inputs[i], b.Targets[i] = n%10, (n+1)%10
	}
	var m *model.GPT
	var sink train.Sink
	step := func(n int) (loss float64, err error) {
		sink.Begin(n, 0.01)
		losses, err := m.MicroStep(b, backend.Pass{Train: true, Seed: 1, Step: n}, 1/float32(len(b.Inputs)), sink)
		if err == nil {
			_, err = sink.End()
		}
		return model.AddLosses(0, losses) / float64(len(b.Inputs)), err
	}
	o := generate.DefaultOptions()
	o.MaxTokens, o.Temperature = 5, 0
	be, err := backend.Fit(backend.Options{}, func(be backend.Backend) (err error) {
		m, err = model.NewGPTWith(be, c, bdia.DefaultOptions(), func(k int) bdia.Block { return newBlock(be, c.Width, k) })
		if err != nil {
			return err
		}
		opt, err := optim.DefaultAdamW().New(be, m.Trainable())
		sink = train.UpdateNow(be, opt)
		return err
	}, func() error {
		if _, err := step(1); err != nil {
			return err
		}
		return generate.Rehearse(m, 1, o)
	})
	if err != nil {
		t.Fatal(err)
	}
	defer be.Close()
	m.Init(1)
	var loss float64
	for n := 1; n <= 100; n++ {
		if loss, err = step(n); err != nil {
			t.Fatal(err)
		}
	}
	var text []int32
	err = generate.Tokens(m, []int32{3}, o, func(id int32) bool { text = append(text, id); return true })
	if want := []int32{4, 5, 6, 7, 8}; err != nil || !(loss < 0.1) || !slices.Equal(text, want) {
		t.Errorf("loss %v, after 3 come %v, error %v", loss, text, err)
	}
}
