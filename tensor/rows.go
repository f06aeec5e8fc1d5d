package tensor

import (
	"fmt"
	"slices"
)

// Rows is the gradient of some rows of a table (V,C), for example of the rows that the tokens of a step look up. Row i
// of Grad is the gradient of row IDs[i] of the table.
type Rows struct {
	Grad  Tensor  // (n,C), for at most n rows of the table
	IDs   []int32 // the rows of the table, each once, in the order in which they came
	place []int32 // [id]: where id is in IDs, plus 1; 0: it is not there
	found []int32 // what Find returned
}

// NewRows returns the gradient of no rows of a table of V, without memory for Grad.
func NewRows(V int) *Rows { return &Rows{place: make([]int32, V)} }

// Begin forgets the rows of the table. From now on Grad is grad (n,C), which the caller has cleared.
func (r *Rows) Begin(grad Tensor) {
	for _, id := range r.IDs {
		r.place[id] = 0
	}
	r.IDs, r.Grad = slices.Grow(r.IDs[:0], grad.Rows()), grad
}

// Find returns the row of Grad that belongs to each of ids, rows of the table, in memory that the next call overwrites.
// A row of the table that comes for the first time gets the next row of Grad. Find panics if there are more than n.
func (r *Rows) Find(ids []int32) []int32 {
	r.found = slices.Grow(r.found[:0], len(ids))
	for _, id := range ids {
		if r.place[id] == 0 {
			if len(r.IDs) == r.Grad.Rows() {
				panic(fmt.Sprintf("tensor: a gradient of %d rows gets one more", len(r.IDs)))
			}
			r.IDs = append(r.IDs, id)
			r.place[id] = int32(len(r.IDs))
		}
		r.found = append(r.found, r.place[id]-1)
	}
	return r.found
}
