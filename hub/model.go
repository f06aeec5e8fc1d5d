package hub

import (
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"

	"github.com/bdia-go/bdia"
	"github.com/bdia-go/bdia/backend"
	"github.com/bdia-go/bdia/convert"
	"github.com/bdia-go/bdia/format/safetensors"
	"github.com/bdia-go/bdia/internal/bytesize"
	"github.com/bdia-go/bdia/model"
	"github.com/bdia-go/bdia/tensor"
)

// GPT is a language model on a device of its own. Close it.
type GPT struct {
	*model.GPT
	Device backend.Device
	folder *Folder
}

// ViT is a vision transformer on a device of its own. Close it.
type ViT struct {
	*model.ViT
	Device backend.Device
	folder *Folder
}

// Seq2Seq is an encoder-decoder on a device of its own. Close it.
type Seq2Seq struct {
	*model.Seq2Seq
	Device backend.Device
	folder *Folder
}

// Close frees the model's memory.
func (m *GPT) Close()     { m.Device.Close() }
func (m *ViT) Close()     { m.Device.Close() }
func (m *Seq2Seq) Close() { m.Device.Close() }

// GPT opens a device and makes the folder's language model on it. The device has memory for the model and for what the
// rehearse functions do with it, for example generate.Rehearse; they run on a plan, before memory is taken. A
// config.json that describes far larger weights than the folder has is ErrMismatch.
//
// Weights that the folder has in BF16 are so in memory too; training them rounds each update stochastically. Otherwise,
// and with Options.Float32, weights are float32 in memory. Adapters are merged into weights of float32 on a device of
// that precision; else they stay beside them, with the bits of the run that trained them.
func (f *Folder) GPT(device backend.Options, rehearse ...func(*model.GPT) error) (*GPT, error) {
	c := f.GPTInfo.Config
	if !f.Float32 && f.Kind == convert.GPT {
		var err error
		if c.Weights, err = f.WeightType(); err != nil {
			return nil, err
		}
	}
	merge := func(m *model.GPT) {
		if f.Adapter != "" && c.Weights != model.WeightsBF16 && device.Precision == backend.Float32 {
			m.MergeLoRA()
		}
	}
	m, d, err := open(f, device, maker[*model.GPT]{kind: convert.GPT,
		alloc: func(be backend.Backend, o bdia.Options) (*model.GPT, error) {
			return model.NewGPT(be, c, o)
		},
		adapt: func(be backend.Backend, m *model.GPT) error {
			if f.Adapter == "" {
				return nil
			}
			if err := convert.CheckSaved(f.Adapter, f.Weights); err != nil && !errors.Is(err, fs.ErrNotExist) {
				return err
			}
			return intact(f.Adapter, isAdapter, func() error { return convert.AddAdapter(be, m, f.Adapter) })
		},
		merge: merge, load: LoadGPT}, rehearse)
	if err != nil {
		return nil, err
	}
	return &GPT{m, d, f}, nil
}

// WeightType is the type in which a model can hold the folder's weights without rounding: BF16 if all matrices are, or
// if config.json says so and there are no weights (yet).
func (f *Folder) WeightType() (model.WeightType, error) {
	w, err := convert.OpenWeights(f.Weights)
	switch {
	case errors.Is(err, fs.ErrNotExist) && f.GPTInfo.StoredType() == safetensors.BF16:
		return model.WeightsBF16, nil
	case errors.Is(err, fs.ErrNotExist), errors.Is(err, convert.ErrUnsupported):
		return model.WeightsF32, nil
	case err != nil:
		return "", err
	}
	if convert.InBF16(w) {
		return model.WeightsBF16, w.Close()
	}
	return model.WeightsF32, w.Close()
}

// NewGPT allocates the folder's language model on be, to be trained by the given method. LoadGPT fills it with the
// weights in f.Weights. Adapters are no part of it (ErrAdapters).
func (f *Folder) NewGPT(be backend.Backend, method bdia.Options) (*model.GPT, error) {
	switch {
	case f.Kind != convert.GPT:
		return nil, fmt.Errorf("%s: %w", f.Dir, &convert.KindError{Have: f.Kind, Want: convert.GPT})
	case f.Adapter != "":
		return nil, fmt.Errorf("%s %w: open it with GPT in float32, which merges them, and save that model", f.Dir, ErrAdapters)
	}
	m, err := model.NewGPT(be, f.GPTInfo.Config, method)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", f.Dir, err)
	}
	return m, f.plausible(m.Params())
}

// ViT is GPT for a vision transformer.
func (f *Folder) ViT(device backend.Options, rehearse ...func(*model.ViT) error) (*ViT, error) {
	m, d, err := open(f, device, maker[*model.ViT]{kind: convert.ViT,
		alloc: func(be backend.Backend, o bdia.Options) (*model.ViT, error) {
			return model.NewViT(be, f.ViTInfo.Config, o)
		},
		load: LoadViT}, rehearse)
	if err != nil {
		return nil, err
	}
	return &ViT{m, d, f}, nil
}

// Seq2Seq is GPT for an encoder-decoder.
func (f *Folder) Seq2Seq(device backend.Options, rehearse ...func(*model.Seq2Seq) error) (*Seq2Seq, error) {
	m, d, err := open(f, device, maker[*model.Seq2Seq]{kind: convert.Seq2Seq,
		alloc: func(be backend.Backend, o bdia.Options) (*model.Seq2Seq, error) {
			return model.NewSeq2Seq(be, f.Seq2SeqInfo.Config, o)
		},
		load: LoadSeq2Seq}, rehearse)
	if err != nil {
		return nil, err
	}
	return &Seq2Seq{m, d, f}, nil
}

// maker makes models of one kind.
type maker[M interface{ Params() []*tensor.Param }] struct {
	kind  convert.Kind
	alloc func(backend.Backend, bdia.Options) (M, error)
	adapt func(backend.Backend, M) error                  // adds the adapters, if there can be any
	merge func(M)                                         // merges them into the weights, which are loaded
	load  func(be backend.Backend, m M, dir string) error // loads the weights
}

// open makes the model of f on a device that has memory for the rehearsals.
func open[M interface{ Params() []*tensor.Param }](f *Folder, device backend.Options, k maker[M], rehearse []func(M) error) (m M, d backend.Device, err error) {
	if f.Kind != k.kind {
		return m, nil, fmt.Errorf("%s: %w", f.Dir, &convert.KindError{Have: f.Kind, Want: k.kind})
	}
	if k.adapt == nil {
		k.adapt, k.merge = func(backend.Backend, M) error { return nil }, func(M) {}
	}
	build := func(be backend.Backend) error {
		var err error
		if m, err = k.alloc(be, bdia.Options{Memory: bdia.Store, Grid: f.Grid}); err != nil {
			return fmt.Errorf("%s: %w", f.Dir, err)
		}
		if err := f.plausible(m.Params()); err != nil {
			return err
		}
		return k.adapt(be, m)
	}
	d, err = backend.Fit(device, build, func() error {
		k.merge(m)
		for _, r := range rehearse {
			if err := r(m); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		return m, nil, err
	}
	if err := k.load(d, m, f.Weights); err != nil {
		d.Close()
		return m, nil, err
	}
	k.merge(m)
	return m, d, nil
}

// plausible refuses, before memory is taken, parameters for which the weights' files
// are far too short: a hostile description, or one of another model.
func (f *Folder) plausible(params []*tensor.Param) error {
	const slack = 8 // half precision, and small tensors
	w, err := convert.OpenWeights(f.Weights)
	if err != nil {
		return err
	}
	defer w.Close()
	var described int64
	for _, p := range params {
		described += p.Value.Bytes()
	}
	if described/slack > w.Bytes() {
		return fmt.Errorf("%s: the configuration describes %s of weights, but %s has only %s; %w",
			f.Dir, bytesize.Text(described), filepath.Base(w.Path()), bytesize.Text(w.Bytes()), ErrMismatch)
	}
	return nil
}

// LoadGPT fills m, which lies on be, with the weights in the folder dir, in one file or
// several. Adapters in dir are not looked at; see WeightsDir.
func LoadGPT(be backend.Backend, m *model.GPT, dir string) error {
	return ReadWeights(dir, func(f convert.Tensors) error { return convert.ReadGPT(be, m, f) })
}

// LoadViT fills m, which lies on be, with the weights in the folder dir.
func LoadViT(be backend.Backend, m *model.ViT, dir string) error {
	return ReadWeights(dir, func(f convert.Tensors) error { return convert.ReadViT(be, m, f) })
}

// LoadSeq2Seq fills m, which lies on be, with the weights in the folder dir.
func LoadSeq2Seq(be backend.Backend, m *model.Seq2Seq, dir string) error {
	return ReadWeights(dir, func(f convert.Tensors) error { return convert.ReadSeq2Seq(be, m, f) })
}

// ReadWeights calls read with the weights in the folder dir, and again if a trainer has replaced them meanwhile. Its
// errors name the file. Weights that are not the ones in the folder's manifest are checkpoint.ErrDamaged: the files are
// compared in the background, and what was read is good only if ReadWeights succeeds.
func ReadWeights(dir string, read func(convert.Tensors) error) error {
	return intact(dir, isWeights, func() error {
		w, err := convert.OpenWeights(dir)
		if err != nil {
			return err
		}
		defer w.Close()
		if err := read(w); err != nil {
			return fmt.Errorf("%s: %w", w.Path(), err)
		}
		return nil
	})
}
