package rng

import "testing"

// The known-answer vectors published with Random123 (kat_vectors, philox4x32 10).
func TestPhiloxKnownAnswers(t *testing.T) {
	t.Parallel()
	const f = 0xffffffff
	for _, c := range []struct {
		ctr  [4]uint32
		key  [2]uint32
		want [4]uint32
	}{
		{[4]uint32{}, [2]uint32{}, [4]uint32{0x6627e8d5, 0xe169c58d, 0xbc57ac4c, 0x9b00dbd8}},
		{[4]uint32{f, f, f, f}, [2]uint32{f, f}, [4]uint32{0x408f276d, 0x41c83b0e, 0xa20bc7c6, 0x6d5451fd}},
		{[4]uint32{0x243f6a88, 0x85a308d3, 0x13198a2e, 0x03707344}, [2]uint32{0xa4093822, 0x299f31d0},
			[4]uint32{0xd16cfe09, 0x94fdcceb, 0x5001e420, 0x24126ea1}},
	} {
		if got := Philox(c.ctr, c.key); got != c.want {
			t.Errorf("Philox(%x, %x) = %x, want %x", c.ctr, c.key, got, c.want)
		}
	}
}

func TestKeysAreDistinctStreams(t *testing.T) {
	t.Parallel()
	base := Key{Seed: 1, Step: 2, Sample: 3, Block: 4, Site: SiteGamma}
	seen := map[[4]uint32]Key{}
	for _, k := range []Key{base,
		{Seed: 1 << 40, Step: 2, Sample: 3, Block: 4}, {Seed: 1, Step: 3, Sample: 3, Block: 4},
		{Seed: 1, Step: 2, Sample: 4, Block: 4}, {Seed: 1, Step: 2, Sample: 3, Block: 5},
		{Seed: 1, Step: 2, Sample: 3, Block: 4, Site: 4}} {
		if old, dup := seen[k.At(0)]; dup {
			t.Errorf("%+v and %+v draw the same word", old, k)
		}
		seen[k.At(0)] = k
	}
}

func TestFloat64IsUniform(t *testing.T) {
	t.Parallel()
	const n = 1 << 16
	var sum float64
	for i := range uint32(n) {
		u := Key{Seed: 7}.Float64(i)
		if u < 0 || u >= 1 {
			t.Fatalf("draw %d = %v is outside [0,1)", i, u)
		}
		sum += u
	}
	if mean := sum / n; mean < 0.495 || mean > 0.505 {
		t.Errorf("mean of %d draws = %v", n, mean)
	}
}
