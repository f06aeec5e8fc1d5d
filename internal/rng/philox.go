// Package rng is the project's only source of randomness: Philox4x32-10, a
// counter-based generator (Salmon et al., "Parallel Random Numbers: As Easy as
// 1, 2, 3", SC 2011).
//
// A draw is a pure function of its purpose: the seed, the step, the sample, the
// block and the site within the block. So gamma, dropout and the order of the data
// replay exactly in the reverse walk, after a resume, and for every split of the
// work. There is no generator state to save.
package rng

// Site tells apart the uses of randomness within one block of one sample. Its number
// is part of the key of a draw, so it never changes. The uses of dropout have the
// numbers 1 to 4 and 8 to 16: see package backend, which names them.
type Site uint8

const (
	SiteGamma    Site = 0  // gamma of a block (paper, eq. 12)
	SiteData     Site = 5  // choice of training samples
	SiteInit     Site = 6  // parameter initialisation
	SiteGenerate Site = 7  // sampling from a language model
	SiteRounding Site = 20 // rounding of updated weights; Sample is the number of the parameter
)

// Key names one stream of 128-bit draws.
type Key struct {
	Seed   uint64
	Step   uint32 // optimiser step
	Sample uint32 // index of the sample within the step's global batch
	Block  uint32 // block index k; below 2^24
	Site   Site
}

// At returns draw number i of the stream: four independent uniform words.
func (k Key) At(i uint32) [4]uint32 {
	return Philox(
		[4]uint32{i, k.Sample, k.Step, k.Block<<8 | uint32(k.Site)},
		[2]uint32{uint32(k.Seed), uint32(k.Seed >> 32)})
}

// Uint64 returns draw number i of the stream as one 64-bit word.
func (k Key) Uint64(i uint32) uint64 {
	r := k.At(i)
	return uint64(r[1])<<32 | uint64(r[0])
}

// Float64 returns draw number i of the stream, uniform in [0,1).
func (k Key) Float64(i uint32) float64 { return float64(k.Uint64(i)>>11) * 0x1p-53 }

const (
	mul0, mul1   = 0xD2511F53, 0xCD9E8D57
	weyl0, weyl1 = 0x9E3779B9, 0xBB67AE85
)

// Philox is the bijection itself: ten rounds of Philox4x32 on counter c.
func Philox(c [4]uint32, key [2]uint32) [4]uint32 {
	for range 10 {
		p0 := uint64(mul0) * uint64(c[0])
		p1 := uint64(mul1) * uint64(c[2])
		c = [4]uint32{
			uint32(p1>>32) ^ c[1] ^ key[0], uint32(p1),
			uint32(p0>>32) ^ c[3] ^ key[1], uint32(p0),
		}
		key[0] += weyl0
		key[1] += weyl1
	}
	return c
}
