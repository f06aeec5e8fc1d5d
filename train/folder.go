package train

import (
	"fmt"
	"io"

	"github.com/bdia-go/bdia/backend"
	"github.com/bdia-go/bdia/convert"
	"github.com/bdia-go/bdia/format/safetensors"
	"github.com/bdia-go/bdia/hub"
	"github.com/bdia-go/bdia/tensor"
)

// paramFolder is the Folder of a Learner without one: its parameters under their own names.
type paramFolder struct {
	be     backend.Backend
	params []*tensor.Param // all, and those that learn beside them
}

func newParamFolder(be backend.Backend, l Learner) paramFolder {
	f := paramFolder{be: be}
	seen := map[*tensor.Param]bool{}
	for _, list := range [][]*tensor.Param{l.Params(), l.Trainable()} {
		for _, p := range list {
			if !seen[p] {
				seen[p] = true
				f.params = append(f.params, p)
			}
		}
	}
	return f
}

func (f paramFolder) Files() []File { return []File{{WeightsFile, f.params, f.WriteWeights}} }

func (f paramFolder) ReadModel(dir string) error { return hub.ReadWeights(dir, f.ReadWeights) }

func (f paramFolder) WriteWeights(w io.Writer) error {
	infos := make([]safetensors.Info, len(f.params))
	for i, p := range f.params {
		infos[i] = safetensors.Info{Name: p.Name, DType: fileType(p.Value), Shape: p.Value.Shape.Dims()}
	}
	sw, err := safetensors.NewWriter(w, infos, nil)
	if err != nil {
		return err
	}
	mover := convert.NewMover(f.be)
	for _, p := range f.params {
		if err := mover.Write(sw, p.Name, p.Value); err != nil {
			return err
		}
	}
	return sw.Close()
}

func (f paramFolder) ReadWeights(t convert.Tensors) error {
	mover := convert.NewMover(f.be)
	for _, p := range f.params {
		info, ok := t.Info(p.Name)
		if !ok || fmt.Sprint(info.Shape) != fmt.Sprint(p.Value.Shape.Dims()) {
			return fmt.Errorf("train: %w: tensor %s is missing or is %v, not %v; was the model changed?", convert.ErrMismatch, p.Name, info.Shape, p.Value.Shape.Dims())
		}
		if err := mover.Read(p.Value, t, p.Name, 0); err != nil {
			return err
		}
	}
	return nil
}
