package nn

import (
	"github.com/bdia-go/bdia/backend"
	"github.com/bdia-go/bdia/tensor"
)

// Dropout zeroes elements with probability P in training and scales the others
// by 1/(1-P). Its mask is a function of the Draw, so the backward pass, and the
// reverse walk, replay it without keeping it.
type Dropout struct {
	be backend.Backend
	P  float32
}

// NewDropout returns dropout with probability p.
func NewDropout(be backend.Backend, p float32) Dropout { return Dropout{be: be, P: p} }

// Apply is both the forward and the backward pass, in place.
func (d Dropout) Apply(x tensor.Tensor, pass backend.Pass, block int, site backend.Site) {
	if d.active(pass) {
		d.be.Dropout(x, x, d.P, backend.Draw{Pass: pass, Block: block, Site: site})
	}
}

// active reports whether the pass drops anything.
func (d Dropout) active(pass backend.Pass) bool { return d.P > 0 && pass.Train }

// branchDropout is what stands at the end of a branch: dropout of elements, and
// stochastic depth, which drops the branch for a sample as a whole (Huang et
// al., "Deep Networks with Stochastic Depth", ECCV 2016).
type branchDropout struct {
	be               backend.Backend
	elements, branch float32 // probabilities
	index            int
	site, path       backend.Site
}

func newBranchDropout(be backend.Backend, cfg BlockConfig, index int, site, path backend.Site) branchDropout {
	return branchDropout{be: be, elements: cfg.ResidualDropout, branch: cfg.StochasticDepth, index: index, site: site, path: path}
}

// apply is both the forward and the backward pass. It returns y, or x when it
// drops nothing: then y is as it was. y may be x.
func (d branchDropout) apply(y, x tensor.Tensor, pass backend.Pass) tensor.Tensor {
	if !pass.Train {
		return x
	}
	if d.elements > 0 {
		d.be.Dropout(y, x, d.elements, backend.Draw{Pass: pass, Block: d.index, Site: d.site})
		x = y
	}
	if d.branch > 0 {
		d.be.DropSamples(y, x, d.branch, backend.Draw{Pass: pass, Block: d.index, Site: d.path})
		x = y
	}
	return x
}
