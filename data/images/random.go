package images

import (
	"math"
	"math/bits"

	"github.com/bdia-go/bdia/internal/pmath"
	"github.com/bdia-go/bdia/internal/rng"
)

// Purposes of random draws: the Block field of a key with site SiteData. Block 0 is
// used for windows of text.
const (
	forSubset = 1 + iota
	forSplit
	forOrder
	forCrop
	forRandAugment
	forErase
	forMix
)

// stream is a sequence of draws for one purpose.
type stream struct {
	key  rng.Key
	next uint32
}

// newStream returns the draws for a purpose. For augmentation, step is the epoch
// and sample the image's index in its set.
func newStream(seed uint64, step, sample uint32, purpose uint32) stream {
	return stream{key: rng.Key{Seed: seed, Step: step, Sample: sample, Block: purpose, Site: rng.SiteData}}
}

func (s *stream) uint64() uint64 {
	s.next++
	return s.key.Uint64(s.next - 1)
}

// float64 returns a number in [0,1).
func (s *stream) float64() float64 { return float64(s.uint64()>>11) * 0x1p-53 }

// between returns a number in [lo,hi).
func (s *stream) between(lo, hi float64) float64 { return lo + float64((hi-lo)*s.float64()) }

// below returns a number in 0..n-1, uniform to within 2^-64.
func (s *stream) below(n int) int {
	hi, _ := bits.Mul64(s.uint64(), uint64(n))
	return int(hi)
}

// normal returns a draw of the standard normal distribution (Box and Muller,
// 1958).
func (s *stream) normal() float64 {
	r := math.Sqrt(-2 * pmath.Log(1-s.float64()))
	return r * pmath.Cos(2*math.Pi*s.float64())
}

// logGamma returns the logarithm of a draw of Gamma(alpha,1): Marsaglia and Tsang, "A
// Simple Method for Generating Gamma Variables", TOMS 2000, with the boost of its
// section 6 for every alpha. It works in logarithms because small alpha underflow.
func (s *stream) logGamma(alpha float64) float64 {
	d := alpha + 1 - 1.0/3
	c := 1 / math.Sqrt(9*d)
	for {
		x := s.normal()
		v := 1 + float64(c*x)
		if v <= 0 {
			continue
		}
		v = v * v * v
		u := 1 - s.float64() // in (0,1]
		if pmath.Log(u) < float64(0.5*x*x)+float64(d*(1-v+pmath.Log(v))) {
			return pmath.Log(d*v) + pmath.Log(1-s.float64())/alpha
		}
	}
}

// beta returns a draw of Beta(alpha,alpha), rounded to 16 bits.
func (s *stream) beta(alpha float64) float32 {
	a, b := s.logGamma(alpha), s.logGamma(alpha)
	return float32(math.RoundToEven(0x1p16/(1+pmath.Exp(b-a))) * 0x1p-16)
}

// shuffle is a pseudorandom permutation of 0..n-1 that computes any single place
// without the others: a Feistel network over the next even number of bits, repeated
// until the result is below n (Black and Rogaway, "Ciphers with Arbitrary Finite
// Domains", 2002), with Philox as the round function.
type shuffle struct {
	n    uint64
	half uint   // bits of a half
	mask uint64 // the low half bits set
}

func newShuffle(n int) shuffle {
	half := uint(max(1, (bits.Len64(uint64(n-1))+1)/2))
	return shuffle{uint64(n), half, 1<<half - 1}
}

// at returns the element at place p in the order of an epoch.
func (s shuffle) at(seed uint64, epoch uint32, p int) int {
	const rounds = 8
	x := uint64(p)
	for {
		l, r := x>>s.half, x&s.mask
		key := rng.Key{Seed: seed, Step: epoch, Block: forOrder, Site: rng.SiteData}
		for i := range uint32(rounds) {
			key.Sample = uint32(r)
			l, r = r, l^key.Uint64(i)&s.mask
		}
		if x = l<<s.half | r; x < s.n {
			return int(x)
		}
	}
}

// choose takes want(class, have) random samples of each class, where have is the
// class's number of samples. It returns the chosen and the rest, both in the order of
// samples.
func choose(samples []sample, classes int, seed uint64, purpose uint32, want func(class, have int) int) (chosen, rest []sample) {
	of := make([][]int, classes) // the samples of each class
	for i, s := range samples {
		of[s.label] = append(of[s.label], i)
	}
	taken := make([]bool, len(samples))
	for class, at := range of {
		draw := newStream(seed, uint32(class), 0, purpose)
		for i := range want(class, len(at)) {
			j := i + draw.below(len(at)-i)
			at[i], at[j] = at[j], at[i]
			taken[at[i]] = true
		}
	}
	for i, s := range samples {
		if taken[i] {
			chosen = append(chosen, s)
		} else {
			rest = append(rest, s)
		}
	}
	return chosen, rest
}

// Random fills pixels, the normalised values of one image, with uniform draws of mean 0
// and standard deviation 1. They are a function of seed, step and sample.
func Random(pixels []float32, seed uint64, step, sample int) {
	key := rng.Key{Seed: seed, Step: uint32(step), Sample: uint32(sample), Site: rng.SiteData}
	for at := 0; at < len(pixels); at += 4 {
		w := key.At(uint32(at / 4))
		for k := range pixels[at:min(at+4, len(pixels))] {
			pixels[at+k] = (float32(w[k])*0x1p-32 - 0.5) * 3.4641016
		}
	}
}
