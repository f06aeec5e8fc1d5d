package nn

import (
	"github.com/bdia-go/bdia/backend"
	"github.com/bdia-go/bdia/tensor"
)

// Norm normalises rows of C channels. Every branch of a block begins or ends with one, and a head begins with one.
type Norm interface {
	// Forward writes y from x and keeps in stats what Backward needs.
	Forward(y, stats, x tensor.Tensor)
	// Backward adds the gradients of the parameters, unless they are frozen, and writes dx, which may be dy.
	Backward(dx, dy, x, stats tensor.Tensor)
	// Stats allocates stats for so many rows.
	Stats(rows int) tensor.Tensor
	// Params lists the parameters.
	Params() []*tensor.Param
	// Init makes the norm scale its rows by 1 and shift them by 0.
	Init()
}

// NewNorm allocates the norm of a configuration.
func NewNorm(be backend.Backend, name string, cfg BlockConfig) Norm {
	if cfg.RMS {
		return NewRMSNorm(be, name, cfg.Width, cfg.Eps)
	}
	return NewLayerNorm(be, name, cfg.Width, cfg.Bias, cfg.Eps)
}

// RMSNorm divides rows of C by their root mean square: y = x/sqrt(mean(x^2)+eps) * weight
// (Zhang and Sennrich, arXiv 1910.07467). Attention has it for heads within rows too.
type RMSNorm struct {
	be     backend.Backend
	Weight *tensor.Param // (C)
	Eps    float32
}

// NewRMSNorm allocates a layer named name.
func NewRMSNorm(be backend.Backend, name string, C int, eps float32) *RMSNorm {
	return &RMSNorm{be: be, Weight: newParam(be, name+".weight", tensor.Shape{C}, false), Eps: eps}
}

// Params lists the weight.
func (l *RMSNorm) Params() []*tensor.Param { return []*tensor.Param{l.Weight} }

// Init sets the weight to 1.
func (l *RMSNorm) Init() { Fill(l.be, l.Weight, 1) }

// wholeRow is a row as one head.
var wholeRow = backend.Heads{Count: 1}

// Stats allocates the reciprocal root mean square of each row (rows).
func (l *RMSNorm) Stats(rows int) tensor.Tensor { return l.statsOf(wholeRow, rows) }

// Forward writes y from x and keeps the reciprocal root mean squares of the rows in stats.
func (l *RMSNorm) Forward(y, stats, x tensor.Tensor) { l.forward(y, stats, x, wholeRow) }

// Backward adds the gradient of the weight, unless it is frozen, and writes dx, which may be dy.
func (l *RMSNorm) Backward(dx, dy, x, stats tensor.Tensor) { l.backward(dx, dy, x, stats, wholeRow) }

// statsOf, forward and backward are the same for heads of rows.

func (l *RMSNorm) statsOf(h backend.Heads, rows int) tensor.Tensor {
	return activation(l.be, tensor.Shape{rows, h.Count})
}

func (l *RMSNorm) forward(y, stats, x tensor.Tensor, h backend.Heads) {
	l.be.RMSNorm(y, stats, x, l.Weight.Value, h, l.Eps)
}

func (l *RMSNorm) backward(dx, dy, x, stats tensor.Tensor, h backend.Heads) {
	l.be.RMSNormBackward(dx, gradOf(l.Weight), dy, x, l.Weight.Value, stats, h)
}

// LayerNorm normalises rows of C: y = (x-mean)/sqrt(var+eps) * weight + bias
// (Ba, Kiros and Hinton, arXiv 1607.06450).
type LayerNorm struct {
	be     backend.Backend
	Weight *tensor.Param // (C)
	Bias   *tensor.Param // (C), or nil
	Eps    float32
}

// NewLayerNorm allocates a layer named name.
func NewLayerNorm(be backend.Backend, name string, C int, bias bool, eps float32) *LayerNorm {
	l := &LayerNorm{be: be, Weight: newParam(be, name+".weight", tensor.Shape{C}, false), Eps: eps}
	if bias {
		l.Bias = newParam(be, name+".bias", tensor.Shape{C}, false)
	}
	return l
}

// Params lists weight and bias.
func (l *LayerNorm) Params() []*tensor.Param { return appendParams(nil, l.Weight, l.Bias) }

// Init sets the weight to 1 and the bias to 0.
func (l *LayerNorm) Init() {
	Fill(l.be, l.Weight, 1)
	Fill(l.be, l.Bias, 0)
}

// Stats allocates the mean and rstd of each row (2,rows).
func (l *LayerNorm) Stats(rows int) tensor.Tensor { return activation(l.be, tensor.Shape{2, rows}) }

// Forward writes y from x and keeps mean and rstd of the rows in stats (2,rows).
func (l *LayerNorm) Forward(y, stats, x tensor.Tensor) {
	l.be.LayerNorm(y, stats, x, l.Weight.Value, valueOf(l.Bias), l.Eps)
}

// Backward adds the gradients of weight and bias, unless they are frozen, and
// writes dx, which may be dy.
func (l *LayerNorm) Backward(dx, dy, x, stats tensor.Tensor) {
	l.be.LayerNormBackward(dx, gradOf(l.Weight), gradOf(l.Bias), dy, x, l.Weight.Value, stats)
}
