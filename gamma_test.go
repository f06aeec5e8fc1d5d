package bdia_test

import (
	"math"
	"testing"

	"github.com/bdia-go/bdia"
	"github.com/bdia-go/bdia/backend"
)

var trainPass = backend.Pass{Train: true, Seed: 5, Step: 2}

// fair adds up signs: those of fair draws stay within 4.5 deviations of 0.
func fair(t *testing.T, what string, signs []float64) {
	t.Helper()
	var sum float64
	for _, s := range signs {
		sum += s
	}
	if z := sum / math.Sqrt(float64(len(signs))); !(math.Abs(z) < 4.5) {
		t.Errorf("%s: %d signs add up to %v, %.1f deviations", what, len(signs), sum, z)
	}
}

func TestGammaDraws(t *testing.T) {
	t.Parallel()
	const K, B = 65, 128
	g := bdia.DrawGammas(0.25, 0, K, B, trainPass)
	sign := func(k, b int) float64 { return float64(g[k*B+b]) / 0.25 }
	var all []float64
	for k := range K {
		for b := range B {
			if v := sign(k, b); k == 0 && v != 0 || k > 0 && v != 1 && v != -1 {
				t.Fatalf("block %d sample %d draws %v", k, b, v)
			}
			if k > 0 {
				all = append(all, sign(k, b))
			}
		}
	}
	fair(t, "all draws", all)
	// Every row, every column, and neighbours in both directions.
	for k := 1; k < K; k++ {
		var row, next []float64
		for b := range B {
			row = append(row, sign(k, b))
			if k+1 < K {
				next = append(next, sign(k, b)*sign(k+1, b))
			}
		}
		fair(t, "one block", row)
		if next != nil {
			fair(t, "two blocks", next)
		}
	}
	for b := range B {
		var col, next []float64
		for k := 1; k < K; k++ {
			col = append(col, sign(k, b))
			next = append(next, sign(k, b)*sign(k, (b+1)%B))
		}
		fair(t, "one sample", col)
		fair(t, "two samples", next)
	}
}

func TestGammaStreams(t *testing.T) {
	t.Parallel()
	const K, B = 33, 64
	g := bdia.DrawGammas(0.5, 0, K, B, trainPass)
	for name, change := range map[string]func(*backend.Pass){
		"seed": func(p *backend.Pass) { p.Seed++ }, "step": func(p *backend.Pass) { p.Step++ }, "sample": func(p *backend.Pass) { p.Sample += B },
	} {
		pass := trainPass
		change(&pass)
		var product []float64
		for i, v := range bdia.DrawGammas(0.5, 0, K, B, pass)[B:] {
			product = append(product, float64(v*g[B+i])*4)
		}
		fair(t, "another "+name, product)
	}
	for _, part := range []int{1, 3, 16} { // micro-batches draw what the whole batch draws
		for first := 0; first+part <= B; first += part {
			pass := trainPass
			pass.Sample = first
			for i, v := range bdia.DrawGammas(0.5, 0, K, part, pass) {
				if want := g[i/part*B+first+i%part]; v != want {
					t.Fatalf("block %d of sample %d draws %v in a part of %d, %v in the whole", i/part, first+i%part, v, part, want)
				}
			}
		}
	}
	pass := trainPass
	pass.Train = false
	for i, v := range bdia.DrawGammas(0.5, 0, K, B, pass) {
		if v != 0 {
			t.Fatalf("draw %d is %v outside training", i, v)
		}
	}
}
