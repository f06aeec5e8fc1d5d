package kernel

import (
	"testing"

	"github.com/bdia-go/bdia/internal/cpufeat"
	"github.com/bdia-go/bdia/internal/rng"
)

// benchRow is the length of a row, benchN that of a tensor of the benchmarks
// (4096 rows; about 6 MB).
const (
	benchRow = 384
	benchN   = 4096 * benchRow
)

// BenchmarkVector reports bytes read and written per second.
func BenchmarkVector(b *testing.B) {
	r := newRand()
	var s [6][]float32
	for i := range s {
		s[i] = normals(r, benchN, 1)
	}
	for i, v := range s[5] {
		s[5][i] = absf(v)
	}
	w, bias := normals(r, benchRow, 1), normals(r, benchRow, 1)
	side, rest := make([]byte, benchN/8), make([]byte, benchN)
	codes, maxima := make([]byte, 2*benchN), make([]float32, 2*benchN/CodeGroup)
	mean, rstd := make([]float32, benchN/benchRow), normals(r, benchN/benchRow, 1)
	scalars := AdamWScalars{1e-3, 0.9, 0.999, 1e-8, 0.1, 0.1, 0.001}
	rows := func(f func(i, j int)) {
		for i := 0; i < benchN; i += benchRow {
			f(i, i+benchRow)
		}
	}
	for _, k := range []struct {
		name   string
		passes int // tensors read or written
		call   func(isa ISA)
	}{
		{"Copy", 2, func(isa ISA) { copy(s[0], s[1]) }},
		{"LayerNorm", 2, func(isa ISA) {
			isa.LayerNorm(s[0], s[1], w, bias, mean, rstd, 1e-5)
		}},
		{"LayerNormBackward", 3, func(isa ISA) {
			isa.LayerNormBackward(s[0], s[1], s[2], w, mean, rstd)
		}},
		{"LayerNormBackwardParams", 2, func(isa ISA) {
			isa.LayerNormBackwardParams(w, bias, s[1], s[2], mean, rstd, benchN/benchRow, benchRow)
		}},
		{"RMSNorm", 2, func(isa ISA) { isa.RMSNorm(s[0], s[1], w, rstd, 1e-5) }},
		{"RMSNormBackward", 3, func(isa ISA) { isa.RMSNormBackward(s[0], s[1], s[2], w, rstd) }},
		{"RMSNormBackwardWeight", 2, func(isa ISA) { isa.RMSNormBackwardWeight(w, s[1], s[2], rstd, benchRow) }},
		{"Rotate", 2, func(isa ISA) { rows(func(i, j int) { isa.Rotate(s[0][i:j], w[:32], bias[:32], false) }) }},
		{"GatedSiLU", 3, func(isa ISA) { isa.GatedSiLU(s[0], s[1], s[2]) }},
		{"GatedSiLUBackward", 5, func(isa ISA) { isa.GatedSiLUBackward(s[0], s[4], s[1], s[2], s[3]) }},
		{"ColumnSum", 1, func(isa ISA) { isa.ColumnSum(bias, s[1], benchN/benchRow, benchRow) }},
		{"RowMax", 1, func(isa ISA) { rows(func(i, j int) { isa.RowMax(s[1][i:j]) }) }},
		{"ExpSum", 2, func(isa ISA) { rows(func(i, j int) { isa.ExpSum(s[0][i:j], s[1][i:j], 0.1, 1) }) }},
		{"CrossEntropy", 2, func(isa ISA) {
			copy(s[0], s[1])
			for i := 0; i < benchN; i += benchN / 32 {
				isa.CrossEntropy(s[0][i:i+benchN/32], 7, 1)
			}
		}},
		{"GELUTanh", 2, func(isa ISA) { isa.GELUTanh(s[0], s[1]) }},
		{"GELUTanhBackward", 3, func(isa ISA) { isa.GELUTanhBackward(s[0], s[1], s[2]) }},
		{"GELUErf", 2, func(isa ISA) { isa.GELUErf(s[0], s[1]) }},
		{"GELUErfBackward", 3, func(isa ISA) { isa.GELUErfBackward(s[0], s[1], s[2]) }},
		{"Add", 3, func(isa ISA) { isa.Add(s[0], s[1], s[2]) }},
		{"Quantise", 2, func(isa ISA) { isa.Quantise(s[1], 9) }},
		{"AddQuantised", 3, func(isa ISA) { isa.AddQuantised(s[0], rest, s[1], s[2], 9) }},
		{"AdvanceQuantised", 4, func(isa ISA) { isa.AdvanceQuantised(s[0], rest, s[1], s[2], side, 0, 0.5, 1, 9) }},
		{"RetreatQuantised", 4, func(isa ISA) { isa.RetreatQuantised(s[0], rest, s[1], s[2], side, 0, 0.5, 1, 9) }},
		{"CompleteGrad", 5, func(isa ISA) { isa.CompleteGrad(s[3], s[4], s[2], 0.5) }},
		{"AdamW", 7, func(isa ISA) { isa.AdamW(s[0], s[2], s[3], s[5], scalars) }},
		{"AdamW8", 4, func(isa ISA) {
			isa.AdamW8(s[0], s[2], codes[:benchN], codes[benchN:], maxima[:benchN/CodeGroup], maxima[benchN/CodeGroup:], scalars)
		}},
		{"Moments", 5, func(isa ISA) { isa.Moments(s[2], s[3], s[5], 0.9, 0.999) }},
		{"SETUpdate", 4, func(isa ISA) { isa.SETUpdate(s[0], s[3], s[5], 1, 1e-16, 1e-9, 1e-4, 0) }},
		{"Dropout", 2, func(isa ISA) { isa.Dropout(s[0], s[1], rng.Key{}, 0, 60000) }},
		{"SumSquares", 1, func(isa ISA) { isa.SumSquares(s[1]) }},
	} {
		for _, l := range cpufeat.Supported() {
			b.Run(k.name+"/"+l.String(), func(b *testing.B) {
				b.SetBytes(int64(k.passes) * benchN * 4)
				for b.Loop() {
					k.call(ISA(l))
				}
			})
		}
	}
}

// BenchmarkShortRows is the cost of a call on 64 elements, as attention makes.
func BenchmarkShortRows(b *testing.B) {
	r := newRand()
	x, y, one := normals(r, 64, 1), make([]float32, 64), make([]float32, 2)
	for _, k := range []struct {
		name string
		call func(isa ISA)
	}{
		{"RowMax", func(isa ISA) { isa.RowMax(x) }},
		{"ExpSum", func(isa ISA) { isa.ExpSum(y, x, 0.1, 1) }},
		{"Dot", func(isa ISA) { isa.Dot(x, x) }},
		{"Scale", func(isa ISA) { isa.Scale(y, x, 0.5) }},
		{"LayerNorm", func(isa ISA) { isa.LayerNorm(y, x, x, x, one[:1], one[1:], 0.5) }},
	} {
		for _, l := range cpufeat.Supported() {
			b.Run(k.name+"/"+l.String(), func(b *testing.B) {
				for b.Loop() {
					k.call(ISA(l))
				}
			})
		}
	}
}
