package nn

import (
	"github.com/bdia-go/bdia/backend"
	"github.com/bdia-go/bdia/tensor"
)

// MLP is the feed-forward branch of a block, with a norm at one of its ends (see BlockConfig.NormAfter):
//
//	m(x) = drop(fc2(gelu(fc1(norm(x)))))
//
// or, gated, with silu(g)*u in place of gelu(f), f being g and u side by side.
// The caller adds m to x. It implements bdia.Block.
type MLP struct {
	ends
	cfg      BlockConfig
	index    int
	fc1, fc2 *Linear // (M,C), gated (2M,C): rows gate, up; (C,M)
	params   []*tensor.Param

	tape struct {
		buffer tensor.Tensor // f and g, with room for what Block keeps there; free once Backward is done
		f, g   tensor.Tensor // before and after the activation: (B,T,M), f gated (B,T,2M)
		n      tensor.Tensor // (B,T,C): for Backward, where f was, or gated g
	}
}

// NewMLP allocates the feed-forward branch of block number index, its
// parameters named prefix+"ln2.weight", prefix+"mlp.fc1.weight" and so on.
func NewMLP(be backend.Backend, prefix string, index int, cfg BlockConfig) *MLP {
	C := cfg.Width
	b := &MLP{cfg: cfg, index: index,
		ends: newEnds(be, prefix+"ln2", index, cfg, backend.SiteMLP, backend.SiteMLPPath),
		fc1:  newLinear(be, cfg.Weights, prefix+"mlp.fc1", C, cfg.fc1Width(), cfg.Bias || cfg.MLPBias),
		fc2:  newLinear(be, cfg.Weights, prefix+"mlp.fc2", cfg.MLP, C, cfg.Bias || cfg.MLPBias),
	}
	b.params = b.around(paramsOf(b.fc1, b.fc2))
	return b
}

// Params lists the parameters in the order of the forward pass.
func (b *MLP) Params() []*tensor.Param { return b.params }

// linears lists the layers that take adapters.
func (b *MLP) linears() []named {
	if !b.cfg.Separate {
		return []named{
			{name: "fc1", Linear: b.fc1, site: backend.SiteAdapterFC1, init: 10, pass: &b.pass},
			{name: "fc2", Linear: b.fc2, site: backend.SiteAdapterFC2, init: 11, pass: &b.pass},
		}
	}
	M := b.cfg.MLP
	return []named{
		{"gate_proj", b.fc1, backend.SiteAdapterFC1, 10, &b.pass, 0, M},
		{"up_proj", b.fc1, backend.SiteAdapterUp, 14, &b.pass, M, 2 * M},
		{name: "down_proj", Linear: b.fc2, site: backend.SiteAdapterFC2, init: 11, pass: &b.pass},
	}
}

// Init draws initial weights as Attention.Init does.
func (b *MLP) Init(seed uint64, residual float64) {
	initBranch(b.be, b.norm, b.fc1, b.fc2, residual, seed, 16*(b.index+1)+2)
}

// Forward writes m(x) to h. x and h are (B,T,C).
func (b *MLP) Forward(h, x tensor.Tensor, pass backend.Pass) {
	t := &b.tape
	b.begin(x.Rows(), pass)
	b.layOut(x.Shape)
	b.fc1.Forward(t.f, b.enter(h.View(t.n.DType, h.Shape), x))
	if b.cfg.Gated {
		b.be.GatedSiLU(t.g, t.f)
	} else {
		b.be.GELU(t.g, t.f, b.cfg.GELU)
	}
	b.fc2.Forward(b.output(h), t.g)
	b.leave(h)
}

// layOut allocates the buffer and places in it f, g and n. It has room for the gradients of qkv and of attention's
// output where this is wider than x.
func (b *MLP) layOut(s tensor.Shape) {
	t, rows, C, M, F := &b.tape, s[0]*s[1], s[2], b.cfg.MLP, b.cfg.fc1Width()
	f, g := max(F, C), M // widths; n lies in f
	if b.cfg.Gated {
		f, g = F, max(M, C) // n lies in g
	}
	d := OperandType(b.be)
	all := tensor.Shape{rows * (f + g)}
	size := int64(all.Len()) * d.Size()
	if W, A := b.cfg.qkvWidth(), b.cfg.attWidth(); A > C {
		size = max(size, int64(rows)*(int64(W)*4+int64(A)*d.Size()))
	} else {
		size = max(size, int64(rows)*int64(W)*4)
	}
	t.buffer = activation(b.be, tensor.Shape{int(size+3) / 4})
	part := func(from, width int) tensor.Tensor {
		return t.buffer.View(d, all).Slice(rows*from, rows*(from+width)).Reshape(tensor.Shape{s[0], s[1], width})
	}
	t.f, t.g, t.n = part(0, F), part(f, M), part(0, C)
	if b.cfg.Gated {
		t.n = part(f, C)
	}
}

// Backward turns g, holding dm, into dx = Jᵀ dm in place.
func (b *MLP) Backward(g, x tensor.Tensor) { b.backward(g, g, x) }

// backward writes dx, which may be dm. A gradient takes the place of the
// activation that is no longer needed, and so does a normalised input, made again.
func (b *MLP) backward(dx, dm, x tensor.Tensor) {
	t := &b.tape
	b.fc2.Backward(t.g, b.leaveBack(dx, dm), t.g)
	df := t.g
	if b.cfg.Gated {
		df = t.f
		b.be.GatedSiLUBackward(df, t.g, t.f)
	} else {
		b.be.GELUBackward(df, t.g, t.f, b.cfg.GELU)
	}
	b.enterBack(dx, df, x, t.n, b.fc1)
}
