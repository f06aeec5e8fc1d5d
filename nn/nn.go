// Package nn holds the layers of transformers, each with Forward and Backward
// side by side, and the block made of them.
//
// Layers own parameters but no activations: the caller passes what Backward
// needs. Gradients of parameters are added to Param.Grad. dx may be the memory
// of x or dy where a method says so; that is how a block's backward pass runs
// without memory of its own.
package nn

import (
	"math"
	"runtime"
	"sync"

	"github.com/bdia-go/bdia/backend"
	"github.com/bdia-go/bdia/internal/pmath"
	"github.com/bdia-go/bdia/internal/rng"
	"github.com/bdia-go/bdia/tensor"
)

// newParam allocates a parameter of the given shape in float32.
func newParam(be backend.Backend, name string, s tensor.Shape, decay bool) *tensor.Param {
	return newParamOf(be, tensor.F32, name, s, decay)
}

// newParamOf is newParam of weights of type d, F32 or BF16.
func newParamOf(be backend.Backend, d tensor.DType, name string, s tensor.Shape, decay bool) *tensor.Param {
	return &tensor.Param{Name: name, Value: be.Alloc(backend.Weights, d, s), Decay: decay}
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

// activation allocates a tensor that lives as long as a pass needs it.
func activation(be backend.Backend, s tensor.Shape) tensor.Tensor {
	return be.Alloc(backend.Activation, tensor.F32, s)
}

// operand allocates an activation that is an operand of matrix products: of BF16 if they round to it.
func operand(be backend.Backend, s tensor.Shape) tensor.Tensor {
	return be.Alloc(backend.Activation, OperandType(be), s)
}

// OperandType is the type of activations that are operands of be's matrix products.
func OperandType(be backend.Backend) tensor.DType {
	if be.Precision() == backend.BFloat16 {
		return tensor.BF16
	}
	return tensor.F32
}

// outputs allocates n columns of float32 beside the rows of x.
func outputs(be backend.Backend, x tensor.Tensor, n int) tensor.Tensor {
	s := x.Shape
	s[s.Rank()-1] = n
	return activation(be, s)
}

// paramsOf lists the parameters of several layers.
func paramsOf(layers ...interface{ Params() []*tensor.Param }) (list []*tensor.Param) {
	for _, l := range layers {
		list = append(list, l.Params()...)
	}
	return list
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

// pieceLen is how many elements of a parameter are made on the host at a time, so
// that its memory does not grow with them: an even number.
const pieceLen = 1 << 20

// eachPiece makes p's elements in pieces: fill writes those from number from on.
func eachPiece(be backend.Backend, p *tensor.Param, fill func(host []float32, from int)) {
	n := p.Value.Len()
	host := make([]float32, min(n, pieceLen))
	for from := 0; from < n; from += pieceLen {
		host = host[:min(pieceLen, n-from)]
		fill(host, from)
		be.Upload(p.Value.Slice(from, from+len(host)), host)
	}
}

// Fill sets every element of p to v.
func Fill(be backend.Backend, p *tensor.Param, v float32) {
	if p == nil {
		return
	}
	eachPiece(be, p, func(host []float32, _ int) {
		for i := range host {
			host[i] = v
		}
	})
}

// Normal fills p with normal draws of mean 0 and standard deviation std (Box-Muller). id
// keeps the streams of a model's parameters apart. Each pair of draws is a function
// of its place, so all processors can share the work.
func Normal(be backend.Backend, p *tensor.Param, std float64, seed uint64, id int) {
	key := rng.Key{Seed: seed, Block: uint32(id), Site: rng.SiteInit}
	eachPiece(be, p, func(host []float32, from int) {
		share := (len(host)/runtime.GOMAXPROCS(0) + 1<<12) &^ 1 // the least is worth a goroutine
		var working sync.WaitGroup
		for at := 0; at < len(host); at += share {
			working.Go(func() { normal(host[at:min(at+share, len(host))], key, (from+at)/2, std) })
		}
		working.Wait()
	})
}

// normal writes pairs of draws from number first on.
func normal(host []float32, key rng.Key, first int, std float64) {
	for i := 0; i < len(host); i += 2 {
		w := key.At(uint32(first + i/2))
		u1 := (float64(uint64(w[0])<<32|uint64(w[1])) + 1) * 0x1p-64
		u2 := float64(uint64(w[2])<<32|uint64(w[3])) * 0x1p-64
		r := std * math.Sqrt(-2*pmath.Log(u1))
		host[i] = float32(r * pmath.Cos(2*math.Pi*u2))
		if i+1 < len(host) {
			host[i+1] = float32(r * pmath.Sin(2*math.Pi*u2))
		}
	}
}

// initBranch draws the weights of a branch: its norm, the product into it and
// the one back into the residual stream, numbered id and id+1.
func initBranch(be backend.Backend, norm Norm, in, out *Linear, residual float64, seed uint64, id int) {
	const std = 0.02
	Normal(be, in.Weight, std, seed, id)
	Normal(be, out.Weight, std*residual, seed, id+1)
	Fill(be, in.Bias, 0)
	Fill(be, out.Bias, 0)
	norm.Init()
}
