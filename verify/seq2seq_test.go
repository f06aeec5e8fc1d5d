package verify

import (
	"testing"

	"github.com/bdia-go/bdia"
	"github.com/bdia-go/bdia/backend"
	"github.com/bdia-go/bdia/model"
)

// TestTranslation: both stacks of an encoder-decoder are exact, with a fault they
// are not, and without a grid they drift.
func TestTranslation(t *testing.T) {
	t.Parallel()
	const B, S, T, C = 2, 6, 5, 24
	for _, decoder := range []bool{false, true} {
		fresh := func(be backend.Backend) (Subject, error) {
			c := model.Seq2SeqConfig{SourceVocab: 9, TargetVocab: 9, SourceContext: S, TargetContext: T, EncoderLayers: 5, DecoderLayers: 6, Heads: 2, Width: C,
				Shared: true, ResidualDropout: 0.1, AttentionDropout: 0.1, LabelSmoothing: 0.1}
			m, err := model.NewSeq2Seq(be, c, bdia.Options{Memory: bdia.Store, Grid: bdia.NoGrid})
			if err != nil {
				return Subject{}, err
			}
			m.Init(4)
			b := model.NewPairBatch(B, S, T)
			for i := range b.Source {
				b.Source[i] = int32(i * 5 % 9)
			}
			for i := range b.Input {
				b.Input[i], b.Target[i] = int32(i*7%9), int32(i*4%9)
			}
			b.SourceLengths[1], b.Target[T-1] = 4, backend.Ignore
			return OfSeq2Seq(m, b, decoder), nil
		}
		rebuilt := int64(4-1) * B * S * C // x_0..x_{K-3}
		if decoder {
			rebuilt = (5 - 1) * B * T * C
		}
		planned, err := Plan(fresh, reversible(0.5), backend.Options{Threads: 1})
		if err != nil {
			t.Fatal(err)
		}
		for _, fault := range Faults() {
			be, s := on(t, fresh, planned)
			r, err := Run(be, s, reversible(0.5), pass, fault)
			if err != nil {
				t.Fatal(err)
			}
			if r.Exact() != (fault == NoFault) || r.ReconstructedActivations != rebuilt || s.Losses != B*T-1 {
				t.Errorf("decoder %v, fault %s: %+v", decoder, fault, r)
			}
		}
		planned, err = PlanDrift(fresh, 0.5, backend.Options{Threads: 1})
		if err != nil {
			t.Fatal(err)
		}
		_, s := on(t, fresh, planned)
		last := 0.0
		if err := Drift(s, 0.5, pass, func(k int, rms, largest float64) { last = rms }); err != nil {
			t.Fatal(err)
		}
		if !(last > 0 && last < 1e-3) {
			t.Errorf("decoder %v: error %v at the start", decoder, last)
		}
	}
}
