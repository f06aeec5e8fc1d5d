package train

import (
	"fmt"
	"io"
	"os"
	"path/filepath"

	"github.com/bdia-go/bdia/backend"
	"github.com/bdia-go/bdia/checkpoint"
	"github.com/bdia-go/bdia/convert"
	"github.com/bdia-go/bdia/format/safetensors"
	"github.com/bdia-go/bdia/model"
)

const (
	weightsFile   = "model.safetensors"
	modelConfig   = "config.json"
	optimizerFile = "state/optimizer.safetensors"
	optimizerKey  = "optimizer" // of the file's metadata: whose state it holds
)

// save makes the session's state the run's latest checkpoint, and its best too
// where best is set: all files change together or none does.
func (r *Run) save(s *Session, best bool) error {
	if best {
		if err := os.MkdirAll(r.BestDir(), 0o777); err != nil {
			return fmt.Errorf("train: %w", err)
		}
		if err := r.samples.save(r.BestDir()); err != nil {
			return err
		}
	}
	return checkpoint.Save(r.Dir, func(t *checkpoint.Txn) error {
		t.Expect(s.checkpointBytes(best))
		if err := writeModel(t, "", s); err != nil {
			return err
		}
		if best {
			if err := writeModel(t, bestDir+"/", s); err != nil {
				return err
			}
		}
		if err := writeFile(t, optimizerFile, s.writeOptimizer); err != nil {
			return err
		}
		return writeFile(t, checkpoint.StateFile, func(w io.Writer) error { return checkpoint.WriteState(w, r.State) })
	})
}

// writeModel writes a Hugging Face model folder under prefix.
func writeModel(t *checkpoint.Txn, prefix string, s *Session) error {
	if err := writeFile(t, prefix+modelConfig, s.learner.writeConfig); err != nil {
		return err
	}
	return writeFile(t, prefix+weightsFile, s.learner.writeWeights)
}

// checkpointBytes is about what a checkpoint takes on disk.
func (s *Session) checkpointBytes(best bool) int64 {
	var weights, moments int64
	for _, p := range s.Params() {
		weights += p.Value.Bytes()
	}
	for _, m := range s.Optimizer.Moments() {
		moments += m.Value.Bytes()
	}
	if best {
		weights *= 2
	}
	return weights + moments
}

// writeOptimizer writes the optimiser's moments as safetensors.
func (s *Session) writeOptimizer(w io.Writer) error {
	moments := s.Optimizer.Moments()
	infos := make([]safetensors.Info, len(moments))
	for i, m := range moments {
		infos[i] = safetensors.Info{Name: m.Name, DType: safetensors.F32, Shape: m.Value.Shape.Dims()}
	}
	sw, err := safetensors.NewWriter(w, infos, map[string]string{optimizerKey: s.cfg.Optimizer.Name})
	if err != nil {
		return err
	}
	for _, m := range moments {
		host := make([]float32, m.Value.Len())
		s.be.Download(host, m.Value)
		if err := sw.WriteFloat32(m.Name, host); err != nil {
			return err
		}
	}
	return sw.Close()
}

// load fills the session from the run's latest checkpoint, or draws initial
// weights where there is none yet.
func (r *Run) load(s *Session) error {
	if r.State.Step == 0 {
		s.Init()
		return nil
	}
	if err := readWeights(r.Dir, s.learner.readWeights); err != nil {
		return err
	}
	path := filepath.Join(r.Dir, filepath.FromSlash(optimizerFile))
	f, err := safetensors.Open(path)
	if err != nil {
		return err
	}
	defer f.Close()
	if was, is := f.Metadata()[optimizerKey], r.Config.Optimizer.Name; was != is {
		return fmt.Errorf("train: %s: %w: it holds the state of optimiser %q, not of %q; resume with --optimizer %[3]s or start a new run",
			path, convert.ErrMismatch, was, is)
	}
	for _, m := range s.Optimizer.Moments() {
		info, ok := f.Info(m.Name)
		if !ok || fmt.Sprint(info.Shape) != fmt.Sprint(m.Value.Shape.Dims()) {
			return fmt.Errorf("train: %s: %w: optimiser state %s is missing or has shape %v, not %v; was the model changed?",
				path, convert.ErrMismatch, m.Name, info.Shape, m.Value.Shape.Dims())
		}
		host := make([]float32, m.Value.Len())
		if err := f.ReadFloat32(m.Name, host); err != nil {
			return err
		}
		s.be.Upload(m.Value, host)
	}
	return nil
}

// LoadWeights fills m from the model folder dir.
func LoadWeights(be backend.Backend, m *model.GPT, dir string) error {
	return readWeights(dir, func(f *safetensors.File) error { return convert.ReadGPT2(be, m, f) })
}

// readWeights lets read read the weights of the model folder dir.
func readWeights(dir string, read func(*safetensors.File) error) error {
	path := filepath.Join(dir, weightsFile)
	f, err := safetensors.Open(path)
	if err != nil {
		return err
	}
	defer f.Close()
	if err := read(f); err != nil {
		return fmt.Errorf("%s: %w", path, err)
	}
	return nil
}

// writeFile writes one file of a transaction.
func writeFile(t *checkpoint.Txn, name string, write func(io.Writer) error) error {
	w, err := t.Create(name)
	if err != nil {
		return err
	}
	if err := write(w); err != nil {
		w.Close()
		return err
	}
	return w.Close()
}
