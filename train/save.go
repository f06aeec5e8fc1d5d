package train

import (
	"cmp"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/bdia-go/bdia/backend"
	"github.com/bdia-go/bdia/checkpoint"
	"github.com/bdia-go/bdia/convert"
	"github.com/bdia-go/bdia/format/safetensors"
	"github.com/bdia-go/bdia/optim"
	"github.com/bdia-go/bdia/tensor"
)

// Files of a model folder.
const (
	ConfigFile  = "config.json"
	WeightsFile = "model.safetensors"
)

const (
	trainedFile   = "state/weights.safetensors" // the weights being trained, if those in use are their average
	optimizerFile = "state/optimizer.safetensors"
	optimizerKey  = "optimizer"  // in the file's metadata: the optimiser
	stateBitsKey  = "state_bits" // and in how many bits; without it, 32
	tableBitsKey  = "table_bits" // the same of tables
)

// save makes the session's state the run's latest checkpoint and, with best, its best
// weights. All files change together or none does. What the run has learned from damaged
// data is not saved.
func (r *Run) save(s *Session, best bool) error {
	if err := unsaved(r.held.data.Wait()); err != nil {
		return err
	}
	others, err := r.others()
	if err != nil {
		return err
	}
	return r.held.Save(func(t *checkpoint.Txn) error {
		t.Expect(s.checkpointBytes(best))
		if err := s.InUse(func() error { return writeModel(t, best, s.folder()) }); err != nil {
			return err
		}
		if s.average != nil {
			if err := t.Write(trainedFile, s.folder().WriteWeights); err != nil {
				return err
			}
		}
		if err := t.Write(optimizerFile, s.writeOptimizer); err != nil {
			return err
		}
		if best {
			for _, name := range beside(s, others) {
				if err := t.Copy(name, bestDir+"/"+name); err != nil {
					return err
				}
			}
			t.Manifest(bestDir+"/", r.State.Step, nil)
		}
		t.Manifest("", r.State.Step, others)
		t.Keep(r.Common().Loop.Keep, r.State.Planned, r.abandons(), isData)
		return t.Write(checkpoint.StateFile, func(w io.Writer) error { return checkpoint.WriteState(w, r.State) })
	})
}

// abandons reports whether the checkpoint to replace is one that the run has gone back from: an interruption saved it.
func (r *Run) abandons() bool {
	if r.State.Rewinds == 0 {
		return false
	}
	st, err := readState(r.Dir, *r.Common())
	return err == nil && st.Rewinds < r.State.Rewinds && st.Planned < st.Step
}

// others are the sums of the files that the manifest lists and no checkpoint writes.
func (r *Run) others() (map[string]checkpoint.Sum, error) {
	m, err := r.held.Manifest()
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return r.held.sums, nil
	case err != nil:
		return nil, err
	}
	return m.Files, nil
}

// beside lists, of the files in a manifest, those that stand beside the weights in every model folder of the run.
func beside(s *Session, listed map[string]checkpoint.Sum) (names []string) {
	own := s.folder().Files()
	for _, name := range slices.Sorted(maps.Keys(listed)) {
		if !stays(name) && !strings.HasPrefix(name, "state/") && !slices.ContainsFunc(own, func(f File) bool { return f.Name == name }) {
			names = append(names, name)
		}
	}
	return names
}

// saveBeside writes into dir the files that a Learner has beside the weights.
func saveBeside(s *Session, dir string) error {
	for _, f := range abilities[Saver](s.Learner) {
		if err := f.Save(dir); err != nil {
			return err
		}
	}
	return nil
}

// commitBeside commits the files of saveBeside to the folder of a run that begins, and to its manifest.
// A run that is only read gets none.
func (r *Run) commitBeside(s *Session) error {
	if r.held == nil || len(abilities[Saver](s.Learner)) == 0 {
		return nil
	}
	others, err := r.others()
	if err != nil {
		return err
	}
	return r.held.Save(func(t *checkpoint.Txn) error {
		t.Manifest("", 0, others)
		return t.Fill(func(dir string) error { return saveBeside(s, dir) })
	})
}

// adopt takes the sums of the files that no checkpoint writes, for the first manifest of a run that has none. It fails
// if data do not match the checksums that they carry. A run that is only read has no use for them.
func (r *Run) adopt(s *Session) error {
	if r.held == nil {
		return nil
	}
	if _, err := r.held.Manifest(); !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	if c, ok := r.Task.(DataChecker); ok {
		if err := c.CheckData(r.Dir); err != nil {
			return err
		}
	}
	names, err := r.held.Names(func(dir string) error { return cmp.Or(r.Task.Save(dir), saveBeside(s, dir)) })
	if err != nil {
		return err
	}
	names = append(append(names, dataFiles(r.Dir)...), configFile)
	r.held.sums = map[string]checkpoint.Sum{}
	return sumInto(r.held.sums, r.Dir, names)
}

// folder is how the model is stored.
func (s *Session) folder() Folder { return folderOf(s.be, s.Learner) }

// folderOf is how the model of l, which is on be, is stored.
func folderOf(be backend.Backend, l Learner) Folder {
	if f, ok := ability[Folder](l); ok {
		return f
	}
	return newParamFolder(be, l)
}

// writeModel writes the model folder and, with best, the folder of the best weights.
func writeModel(t *checkpoint.Txn, best bool, folder Folder) error {
	prefixes := []string{"", bestDir + "/"}
	if !best {
		prefixes = prefixes[:1]
	}
	for _, prefix := range prefixes {
		for _, f := range folder.Files() {
			if err := t.Write(prefix+f.Name, f.Write); err != nil {
				return err
			}
		}
	}
	return nil
}

// bytesOf is the size of parameters.
func bytesOf(params []*tensor.Param) (n int64) {
	for _, p := range params {
		n += p.Value.Bytes()
	}
	return n
}

// checkpointBytes is about what a checkpoint takes on disk.
func (s *Session) checkpointBytes(best bool) int64 {
	var weights, moments int64
	for _, f := range s.folder().Files() {
		weights += bytesOf(f.Params)
	}
	for _, m := range s.Optimizer.Moments() {
		moments += m.Value.Bytes()
	}
	files := int64(1)
	if best {
		files++
	}
	if s.average != nil {
		files++
	}
	return files*weights + moments
}

// writeOptimizer writes the optimiser's moments as safetensors.
func (s *Session) writeOptimizer(w io.Writer) error {
	moments := s.Optimizer.Moments()
	infos := make([]safetensors.Info, len(moments))
	for i, m := range moments {
		infos[i] = safetensors.Info{Name: m.Name, DType: fileType(m.Value), Shape: m.Value.Shape.Dims()}
	}
	sw, err := safetensors.NewWriter(w, infos, describe(s.Optimizer))
	if err != nil {
		return err
	}
	mover := convert.NewMover(s.be)
	for _, m := range moments {
		if err := mover.Write(sw, m.Name, m.Value); err != nil {
			return err
		}
	}
	return sw.Close()
}

// describe says what the state of an optimiser is: for one that does not say it itself, its Go type.
func describe(opt optim.Optimizer) map[string]string {
	if d, ok := opt.(optim.Described); ok {
		return d.Describe()
	}
	return map[string]string{optimizerKey: fmt.Sprintf("%T", opt)}
}

// fileType is the type of a weight or moment in a file.
func fileType(t tensor.Tensor) safetensors.DType {
	switch t.DType {
	case tensor.U8:
		return safetensors.U8
	case tensor.BF16:
		return safetensors.BF16
	}
	return safetensors.F32
}

// load fills the session from the run's latest checkpoint, or as a run begins if it has
// none yet.
func (r *Run) load(s *Session) error {
	s.forget()
	if r.Dir != "" {
		if err := cmp.Or(named(s), r.adopt(s), r.whole()); err != nil {
			return err
		}
	}
	if r.State.Step == 0 {
		if err := s.Init(); err != nil || r.Dir == "" {
			return err
		}
		return r.commitBeside(s)
	}
	if err := r.sameModel(s); err != nil {
		return err
	}
	if err := s.InUse(func() error { return s.folder().ReadModel(r.Dir) }); err != nil {
		return err
	}
	_, err := os.Stat(filepath.Join(r.Dir, filepath.FromSlash(trainedFile)))
	if gone := errors.Is(err, fs.ErrNotExist); gone == (s.average != nil) {
		return &StateError{Path: r.Dir, Setting: "ema", Was: fmt.Sprint(!gone), Is: fmt.Sprint(gone)}
	}
	if s.average != nil {
		if err := readTrained(r.Dir, s.folder().ReadWeights); err != nil {
			return err
		}
	}
	return r.loadOptimizer(s)
}

// named fails if two parameters, or two moments, have one name: a checkpoint could not keep both.
func named(s *Session) error {
	seen := map[string]*tensor.Param{}
	for _, p := range s.Params() {
		if other, ok := seen[p.Name]; ok && other != p {
			return fmt.Errorf("train: %w: two parameters are named %q; give each a name of its own", ErrCombination, p.Name)
		}
		seen[p.Name] = p
	}
	moments := map[string]bool{}
	for _, m := range s.Optimizer.Moments() {
		if moments[m.Name] {
			return fmt.Errorf("train: %w: two moments of the optimiser are named %q; give each a name of its own", ErrCombination, m.Name)
		}
		moments[m.Name] = true
	}
	return nil
}

// loadOptimizer fills the optimiser from the run's latest checkpoint.
func (r *Run) loadOptimizer(s *Session) error {
	path := filepath.Join(r.Dir, filepath.FromSlash(optimizerFile))
	f, err := safetensors.Open(path)
	if err != nil {
		return err
	}
	defer f.Close()
	want := describe(s.Optimizer)
	if was, is := f.Metadata()[optimizerKey], want[optimizerKey]; was != is {
		return &StateError{path, optimizerKey, was, is}
	}
	for _, key := range []string{stateBitsKey, tableBitsKey} {
		if was, is := cmp.Or(f.Metadata()[key], "32"), cmp.Or(want[key], "32"); was != is {
			return &StateError{path, key, was, is}
		}
	}
	mover := convert.NewMover(s.be)
	for _, m := range s.Optimizer.Moments() {
		info, ok := f.Info(m.Name)
		if !ok || info.DType != fileType(m.Value) || fmt.Sprint(info.Shape) != fmt.Sprint(m.Value.Shape.Dims()) {
			return fmt.Errorf("train: %s: %w: optimiser state %s is missing or is %v%v, not %v%v; was the model changed?",
				path, convert.ErrMismatch, m.Name, info.DType, info.Shape, fileType(m.Value), m.Value.Shape.Dims())
		}
		if err := mover.Read(m.Value, f, m.Name, 0); err != nil {
			return err
		}
	}
	return nil
}

// readTrained lets read read the weights being trained, of the run in dir.
func readTrained(dir string, read func(convert.Tensors) error) error {
	path := filepath.Join(dir, filepath.FromSlash(trainedFile))
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
