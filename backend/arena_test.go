package backend

import (
	"fmt"
	"strings"
	"testing"

	"github.com/bdia-go/bdia/tensor"
)

func TestArenaIsAStack(t *testing.T) {
	t.Parallel()
	a := NewArena(0)
	w := a.Alloc(Weights, tensor.F32, tensor.Shape{3, 5}) // 60 bytes take 64
	bottom := a.Mark()
	x := a.Alloc(States, tensor.F32, tensor.Shape{2, 2, 4}) // exactly 64
	inner := a.Mark()
	s := a.Alloc(SideBits, tensor.U8, tensor.Shape{65}) // takes 128
	if w.Offset != 0 || x.Offset != 64 || s.Offset != 128 {
		t.Errorf("offsets %d, %d, %d", w.Offset, x.Offset, s.Offset)
	}
	a.Release(inner)
	if again := a.Alloc(Data, tensor.I32, tensor.Shape{1}); again.Offset != s.Offset {
		t.Errorf("released memory is not used again: offset %d, want %d", again.Offset, s.Offset)
	}
	a.Release(inner)
	a.Release(bottom)
	a.Release(bottom) // to the top itself is allowed
	if top := a.Alloc(Logits, tensor.F32, tensor.Shape{1}); top.Offset != x.Offset {
		t.Errorf("offset %d after releasing all, want %d", top.Offset, x.Offset)
	}
	want := Usage{Total: 256}
	want.ByComponent[Weights], want.ByComponent[States], want.ByComponent[SideBits] = 64, 64, 128
	if got := a.Peak(); got != want {
		t.Errorf("peak %+v, want %+v", got, want)
	}
}

// TestArenasHaveNumbers: each arena has its own, which its tensors carry.
func TestArenasHaveNumbers(t *testing.T) {
	t.Parallel()
	a, b := NewArena(0), NewArena(0)
	x, y := a.Alloc(Weights, tensor.F32, tensor.Shape{1}), b.Alloc(Weights, tensor.F32, tensor.Shape{1})
	if x.Arena == 0 || y.Arena == 0 || x.Arena == y.Arena {
		t.Errorf("two arenas have the numbers %d and %d", x.Arena, y.Arena)
	}
}

func TestArenaPeakIsTheFirstOfEquals(t *testing.T) {
	t.Parallel()
	a := NewArena(0)
	m := a.Mark()
	a.Alloc(Logits, tensor.U8, tensor.Shape{64})
	a.Release(m)
	a.Alloc(Activation, tensor.U8, tensor.Shape{64})
	if got := a.Peak(); got.Total != 64 || got.ByComponent[Logits] != 64 || got.ByComponent[Activation] != 0 {
		t.Errorf("peak %+v", got)
	}
}

func TestArenaAlignment(t *testing.T) {
	t.Parallel()
	a := NewArena(0)
	var total int64
	for n := 1; n < 200; n++ {
		for _, d := range []tensor.DType{tensor.F32, tensor.I32, tensor.U8} {
			x := a.Alloc(Scratch, d, tensor.Shape{n})
			if x.Offset%64 != 0 || x.Offset < total {
				t.Fatalf("offset %d after %d bytes", x.Offset, total)
			}
			total = x.Offset + x.Bytes()
		}
	}
	if p := a.Peak(); p.Total < total || p.Total >= total+64 || p.ByComponent[Scratch] != p.Total {
		t.Errorf("peak %+v of %d bytes", p, total)
	}
}

func TestArenaLimit(t *testing.T) {
	t.Parallel()
	a := NewArena(128)
	a.Alloc(Weights, tensor.U8, tensor.Shape{128}) // exactly full
	for name, c := range map[string]struct {
		part string
		f    func()
	}{
		"full":  {"backend: logits (3,7) needs", func() { a.Alloc(Logits, tensor.F32, tensor.Shape{3, 7}) }},
		"above": {"above the top", func() { a.Release(Mark{Usage{Total: 1 << 40}}) }},
	} {
		func() {
			defer func() {
				if msg := fmt.Sprint(recover()); !strings.Contains(msg, c.part) {
					t.Errorf("%s: panic %q, want one with %q", name, msg, c.part)
				}
			}()
			c.f()
		}()
	}
}

func TestNames(t *testing.T) {
	t.Parallel()
	seen := map[string]bool{}
	for c := range NumComponents {
		if name := c.String(); name == "" || seen[name] {
			t.Errorf("component %d is called %q", c, name)
		} else {
			seen[name] = true
		}
	}
	for _, f := range []GELUForm{GELUTanh, GELUErf} {
		text, err := f.MarshalText()
		if err != nil {
			t.Fatal(err)
		}
		var back GELUForm
		if err := back.UnmarshalText(text); err != nil || back != f {
			t.Errorf("%q reads as %v, %v", text, back, err)
		}
	}
	f := GELUErf
	if err := f.UnmarshalText([]byte("relu")); err == nil || f != GELUErf {
		t.Errorf("relu reads as %v, %v", f, err)
	}
}
