package backendtest

import (
	"github.com/bdia-go/bdia/backend"
	"github.com/bdia-go/bdia/tensor"
)

// Flip turns over one bit of x, as a fault of memory does: bit number at, modulo the bits of x.
func Flip(be backend.Backend, x tensor.Tensor, at uint64) {
	bit := at % uint64(8*x.Bytes())
	if x.DType == tensor.U8 {
		host := make([]byte, x.Len())
		be.DownloadBytes(host, x)
		host[bit/8] ^= 1 << (bit % 8)
		be.UploadBytes(x, host)
		return
	}
	x.DType = tensor.I32 // the same bits
	host := make([]int32, x.Len())
	be.DownloadInts(host, x)
	host[bit/32] ^= 1 << (bit % 32)
	be.UploadInts(x, host)
}
