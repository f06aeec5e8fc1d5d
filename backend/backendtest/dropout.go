package backendtest

import (
	"math"

	"github.com/bdia-go/bdia/backend"
	"github.com/bdia-go/bdia/internal/rng"
	"github.com/bdia-go/bdia/internal/testkit"
)

// keepOf returns how many of 65536 elements survive dropout with probability p.
func keepOf(p float32) uint32 { return uint32(float64(1-p)*65536 + 0.5) }

// key returns the stream of random numbers of one sample of a pass.
func key(d backend.Draw, sample int) rng.Key {
	return rng.Key{Seed: d.Seed, Step: uint32(d.Step), Sample: uint32(d.Sample + sample), Block: uint32(d.Block), Site: d.Site}
}

// dropoutTest holds the mask against the generator and checks its statistics.
func dropoutTest(e *env) {
	const B, n, p = 3, 2*chunk + 7, 0.1
	draw := backend.Draw{Pass: backend.Pass{Train: true, Seed: 9, Step: 4, Sample: 10}, Block: 3, Site: backend.SiteMLP}
	x, y := e.empty(B, n), e.empty(B, n)
	ones := make([]float32, B*n)
	for i := range ones {
		ones[i] = 1
	}
	e.Upload(x, ones)
	e.Dropout(y, x, p, draw)
	got := e.host(y)
	e.keep("mask", y)
	kept := 0
	for i, v := range got {
		sample, element := i/n, uint32(i%n)
		word := rng.Key{Seed: 9, Step: 4, Sample: uint32(10 + sample), Block: 3, Site: backend.SiteMLP}.At(element / 8)[element%8/2]
		want := float32(0)
		if word>>(16*(element%2))&0xffff < keepOf(p) {
			want = float32(65536) / float32(keepOf(p))
			kept++
		}
		if v != want {
			e.t.Fatalf("element %d of sample %d is %v, want %v", element, sample, v, want)
		}
	}
	deviation := math.Sqrt(B * n * p * (1 - p))
	if z := (float64(kept) - B*n*(1-p)) / deviation; math.Abs(z) > 4 {
		e.t.Errorf("%d of %d elements are kept: %.1f deviations off", kept, B*n, z)
	}
	e.Dropout(x, x, p, draw) // in place, again: the mask replays
	testkit.EqualBits(e.t, "mask in place", e.host(x), got)
}

// dropoutStreamsTest checks that every part of a Draw makes another mask.
func dropoutStreamsTest(e *env) {
	const n = 4096
	base := backend.Draw{Pass: backend.Pass{Train: true, Seed: 1, Step: 1, Sample: 1}, Block: 1, Site: backend.SiteMLP}
	draws := []backend.Draw{base, base, base, base, base, base}
	draws[1].Seed++
	draws[2].Step++
	draws[3].Sample++
	draws[4].Block++
	draws[5].Site--
	masks := make([][]float32, len(draws))
	x := e.empty(1, n)
	for i, d := range draws {
		for j := range n {
			masks[i] = append(masks[i], float32(j+1))
		}
		e.Upload(x, masks[i])
		e.Dropout(x, x, 0.5, d)
		masks[i] = e.host(x)
		for j := range i {
			same := 0
			for k := range masks[i] {
				if (masks[i][k] == 0) == (masks[j][k] == 0) {
					same++
				}
			}
			if z := (float64(same) - n/2) / math.Sqrt(n/4); math.Abs(z) > 4.5 {
				e.t.Errorf("the masks of %+v and %+v agree in %d of %d elements", draws[i], draws[j], same, n)
			}
		}
	}
}

// dropSamplesTest holds what survives against the generator, checks the share of
// it, and that a dropped sample is zero whatever it held.
func dropSamplesTest(e *env) {
	const B, n, p = 2000, 19, 0.3
	draw := backend.Draw{Pass: backend.Pass{Train: true, Seed: 9, Step: 4, Sample: 10}, Block: 3, Site: backend.SiteMLPPath}
	x, y := e.normal(1, B, n), e.empty(B, n)
	host := e.host(x)
	host[5] = float32(math.Inf(1))
	e.Upload(x, host)
	e.DropSamples(y, x, p, draw)
	got, kept := e.host(y), 0
	e.keep("samples", y)
	for b := range B {
		word := rng.Key{Seed: 9, Step: 4, Sample: uint32(10 + b), Block: 3, Site: backend.SiteMLPPath}.At(0)[0]
		factor := float32(0)
		if word&0xffff < keepOf(p) {
			factor = float32(65536) / float32(keepOf(p))
			kept++
		}
		for i := b * n; i < (b+1)*n; i++ {
			if want := host[i] * factor; got[i] != want && (factor != 0 || got[i] != 0) {
				e.t.Fatalf("element %d of sample %d is %v, want %v", i%n, b, got[i], want)
			}
		}
	}
	if z := (float64(kept) - B*(1-p)) / math.Sqrt(B*p*(1-p)); math.Abs(z) > 4 {
		e.t.Errorf("%d of %d samples are kept: %.1f deviations off", kept, B, z)
	}
	e.DropSamples(x, x, p, draw)
	testkit.EqualBits(e.t, "in place, again", e.host(x), got)
	other := draw
	other.Site = backend.SiteAttentionPath
	e.Upload(x, host)
	e.DropSamples(x, x, p, other)
	same := 0
	for b, v := range e.host(x) {
		if b%n == 0 && (v == 0) == (got[b] == 0) {
			same++
		}
	}
	const agree = p*p + (1-p)*(1-p)
	if z := (float64(same) - B*agree) / math.Sqrt(B*agree*(1-agree)); math.Abs(z) > 4.5 {
		e.t.Errorf("two branches agree on %d of %d samples: %.1f deviations off", same, B, z)
	}
}
