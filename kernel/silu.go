package kernel

// GatedSiLU sets y = silu(g)*u, the gate of SwiGLU (Shazeer, arXiv 2002.05202):
//
//	e = exp(-g) (ExpSum), s = 1/(1+e), y = float32(g*s)*u
//
// y shares no memory with g and u.
func (isa ISA) GatedSiLU(y, g, u []float32) {
	wantLen(len(y), len(g), len(u))
	isa.ExpSum(y, g, -1, 0)
	for i, e := range y {
		y[i] = float32(g[i]*(1/(1+e))) * u[i]
	}
}

// GatedSiLUBackward is the gradient of GatedSiLU, with s as there:
//
//	du = dy*float32(g*s)
//	dg = float32(dy*u) * float32(s*(1+float32(g*(1-s))))
//
// dg may be g, and du may be u. e is a buffer of as many elements.
func (isa ISA) GatedSiLUBackward(dg, du, dy, g, u, e []float32) {
	wantLen(len(dy), len(dg), len(du), len(g), len(u), len(e))
	isa.ExpSum(e, g, -1, 0)
	for i, d := range dy {
		s, a, b := 1/(1+e[i]), g[i], u[i]
		du[i] = d * float32(a*s)
		dg[i] = float32(d*b) * float32(s*(1+float32(a*(1-s))))
	}
}
