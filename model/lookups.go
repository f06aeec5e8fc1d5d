package model

import (
	"github.com/bdia-go/bdia"
	"github.com/bdia-go/bdia/backend"
	"github.com/bdia-go/bdia/tensor"
)

// lookups sums the gradient of a tied table in its use as embedding, which has no more rows than there are tokens. The
// head's share is in the table's Grad already. The share of the look-ups is summed apart from it and then added: one
// running sum over both would alternate between them from one micro-batch to the next, and its bits would depend on the
// split.
type lookups struct {
	own   *tensor.Rows // of a pass, if the sink keeps none for the step
	total tensor.Tensor
}

// begin makes token.Grad the gradient of the rows that up to n tokens look up, until end.
func (l *lookups) begin(be backend.Backend, token *tensor.Param, n int) *tensor.Rows {
	l.total = token.Grad
	rows := token.Lookups
	if rows == nil {
		V, C := l.total.Rows(), l.total.Cols()
		if l.own == nil {
			l.own = tensor.NewRows(V)
		}
		rows = l.own
		rows.Begin(be.Alloc(backend.Gradients, tensor.F32, tensor.Shape{min(n, V), C}))
		be.Zero(rows.Grad)
	}
	token.Grad = rows.Grad
	return rows
}

// end adds the sum to the table's gradient, unless the sink will.
func (l *lookups) end(be backend.Backend, token *tensor.Param) {
	token.Grad = l.total
	if token.Lookups == nil {
		bdia.AddLookups(be, l.total, l.own)
	}
}
