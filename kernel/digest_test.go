package kernel

import "testing"

// TestDigest: parts add up, and no flip of one or two bits goes unseen.
func TestDigest(t *testing.T) {
	t.Parallel()
	x := make([]uint32, 4099)
	for i := range x {
		x[i] = uint32(i*i)*2654435761 ^ uint32(i)
	}
	want := Digest(x, 0)
	for _, n := range []int{0, 1, 3, 4, 1000, len(x)} {
		if got := Digest(x[:n], 0) + Digest(x[n:], uint32(n)); got != want {
			t.Errorf("cut at %d: %x, want %x", n, got, want)
		}
	}
	bytes := []byte{1, 2, 3, 250, 5}
	if got, words := DigestBytes(bytes, 7), Digest([]uint32{1, 2, 3, 250, 5}, 7); got != words {
		t.Errorf("bytes %x, words %x", got, words)
	}
	sparse, wide := make([]byte, 1003), make([]uint32, 1003)
	for i := 0; i < len(sparse); i += 1 + i%23 {
		sparse[i], wide[i] = byte(255-i), uint32(byte(255-i))
	}
	if got, words := DigestBytes(sparse, 7), Digest(wide, 7); got != words {
		t.Errorf("bytes with zeros between them %x, words %x", got, words)
	}
	for at := range 200 {
		i, bit := at*97%len(x), at%32
		x[i] ^= 1 << bit
		if Digest(x, 0) == want {
			t.Errorf("bit %d of element %d is not seen", bit, i)
		}
		j := (i + 1 + at) % len(x)
		x[j] ^= 1 << bit
		if Digest(x, 0) == want {
			t.Errorf("bit %d of elements %d and %d is not seen", bit, i, j)
		}
		x[i] ^= 1 << bit
		x[j] ^= 1 << bit
		if x[i] == x[j] {
			continue
		}
		x[i], x[j] = x[j], x[i]
		if Digest(x, 0) == want {
			t.Errorf("elements %d and %d change places unseen", i, j)
		}
		x[i], x[j] = x[j], x[i]
	}
}

func BenchmarkDigest(b *testing.B) {
	b.Run("zero bytes", func(b *testing.B) {
		x := make([]byte, 16384)
		b.SetBytes(int64(len(x)))
		for b.Loop() {
			DigestBytes(x, 0)
		}
	})
	for _, n := range []int{16384, 1 << 24} {
		x := make([]uint32, n)
		for i := range x {
			x[i] = uint32(i)
		}
		b.Run(map[bool]string{true: "cache", false: "memory"}[n < 1<<20], func(b *testing.B) {
			b.SetBytes(int64(4 * n))
			for b.Loop() {
				Digest(x, 0)
			}
		})
	}
}
