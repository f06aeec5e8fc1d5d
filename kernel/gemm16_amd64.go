//go:build amd64 && !noasm

package kernel

import (
	"unsafe"
)

// packFunc packs n groups of 32 lines; ld and steps are in bytes.
type packFunc func(dst *uint16, dstStep int, src *byte, srcStep, ld, n int)

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

// pack packs lines (rows of A, or columns of B) and groups of k to dst, 32 lines of all groups after the other.
// Groups and lines that are not whole are copied and filled up with zeros first. Memory is read along its rows.
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
	bands := ceilDiv(lines, panel16)
	for at, total := 0, bands*groups; at < total; {
		band, q, run := at/groups, at%groups, 1
		if !along {
			band, q = at%bands, at/bands
		}
		i, high := line+band*panel16, min(panel16, lines-band*panel16)
		k, n := g.groupAt(q0 + q)
		out, from, srcStep, dstStep := &dst[(band*groups+q)*group16], i*o.LD+k, group*size, 2*group16
		if !along {
			from, srcStep, dstStep = k*o.LD+i, panel16*size, 2*group16*groups
		}
		switch {
		case high < panel16 || n < group:
			call(out, dstStep, o.edge(edge[:group16], along, from, high, n), srcStep, panel16*size, 1)
			at++
			continue
		case along:
			for ; run < step && q+run < groups; run++ {
				if next, n := g.groupAt(q0 + q + run); next != k+run*group || n < group {
					break
				}
			}
		default:
			run = min(step, lines/panel16-band)
		}
		call(out, dstStep, o.bytes(from), srcStep, o.LD*size, run)
		at += run
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

// outputs16 is a band of rows of C under way: rows i.. of g. Where the kernels cannot leave outputs at their place,
// because k goes on, they are rounded, or there is less than a panel, they are in part: a panel of high rows after
// the other.
type outputs16 struct {
	g          *Gemm16
	i, rows    int
	begun      bool // with earlier k of this block
	before     bool // blocks of earlier k were added to C
	part, bias []float32
	high       int
}

// start returns where the kernels find what panels start from, n columns from column j of C and column at of part:
// rows ss and panels sp apart. With edge, they read whole panels where there are none, so that values of C are put in
// part.
func (o *outputs16) start(j, n, at int, edge bool) (s *float32, ss, sp int) {
	g := o.g
	switch {
	case !o.begun && (g.Accumulate || o.before) && !edge:
		return &g.C[o.i*g.LDC+j], g.LDC, panel16
	case !o.begun && (g.Accumulate || o.before):
		for p := 0; p < n; p += panel16 {
			for r := range o.rows {
				copy(o.part[(at+p)*o.high+r*panel16:], g.C[(o.i+r)*g.LDC+j+p:][:min(n-p, panel16)])
			}
		}
		fallthrough
	case o.begun:
		return &o.part[at*o.high], panel16, o.high * panel16
	case g.Bias == nil:
		return &gemmZero[0], 0, 0
	case n < panel16:
		copy(o.bias, g.Bias[j:j+n])
		return &o.bias[0], 0, 0
	}
	return &g.Bias[j], 0, panel16
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
	for ; n > 0; j, n, at = j+panel16, n-panel16, at+panel16 {
		from, cols := o.part[at*o.high:], min(n, panel16)
		if g.Half != nil {
			isa.roundRows(g.Half[o.i*g.LDC+j:], g.LDC, from, panel16, o.rows, cols)
			continue
		}
		for r := range o.rows {
			copy(g.C[(o.i+r)*g.LDC+j:][:cols], from[r*panel16:])
		}
	}
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
	cols := len(room.part) / rows &^ (panel16 - 1) // at a time
	p := isa.gemm16()
	wideA, wideB := room.rows[:rows*as], room.rows[rows*as:][:groups*group*panel16]
	packed := halves16(room.rows[rows*as+groups*group*panel16:][:groups*group16/2])
	parts := ceilDiv(b.Groups, groups)
	o := outputs16{g: g, before: b.Group > 0, part: room.part, bias: room.edge[group16:], high: rows}
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
					edge := n < panel16
					c, cs := &o.part[at*o.high], panel16
					p.widenB(&wideB[0], &b.Data[((col+at)/panel16*b.stride+q0)*group16], q1-q0)
					j := b.Col + col + at
					s, ss, _ := o.start(j, n, at, edge)
					direct := !edge && g.Half == nil
					if direct {
						if c, cs = &g.C[o.i*g.LDC+j], g.LDC; o.begun {
							s, ss = c, cs
						}
					}
					for h := 0; h < panel16; h += 2 * p.w {
						for r := 0; r < o.rows; r += mr {
							n := min(mr, o.rows-r)
							p.tiles[n](q1-q0, &wideA[r*as], as, &wideB[h], floatAt(s, r*ss+h), ss, floatAt(c, r*cs+h), cs)
						}
					}
					if !direct && part == parts-1 {
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

// tileArgs is the argument of the kernels of tiles. Strides are in bytes.
//
//	for p < panels, i < 32, j < 32:
//		c[i*cs+p*cp+4j] = s[i*ss+p*sp+4j]
//		for q < groups: c[...] += group q of a[q*ag+i*as] with group q of b[p*bp]
//
// Those that write elsewhere take c as two buffers, cp apart, and out is where a panel's rows go. For each panel and
// group two lines, at next and nextRow further on, are brought to the second-level cache, and next goes on by
// nextGroup.
type tileArgs struct {
	a                  uintptr
	as, ag             int
	b                  uintptr
	groups, panels, bp int
	s                  uintptr
	ss, sp             int
	c                  uintptr
	cs, cp             int
	next               uintptr
	nextRow, nextGroup int
	out                uintptr
	outRow, outPanel   int
}

// partOfA is a strip of A at work: 32 rows of some groups of k.
type partOfA struct {
	a      unsafe.Pointer
	as, ag int // bytes between rows, and between groups
	q0, q1 int // groups of the block
	last   bool

	next               uintptr // see tileArgs
	nextRow, nextGroup int
}

// multiplyTiles runs on the matrix unit. A strip of A of 32 rows and at most groups16 groups stays in the first-level
// cache, or is packed there, while panels of B pass by; some columns of B stay in the second-level cache.
func (g *Gemm16) multiplyTiles(b *Block16, i0, i1 int, room room16) {
	const cached = 800 << 10 / (2 * group16)       // groups of panels in the second-level cache
	cols := (len(room.part)/group16 - 2) * panel16 // at a time; two panels are for outputs on their way
	most := len(room.rows) * 2 / group16           // groups of packed A
	parts := ceilDiv(b.Groups, groups16)
	band := min(max(cached/b.Groups, 1)*panel16, cols)
	band = roundUp(ceilDiv(b.Cols, ceilDiv(b.Cols, band)), panel16) // evenly
	direct := g.Layout != TN && g.A.Half != nil && g.K%group == 0
	packed := halves16(room.rows)
	o := outputs16{g: g, before: b.Group > 0, part: room.part, bias: room.edge[group16:], high: panel16}
	for i := i0; i < i1; {
		rows, keep := i1-i, false
		if !direct && b.Groups <= most && (b.Cols > band || g.Layout == TN) { // rows that are packed once, for all columns
			rows, keep = min(rows, most/b.Groups*panel16), true
			g.pack(amx, true, packed, i, rows, b.Group, b.Groups, room.edge)
		}
		for col := 0; col < b.Cols; col += band {
			for r := 0; r < rows; r += panel16 {
				o.i, o.rows = i+r, min(panel16, rows-r)
				var t partOfA
				for part := range parts {
					t.q0, t.q1, t.last = b.Groups*part/parts, b.Groups*(part+1)/parts, part == parts-1
					if direct && o.rows == panel16 {
						t.a, t.as, t.ag = unsafe.Pointer(&g.A.Half[o.i*g.A.LD+(b.Group+t.q0)*group]), g.A.LD*2, 64
					} else {
						a := packed
						if keep {
							a = packed[(r/panel16*b.Groups+t.q0)*group16:]
						} else {
							g.pack(amx, true, a, o.i, o.rows, b.Group+t.q0, t.q1-t.q0, room.edge)
						}
						t.a, t.as, t.ag = unsafe.Pointer(&a[0]), 64, 2*group16
					}
					if part == 0 {
						t.soon(g, b, o.i, i+rows, min(band, b.Cols-col), keep)
					}
					o.begun = part > 0
					o.tiles(&t, b, col, min(band, b.Cols-col))
				}
			}
		}
		i += rows
	}
}

// soon lets the kernels bring what A will be after the strip at row i nearer, while n columns pass by. It is the next
// strip, if that follows in memory.
func (t *partOfA) soon(g *Gemm16, b *Block16, i, end, n int, packed bool) {
	bytes := b.Groups * 2 * group16
	step := bytes / max(ceilDiv(n, panel16)*b.Groups, 1) // for each panel and group
	switch {
	case i+2*panel16 > end:
	case packed:
		t.next = uintptr(t.a) + uintptr(bytes)
	case g.A.Half != nil && g.Layout != TN && g.A.LD == b.Groups*group:
		t.next = uintptr(unsafe.Pointer(&g.A.Half[(i+panel16)*g.A.LD]))
	}
	if t.next == 0 {
		t.next = uintptr(t.a) // that is there
		return
	}
	if step <= 128 { // a line, for it brings its neighbour along
		t.nextGroup = 128
	} else {
		t.nextRow, t.nextGroup = step/2, step
	}
}

// tiles computes columns of b, n from column col on, a few panels a call, so that no call is long.
func (o *outputs16) tiles(t *partOfA, b *Block16, col, n int) {
	const calls = 96 // groups of 2 by 2 tiles a call
	g, panels := o.g, max(calls/(t.q1-t.q0), 1)
	for at := 0; at < n; {
		width := min(panels*panel16, n-at)
		if width > panel16 {
			width &^= panel16 - 1
		}
		j := b.Col + col + at
		edge := o.rows < panel16 || width < panel16
		s, ss, sp := o.start(j, width, at, edge)
		c, cs, cp, narrow := &o.part[at*panel16], panel16, group16, g.Half != nil && t.last && !edge
		args := tileArgs{as: t.as, ag: t.ag, groups: t.q1 - t.q0, panels: ceilDiv(width, panel16), bp: b.stride * group16 * 2, ss: 4 * ss, sp: 4 * sp,
			next: t.next, nextRow: t.nextRow, nextGroup: t.nextGroup}
		switch {
		case narrow:
			c = &o.part[len(o.part)-2*group16]
			args.out, args.outRow, args.outPanel = uintptr(unsafe.Pointer(&g.Half[o.i*g.LDC+j])), 2*g.LDC, 2*panel16
		case t.last && !edge:
			c, cs, cp = &g.C[o.i*g.LDC+j], g.LDC, panel16
		}
		args.cs, args.cp = 4*cs, 4*cp
		args.a, args.s, args.c = uintptr(t.a), uintptr(unsafe.Pointer(s)), uintptr(unsafe.Pointer(c))
		args.b = uintptr(unsafe.Pointer(&b.Data[((col+at)/panel16*b.stride+t.q0)*group16]))
		if narrow {
			gemm16TilesNarrow((*byte)(unsafe.Pointer(&args)))
		} else {
			gemm16Tiles((*byte)(unsafe.Pointer(&args)))
		}
		t.next = args.next
		if edge && t.last {
			o.finish(amx, j, width, at)
		}
		at += width
	}
}
