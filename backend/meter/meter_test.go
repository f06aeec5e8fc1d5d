package meter_test

import (
	"reflect"
	"strings"
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
		if _, err := m.MicroStep(model.NewBatch(B, T), backend.Pass{Train: true}, 1, discard{be}); err != nil {
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

// TestMatrixFLOPsOfPairs counts a training step of an encoder-decoder. Reversible
// or recomputed, the whole encoder runs again, for the decoder came in between, and
// all but the decoder's last block.
func TestMatrixFLOPsOfPairs(t *testing.T) {
	t.Parallel()
	const B, S, T, C, V, encoders, decoders = 3, 16, 10, 32, 50, 4, 3
	c := model.Seq2SeqConfig{SourceVocab: V, TargetVocab: V, SourceContext: S, TargetContext: T, EncoderLayers: encoders, DecoderLayers: decoders, Heads: 4, Width: C, Shared: true}
	const (
		head      = 2 * B * T * V * C
		linearE   = 2 * B * S * 12 * C * C // one block
		linearD   = 2*B*T*14*C*C + 2*B*S*2*C*C
		attentE   = 2 * B * S * S * C // one product
		attentD   = 2*B*T*(T+1)/2*C + 2*B*T*S*C
		onceAgain = encoders*(linearE+2*attentE) + (decoders-1)*(linearD+2*attentD)
	)
	for memory, again := range map[bdia.Memory]int64{bdia.Store: 0, bdia.Recompute: onceAgain, bdia.Reversible: onceAgain} {
		be := meter.New(plan.New(0))
		opt := bdia.DefaultOptions()
		opt.Memory = memory
		m, err := model.NewSeq2Seq(be, c, opt)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := m.MicroStep(model.NewPairBatch(B, S, T), backend.Pass{Train: true}, 1, discard{be}); err != nil {
			t.Fatal(err)
		}
		var got int64
		for _, op := range be.Ops() {
			got += op.MatrixFLOPs
		}
		if want := 3*(encoders*linearE+decoders*linearD+head) + 7*(encoders*attentE+decoders*attentD) + again; got != int64(want) {
			t.Errorf("%v: %d matrix FLOPs, want %d", memory, got, want)
		}
	}
}

// TestMatrixFLOPsOfAdapters: frozen blocks run forward once, blocks with adapters
// have no gradient of weights, and no head or embedding has one.
func TestMatrixFLOPsOfAdapters(t *testing.T) {
	t.Parallel()
	const B, T, C, K, V, frozen, r = 3, 16, 32, 5, 50, 2, 2
	be := meter.New(plan.New(0))
	m, err := model.NewGPT(be, model.GPTConfig{Vocab: V, Context: T, Layers: K, Heads: 4, Width: C}, bdia.DefaultOptions())
	if err != nil {
		t.Fatal(err)
	}
	if err := m.Freeze(frozen); err != nil {
		t.Fatal(err)
	}
	if err := m.AddLoRA(model.LoRAConfig{Rank: r, Alpha: 1, Targets: model.Targets{"qkv"}}); err != nil {
		t.Fatal(err)
	}
	if _, err := m.MicroStep(model.NewBatch(B, T), backend.Pass{Train: true}, 1, discard{be}); err != nil {
		t.Fatal(err)
	}
	const (
		linear    = 2 * B * T * 12 * C * C
		attention = 2 * B * T * (T + 1) / 2 * C // one product
		head      = 2 * B * T * V * C
		down, up  = 2 * B * T * r * C, 2 * B * T * r * 3 * C // A x, B u
		forward   = linear + 2*attention
		learned   = 3*(down+up) + down + linear + 5*attention // and A x again
	)
	var got int64
	for _, op := range be.Ops() {
		got += op.MatrixFLOPs
	}
	if want := int64(K*forward + 2*head + (K-frozen-1)*forward + (K-frozen)*learned + (K-frozen-1)*(down+up)); got != want {
		t.Errorf("%d matrix FLOPs, want %d", got, want)
	}
}

// TestEveryOperationIsMetered calls every method of the interface: all but the ones of the
// arena, transfers and waiting must show up.
func TestEveryOperationIsMetered(t *testing.T) {
	t.Parallel()
	apart := map[string]bool{"Limits": true, "Precision": true, "Alloc": true, "Mark": true, "Release": true, "Peak": true, "Sync": true}
	seam := reflect.TypeFor[backend.Backend]()
	for i := range seam.NumMethod() {
		name := seam.Method(i).Name
		if apart[name] || strings.HasPrefix(name, "Upload") || strings.HasPrefix(name, "Download") {
			continue
		}
		be := meter.New(plan.New(0))
		call := reflect.ValueOf(be).MethodByName(name)
		var args []reflect.Value
		for a := range call.Type().NumIn() {
			args = append(args, reflect.Zero(call.Type().In(a)))
		}
		call.Call(args)
		if ops := be.Ops(); len(ops) != 1 || ops[0].Calls != 1 {
			t.Errorf("%s: metered as %+v", name, ops)
		}
	}
}
