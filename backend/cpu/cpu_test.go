package cpu

import (
	"errors"
	"strings"
	"testing"

	"github.com/bdia-go/bdia/backend"
	"github.com/bdia-go/bdia/internal/sysmem"
	"github.com/bdia-go/bdia/tensor"
)

func TestBadOptions(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		o    Options
		part string
	}{
		"threads":   {Options{Threads: -1, ArenaBytes: 1 << 30}, "-1 threads"},
		"many":      {Options{Threads: MaxThreads + 1, ArenaBytes: 1 << 40}, "1025 threads"},
		"name":      {Options{ISA: "sse", ArenaBytes: 1 << 30}, `"sse"`},
		"no arena":  {Options{Threads: 1}, "too small"},
		"negative":  {Options{Threads: 1, ArenaBytes: -5}, "too small"},
		"one short": {Options{Threads: 2, ArenaBytes: ScratchBytes(2) - 1}, "too small"},
		"too large": {Options{Threads: 1, ArenaBytes: 1 << 60}, "use smaller batches"},
	} {
		b, err := New(c.o)
		if err == nil {
			b.Close()
			t.Errorf("%s: no error for %+v", name, c.o)
		} else if !strings.Contains(err.Error(), c.part) || strings.Contains(err.Error(), "\n") {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// TestMemoryIsChecked: twice the memory that is free is refused before it is taken, as an arena and beside one.
func TestMemoryIsChecked(t *testing.T) {
	t.Parallel()
	free := sysmem.Now().Free
	if free == 0 {
		t.Skip("this system does not tell")
	}
	b, err := New(Options{Threads: 1, ArenaBytes: 2 * free})
	if err == nil {
		b.Close()
	}
	for what, err := range map[string]error{
		"an arena":      err,
		"beside one":    backend.Fits(backend.Options{}, 1, 2*free),
		"both together": backend.Fits(backend.Options{}, free, free),
	} {
		var memory *backend.MemoryError
		if !errors.As(err, &memory) || memory.Arena+memory.Beside < 2*free || memory.Free <= 0 || memory.Limit == "" ||
			!strings.Contains(err.Error(), memory.Limit) {
			t.Errorf("twice the free memory as %s: %v", what, err)
		}
	}
	if err := backend.Fits(backend.Options{}, 1, 1); err != nil {
		t.Errorf("two bytes: %v", err)
	}
}

// TestLeastArena: what ScratchBytes says is enough for a backend, and no byte
// is left over.
func TestLeastArena(t *testing.T) {
	t.Parallel()
	for _, threads := range []int{1, 3} {
		b, err := New(Options{Threads: threads, ArenaBytes: ScratchBytes(threads)})
		if err != nil {
			t.Fatal(err)
		}
		if got := b.Peak(); got.Total != ScratchBytes(threads) || got.ByComponent[backend.Scratch] != got.Total {
			t.Errorf("%d threads use %+v of %d bytes", threads, got, ScratchBytes(threads))
		}
		mustPanic(t, "full arena", "backend: data (1) needs", func() { b.Alloc(backend.Data, tensor.F32, tensor.Shape{1}) })
		b.Close()
	}
}

func TestMisusePanics(t *testing.T) {
	t.Parallel()
	e := newEnv(t, "", 1)
	f, i, big := e.zero(2, 3), e.ints(2, 3), e.zero(2, 4)
	none := tensor.Tensor{}
	for name, c := range map[string]struct {
		part string
		f    func()
	}{
		"type":          {"element type", func() { e.Upload(i, make([]float32, 6)) }},
		"ints of float": {"element type", func() { e.UploadInts(f, make([]int32, 6)) }},
		"short":         {"copy of 5 elements into 6", func() { e.Upload(f, make([]float32, 5)) }},
		"long":          {"copy of 6 elements into 7", func() { e.Download(make([]float32, 7), f) }},
		"copy":          {"Copy: shapes do not fit: (2,3) (2,4)", func() { e.Copy(f, big) }},
		"add":           {"Add: shapes do not fit", func() { e.Add(f, f, big) }},
		"linear":        {"Linear: shapes do not fit", func() { e.Linear(f, big, f, none) }},
		"norm":          {"LayerNorm: shapes do not fit", func() { e.LayerNorm(f, f, f, big, none, 1) }},
		"attention":     {"Attention: shapes do not fit", func() { e.Attention(big, f, big, backend.AttentionSpec{Heads: 1}) }},
		"advance":       {"Advance: shapes do not fit", func() { e.Advance(f, none, f, big, none, f, i, backend.Law{}) }},
		"adam":          {"AdamW: shapes do not fit", func() { e.AdamW(f, big, f, f, backend.AdamScalars{}, backend.Rounding{}) }},
	} {
		mustPanic(t, name, c.part, c.f)
	}
}

// TestTensorsOfTwoBackends: no operation takes a tensor of another backend.
func TestTensorsOfTwoBackends(t *testing.T) {
	t.Parallel()
	here, there := newEnv(t, "", 1), newEnv(t, "", 1)
	x, y := here.zero(2, 3), there.zero(2, 3)
	for name, f := range map[string]func(){
		"add":      func() { here.Add(x, x, y) },
		"copy":     func() { there.Copy(y, x) },
		"zero":     func() { here.Zero(y) },
		"upload":   func() { here.Upload(y, make([]float32, 6)) },
		"download": func() { here.Download(make([]float32, 6), y) },
		"view":     func() { here.Scale(y.RowRange(0, 1), 2) },
	} {
		mustPanic(t, name, "tensor belongs to the backend that allocated it", f)
	}
}

// TestBadAttention: shapes and lengths that do not fit end the program where they are.
func TestBadAttention(t *testing.T) {
	t.Parallel()
	e := newEnv(t, "", 1)
	q, kv, out, lse := e.zero(2, 3, 8), e.zero(2, 5, 16), e.zero(2, 3, 8), e.zero(2, 2, 3)
	mustPanic(t, "heads", "attention", func() { e.CrossAttention(out, lse, q, kv, backend.AttentionSpec{Heads: 3}) })
	mustPanic(t, "lengths", "lengths", func() { e.CrossAttention(out, lse, q, kv, backend.AttentionSpec{Heads: 2, Lengths: e.lengths(1)}) })
	mustPanic(t, "length 0", "0 of 5 keys", func() { e.CrossAttention(out, lse, q, kv, backend.AttentionSpec{Heads: 2, Lengths: e.lengths(1, 0)}) })
	mustPanic(t, "length 6", "6 of 5 keys", func() { e.CrossAttention(out, lse, q, kv, backend.AttentionSpec{Heads: 2, Lengths: e.lengths(6, 1)}) })
	few, causal := e.zero(2, 2, 16), backend.AttentionSpec{Heads: 2, Causal: true}
	mustPanic(t, "causal", "causal", func() { e.CrossAttention(out, lse, q, few, causal) })
	mustPanic(t, "causal backward", "gradients of causal", func() { e.CrossAttentionBackward(q, kv, out, out, lse, q, kv, causal) })
	mustPanic(t, "keys", "CrossAttention", func() {
		e.CrossAttention(out, lse, q, kv.Reshape(tensor.Shape{1, 10, 16}), backend.AttentionSpec{Heads: 2})
	})
}

func TestCloseTwice(t *testing.T) {
	t.Parallel()
	e := newEnv(t, "", 1)
	e.Close()
	e.Close() // twice is once
}
