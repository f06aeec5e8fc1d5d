package bdia

import (
	"github.com/bdia-go/bdia/backend"
	"github.com/bdia-go/bdia/tensor"
)

// AddLookups adds the gradient of some rows of a table to total (V,C), the table's. So a sink that provides
// tensor.Param.Lookups ends a step.
func AddLookups(be backend.Backend, total tensor.Tensor, rows *tensor.Rows) {
	mark := be.Mark()
	ids := be.Alloc(backend.Data, tensor.I32, tensor.Shape{rows.Grad.Rows()})
	if n := len(rows.IDs); n > 0 {
		be.UploadInts(ids.Slice(0, n), rows.IDs)
		be.EmbedBackward(total, tensor.Tensor{}, rows.Grad.RowRange(0, n), ids.Slice(0, n))
	}
	be.Release(mark)
}
