package kernel

import "github.com/bdia-go/bdia/internal/rng"

// Dropout sets y[i] = x[i]*(65536/keep) where element first+i of the stream is
// kept, and +0 elsewhere (Srivastava et al., JMLR 15, 2014). Element e is kept
// when half-word e mod 8 of draw e/8 of key is below keep, which is in 0..65536;
// the low half of a word comes first. So a mask needs no memory: the same call
// on gradients is the backward pass. first must be a multiple of 8; y may be x.
func (isa ISA) Dropout(y, x []float32, key rng.Key, first uint32, keep uint32) {
	wantLen(len(y), len(x))
	if first%8 != 0 || keep > 1<<16 {
		panic("kernel: Dropout: first is no multiple of 8, or keep above 65536")
	}
	scale := float32(1<<16) / float32(max(keep, 1))
	for i := 0; i < len(x); i += 8 {
		word := key.At(first/8 + uint32(i/8))
		for j := range min(8, len(x)-i) {
			kept := word[j/2]>>(j%2*16)&0xffff < keep
			if kept {
				y[i+j] = x[i+j] * scale
			} else {
				y[i+j] = 0
			}
		}
	}
}
