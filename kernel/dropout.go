package kernel

import (
	"math"
	"unsafe"

	"github.com/bdia-go/bdia/internal/rng"
)

// dropoutDraws is the number of draws made at a time; each decides on 8
// elements.
const dropoutDraws = 256

// keepArgs is the argument of the assembly that draws: draws (a multiple of 8)
// of them, the first with counter ctr, each to one byte of keep. A half-word up
// to last counts as kept.
type keepArgs struct {
	keep  *byte
	draws int
	ctr   [4]uint32
	key   [2]uint32
	last  uint32
}

// Dropout sets y[i] = x[i]*(65536/keep) if element first+i of the stream is
// kept, else +0 (Srivastava et al., JMLR 15, 2014). Element e is kept when
// half-word e mod 8 of draw e/8 of key is below keep, which is in 0..65536; the
// low half of a word comes first. So a mask needs no memory: the same call on
// gradients is the backward pass. first must be a multiple of 8; y may be x.
func (isa ISA) Dropout(y, x []float32, key rng.Key, first uint32, keep uint32) {
	wantLen(len(y), len(x))
	if first%8 != 0 || keep > 1<<16 {
		panic("kernel: Dropout: first is no multiple of 8, or keep above 65536")
	}
	if keep == 0 {
		clear(y)
		return
	}
	scale := float32(1<<16) / float32(keep)
	var kept [dropoutDraws]byte
	for draw := first / 8; len(x) > 0; draw += dropoutDraws {
		n := min(8*dropoutDraws, len(x))
		isa.keepBits(kept[:(n+63)/64*8], key, draw, keep)
		v := vecArgs{f: [8]float32{scale}}
		v.p[0], v.p[1], v.p[3] = ptr(y), ptr(x), unsafe.Pointer(&kept)
		i := isa.run(opKeep, &v, n&^(lanes-1))
		keepGo(y[i:n], x[i:n], kept[i/8:], scale)
		y, x = y[n:], x[n:]
	}
}

func keepGo(y, x []float32, kept []byte, scale float32) {
	for i := range x {
		mask := -uint32(kept[i/8] >> (i % 8) & 1)
		y[i] = math.Float32frombits(math.Float32bits(x[i]*scale) & mask)
	}
}

// keepBits sets bit j of kept[i] if half-word j of draw first+i is below keep,
// which is above 0.
func (isa ISA) keepBits(kept []byte, key rng.Key, first, keep uint32) {
	i := 0
	if assembly && isa != portable && len(kept) >= 8 {
		i = len(kept) &^ 7
		isa.draw(&keepArgs{
			keep: &kept[0], draws: i, last: keep - 1,
			ctr: [4]uint32{first, key.Sample, key.Step, key.Block<<8 | uint32(key.Site)},
			key: [2]uint32{uint32(key.Seed), uint32(key.Seed >> 32)},
		})
	}
	for ; i < len(kept); i++ {
		var b byte
		for j, word := range key.At(first + uint32(i)) {
			if word&0xffff < keep {
				b |= 1 << (2 * j)
			}
			if word>>16 < keep {
				b |= 2 << (2 * j)
			}
		}
		kept[i] = b
	}
}
