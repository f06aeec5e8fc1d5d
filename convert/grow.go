package convert

import (
	"strings"

	"github.com/bdia-go/bdia/format/safetensors"
)

// Grow returns f with vocab tokens, for a model that has learned fewer: its token table and the head of its own, if it
// has one, get more rows. A new row is the mean of the rows before it, so the logit of a new token is the mean of the
// old logits: the old ones stay as they are, and the loss on a text of old tokens rises by at most log(vocab / old
// tokens).
func Grow(f Tensors, vocab int) Tensors { return &grown{f, vocab, map[string][]float32{}} }

type grown struct {
	Tensors
	vocab int
	means map[string][]float32 // new rows, by tensor
}

// grows returns what f says of a tensor, and whether its rows are tokens and too few.
func (g *grown) grows(name string) (safetensors.Info, bool) {
	info, ok := g.Tensors.Info(name)
	return info, ok && (name == headName || strings.HasSuffix(name, "wte.weight") || strings.HasSuffix(name, familyTable)) && len(info.Shape) == 2 && info.Shape[0] > 0 && info.Shape[0] < g.vocab
}

// Info describes a tensor as it has grown.
func (g *grown) Info(name string) (safetensors.Info, bool) {
	info, more := g.grows(name)
	if more {
		info.Shape = []int{g.vocab, info.Shape[1]}
		return info, true
	}
	return g.Tensors.Info(name)
}

// ReadFloat32At reads old rows from the file. It computes the mean of a tensor once.
func (g *grown) ReadFloat32At(name string, dst []float32, from int) error {
	info, more := g.grows(name)
	if !more {
		return g.Tensors.ReadFloat32At(name, dst, from)
	}
	old := int(info.Elems())
	n := min(max(old-from, 0), len(dst))
	if n > 0 {
		if err := g.Tensors.ReadFloat32At(name, dst[:n], from); err != nil {
			return err
		}
	}
	if n == len(dst) {
		return nil
	}
	mean, err := g.mean(name, info)
	if err != nil {
		return err
	}
	for i := n; i < len(dst); i++ {
		dst[i] = mean[(from+i)%len(mean)]
	}
	return nil
}

// mean returns the mean of the rows of a tensor.
func (g *grown) mean(name string, info safetensors.Info) ([]float32, error) {
	if m, ok := g.means[name]; ok {
		return m, nil
	}
	rows, width := info.Shape[0], info.Shape[1]
	sums, row := make([]float64, width), make([]float32, width)
	for i := range rows {
		if err := g.Tensors.ReadFloat32At(name, row, i*width); err != nil {
			return nil, err
		}
		for j, x := range row {
			sums[j] += float64(x)
		}
	}
	for j, s := range sums {
		row[j] = float32(s / float64(rows))
	}
	g.means[name] = row
	return row, nil
}

// Forget releases the memory of old rows.
func (g *grown) Forget(name string, from, to int) {
	if info, more := g.grows(name); more {
		to = min(to, int(info.Elems()))
	}
	if from < to {
		g.Tensors.Forget(name, from, to)
	}
}
