// Package backendtest holds a backend to the contract of package backend: every
// operation against its definition in float64, edge sizes, operands that may share memory,
// the replay of dropout, and the independence of sums from micro-batches. The authors of a
// backend run it in a test:
//
//	func TestConformance(t *testing.T) {
//		backendtest.Run(t, func(t testing.TB, arenaBytes int64) backend.Backend {
//			be, err := mydevice.New(arenaBytes)
//			...
//			t.Cleanup(be.Close)
//			return be
//		})
//	}
package backendtest

import (
	"maps"
	"slices"
	"testing"

	"github.com/bdia-go/bdia/backend"
	"github.com/bdia-go/bdia/internal/testkit"
)

// Open returns a backend on which arenaBytes can be allocated. The test closes it.
type Open func(t testing.TB, arenaBytes int64) backend.Backend

// Results are what a backend computed, by check and tensor.
type Results map[string]map[string][]float32

// arenaBytes is what one check allocates at most.
const arenaBytes = 16 << 20

// Sizes beyond which the CPU backend cuts an operation into tasks: tests go past them.
const (
	chunk = 16384   // elements
	slab  = 1 << 17 // elements of layer norm's gradient
)

// checks compute every operation and compare it with its reference.
var checks = map[string]func(e *env){
	"memory":            memoryTest,
	"misuse":            misuseTest,
	"linear":            linearTest,
	"layer norm":        layerNormTest,
	"rms norm":          rmsNormTest,
	"rotation":          rotateTest,
	"gated silu":        gatedSiLUTest,
	"columns":           columnsTest,
	"grouped attention": groupedAttentionTest,
	"wide window":       wideWindowTest,
	"gelu":              geluTest,
	"embedding":         embeddingTest,
	"copied rows":       copyRowsTest,
	"pooling":           poolingTest,
	"attention":         attentionTest,
	"cross-attention":   crossAttentionTest,
	"self is cross":     selfIsCrossTest,
	"unseen keys":       unseenKeysTest,
	"cross-entropy":     crossEntropyTest,
	"smoothing":         smoothingTest,
	"probabilities":     softCrossEntropyTest,
	"one-hot":           oneHotTest,
	"impossible class":  impossibleClassTest,
	"whole tensors":     wholeTest,
	"bf16 weights":      bf16Test,
	"bf16 updates":      bf16UpdatesTest,
	"bf16 activations":  activations16Test,
	"digests":           digestTest,
	"dropout":           dropoutTest,
	"dropout streams":   dropoutStreamsTest,
	"dropped samples":   dropSamplesTest,
	"optimisers":        updatesTest,
	"SET-Adam of zeros": setAdamOfNothingTest,
	"reversible":        reversibleTest,
	"no negative zero":  noNegativeZeroTest,
	"bad peaks":         badPeaksTest,
	"gradients":         completeGradTest,
	"sample split":      sampleSplitTest,
}

// Run checks the backends that open returns, each check on one of its own. It returns what
// they computed: two devices that promise the same bits must return the same (see Same).
func Run(t *testing.T, open Open) Results {
	t.Helper()
	all := Results{}
	for _, name := range slices.Sorted(maps.Keys(checks)) {
		t.Run(name, func(t *testing.T) {
			e := newEnv(t, open)
			checks[name](e)
			all[name] = e.results
		})
	}
	return all
}

// Same fails unless two backends computed the same bits.
func Same(t *testing.T, got, want Results) {
	t.Helper()
	for check := range checks {
		if len(got[check]) != len(want[check]) {
			t.Errorf("%s: %d results, want %d", check, len(got[check]), len(want[check]))
		}
		for name, x := range got[check] {
			testkit.EqualBits(t, check+": "+name, x, want[check][name])
		}
	}
}
