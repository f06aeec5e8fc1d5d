package export

import (
	"fmt"
	"math"

	"github.com/bdia-go/bdia"
	"github.com/bdia-go/bdia/backend"
	"github.com/bdia-go/bdia/convert"
	"github.com/bdia-go/bdia/hub"
	"github.com/bdia-go/bdia/model"
)

// net is a model of one kind on a device.
type net struct {
	device  backend.Device // nil until the model is loaded
	gpt     *model.GPT
	vit     *model.ViT
	seq2seq *model.Seq2Seq
}

// load loads the model, the first time, to compute in float32 as other programs do, with memory for the logits of the
// sample. Before, it computes the ones of the precision of Device, if that is another.
func (j *job) load() error {
	if j.device != nil {
		return nil
	}
	if j.Device.Precision != backend.Float32 {
		n, err := j.on(j.Device)
		if err != nil {
			return err
		}
		j.onGrid, err = n.logits(j.sample, j.folder.Grid)
		n.close()
		if err != nil {
			return err
		}
	}
	device := j.Device
	device.Precision = backend.Float32
	var err error
	j.net, err = j.on(device)
	return err
}

// on loads the model on a device of its own.
func (j *job) on(device backend.Options) (net, error) {
	rehearse := func(n net) error {
		_, err := n.logits(j.sample, j.folder.Grid)
		return err
	}
	switch j.folder.Kind {
	case convert.ViT:
		m, err := j.folder.ViT(device, func(m *model.ViT) error { return rehearse(net{vit: m}) })
		if err != nil {
			return net{}, err
		}
		return net{device: m.Device, vit: m.ViT}, nil
	case convert.Seq2Seq:
		m, err := j.folder.Seq2Seq(device, func(m *model.Seq2Seq) error { return rehearse(net{seq2seq: m}) })
		if err != nil {
			return net{}, err
		}
		return net{device: m.Device, seq2seq: m.Seq2Seq}, nil
	}
	f := *j.folder
	// Weights in BF16 stay so if what is read back over them is BF16 too, or nothing is: a graph of ONNX runs as it lies.
	f.Float32 = f.Adapter != "" || j.Format != "onnx" && j.DType != "bf16" && (j.Format != "hf" || j.DType != "")
	m, err := f.GPT(device, func(m *model.GPT) error { return rehearse(net{gpt: m}) })
	if err != nil {
		return net{}, err
	}
	return net{device: m.Device, gpt: m.GPT}, nil
}

// close frees the model's memory.
func (n net) close() {
	if n.device != nil {
		n.device.Close()
	}
}

// read fills the model with the weights of the folder dir.
func (n net) read(dir string) error {
	switch {
	case n.vit != nil:
		return hub.LoadViT(n.device, n.vit, dir)
	case n.seq2seq != nil:
		return hub.LoadSeq2Seq(n.device, n.seq2seq, dir)
	}
	return hub.LoadGPT(n.device, n.gpt, dir)
}

// logits returns the logits of s with states on grid: a row for each position, or for
// each image.
func (n net) logits(s Sample, grid bdia.Grid) (dst []float32, err error) {
	switch {
	case n.vit != nil:
		dst = make([]float32, s.Images.Size*n.vit.Config.Classes)
		return dst, n.vit.Logits(dst, s.Images, grid, 0)
	case n.seq2seq != nil:
		dst = make([]float32, len(s.Pairs.Input)*n.seq2seq.Config.TargetVocab)
		return dst, n.seq2seq.Logits(dst, s.Pairs, grid)
	}
	dst = make([]float32, len(s.Tokens.Inputs)*n.gpt.Config.Vocab)
	return dst, n.gpt.Logits(dst, s.Tokens, grid)
}

// compare completes the report. exported computes the sample's logits with the written
// model; it may overwrite the weights of the loaded one.
func (j *job) compare(dtype string, exported func() ([]float32, error)) error {
	if err := j.load(); err != nil {
		return err
	}
	onGrid := j.onGrid
	if onGrid == nil {
		var err error
		if onGrid, err = j.logits(j.sample, j.folder.Grid); err != nil {
			return err
		}
	}
	inFloat, err := j.logits(j.sample, bdia.NoGrid)
	if err != nil {
		return err
	}
	written, err := exported()
	if err != nil {
		return err
	}
	if len(written) != len(inFloat) {
		return fmt.Errorf("export: what was written gives %d logits, the model %d", len(written), len(inFloat))
	}
	r := j.report
	r.DType, r.Logits = dtype, len(written)
	r.GridFloat, r.GridFile, r.FloatFile = furthest(onGrid, inFloat), furthest(onGrid, written), furthest(inFloat, written)
	r.LargestAbs = furthest(inFloat, make([]float32, len(inFloat)))
	for _, d := range []float64{r.GridFloat, r.GridFile, r.FloatFile} {
		if math.IsNaN(d) || math.IsInf(d, 0) {
			return fmt.Errorf("export: %w: the weights are out of range, or beyond the range of %s; try another type", ErrNumbers, dtype)
		}
	}
	return nil
}

// furthest returns the largest difference between elements of a and b, or NaN if an
// element is NaN.
func furthest(a, b []float32) (most float64) {
	for i := range a {
		d := math.Abs(float64(a[i]) - float64(b[i]))
		if math.IsNaN(d) {
			return d
		}
		most = max(most, d)
	}
	return most
}
