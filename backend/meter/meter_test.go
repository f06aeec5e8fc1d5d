package meter_test

import (
	"testing"

	"github.com/bdia-go/bdia"
	"github.com/bdia-go/bdia/backend"
	"github.com/bdia-go/bdia/backend/meter"
	"github.com/bdia-go/bdia/backend/plan"
	"github.com/bdia-go/bdia/model"
	"github.com/bdia-go/bdia/tensor"
)

// discard is a Sink that gives gradients memory and forgets them.
type discard struct{ be backend.Backend }

func (d discard) Open(params []*tensor.Param) { bdia.AllocGrads(d.be, params) }

func (d discard) Close([]*tensor.Param) {}

// TestMatrixFLOPs counts a training step by hand: each linear layer once
// forward and twice back, attention's two products forward and five back, and
// in the reversible walk all but the last block once more.
func TestMatrixFLOPs(t *testing.T) {
	t.Parallel()
	const B, T, C, K, V = 3, 16, 32, 4, 50
	c := model.GPTConfig{Vocab: V, Context: T, Layers: K, Heads: 4, Width: C}
	const (
		linear    = 2 * B * T * (3*C*C + C*C + 4*C*C + 4*C*C) // one block
		attention = 2 * B * T * (T + 1) / 2 * C               // one product
		head      = 2 * B * T * V * C
	)
	for memory, again := range map[bdia.Memory]int64{bdia.Store: 0, bdia.Recompute: K - 1, bdia.Reversible: K - 1} {
		be := meter.New(plan.New(0))
		opt := bdia.DefaultOptions()
		opt.Memory = memory
		m, err := model.NewGPT(be, c, opt)
		if err != nil {
			t.Fatal(err)
		}
		if err := m.Step(model.NewBatch(B, T), backend.Pass{Train: true}, 1, discard{be}, new(float64)); err != nil {
			t.Fatal(err)
		}
		var got int64
		calls := 0
		for _, op := range be.Ops() {
			got += op.MatrixFLOPs
			calls += op.Calls
		}
		if want := 3*(K*linear+head) + K*7*attention + again*(linear+2*attention); got != int64(want) {
			t.Errorf("%v: %d matrix FLOPs, want %d", memory, got, want)
		}
		if calls == 0 {
			t.Errorf("%v: no operation was metered", memory)
		}
		if be.Reset(); len(be.Ops()) != 0 {
			t.Errorf("%v: operations survive Reset", memory)
		}
	}
}
