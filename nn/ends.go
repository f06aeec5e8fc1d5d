package nn

import (
	"slices"

	"github.com/bdia-go/bdia/backend"
	"github.com/bdia-go/bdia/tensor"
)

// ends is what stands at both ends of a branch around what it computes, f: a norm before or after it, a scale and
// dropout.
//
//	b(x) = drop(scale*f(norm(x))), or b(x) = drop(scale*norm(f(x)))
type ends struct {
	be    backend.Backend
	norm  Norm
	after bool    // the norm comes after f
	scale float32 // 0: 1
	drop  branchDropout

	pass  backend.Pass  // the latest
	stats tensor.Tensor // of the norm: (2,B*T), or (B*T,1)
	f     tensor.Tensor // (B,T,C): f(x), if the norm comes after it
}

// newEnds allocates the norm, named name.
func newEnds(be backend.Backend, name string, index int, cfg BlockConfig, site, path backend.Site) ends {
	return ends{be: be, norm: NewNorm(be, name, cfg), after: cfg.NormAfter, scale: cfg.BranchScale, drop: newBranchDropout(be, cfg, index, site, path)}
}

// around lists the norm's parameters and f's in the order of the forward pass.
func (e *ends) around(f []*tensor.Param) []*tensor.Param {
	if e.after {
		return slices.Concat(f, e.norm.Params())
	}
	return slices.Concat(e.norm.Params(), f)
}

// begin begins a pass over so many rows.
func (e *ends) begin(rows int, pass backend.Pass) {
	e.pass, e.stats = pass, e.norm.Stats(rows)
}

// enter returns the input of f: the norm of x, in the memory n, or x itself.
func (e *ends) enter(n, x tensor.Tensor) tensor.Tensor {
	if e.after {
		return x
	}
	e.norm.Forward(n, e.stats, x)
	return n
}

// output returns the memory for f(x): h, unless a norm follows that needs f(x) again on the way back.
func (e *ends) output(h tensor.Tensor) tensor.Tensor {
	if !e.after {
		return h
	}
	e.f = activation(e.be, h.Shape)
	return e.f
}

// leave writes b(x) to h from what is in output's memory.
func (e *ends) leave(h tensor.Tensor) {
	if e.after {
		e.norm.Forward(h, e.stats, e.f)
	}
	if e.scale != 0 {
		e.be.Scale(h, e.scale)
	}
	e.drop.apply(h, h, e.pass)
}

// leaveBack returns the gradient of f(x) from db: in dx, which may be db, or db itself.
func (e *ends) leaveBack(dx, db tensor.Tensor) tensor.Tensor {
	d := e.drop.apply(dx, db, e.pass)
	if e.scale != 0 {
		if d != dx {
			e.be.Copy(dx, d)
		}
		d = dx
		e.be.Scale(d, e.scale)
	}
	if e.after {
		e.norm.Backward(dx, d, e.f, e.stats)
		d = dx
	}
	return d
}

// enterBack writes dx from dy, the gradient of what f's first product in has made. A norm of x is made again in n: it
// costs less than it would to keep.
func (e *ends) enterBack(dx, dy, x, n tensor.Tensor, in *Linear) {
	if e.after {
		in.Backward(dx, dy, x)
		return
	}
	e.norm.Forward(n, e.stats, x)
	in.Backward(dx, dy, n)
	e.norm.Backward(dx, dx, x, e.stats)
}
