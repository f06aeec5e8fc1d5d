package nn

import (
	"math"
	"slices"
	"strings"

	"github.com/bdia-go/bdia/backend"
	"github.com/bdia-go/bdia/internal/rng"
	"github.com/bdia-go/bdia/tensor"
)

// LoRA is a low-rank adapter beside a linear layer (Hu et al., arXiv 2106.09685,
// section 4.1). The weight W stays as it is:
//
//	y = W x + b + s B A drop(x)
//
// Nothing is kept for the backward pass: A drop(x) costs little to make again.
type LoRA struct {
	be      backend.Backend
	A, B    *tensor.Param // (r,in), (out,r)
	scale   float32       // s
	dropout float32
	block   int
	site    backend.Site
	pass    *backend.Pass // of the latest forward pass of the branch
	from    int           // the first output of W that it is beside
	all     bool          // it is beside all of them
}

// LoRAConfig describes the adapters of a block.
type LoRAConfig struct {
	Rank           int
	Scale, Dropout float32
	Targets        []string // of BlockConfig.LoRATargets
}

// named is a linear layer of a block that can have an adapter.
type named struct {
	name string
	*Linear
	site backend.Site  // of the adapter's dropout
	init int           // which of the block's initial draws is A's
	pass *backend.Pass // of the latest forward pass of the branch

	from, to int // which of its outputs the name means; 0, 0: all
}

// weight is W, or the rows of it that the name means.
func (l named) weight() tensor.Tensor {
	if l.to == 0 {
		return l.Weight.Value
	}
	return l.Weight.Value.RowRange(l.from, l.to)
}

// adapter returns the layer's adapter; nil: it has none.
func (l named) adapter() *LoRA {
	for _, a := range l.LoRA {
		if a.site == l.site {
			return a
		}
	}
	return nil
}

// LoRATargets lists the names of the linear layers of a Block that can have adapters.
func (c BlockConfig) LoRATargets() (names []string) {
	for _, l := range slices.Concat((&Attention{cfg: c}).linears(), (&MLP{cfg: c}).linears()) {
		names = append(names, l.name)
	}
	return names
}

// linears lists the layers that LoRATargets names.
func (b *Block) linears() []named {
	return slices.Concat(b.attention.linears(), b.mlp.linears())
}

// AddLoRA gives linear layers of the block adapters and freezes everything else. The adapters' values are unspecified
// until InitLoRA or until they are loaded.
func (b *Block) AddLoRA(c LoRAConfig) {
	b.Freeze()
	for _, l := range b.linears() {
		if !slices.Contains(c.Targets, l.name) {
			continue
		}
		name, _ := strings.CutSuffix(l.Weight.Name, ".weight")
		if b.attention.cfg.Separate {
			name = name[:strings.LastIndexByte(name, '.')+1] + l.name
		}
		w := l.weight()
		a := &LoRA{be: b.be, scale: c.Scale, dropout: c.Dropout, block: b.attention.index, site: l.site, pass: l.pass, from: l.from, all: l.to == 0,
			A: newParam(b.be, name+".lora_a", tensor.Shape{c.Rank, w.Cols()}, true),
			B: newParam(b.be, name+".lora_b", tensor.Shape{w.Rows(), c.Rank}, true)}
		l.LoRA = append(l.LoRA, a)
		b.params = append(b.params, a.A, a.B)
	}
}

// Freeze makes all parameters of the block constants.
func (b *Block) Freeze() {
	for _, p := range b.params {
		p.Frozen = true
	}
	b.params = nil
}

// InitLoRA draws the initial adapters, as PEFT does: A uniform within 1/sqrt(in), B
// zero, so that they add nothing yet.
func (b *Block) InitLoRA(seed uint64) {
	for _, l := range b.linears() {
		if a := l.adapter(); a != nil {
			uniform(b.be, a.A, seed, 16*(b.attention.index+1)+l.init)
			Fill(b.be, a.B, 0)
		}
	}
}

// MergeLoRA adds the adapters to the weights beside them, W += s B A, and drops
// them. A sum is rounded to the nearest number of BF16 if the weights are held so.
// It takes a buffer of the largest of these weights from the arena, and for BF16
// another one.
func (b *Block) MergeLoRA() {
	for _, l := range b.linears() {
		a := l.adapter()
		if a == nil {
			continue
		}
		m := b.be.Mark()
		w := l.weight()
		d := activation(b.be, w.Shape)
		b.be.LinearBackwardInput(d, a.B.Value, a.A.Value)
		b.be.Scale(d, a.scale)
		addToWeight(b.be, w, d)
		b.be.Release(m)
	}
	for _, l := range b.linears() {
		l.LoRA = nil
	}
	b.params = nil
}

// addToWeight adds d to a weight w of F32 or BF16. It may overwrite d.
func addToWeight(be backend.Backend, w, d tensor.Tensor) {
	if w.DType == tensor.F32 {
		be.Add(w, w, d)
		return
	}
	wide, host := activation(be, w.Shape), make([]float32, w.Len())
	be.Copy(wide, w)
	be.Add(d, wide, d)
	be.Download(host, d)
	be.Upload(w, host)
}

// forward adds s B A drop(x) to y (N,out).
func (a *LoRA) forward(y, x tensor.Tensor) {
	m := a.be.Mark()
	if u := a.low(a.drop(x)); a.all && y.DType == tensor.F32 {
		a.be.LinearAdd(y, u, a.B.Value)
	} else {
		part := outputs(a.be, y, a.B.Value.Rows())
		a.be.Linear(part, u, a.B.Value, tensor.Tensor{})
		a.be.AddColumns(y, part, a.from)
	}
	a.be.Release(m)
}

// backward adds the gradients of A and B and returns what the adapter adds to dx,
// in memory from the arena. With u = s A drop(x) and du = s Bᵀ dy, dy being of its outputs:
//
//	dB += dyᵀ u, dA += duᵀ drop(x), dx = drop(Aᵀ du)
func (a *LoRA) backward(dy, x tensor.Tensor) (dx tensor.Tensor) {
	dx = activation(a.be, x.Shape)
	m := a.be.Mark()
	if !a.all {
		part := outputs(a.be, dy, a.B.Value.Rows())
		a.be.TakeColumns(part, dy, a.from)
		dy = part
	}
	x = a.drop(x)
	u := a.low(x)
	a.be.LinearBackwardWeight(a.B.Grad, tensor.Tensor{}, dy, u)
	du := u
	a.be.LinearBackwardInput(du, dy, a.B.Value)
	a.be.Scale(du, a.scale)
	a.be.LinearBackwardWeight(a.A.Grad, tensor.Tensor{}, du, x)
	a.be.LinearBackwardInput(dx, du, a.A.Value)
	a.be.Release(m)
	if a.drops() {
		a.be.Dropout(dx, dx, a.dropout, a.draw())
	}
	return dx
}

// low returns s A x (N,r), in memory from the arena.
func (a *LoRA) low(x tensor.Tensor) tensor.Tensor {
	u := outputs(a.be, x, a.A.Value.Rows())
	a.be.Linear(u, x, a.A.Value, tensor.Tensor{})
	a.be.Scale(u, a.scale)
	return u
}

// drop returns x with elements dropped, in memory from the arena, or x itself when nothing is dropped.
func (a *LoRA) drop(x tensor.Tensor) tensor.Tensor {
	if !a.drops() {
		return x
	}
	y := a.be.Alloc(backend.Activation, x.DType, x.Shape)
	a.be.Dropout(y, x, a.dropout, a.draw())
	return y
}

func (a *LoRA) drops() bool { return a.dropout > 0 && a.pass.Train }

func (a *LoRA) draw() backend.Draw {
	return backend.Draw{Pass: *a.pass, Block: a.block, Site: a.site}
}

// part is the adapter of outputs [from,to), for forward passes; nil if it is beside none of them. One that is not
// beside all outputs is beside all of these or none.
func (a *LoRA) part(from, to int) *LoRA {
	p := *a
	switch {
	case a.all:
		p.B = &tensor.Param{Value: a.B.Value.RowRange(from, to)}
	case a.from < from || a.from >= to:
		return nil
	default:
		p.from -= from
	}
	return &p
}

// uniform fills p (r,in) with uniform draws within 1/sqrt(in).
func uniform(be backend.Backend, p *tensor.Param, seed uint64, id int) {
	host := make([]float32, p.Value.Len())
	key := rng.Key{Seed: seed, Block: uint32(id), Site: rng.SiteInit}
	bound := 1 / math.Sqrt(float64(p.Value.Cols()))
	for i := range host {
		host[i] = float32((2*key.Float64(uint32(i)) - 1) * bound)
	}
	be.Upload(p.Value, host)
}
