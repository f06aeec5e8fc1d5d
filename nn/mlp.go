package nn

import (
	"github.com/bdia-go/bdia/backend"
	"github.com/bdia-go/bdia/tensor"
)

// MLP is the feed-forward branch of a pre-norm block:
//
//	m(x) = drop(fc2(gelu(fc1(norm(x)))))
//
// The caller adds m to x. It implements bdia.Block.
type MLP struct {
	be       backend.Backend
	cfg      BlockConfig
	index    int
	norm     Norm
	fc1, fc2 *Linear // (M,C), (C,M)
	drop     branchDropout
	params   []*tensor.Param

	tape struct {
		pass   backend.Pass
		stats  tensor.Tensor // (2,B*T)
		buffer tensor.Tensor // f and g, at least C+KV a row; free once Backward is done
		f, g   tensor.Tensor // (B,T,M) before and after GELU
	}
}

// NewMLP allocates the feed-forward branch of block number index, its
// parameters named prefix+"ln2.weight", prefix+"mlp.fc1.weight" and so on.
func NewMLP(be backend.Backend, prefix string, index int, cfg BlockConfig) *MLP {
	C := cfg.Width
	b := &MLP{be: be, cfg: cfg, index: index,
		norm: NewNorm(be, prefix+"ln2", cfg),
		fc1:  NewLinear(be, prefix+"mlp.fc1", C, cfg.MLP, cfg.Bias),
		fc2:  NewLinear(be, prefix+"mlp.fc2", cfg.MLP, C, cfg.Bias),
		drop: newBranchDropout(be, cfg, index, backend.SiteMLP, backend.SiteMLPPath),
	}
	b.params = paramsOf(b.norm, b.fc1, b.fc2)
	return b
}

// Params lists the parameters in the order of the forward pass.
func (b *MLP) Params() []*tensor.Param { return b.params }

// linears lists the layers that take adapters.
func (b *MLP) linears() []named {
	return []named{
		{"fc1", b.fc1, backend.SiteAdapterFC1, 10, &b.tape.pass},
		{"fc2", b.fc2, backend.SiteAdapterFC2, 11, &b.tape.pass},
	}
}

// Init draws initial weights as Attention.Init does.
func (b *MLP) Init(seed uint64, residual float64) {
	initBranch(b.be, b.norm, b.fc1, b.fc2, residual, seed, 16*(b.index+1)+2)
}

// Forward writes m(x) to h. x and h are (B,T,C).
func (b *MLP) Forward(h, x tensor.Tensor, pass backend.Pass) {
	t, s := &b.tape, x.Shape
	rows, C, M := x.Rows(), s[2], b.cfg.MLP
	t.pass = pass
	t.stats = b.norm.Stats(rows)
	t.buffer = activation(b.be, tensor.Shape{rows, max(M+max(M, C), b.cfg.qkvWidth())})
	t.f = t.buffer.Slice(0, rows*M).Reshape(tensor.Shape{s[0], s[1], M})
	at := rows * max(M, C)
	t.g = t.buffer.Slice(at, at+rows*M).Reshape(t.f.Shape)

	n := h
	b.norm.Forward(n, t.stats, x)
	b.fc1.Forward(t.f, n)
	b.be.GELU(t.g, t.f, b.cfg.GELU)
	b.fc2.Forward(h, t.g)
	b.drop.apply(h, h, pass)
}

// Backward turns g, holding dm, into dx = Jᵀ dm in place.
func (b *MLP) Backward(g, x tensor.Tensor) { b.backward(g, g, x) }

// backward writes dx, which may be dm. A gradient takes the place of the
// activation that is no longer needed, and so does the normalised input, made
// again: it costs less than it would to keep.
func (b *MLP) backward(dx, dm, x tensor.Tensor) {
	t := &b.tape
	dm = b.drop.apply(dx, dm, t.pass)
	b.fc2.Backward(t.g, dm, t.g)
	b.be.GELUBackward(t.g, t.g, t.f, b.cfg.GELU)
	n := t.buffer.Slice(0, x.Len()).Reshape(x.Shape) // f is done with
	b.norm.Forward(n, t.stats, x)
	b.fc1.Backward(n, t.g, n)
	b.norm.Backward(dx, n, x, t.stats)
}
