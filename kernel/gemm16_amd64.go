//go:build amd64 && !noasm

package kernel

import (
	"cmp"
	"unsafe"
)

// packFunc packs groups of 32 lines; ld is in bytes.
type packFunc func(dst *uint16, src *byte, ld, groups int)

// gemm16ISA holds the vector kernels of one instruction set.
type gemm16ISA struct {
	w      int               // floats in a vector
	pack   [2][2][2]packFunc // of rows along k or across it; of bfloat16 or float32; to A or B
	widenA func(dst *float32, ld int, src *uint16, groups int)
	widenB func(dst *float32, src *uint16, groups int)
	narrow func(dst *uint16, ld int, src *float32, ls, rows, n int)
	tiles  []func(groups int, a *float32, as int, b, s *float32, ss int, c *float32, cs int) // by rows
}

var (
	gemm16x512 = gemm16ISA{16, [2][2][2]packFunc{
		{{gemm16PackAlongHalfA512, gemm16PackAlongHalfB512}, {gemm16PackAlongFullA512, gemm16PackAlongFullB512}},
		{{gemm16PackAcrossHalfA512, gemm16PackAcrossHalfB512}, {gemm16PackAcrossFullA512, gemm16PackAcrossFullB512}},
	}, gemm16WidenA512, gemm16WidenB512, gemm16Narrow512, []func(int, *float32, int, *float32, *float32, int, *float32, int){
		nil, gemm16Tile512x1, gemm16Tile512x2, gemm16Tile512x3, gemm16Tile512x4, gemm16Tile512x5, gemm16Tile512x6, gemm16Tile512x7,
	}}
	gemm16x256 = gemm16ISA{8, [2][2][2]packFunc{
		{{gemm16PackAlongHalfA256, gemm16PackAlongHalfB256}, {gemm16PackAlongFullA256, gemm16PackAlongFullB256}},
		{{gemm16PackAcrossHalfA256, gemm16PackAcrossHalfB256}, {gemm16PackAcrossFullA256, gemm16PackAcrossFullB256}},
	}, gemm16WidenA256, gemm16WidenB256, gemm16Narrow256, []func(int, *float32, int, *float32, *float32, int, *float32, int){
		nil, gemm16Tile256x1, gemm16Tile256x2, gemm16Tile256x3,
	}}
)

func (isa ISA) gemm16() *gemm16ISA {
	if isa == avx2 {
		return &gemm16x256
	}
	return &gemm16x512
}

// pack packs lines (rows of A, or columns of B) and groups of k to dst. Groups and lines that are not whole are copied
// and filled up with zeros first.
func (g *Gemm16) pack(isa ISA, isA bool, dst []uint16, line, lines, q0, groups int, edge []float32) {
	const step = 8 // groups a call, so that no call is long
	o, along, to := &g.B, g.Layout == NT, 1
	if isA {
		o, along, to = &g.A, g.Layout != TN, 0
	}
	across, full := 0, 0
	if !along {
		across = 1
	}
	if o.Full != nil {
		full = 1
	}
	call := isa.gemm16().pack[across][full][to]
	size := 2 << full
	for q := 0; q < groups; {
		k, n := g.groupAt(q0 + q)
		at := line*o.LD + k
		if !along {
			at = k*o.LD + line
		}
		out := &dst[q*group16]
		if lines < panel16 || n < group {
			call(out, o.edge(edge[:group16], along, at, lines, n), panel16*size, 1)
			q++
			continue
		}
		run := 1
		for ; run < step && q+run < groups; run++ {
			if next, n := g.groupAt(q0 + q + run); next != k+run*group || n < group {
				break
			}
		}
		call(out, o.bytes(at), o.LD*size, run)
		q += run
	}
}

// bytes returns the address of element i.
func (o *Operand) bytes(i int) *byte {
	if o.Full != nil {
		return (*byte)(unsafe.Pointer(&o.Full[i]))
	}
	return (*byte)(unsafe.Pointer(&o.Half[i]))
}

// edge copies n k of some lines, from element at on, to a group of 32 by 32 in temp, which is zero elsewhere.
func (o *Operand) edge(temp []float32, along bool, at, lines, n int) *byte {
	clear(temp)
	rows, cols := n, lines
	if along {
		rows, cols = lines, n
	}
	halves := halves16(temp)
	for r := range rows {
		if o.Full != nil {
			copy(temp[r*panel16:], o.Full[at+r*o.LD:][:cols])
		} else {
			copy(halves[r*panel16:], o.Half[at+r*o.LD:][:cols])
		}
	}
	return (*byte)(ptr(temp))
}

// outputs16 is a band of rows of C under way: rows i.. and columns j.. of g. Where the kernels cannot write to their
// place, because that is of bfloat16 or less than a panel, outputs are computed in part and then moved.
type outputs16 struct {
	g          *Gemm16
	i, rows    int
	begun      bool // with earlier k of this block
	before     bool // blocks of earlier k were added to C
	part, bias []float32
	ld         int // of part
}

// place returns where the kernels find and leave panels of columns, the first at column j of C and column at of part.
func (o *outputs16) place(j, n, at int, through bool) (s *float32, ss, sp int, c *float32, cs int) {
	g := o.g
	if through {
		c, cs = &o.part[at], o.ld
	} else {
		c, cs = &g.C[o.i*g.LDC+j], g.LDC
	}
	switch {
	case o.begun:
		return c, cs, panel16, c, cs
	case g.Accumulate || o.before:
		if through {
			for r := range o.rows {
				copy(o.part[at+r*o.ld:], g.C[(o.i+r)*g.LDC+j:][:n])
			}
		}
		return c, cs, panel16, c, cs
	case g.Bias == nil:
		return &gemmZero[0], 0, 0, c, cs
	case n%panel16 != 0:
		copy(o.bias, g.Bias[j:j+n])
		return &o.bias[0], 0, 0, c, cs
	}
	return &g.Bias[j], 0, panel16, c, cs
}

// narrowRows rounds rows of n elements, a multiple of 32.
func (isa ISA) narrowRows(dst []uint16, ld int, src []float32, ls, rows, n int) {
	if n > 0 {
		isa.gemm16().narrow(&dst[0], ld, &src[0], ls, rows, n)
	}
}

// finish moves n outputs a row from part, column at, to column j of C.
func (o *outputs16) finish(isa ISA, j, n, at int) {
	g := o.g
	if g.Half == nil {
		for r := range o.rows {
			copy(g.C[(o.i+r)*g.LDC+j:][:n], o.part[at+r*o.ld:])
		}
		return
	}
	isa.roundRows(g.Half[o.i*g.LDC+j:], g.LDC, o.part[at:], o.ld, o.rows, n)
}

func (g *Gemm16) multiply(isa ISA, b *Block16, i0, i1 int, r room16) {
	if isa == amx {
		g.multiplyTiles(b, i0, i1, r)
	} else {
		g.multiplyVectors(isa, b, i0, i1, r)
	}
}

// multiplyVectors widens rows of A and panels of B to float32, and multiplies these.
func (g *Gemm16) multiplyVectors(isa ISA, b *Block16, i0, i1 int, room room16) {
	rows, groups := 128, 12 // of A and of k at a time
	if len(room.rows) < rows16 {
		rows, groups = 64, 8
	}
	as := groups*group + 16
	cols := (len(room.part)/rows - 16) &^ (panel16 - 1) // at a time
	p := isa.gemm16()
	wideA, wideB := room.rows[:rows*as], room.rows[rows*as:][:groups*group*panel16]
	packed := halves16(room.rows[rows*as+groups*group*panel16:][:groups*group16/2])
	parts := ceilDiv(b.Groups, groups)
	o := outputs16{g: g, before: b.Group > 0, part: room.part, bias: room.edge[group16:], ld: cols + 16}
	mr := len(p.tiles) - 1
	for i := i0; i < i1; i += rows {
		o.i, o.rows = i, min(rows, i1-i)
		for col := 0; col < b.Cols; col += cols {
			for part := range parts {
				q0, q1 := b.Groups*part/parts, b.Groups*(part+1)/parts
				for r := 0; r < o.rows; r += panel16 {
					g.pack(isa, true, packed, i+r, min(panel16, o.rows-r), b.Group+q0, q1-q0, room.edge)
					p.widenA(&wideA[r*as], as, &packed[0], q1-q0)
				}
				o.begun = part > 0
				for at := 0; at < min(cols, b.Cols-col); at += panel16 {
					n := min(panel16, b.Cols-col-at)
					through := n < panel16 || g.Half != nil
					p.widenB(&wideB[0], &b.Data[((col+at)/panel16*cmp.Or(b.stride, b.Groups)+q0)*group16], q1-q0)
					j := b.Col + col + at
					s, ss, _, c, cs := o.place(j, n, at, through)
					for h := 0; h < panel16; h += 2 * p.w {
						for r := 0; r < o.rows; r += mr {
							n := min(mr, o.rows-r)
							p.tiles[n](q1-q0, &wideA[r*as], as, &wideB[h], floatAt(s, r*ss+h), ss, floatAt(c, r*cs+h), cs)
						}
					}
					if through && part == parts-1 {
						o.finish(isa, j, n, at)
					}
				}
			}
		}
	}
}

func floatAt(p *float32, i int) *float32 {
	return (*float32)(unsafe.Add(unsafe.Pointer(p), 4*i))
}

// tileArgs is the argument of the kernel of tiles. Strides are in bytes.
//
//	for p < panels, i < 32, j < 32:
//		c[i*cs+p*128+4j] = s[i*ss+p*sp+4j]
//		for q < groups: c[...] += group q of a[q*ag+i*as] with group q of b[p*bp]
type tileArgs struct {
	a      unsafe.Pointer
	as, ag int
	b      unsafe.Pointer
	groups int
	panels int
	bp     int
	s      unsafe.Pointer
	ss, sp int
	c      unsafe.Pointer
	cs     int
}

// multiplyTiles runs on the matrix unit. A strip of A of 32 rows and at most groups16 groups stays in the first-level
// cache, or is packed there, while panels of B pass by; some columns of B stay in the second-level cache.
func (g *Gemm16) multiplyTiles(b *Block16, i0, i1 int, room room16) {
	const (
		cached = 1200 << 10 / (2 * group16) // groups of panels in the second-level cache
		calls  = 96                         // groups of 2 by 2 tiles a call, so that no call is long
	)
	cols := (len(room.part)/panel16 - 16) &^ (panel16 - 1) // at a time
	most := len(room.rows) * 2 / group16                   // groups of packed A
	parts := ceilDiv(b.Groups, groups16)
	band := min(max(cached/b.Groups, 1)*panel16, cols)
	direct := g.Layout != TN && g.A.Half != nil && g.K%group == 0 && g.A.LD%1024 != 0
	packed := halves16(room.rows)
	o := outputs16{g: g, before: b.Group > 0, part: room.part, bias: room.edge[group16:], ld: cols + 16}
	for i := i0; i < i1; {
		// Rows that are packed once for all columns.
		rows := i1 - i
		keep := false
		if !direct && b.Cols > band && b.Groups <= most {
			rows, keep = min(rows, most/b.Groups*panel16), true
		}
		for col := 0; col < b.Cols; col += band {
			for r := 0; r < rows; r += panel16 {
				o.i, o.rows = i+r, min(panel16, rows-r)
				for part := range parts {
					q0, q1 := b.Groups*part/parts, b.Groups*(part+1)/parts
					var args tileArgs
					args.groups, args.bp = q1-q0, cmp.Or(b.stride, b.Groups)*group16*2
					if direct && o.rows == panel16 {
						args.a = unsafe.Pointer(&g.A.Half[o.i*g.A.LD+(b.Group+q0)*group])
						args.as, args.ag = g.A.LD*2, 64
					} else {
						a := packed
						if keep {
							a = packed[(r/panel16*b.Groups+q0)*group16:]
						}
						if !keep || col == 0 {
							g.pack(amx, true, a, o.i, o.rows, b.Group+q0, q1-q0, room.edge)
						}
						args.a, args.as, args.ag = unsafe.Pointer(&a[0]), 64, 2*group16
					}
					o.begun = part > 0
					o.tiles(&args, b, col, min(band, b.Cols-col), q0, calls/(q1-q0), part == parts-1)
				}
			}
		}
		i += rows
	}
}

// tiles computes columns of b, n from column col on, a few panels a call.
func (o *outputs16) tiles(args *tileArgs, b *Block16, col, n, q0, panels int, last bool) {
	panels = max(panels, 1)
	for at := 0; at < n; {
		width := min(panels*panel16, n-at)
		if width > panel16 {
			width &^= panel16 - 1
		}
		through := o.g.Half != nil || o.rows < panel16 || width < panel16
		args.panels = ceilDiv(width, panel16)
		args.b = unsafe.Pointer(&b.Data[((col+at)/panel16*cmp.Or(b.stride, b.Groups)+q0)*group16])
		j := b.Col + col + at
		s, ss, sp, c, cs := o.place(j, width, at, through)
		args.s, args.ss, args.sp = unsafe.Pointer(s), 4*ss, 4*sp
		args.c, args.cs = unsafe.Pointer(c), 4*cs
		gemm16Tiles((*byte)(unsafe.Pointer(args)))
		if through && last {
			o.finish(amx, j, width, at)
		}
		at += width
	}
}
