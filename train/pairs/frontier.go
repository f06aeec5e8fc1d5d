package pairs

import (
	"slices"

	"github.com/bdia-go/bdia/data/pairs"
)

// Frontier is the shapes, and where they were seen, that no other one exceeds in every size; of equal ones the first.
type Frontier struct {
	Shapes []pairs.Shape
	At     []int
}

// Add adds the shape s, seen at a number.
func (f *Frontier) Add(s pairs.Shape, at int) {
	for i := len(f.Shapes) - 1; i >= 0; i-- {
		o := f.Shapes[i]
		if s.B <= o.B && s.S <= o.S && s.T <= o.T {
			return
		}
		if o.B <= s.B && o.S <= s.S && o.T <= s.T {
			f.Shapes, f.At = slices.Delete(f.Shapes, i, i+1), slices.Delete(f.At, i, i+1)
		}
	}
	f.Shapes, f.At = append(f.Shapes, s), append(f.At, at)
}
