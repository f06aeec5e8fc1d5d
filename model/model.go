// Package model puts embedding, block stack and head together: whole networks
// that train by reversible back-propagation.
package model

import (
	"errors"
	"fmt"
	"math"

	"github.com/bdia-go/bdia/backend"
	"github.com/bdia-go/bdia/tensor"
)

// ErrBatch is wrapped by the error of a batch that the model cannot take.
var ErrBatch = errors.New("bad batch")

// ErrDiverged is wrapped by the error of a loss that is NaN or infinite.
var ErrDiverged = errors.New("loss is not finite")

// tally adds losses up.
type tally struct{ host []float32 }

// add reads losses back and adds them to sum, in order.
func (t *tally) add(be backend.Backend, losses tensor.Tensor, pass backend.Pass, sum *float64) error {
	if n := losses.Len(); cap(t.host) < n {
		t.host = make([]float32, n)
	}
	host := t.host[:losses.Len()]
	be.Download(host, losses)
	for _, l := range host {
		*sum += float64(l)
	}
	if math.IsNaN(*sum) || math.IsInf(*sum, 0) {
		if pass.Step == 0 { // of no step of training
			return fmt.Errorf("model: %w (%v) in an evaluation: the weights are damaged, or training has diverged; use other weights, or a lower learning rate", ErrDiverged, *sum)
		}
		return fmt.Errorf("model: %w (%v) at step %d; lower the learning rate, lengthen the warm-up or clip gradients", ErrDiverged, *sum, pass.Step)
	}
	return nil
}
