package backendtest_test

import (
	"fmt"
	"maps"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/bdia-go/bdia"
	"github.com/bdia-go/bdia/backend"
	"github.com/bdia-go/bdia/backend/backendtest"
	"github.com/bdia-go/bdia/backend/cpu"
	"github.com/bdia-go/bdia/backend/meter"
	"github.com/bdia-go/bdia/internal/testkit"
	"github.com/bdia-go/bdia/model"
	"github.com/bdia-go/bdia/optim"
	"github.com/bdia-go/bdia/tensor"
)

func newCPU(t testing.TB, arenaBytes int64) backend.Backend {
	t.Helper()
	b, err := cpu.New(cpu.Options{Threads: 2, ArenaBytes: cpu.ScratchBytes(2) + arenaBytes})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(b.Close)
	return b
}

func newDeferred(t testing.TB, arenaBytes int64) backend.Backend {
	return backendtest.Deferred(newCPU(t, arenaBytes))
}

// TestDeferredConforms: a backend that runs everything as late as it may keeps the
// contract, with the bits of the one that runs it at once.
func TestDeferredConforms(t *testing.T) {
	t.Parallel()
	backendtest.Same(t, backendtest.Run(t, newDeferred), backendtest.Run(t, newCPU))
}

// TestDeferredDefersAll: only the arena, the limits and what reads are passed on at once.
func TestDeferredDefersAll(t *testing.T) {
	t.Parallel()
	be := backendtest.Deferred(nil) // which an operation at once would fall over
	atOnce := map[string]bool{"Limits": true, "Precision": true, "Alloc": true, "Mark": true, "Release": true, "Peak": true, "Sync": true,
		"Download": true, "DownloadInts": true, "DownloadBytes": true, "DownloadScalar": true}
	v := reflect.ValueOf(be)
	for i := range v.NumMethod() {
		m := v.Type().Method(i)
		if atOnce[m.Name] {
			continue
		}
		var args []reflect.Value
		for a := 1; a < m.Type.NumIn(); a++ {
			args = append(args, reflect.Zero(m.Type.In(a)))
		}
		func() {
			defer func() {
				if recover() != nil {
					t.Errorf("%s is not deferred", m.Name)
				}
			}()
			v.Method(i).Call(args)
		}()
	}
}

// TestEveryOperationIsChecked: Run calls each operation of the interface.
func TestEveryOperationIsChecked(t *testing.T) {
	t.Parallel()
	var meters []*meter.Backend
	backendtest.Run(t, func(t testing.TB, arenaBytes int64) backend.Backend {
		m := meter.New(newCPU(t, arenaBytes))
		meters = append(meters, m)
		return m
	})
	called := map[string]bool{}
	for _, m := range meters {
		for _, op := range m.Ops() {
			called[op.Name] = true
		}
	}
	want := 0
	seam := reflect.TypeFor[backend.Backend]()
	for i := range seam.NumMethod() {
		name := seam.Method(i).Name
		if !slices.Contains([]string{"Limits", "Precision", "Alloc", "Mark", "Release", "Peak", "Sync"}, name) &&
			!strings.HasPrefix(name, "Upload") && !strings.HasPrefix(name, "Download") {
			want++
		}
	}
	if len(called) != want {
		t.Errorf("%d of %d operations are checked: %v", len(called), want, slices.Sorted(maps.Keys(called)))
	}
}

// sink gives gradients memory and updates at once.
type sink struct {
	be  backend.Backend
	opt optim.Optimizer
}

func (s sink) Open(params []*tensor.Param)  { bdia.AllocGrads(s.be, params) }
func (s sink) Close(params []*tensor.Param) { s.opt.Update(params, 1, 1e-2) }

// TestDeferredTrains: whole training steps of a small language model, an evaluation and
// generation have the same bits on a backend that runs them late.
func TestDeferredTrains(t *testing.T) {
	t.Parallel()
	for _, memory := range []bdia.Memory{bdia.Reversible, bdia.Store, bdia.Recompute} {
		want, got := trained(t, newCPU(t, 16<<20), memory), trained(t, newDeferred(t, 16<<20), memory)
		for name := range want {
			testkit.EqualBits(t, memory.String()+": "+name, got[name], want[name])
		}
	}
}

// trained returns parameters, losses and logits after two steps.
func trained(t *testing.T, be backend.Backend, memory bdia.Memory) map[string][]float32 {
	t.Helper()
	opt := bdia.DefaultOptions()
	opt.Memory = memory
	c := model.GPTConfig{Vocab: 13, Context: 6, Layers: 3, Heads: 2, Width: 12, EmbeddingDropout: 0.1, AttentionDropout: 0.1, ResidualDropout: 0.1}
	m, err := model.NewGPT(be, c, opt)
	if err != nil {
		t.Fatal(err)
	}
	m.Init(1)
	adam, err := optim.Default("adamw")
	if err != nil {
		t.Fatal(err)
	}
	o, err := adam.New(be, m.Params())
	if err != nil {
		t.Fatal(err)
	}
	b := model.NewBatch(3, c.Context)
	out := map[string][]float32{}
	for step := 1; step <= 2; step++ {
		for i := range b.Inputs {
			b.Inputs[i], b.Targets[i] = int32((i*7+step)%c.Vocab), int32((i*5+2*step)%c.Vocab)
		}
		losses, err := m.MicroStep(b, backend.Pass{Train: true, Seed: 3, Step: step}, 1/float32(len(b.Inputs)), sink{be, o})
		if err != nil {
			t.Fatal(err)
		}
		out[fmt.Sprint("losses of step ", step)] = slices.Clone(losses)
	}
	losses, err := m.Loss(b, opt.Grid)
	if err != nil {
		t.Fatal(err)
	}
	out["losses after"] = slices.Clone(losses)
	for _, p := range m.Params() {
		host := make([]float32, p.Value.Len())
		be.Download(host, p.Value)
		out[p.Name] = host
	}
	logits := make([]float32, c.Vocab)
	if err := m.NextLogits(logits, b.Inputs[:c.Context], opt.Grid); err != nil {
		t.Fatal(err)
	}
	out["logits"] = logits
	return out
}
