package kernel

// dst may be the same slice as a source everywhere in this file.

// Add sets dst = a + b.
func (isa ISA) Add(dst, a, b []float32) {
	wantLen(len(dst), len(a), len(b))
	var v vecArgs
	v.p[0], v.p[1], v.p[2] = ptr(dst), ptr(a), ptr(b)
	i := isa.run(opAdd, &v, len(dst))
	addGo(dst[i:], a[i:], b[i:])
}

func addGo(dst, a, b []float32) {
	for i := range dst {
		dst[i] = a[i] + b[i]
	}
}

// Scale sets dst = x*a.
func (isa ISA) Scale(dst, x []float32, a float32) {
	wantLen(len(dst), len(x))
	var v vecArgs
	v.p[0], v.p[1], v.f[0] = ptr(dst), ptr(x), a
	i := isa.run(opScale, &v, len(dst))
	scaleGo(dst[i:], x[i:], a)
}

func scaleGo(dst, x []float32, a float32) {
	for i := range dst {
		dst[i] = x[i] * a
	}
}

// Lerp moves dst towards x: dst += a*(x-dst).
func Lerp(dst, x []float32, a float32) {
	x = x[:len(dst)]
	for i, y := range dst {
		dst[i] = y + float32(a*(x[i]-y))
	}
}

// ColumnSum adds rows of dy to db: db[j] += dy[r*ld+j] for r = 0..rows-1 in
// ascending order; len(db) columns, row stride ld.
func (isa ISA) ColumnSum(db, dy []float32, rows, ld int) {
	if rows == 0 || len(db) == 0 {
		return
	}
	_ = dy[(rows-1)*ld+len(db)-1]
	if assembly && isa != portable {
		isa.sumColumns(db, dy, rows, ld)
		return
	}
	for r := range rows {
		row := dy[r*ld:][:len(db)]
		addGo(db, db, row)
	}
}
