package eval

import (
	"fmt"

	"github.com/bdia-go/bdia"
	"github.com/bdia-go/bdia/metric"
)

// ImageReport is the result of a classifier on a set of images.
type ImageReport struct {
	Images        int           `json:"images"`
	Grid          string        `json:"grid"`
	Loss          float64       `json:"loss"` // nats an image, states on the grid
	Accuracy      float64       `json:"accuracy"`
	Top5          float64       `json:"top5"`
	FloatLoss     float64       `json:"float_loss"` // nats an image, states in float32
	FloatAccuracy float64       `json:"float_accuracy"`
	GridMinFloat  float64       `json:"grid_minus_float"` // Loss - FloatLoss
	Classes       []ClassReport `json:"classes"`
	Confusion     [][]int       `json:"confusion"` // images of class row taken for class column; nil for more than 1024 classes
}

// ClassReport is the result for one class. A share of no images is nil.
type ClassReport struct {
	Name      string   `json:"name"`
	Images    int      `json:"images"`
	Recall    *float64 `json:"recall"`    // share of its images that are found
	Precision *float64 `json:"precision"` // share of the images taken for it that belong to it
}

// NewImageReport reports the answers of one model on a grid and in float32. A class
// beyond names is named by its number.
func NewImageReport(grid bdia.Grid, onGrid, inFloat *metric.Classification, names []string) ImageReport {
	r := ImageReport{Images: onGrid.Samples, Grid: grid.String(), Loss: onGrid.Loss(), Accuracy: onGrid.Accuracy(), Top5: onGrid.Top5Accuracy(),
		FloatLoss: inFloat.Loss(), FloatAccuracy: inFloat.Accuracy(), GridMinFloat: onGrid.Loss() - inFloat.Loss()}
	for k := range onGrid.Classes {
		n, recall, precision := onGrid.Class(k)
		name := fmt.Sprint(k)
		if k < len(names) {
			name = names[k]
		}
		r.Classes = append(r.Classes, ClassReport{name, n, finite(recall), finite(precision)})
		if onGrid.Confusion != nil {
			r.Confusion = append(r.Confusion, onGrid.Confusion[k*onGrid.Classes:][:onGrid.Classes])
		}
	}
	return r
}

// SweepPoint is the result of a classifier with one inference gamma (figure 1 of the
// paper).
type SweepPoint struct {
	Gamma    float64  `json:"gamma"`
	Accuracy float64  `json:"accuracy"`
	Top5     float64  `json:"top5"`
	Loss     *float64 `json:"loss"` // nil if it is not finite
}

// Sweep lists the points of Images with these ways of inference.
func Sweep(ways []Inference, counts []*metric.Classification) []SweepPoint {
	var points []SweepPoint
	for i, c := range counts {
		points = append(points, SweepPoint{ways[i].Gamma, c.Accuracy(), c.Top5Accuracy(), finite(c.Loss())})
	}
	return points
}
