// Package eval measures trained models as they are used, with gamma 0: the loss and
// perplexity of language models, the loss of translations, the accuracy of classifiers.
// Each measure is taken on the grid of the run and can be taken in plain float32 too, as
// other software will run the model.
package eval

import (
	"math"

	"github.com/bdia-go/bdia"
	"github.com/bdia-go/bdia/metric"
)

// Losses are the mean losses of one model on one set of targets.
type Losses struct {
	Loss         float64 `json:"loss"` // nats a target, states on the grid
	Perplexity   float64 `json:"perplexity"`
	FloatLoss    float64 `json:"float_loss"` // nats a target, states in float32
	Grid         string  `json:"grid"`
	GridMinFloat float64 `json:"grid_minus_float"` // Loss - FloatLoss
}

// NewLosses returns the losses of a model measured on a grid and in float32.
func NewLosses(grid bdia.Grid, onGrid, inFloat float64) Losses {
	return Losses{Loss: onGrid, Perplexity: metric.Perplexity(onGrid), FloatLoss: inFloat, Grid: grid.String(), GridMinFloat: onGrid - inFloat}
}

// finite returns v for JSON, or nil when it is no number.
func finite(v float64) *float64 {
	if math.IsNaN(v) || math.IsInf(v, 0) {
		return nil
	}
	return &v
}
