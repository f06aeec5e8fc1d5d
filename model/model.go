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

// AddLosses returns sum plus the losses of a pass, added one after another. Adding pass after pass to one sum gives
// the same bits for every split of a batch into micro-batches:
//
//	losses, err := m.MicroStep(b, pass, scale, sink)
//	sum = model.AddLosses(sum, losses)
func AddLosses(sum float64, losses []float32) float64 {
	for _, l := range losses {
		sum += float64(l)
	}
	return sum
}

// lossBuffer receives the losses of a pass on the host.
type lossBuffer struct{ host []float32 }

// read returns the losses. It fails when one is not finite (ErrDiverged).
func (r *lossBuffer) read(be backend.Backend, losses tensor.Tensor, pass backend.Pass) ([]float32, error) {
	if n := losses.Len(); cap(r.host) < n {
		r.host = make([]float32, n)
	}
	host := r.host[:losses.Len()]
	be.Download(host, losses)
	if sum := AddLosses(0, host); math.IsNaN(sum) || math.IsInf(sum, 0) {
		if pass.Step == 0 { // of no step of training
			return nil, fmt.Errorf("model: %w (%v) in an evaluation: the weights are damaged, or training has diverged; use other weights, or a lower learning rate", ErrDiverged, sum)
		}
		return nil, fmt.Errorf("model: %w (%v) at step %d; lower the learning rate, lengthen the warm-up or clip gradients", ErrDiverged, sum, pass.Step)
	}
	return host, nil
}

// countLosses counts the targets that have a loss.
func countLosses(targets []int32) (n int) {
	for _, t := range targets {
		if t != backend.Ignore {
			n++
		}
	}
	return n
}
