package kernel

// GatedSiLU sets y = silu(g)*u, the gate of SwiGLU (Shazeer, arXiv 2002.05202):
//
//	s = 1/(1+exp(-g)), y = float32(g*s)*u
//
// y may be g or u.
func (isa ISA) GatedSiLU(y, g, u []float32) {
	wantLen(len(y), len(g), len(u))
	var a vecArgs
	a.p[0], a.p[1], a.p[2] = ptr(y), ptr(g), ptr(u)
	i := isa.run(opGatedSiLU, &a, len(y))
	gatedSiLUGo(y[i:], g[i:], u[i:])
}

func gatedSiLUGo(y, g, u []float32) {
	for i, v := range g {
		y[i] = float32(v*sigmoid(v)) * u[i]
	}
}

// GatedSiLUBackward is the gradient of GatedSiLU, with s as there:
//
//	dg = float32(dy*u) * float32(s*(1+float32(g*(1-s))))
//	du = dy*float32(g*s)
//
// dg may be g, and du may be u.
func (isa ISA) GatedSiLUBackward(dg, du, dy, g, u []float32) {
	wantLen(len(dy), len(dg), len(du), len(g), len(u))
	var a vecArgs
	a.p[0], a.p[1], a.p[2], a.p[3], a.p[4] = ptr(dg), ptr(du), ptr(dy), ptr(g), ptr(u)
	i := isa.run(opGatedSiLUBackward, &a, len(dy))
	gatedSiLUBackwardGo(dg[i:], du[i:], dy[i:], g[i:], u[i:])
}

func gatedSiLUBackwardGo(dg, du, dy, g, u []float32) {
	for i, d := range dy {
		a, b := g[i], u[i]
		s := sigmoid(a)
		dg[i] = float32(d*b) * float32(s*(1+float32(a*(1-s))))
		du[i] = d * float32(a*s)
	}
}

func sigmoid(x float32) float32 { return 1 / (1 + expf(-x)) }
