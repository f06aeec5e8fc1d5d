// Package nn holds the layers of transformers, each with Forward and Backward
// side by side, and the pre-norm block made of them.
//
// Layers own parameters but no activations: the caller passes what Backward
// needs. Gradients of parameters are added to Param.Grad. dx may be the memory
// of x or dy where a method says so; that is how a block's backward pass runs
// without memory of its own.
package nn

import (
	"math"

	"github.com/bdia-go/bdia/backend"
	"github.com/bdia-go/bdia/internal/rng"
	"github.com/bdia-go/bdia/tensor"
)

// newParam allocates a parameter of the given shape.
func newParam(be backend.Backend, name string, s tensor.Shape, decay bool) *tensor.Param {
	return &tensor.Param{Name: name, Value: be.Alloc(backend.Weights, tensor.F32, s), Decay: decay}
}

// valueOf and gradOf return the tensors of an optional parameter. A frozen one has
// no gradient.

func valueOf(p *tensor.Param) tensor.Tensor {
	if p == nil {
		return tensor.Tensor{}
	}
	return p.Value
}

func gradOf(p *tensor.Param) tensor.Tensor {
	if p == nil || p.Frozen {
		return tensor.Tensor{}
	}
	return p.Grad
}

// appendParams appends those parameters that exist.
func appendParams(list []*tensor.Param, ps ...*tensor.Param) []*tensor.Param {
	for _, p := range ps {
		if p != nil {
			list = append(list, p)
		}
	}
	return list
}

// Fill sets every element of p to v.
func Fill(be backend.Backend, p *tensor.Param, v float32) {
	if p == nil {
		return
	}
	host := make([]float32, p.Value.Len())
	for i := range host {
		host[i] = v
	}
	be.Upload(p.Value, host)
}

// Normal fills p with normal draws of mean 0 and deviation std (Box-Muller). id
// keeps the streams of a model's parameters apart.
func Normal(be backend.Backend, p *tensor.Param, std float64, seed uint64, id int) {
	host := make([]float32, p.Value.Len())
	key := rng.Key{Seed: seed, Block: uint32(id), Site: rng.SiteInit}
	for i := 0; i < len(host); i += 2 {
		w := key.At(uint32(i / 2))
		u1 := (float64(uint64(w[0])<<32|uint64(w[1])) + 1) * 0x1p-64
		u2 := float64(uint64(w[2])<<32|uint64(w[3])) * 0x1p-64
		r := std * math.Sqrt(-2*math.Log(u1))
		host[i] = float32(r * math.Cos(2*math.Pi*u2))
		if i+1 < len(host) {
			host[i+1] = float32(r * math.Sin(2*math.Pi*u2))
		}
	}
	be.Upload(p.Value, host)
}

// initBranch draws the weights of a branch: its norm, the product into it and
// the one back into the residual stream, numbered id and id+1.
func initBranch(be backend.Backend, norm *LayerNorm, in, out *Linear, residual float64, seed uint64, id int) {
	const std = 0.02
	Normal(be, in.Weight, std, seed, id)
	Normal(be, out.Weight, std*residual, seed, id+1)
	Fill(be, in.Bias, 0)
	Fill(be, out.Bias, 0)
	Fill(be, norm.Weight, 1)
	Fill(be, norm.Bias, 0)
}
