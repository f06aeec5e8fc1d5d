package kernel

import (
	"fmt"
	"unsafe"
)

// A product of bfloat16 takes two phases, so that one packing of B serves all threads: blocks of B are packed, in
// panels of 32 columns by groups of 32 k, and then rows of A meet a block. Gemm16 does both for a caller alone.

const (
	panel16  = 32           // columns of a panel of B, rows of a strip of A
	group16  = panel16 * 32 // bfloat16 in a group of a panel or strip
	groups16 = 16           // most groups of k in one part of A or B that is meant for the first-level cache
)

// room16 is the scratch buffer of a product.
type room16 struct {
	rows []float32 // packed, or widened, operands at work
	part []float32 // outputs that are not yet at their place
	edge []float32 // a group at an edge, a part of the bias
	own  []float32 // a block of the caller's own
	long []float32 // outputs in float32, before they are rounded
}

// The lengths of its parts, in floats; the small ones are for Gemm16Small.
const (
	rows16, rows16Small = 384 * group16 / 2, 72 * group16 / 2
	part16, part16Small = panel16 * 1040, panel16 * 544
	own16, own16Small   = 512 * group16 / 2, 64 * group16 / 2
	edge16              = group16 + panel16
	long16              = 256 * panel16
)

// Gemm16Scratch is the length, in floats, of the scratch buffer that Gemm16 needs for any shape.
const Gemm16Scratch = rows16 + part16 + edge16 + own16 + long16

// Gemm16Small is what it needs if neither M nor N nor K is above 256, as in attention.
const Gemm16Small = rows16Small + part16Small + edge16 + own16Small + long16

func room(scratch []float32) (r room16) {
	rows, part, own := rows16, part16, own16
	if len(scratch) < Gemm16Scratch {
		rows, part, own = rows16Small, part16Small, own16Small
	}
	r.rows, scratch = scratch[:rows], scratch[rows:]
	r.part, scratch = scratch[:part], scratch[part:]
	r.edge, scratch = scratch[:edge16], scratch[edge16:]
	r.own, scratch = scratch[:own], scratch[own:]
	r.long = scratch[:long16]
	return r
}

// Block16 is a part of the operand B of a Gemm16: some columns, in whole panels but for the last, and some groups of
// k.
type Block16 struct {
	Col, Cols     int
	Group, Groups int
	Data          []uint16 // Panels() panels of Groups groups, once packed
	stride        int      // groups from a panel to the next in Data
}

// Panels returns the number of panels of 32 columns.
func (b *Block16) Panels() int { return ceilDiv(b.Cols, panel16) }

// Groups returns the number of groups of 32 k in g: they start anew at each sample.
func (g *Gemm16) Groups() int {
	if g.Rows > 0 {
		return g.K / g.Rows * ceilDiv(g.Rows, group)
	}
	return ceilDiv(g.K, group)
}

// groupAt returns the first k of group q and the number of k in it.
func (g *Gemm16) groupAt(q int) (k, n int) {
	from, rows := 0, g.K
	if g.Rows > 0 {
		rows = g.Rows
		each := ceilDiv(rows, group)
		from, q = q/each*rows, q%each
	}
	return from + q*group, min(group, rows-q*group)
}

// Blocks16 returns how B is cut into blocks that fit in a buffer of n bfloat16: columns into so many bands of whole
// panels, and groups of k into so many parts. Outputs of bfloat16 need all groups at once, so both are 0 if the
// buffer is too small for them.
func (isa ISA) Blocks16(g *Gemm16, n int) (bands, parts int) {
	if !assembly || isa == portable {
		return 1, 1
	}
	all, wide := max(g.Groups(), 1), max(1, ceilDiv(g.N, panel16))
	parts = 1
	switch most := n / (wide * group16); { // groups that fit with all columns
	case g.Half != nil:
	case g.Layout == TN || all*group16 > n:
		parts = ceilDiv(all, groups16)
	case g.A.Full != nil && groups16 <= most && most < all: // A is packed for each band anew, but not for each part
		parts = ceilDiv(all, most)
	}
	panels := n / (ceilDiv(all, parts) * group16)
	if panels == 0 {
		return 0, 0
	}
	return ceilDiv(wide, panels), parts
}

// Block returns one of the blocks that Blocks16 counts, without memory.
func (g *Gemm16) Block(band, bands, part, parts int) Block16 {
	panels, all := ceilDiv(g.N, panel16), g.Groups()
	j0, j1 := panels*band/bands*panel16, panels*(band+1)/bands*panel16
	q0, q1 := all*part/parts, all*(part+1)/parts
	return Block16{Col: j0, Cols: min(j1, g.N) - j0, Group: q0, Groups: q1 - q0, stride: q1 - q0}
}

// Pack16 packs panels p0..p1-1 of b into b.Data. Several goroutines may pack panels of one block at once.
func (isa ISA) Pack16(g *Gemm16, b *Block16, p0, p1 int, scratch []float32) {
	if len(scratch) < Gemm16Scratch {
		panic(fmt.Sprintf("kernel: %d floats of scratch", len(scratch)))
	}
	b.pack(isa, g, p0, p1, room(scratch).edge)
}

func (b *Block16) pack(isa ISA, g *Gemm16, p0, p1 int, edge []float32) {
	if !assembly || isa == portable || b.Groups == 0 {
		return
	}
	if len(b.Data) < b.Panels()*b.Groups*group16 {
		panic(fmt.Sprintf("kernel: %d bfloat16 for %d panels of %d groups", len(b.Data), b.Panels(), b.Groups))
	}
	j := p0 * panel16
	g.pack(isa, false, b.Data[p0*b.Groups*group16:], b.Col+j, min((p1-p0)*panel16, b.Cols-j), b.Group, b.Groups, edge)
}

// Multiply16 adds the product of rows i0..i1-1 of A with the packed block b, and the sums of these rows' A if b has
// the first columns. The block of the first groups of k must come first, and the others follow in order. Several
// goroutines may each compute rows of their own.
func (isa ISA) Multiply16(g *Gemm16, b *Block16, i0, i1 int, scratch []float32) {
	if i0 < 0 || i1 > g.M || len(scratch) < Gemm16Scratch {
		panic(fmt.Sprintf("kernel: rows %d to %d of %d, %d floats of scratch", i0, i1, g.M, len(scratch)))
	}
	b.multiply(isa, g, i0, i1, room(scratch))
}

func (b *Block16) multiply(isa ISA, g *Gemm16, i0, i1 int, r room16) {
	if g.SumA != nil && b.Col == 0 {
		g.sums(isa, b, i0, i1, r.rows)
	}
	if i0 >= i1 || b.Cols <= 0 {
		return
	}
	if !assembly || isa == portable || b.Groups == 0 {
		part := g.Part(i0, i1, b.Col, b.Col+b.Cols)
		part.portable()
		return
	}
	g.multiply(isa, b, i0, i1, r)
}

// sums adds rows i0..i1-1 of the transposed A, as far as b's groups go, to SumA.
func (g *Gemm16) sums(isa ISA, b *Block16, i0, i1 int, scratch []float32) {
	if b.Groups == 0 || i0 >= i1 {
		return
	}
	k, _ := g.groupAt(b.Group)
	last, n := g.groupAt(b.Group + b.Groups - 1)
	sum, cols := g.SumA[i0:i1], i1-i0
	if g.A.Full != nil {
		isa.ColumnSum(sum, g.A.Full[k*g.A.LD+i0:], last+n-k, g.A.LD)
		return
	}
	rows := max(1, len(scratch)/cols)
	for ; k < last+n; k += rows {
		rows := min(rows, last+n-k)
		for j := 0; j < cols; j += len(scratch) {
			n := min(cols-j, len(scratch))
			for r := range rows {
				isa.Widen(scratch[r*n:][:n], g.A.Half[(k+r)*g.A.LD+i0+j:][:n])
			}
			isa.ColumnSum(sum[j:j+n], scratch, rows, n)
		}
	}
}

// whole runs g, block after block in scratch.
func (g *Gemm16) whole(isa ISA, r room16) {
	if assembly && isa != portable && g.M == 1 && g.Layout == NT && g.K >= group && g.K%group == 0 && g.K <= len(r.rows) {
		n := g.row(isa, r)
		if n == g.N {
			return
		}
		rest := g.Part(0, 1, n, g.N)
		g = &rest
	}
	data := halves16(r.own)
	bands, parts := isa.Blocks16(g, len(data))
	if parts == 0 && g.N > 0 {
		g.long(isa, r)
		return
	}
	for band := range bands {
		for part := range parts {
			b := g.Block(band, bands, part, parts)
			b.Data = data
			b.pack(isa, g, 0, b.Panels(), r.edge)
			b.multiply(isa, g, 0, g.M, r)
		}
	}
}

// long is whole for outputs of bfloat16 where all of K is too long for scratch: small blocks of outputs are computed
// in float32 and rounded.
func (g *Gemm16) long(isa ISA, room room16) {
	c := room.long
	for i := 0; i < g.M; i += long16 / panel16 {
		for j := 0; j < g.N; j += panel16 {
			p := g.Part(i, min(i+long16/panel16, g.M), j, min(j+panel16, g.N))
			to := p.Half
			p.C, p.Half, p.LDC = c, nil, panel16
			p.whole(isa, room)
			for r := range p.M {
				isa.RoundNearest(to[r*g.LDC:][:p.N], c[r*panel16:][:p.N])
			}
		}
	}
}

func halves16(x []float32) []uint16 { return unsafe.Slice((*uint16)(ptr(x)), 2*len(x)) }
