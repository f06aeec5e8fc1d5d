package convert

import (
	"fmt"
	"math"
	"path/filepath"
	"slices"
	"strings"

	"github.com/bdia-go/bdia/format/safetensors"
	"github.com/bdia-go/bdia/internal/half"
)

// savedNames are the weights that PEFT stores with adapters if it is asked to (save_embedding_layers), or if it takes a
// vocabulary for a resized one: by name in the model.
var savedNames = []string{"wte.weight", "wpe.weight", headName, familyTable}

// savedName returns the name, without prefix, of a weight of the base model in a file of adapters; empty for another
// tensor.
func savedName(name string) string {
	rest, ok := strings.CutPrefix(name, peftBarePrefix)
	rest = strings.Replace(strings.TrimPrefix(rest, gpt2Prefix), ".base_layer.", ".", 1)
	if ok && slices.Contains(savedNames, rest) {
		return rest
	}
	return ""
}

// CheckSaved compares the weights of the base model that lie among the adapters in dir with those in base, its
// folder. If they differ by more than the rounding to the other's type, the adapters need them: ErrMismatch.
func CheckSaved(dir, base string) error {
	in, err := safetensors.Open(filepath.Join(dir, AdapterFile))
	if err != nil {
		return err
	}
	defer in.Close()
	f, err := bare(in)
	if err != nil {
		return err
	}
	if !slices.ContainsFunc(f.Names(), func(name string) bool { return savedName(name) != "" }) {
		return nil
	}
	w, err := OpenWeights(base)
	if err != nil {
		return err
	}
	defer w.Close()
	of, err := bare(w)
	if err != nil {
		return err
	}
	for _, name := range f.Names() {
		if saved := savedName(name); saved != "" {
			same, err := sameWeights(f, name, of, saved)
			if err == nil && !same {
				err = fmt.Errorf("convert: %s: %w: it holds %s, %.80q, with other values or of another size than the model in %s has: "+
					"merge the adapters into their model with PEFT (merge_and_unload) and save that", dir, ErrMismatch, whatSaved[saved], name, base)
			}
			if err != nil {
				return err
			}
		}
	}
	return nil
}

// whatSaved names weights for people.
var whatSaved = map[string]string{"wte.weight": "an embedding of tokens", familyTable: "an embedding of tokens", "wpe.weight": "an embedding of positions", headName: "an output head"}

// sameWeights reports whether tensor a of f is tensor b of g, rounded to the other's type perhaps. A head that g
// lacks is tied to its tokens.
func sameWeights(f Tensors, a string, g Tensors, b string) (bool, error) {
	x, _ := f.Info(a)
	prefix := FormOf(g).Prefix
	var y safetensors.Info
	found := false
	for _, name := range []string{b, prefix + b, prefix + "wte.weight", familyTable} {
		if y, found = g.Info(name); found {
			b = name
			break
		}
	}
	if !found || !slices.Equal(x.Shape, y.Shape) {
		return false, nil
	}
	n := x.Elems()
	p, q := make([]float32, min(n, pieceLen)), make([]float32, min(n, pieceLen))
	for at := 0; at < n; at += pieceLen {
		p, q = p[:min(n-at, pieceLen)], q[:min(n-at, pieceLen)]
		if err := f.ReadFloat32At(a, p, at); err != nil {
			return false, err
		}
		if err := g.ReadFloat32At(b, q, at); err != nil {
			return false, err
		}
		f.Forget(a, at, at+len(p))
		g.Forget(b, at, at+len(p))
		if !slices.EqualFunc(p, q, func(u, v float32) bool {
			return sameBits(u, v) || sameBits(rounded(u, y.DType), v) || sameBits(u, rounded(v, x.DType))
		}) {
			return false, nil
		}
	}
	return true, nil
}

func sameBits(u, v float32) bool { return math.Float32bits(u) == math.Float32bits(v) }

// rounded is v as type d holds it.
func rounded(v float32, d safetensors.DType) float32 {
	switch d {
	case safetensors.F16:
		return half.ToFloat(half.FromFloat(v))
	case safetensors.BF16:
		return half.BToFloat(half.BFromFloat(v))
	}
	return v
}
