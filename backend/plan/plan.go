// Package plan is the backend that does no arithmetic: it runs the code of a
// training run on an unbounded arena and records what that code allocates. The
// real run's arena is then exactly as large as the peak found here.
package plan

import (
	"github.com/bdia-go/bdia/backend"
	"github.com/bdia-go/bdia/tensor"
)

// Backend plans. Downloads leave their destination as it is.
type Backend struct {
	backend.Arena
	limits    backend.Limits
	precision backend.Precision
}

var _ backend.Backend = (*Backend)(nil)

// New returns a planning backend for a device without limits that needs scratch bytes of
// its own.
func New(scratch int64) *Backend { return NewLimited(scratch, backend.Limits{}, backend.Float32) }

// NewLimited is New for a device with limits and with a precision.
func NewLimited(scratch int64, limits backend.Limits, precision backend.Precision) *Backend {
	b := &Backend{Arena: backend.NewArena(0), limits: limits, precision: precision}
	b.Alloc(backend.Scratch, tensor.U8, tensor.Shape{int(scratch)})
	return b
}

// Limits returns the limits of the device.
func (b *Backend) Limits() backend.Limits { return b.limits }

// Precision returns the device's precision of products.
func (b *Backend) Precision() backend.Precision { return b.precision }

// Every operation is accepted and none does anything.

func (*Backend) Upload(tensor.Tensor, []float32)                       {}
func (*Backend) Download([]float32, tensor.Tensor)                     {}
func (*Backend) UploadInts(tensor.Tensor, []int32)                     {}
func (*Backend) DownloadInts([]int32, tensor.Tensor)                   {}
func (*Backend) UploadBytes(tensor.Tensor, []byte)                     {}
func (*Backend) DownloadBytes([]byte, tensor.Tensor)                   {}
func (*Backend) DownloadScalar(tensor.Tensor) float64                  { return 0 }
func (*Backend) Sync()                                                 {}
func (*Backend) Zero(tensor.Tensor)                                    {}
func (*Backend) Copy(_, _ tensor.Tensor)                               {}
func (*Backend) CopyRows(_, _, _ tensor.Tensor)                        {}
func (*Backend) Add(_, _, _ tensor.Tensor)                             {}
func (*Backend) Scale(tensor.Tensor, float32)                          {}
func (*Backend) Lerp(_, _ tensor.Tensor, _ float32)                    {}
func (*Backend) AddSquares(_, _ tensor.Tensor)                         {}
func (*Backend) Digest(_, _ tensor.Tensor)                             {}
func (*Backend) Embed(_, _, _, _ tensor.Tensor)                        {}
func (*Backend) EmbedBackward(_, _, _, _ tensor.Tensor)                {}
func (*Backend) Linear(_, _, _, _ tensor.Tensor)                       {}
func (*Backend) LinearAdd(_, _, _ tensor.Tensor)                       {}
func (*Backend) TakeColumns(_, _ tensor.Tensor, _ int)                 {}
func (*Backend) AddColumns(_, _ tensor.Tensor, _ int)                  {}
func (*Backend) GatedSiLU(_, _ tensor.Tensor)                          {}
func (*Backend) GatedSiLUBackward(_, _, _ tensor.Tensor)               {}
func (*Backend) Rotate(_, _, _ tensor.Tensor, _ backend.Heads, _ bool) {}
func (*Backend) GELU(_, _ tensor.Tensor, _ backend.GELUForm)           {}
func (*Backend) RMSNorm(_, _, _, _ tensor.Tensor, _ backend.Heads, _ float32) {
}
func (*Backend) RMSNormBackward(_, _, _, _, _, _ tensor.Tensor, _ backend.Heads) {
}
func (*Backend) LinearBackwardInput(_, _, _ tensor.Tensor)                {}
func (*Backend) GELUBackward(_, _, _ tensor.Tensor, _ backend.GELUForm)   {}
func (*Backend) LinearBackwardWeight(_, _, _, _ tensor.Tensor)            {}
func (*Backend) LayerNorm(_, _, _, _, _ tensor.Tensor, _ float32)         {}
func (*Backend) LayerNormBackward(_, _, _, _, _, _, _ tensor.Tensor)      {}
func (*Backend) Attention(_, _, _ tensor.Tensor, _ backend.AttentionSpec) {}
func (*Backend) AttentionBackward(_, _, _, _, _ tensor.Tensor, _ backend.AttentionSpec) {
}
func (*Backend) CrossAttention(_, _, _, _ tensor.Tensor, _ backend.AttentionSpec) {}
func (*Backend) CrossAttentionBackward(_, _, _, _, _, _, _ tensor.Tensor, _ backend.AttentionSpec) {
}
func (*Backend) Dropout(_, _ tensor.Tensor, _ float32, _ backend.Draw)                            {}
func (*Backend) DropSamples(_, _ tensor.Tensor, _ float32, _ backend.Draw)                        {}
func (*Backend) PoolRows(_, _ tensor.Tensor, _ int)                                               {}
func (*Backend) PoolRowsBackward(_, _ tensor.Tensor, _ int)                                       {}
func (*Backend) CrossEntropy(_, _, _ tensor.Tensor, _, _ float32)                                 {}
func (*Backend) Quantise(_, _ tensor.Tensor, _ int)                                               {}
func (*Backend) AddQuantised(_, _, _, _, _ tensor.Tensor, _ int)                                  {}
func (*Backend) QuantisedAdd(_, _, _, _ tensor.Tensor, _ int)                                     {}
func (*Backend) Advance(_, _, _, _, _, _, _ tensor.Tensor, _ backend.Law)                         {}
func (*Backend) Retreat(_, _, _, _, _, _, _ tensor.Tensor, _ backend.Law)                         {}
func (*Backend) ScaleGrad(_, _, _ tensor.Tensor)                                                  {}
func (*Backend) CompleteGrad(_, _, _, _ tensor.Tensor)                                            {}
func (*Backend) AdamW(_, _, _, _ tensor.Tensor, _ backend.AdamScalars, _ backend.Rounding)        {}
func (*Backend) AdamW8(_, _, _, _, _, _ tensor.Tensor, _ backend.AdamScalars, _ backend.Rounding) {}
func (*Backend) SETAdam(_, _, _, _ tensor.Tensor, _ backend.AdamScalars, _ float32, _ backend.Rounding) {
}
func (*Backend) SGD(_, _, _ tensor.Tensor, _, _, _ float32, _ backend.Rounding) {}
