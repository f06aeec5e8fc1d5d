package backendtest

import (
	"fmt"
	"maps"
	"slices"

	"github.com/bdia-go/bdia/backend"
	"github.com/bdia-go/bdia/tensor"
)

// activations16Test: an operation on activations of BF16 gives what it gives on the same values in F32, rounded to
// nearest, for every length and in place.
func activations16Test(e *env) {
	draw := backend.Draw{Pass: backend.Pass{Seed: 3, Step: 1}, Block: 2, Site: backend.SiteMLP}
	for _, s := range []struct{ B, T, C int }{{1, 1, 2}, {2, 3, 30}, {3, 41, 420}, {1, 2, 9002}} {
		m, B, T, C := e.Mark(), s.B, s.T, s.C
		half := C / 2
		D := half &^ 1 // width of a head that turns
		weight, head, full, part := e.normal(1, C), e.normal(1, half), e.normal(1, B, T, C), e.normal(1, B, T, half)
		stats, rms := e.empty(2, B*T), e.empty(B*T)
		table := tensor.Tensor{}
		if D > 0 {
			table = e.normal(1, T, D)
		}
		// What is computed of x (B,T,C), y (B,T,C) and g (B,T,2C): the tensor of the same type that holds it.
		ops := map[string]func(x, y, g tensor.Tensor) tensor.Tensor{
			"gelu":          func(x, y, _ tensor.Tensor) tensor.Tensor { e.GELU(y, x, backend.GELUErf); return y },
			"gelu in place": func(x, _, _ tensor.Tensor) tensor.Tensor { e.GELU(x, x, backend.GELUTanh); return x },
			"gelu backward": func(x, y, g tensor.Tensor) tensor.Tensor {
				e.GELUBackward(y, x, g.Slice(0, x.Len()).Reshape(x.Shape), backend.GELUTanh)
				return y
			},
			"gated silu":          func(_, y, g tensor.Tensor) tensor.Tensor { e.GatedSiLU(y, g); return y },
			"gated silu backward": func(x, _, g tensor.Tensor) tensor.Tensor { e.GatedSiLUBackward(g, x, g); return g },
			"layer norm": func(_, y, _ tensor.Tensor) tensor.Tensor {
				e.LayerNorm(y, stats, full, weight, weight, 1e-5)
				return y
			},
			"rms norm": func(_, y, _ tensor.Tensor) tensor.Tensor {
				e.RMSNorm(y, rms, full, weight, backend.Heads{Count: 1}, 1e-5)
				return y
			},
			"rms norm of heads in place": func(x, _, _ tensor.Tensor) tensor.Tensor {
				e.RMSNorm(x, rms, x, head, backend.Heads{At: 1, Count: 1}, 1e-5)
				return x
			},
			"rotation": func(x, _, _ tensor.Tensor) tensor.Tensor {
				if D > 0 {
					e.Rotate(x, table, tensor.Tensor{}, backend.Heads{At: 1, Count: 1}, false)
				}
				return x
			},
			"dropout":     func(x, y, _ tensor.Tensor) tensor.Tensor { e.Dropout(y, x, 0.3, draw); return y },
			"add":         func(x, y, _ tensor.Tensor) tensor.Tensor { e.Add(y, x, full); return y },
			"add columns": func(x, _, _ tensor.Tensor) tensor.Tensor { e.AddColumns(x, part, half); return x },
			"copied rows": func(x, y, _ tensor.Tensor) tensor.Tensor {
				pairs := e.Alloc(backend.Data, tensor.I32, tensor.Shape{1, 2})
				e.UploadInts(pairs, []int32{int32(B*T - 1), 0})
				e.Copy(y, x)
				e.CopyRows(y, x, pairs)
				return y
			},
		}
		for _, name := range slices.Sorted(maps.Keys(ops)) { // in one order, as random numbers are drawn
			m := e.Mark()
			x16, x := e.bf16(1, B, T, C)
			g16, g := e.bf16(1, B, T, 2*C)
			y16, y := e.bf16(1, B, T, C)
			got, full := ops[name](x16, y16, g16), ops[name](x, y, g)
			want := e.Alloc(backend.Activation, tensor.BF16, full.Shape)
			e.Upload(want, e.host(full))
			e.same(fmt.Sprintf("%s of %+v", name, s), got, want)
			e.Release(m)
		}

		// A gradient in F32 of what was normalised in BF16.
		x16, x := e.bf16(1, B, T, C)
		dy := e.normal(1, B, T, C)
		var dx, dw [2]tensor.Tensor
		for i, x := range []tensor.Tensor{x16, x} {
			dx[i], dw[i] = e.clone(dy), e.zero(half)
			heads := backend.Heads{At: 1, Count: 1}
			y := e.clone(dy)
			e.Copy(y, x)
			e.RMSNorm(y, rms, y, head, heads, 1e-5)
			e.RMSNormBackward(dx[i], dw[i], dx[i], x, head, rms, heads)
		}
		e.same(fmt.Sprintf("rms norm's dx of %+v", s), dx[0], dx[1])
		e.same(fmt.Sprintf("rms norm's dw of %+v", s), dw[0], dw[1])
		columns := [2]tensor.Tensor{e.empty(B, T, half), e.empty(B, T, half)}
		e.TakeColumns(columns[0], x16, 1)
		e.TakeColumns(columns[1], x, 1)
		e.same(fmt.Sprintf("columns of %+v", s), columns[0], columns[1])
		e.Release(m)
	}
}
