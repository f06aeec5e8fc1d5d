package convert

import (
	"crypto/sha256"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"

	"github.com/bdia-go/bdia/format/safetensors"
	"github.com/bdia-go/bdia/internal/textfile"
)

// Tensors is a source of weights, by their names in the file: a safetensors.File,
// or the Weights of a folder.
type Tensors interface {
	Names() []string
	Info(name string) (safetensors.Info, bool)
	// ReadFloat32At fills dst with elements of a tensor, starting with number from.
	ReadFloat32At(name string, dst []float32, from int) error
	// Forget releases the memory of elements from..to-1 of a tensor, which the caller has finished with.
	Forget(name string, from, to int)
}

// Names of the files of weights in a model folder.
const (
	weightsFile = "model.safetensors"
	indexFile   = "model.safetensors.index.json"
)

// pickles are files of weights that are not supported: a pickle runs code when it
// is loaded, and transformers has dropped the programs of the others.
var pickles = []string{"pytorch_model.bin", "pytorch_model.bin.index.json", "tf_model.h5", "flax_model.msgpack"}

// Weights are the tensors of a model folder, from its model.safetensors or from the
// files (shards) listed in its model.safetensors.index.json.
type Weights struct {
	files []*safetensors.File
	in    map[string]*safetensors.File // by the name of the tensor
	names []string
	path  string // of the one file, or of the index
	size  int64
}

// OpenWeights opens the weights of the model folder dir. A missing file is
// fs.ErrNotExist; a folder with weights only in an unsupported format, such as
// PyTorch's pickles, is ErrUnsupported. Close the Weights after use.
func OpenWeights(dir string) (*Weights, error) {
	w := &Weights{in: map[string]*safetensors.File{}}
	err := w.open(dir)
	if err != nil {
		return nil, errors.Join(err, w.Close())
	}
	return w, nil
}

func (w *Weights) open(dir string) error {
	w.path = filepath.Join(dir, weightsFile)
	_, err := os.Stat(w.path)
	if err == nil {
		f, err := w.add(w.path)
		if err == nil {
			for _, name := range f.Names() {
				w.in[name], w.names = f, append(w.names, name)
			}
		}
		return err
	}
	if !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("convert: %w", err)
	}
	w.path = filepath.Join(dir, indexFile)
	text, err := textfile.ReadFile(w.path, safetensors.MaxIndex)
	if errors.Is(err, fs.ErrNotExist) {
		if index := shardsOf(dir); index != nil {
			return w.openUnlisted(dir, index)
		}
		return noWeights(dir)
	}
	if err != nil {
		return fmt.Errorf("convert: %w", err)
	}
	index, err := safetensors.ParseIndex(text)
	if err != nil {
		return fmt.Errorf("convert: %s: %w", w.path, err)
	}
	return w.openShards(dir, index)
}

// noWeights returns the error for a folder without supported weights.
func noWeights(dir string) error {
	for _, name := range pickles {
		if _, err := os.Stat(filepath.Join(dir, name)); err == nil {
			return fmt.Errorf("convert: %s: %w: its weights are in %s, and only safetensors are read; convert them: "+
				`python3 -c 'import sys, transformers as t; t.AutoModelForCausalLM.from_pretrained(sys.argv[1]).save_pretrained(sys.argv[1], safe_serialization=True)' %[4]s`,
				dir, ErrUnsupported, name, quoted(dir))
		}
	}
	if list, _ := filepath.Glob(filepath.Join(dir, "*.safetensors")); len(list) > 0 && filepath.Base(list[0]) != AdapterFile {
		return fmt.Errorf("convert: %s: the weights: %w under the name %s; if they are in %s, rename it, and if parts are missing, fetch them and %s",
			dir, fs.ErrNotExist, weightsFile, filepath.Base(list[0]), indexFile)
	}
	return fmt.Errorf("convert: %s: the weights: %w: there is neither %s nor %s", dir, fs.ErrNotExist, weightsFile, indexFile)
}

// quoted is a path as a shell takes it for one word.
func quoted(path string) string {
	if strings.IndexFunc(path, func(r rune) bool {
		return !(r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' || strings.ContainsRune("/._-+:@%,", r))
	}) < 0 && path != "" {
		return path
	}
	return "'" + strings.ReplaceAll(path, "'", `'\''`) + "'"
}

// shardName are names of shards: model-00002-of-00005.safetensors.
var shardName = regexp.MustCompile(`^model-([0-9]{5})-of-([0-9]{5})\.safetensors$`)

// shardsOf lists the shards in a folder without index, if they are all there; else nil.
func shardsOf(dir string) (names []string) {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return nil
	}
	total := ""
	for _, e := range entries { // in the order of their names
		m := shardName.FindStringSubmatch(e.Name())
		if m == nil {
			continue
		}
		if total != "" && total != m[2] {
			return nil
		}
		names, total = append(names, e.Name()), m[2]
		if fmt.Sprintf("%05d", len(names)) != m[1] {
			return nil
		}
	}
	if fmt.Sprintf("%05d", len(names)) != total {
		return nil
	}
	return names
}

// openUnlisted opens shards that no index lists.
func (w *Weights) openUnlisted(dir string, names []string) error {
	w.path = filepath.Join(dir, names[0])
	for _, name := range names {
		f, err := w.add(filepath.Join(dir, name))
		if err != nil {
			return err
		}
		for _, tensor := range f.Names() {
			if w.in[tensor] != nil {
				return fmt.Errorf("convert: %s: %w: tensor %s is in two shards; fetch them again, and %s", dir, ErrMismatch, tensor, indexFile)
			}
			w.in[tensor], w.names = f, append(w.names, tensor)
		}
	}
	return nil
}

func (w *Weights) add(path string) (*safetensors.File, error) {
	info, err := os.Stat(path)
	if err != nil {
		return nil, fmt.Errorf("convert: %w", err)
	}
	f, err := safetensors.Open(path)
	if err != nil {
		return nil, err
	}
	w.files, w.size = append(w.files, f), w.size+info.Size()
	return f, nil
}

// openShards opens the files of an index and checks that they have its tensors.
func (w *Weights) openShards(dir string, index map[string]string) error {
	files := map[string]*safetensors.File{}
	for _, name := range slices.Compact(slices.Sorted(maps.Values(index))) {
		f, err := w.add(filepath.Join(dir, name))
		if errors.Is(err, fs.ErrNotExist) {
			return fmt.Errorf("convert: %s: shard %s: %w, and %s names it; fetch it", dir, name, fs.ErrNotExist, indexFile)
		}
		if err != nil {
			return err
		}
		files[name] = f
		for _, tensor := range f.Names() {
			if index[tensor] == name {
				w.in[tensor], w.names = f, append(w.names, tensor)
			}
		}
	}
	for _, tensor := range slices.Sorted(maps.Keys(index)) {
		if w.in[tensor] == nil {
			return fmt.Errorf("convert: %s: %w: tensor %s is not in %s, where %s has it; fetch both again", dir, ErrMismatch, tensor, index[tensor], indexFile)
		}
	}
	return nil
}

// Names lists the tensors in the order of their data.
func (w *Weights) Names() []string { return slices.Clone(w.names) }

// Info describes the named tensor, and reports whether it exists.
func (w *Weights) Info(name string) (safetensors.Info, bool) {
	if f := w.in[name]; f != nil {
		return f.Info(name)
	}
	return safetensors.Info{}, false
}

// ReadFloat32At fills dst with elements of a tensor, starting with number from (see
// safetensors.File).
func (w *Weights) ReadFloat32At(name string, dst []float32, from int) error {
	if f := w.in[name]; f != nil {
		return f.ReadFloat32At(name, dst, from)
	}
	return fmt.Errorf("convert: tensor %q: %w", name, fs.ErrNotExist)
}

// Forget releases the memory of elements from..to-1 of a tensor, which the caller has finished with.
func (w *Weights) Forget(name string, from, to int) {
	if f := w.in[name]; f != nil {
		f.Forget(name, from, to)
	}
}

// Fingerprint returns a digest of the names, types, shapes and elements of all
// tensors. It does not depend on the files that hold them or on their order.
func (w *Weights) Fingerprint() (string, error) {
	h := sha256.New()
	for _, name := range slices.Sorted(maps.Keys(w.in)) {
		f := w.in[name]
		info, _ := f.Info(name)
		elements, err := f.Bytes(name)
		if err != nil {
			return "", err
		}
		fmt.Fprintf(h, "%q %v %v\n", name, info.DType, info.Shape)
		for at, n := 0, info.Elems(); at < n; at += pieceLen {
			end := min(at+pieceLen, n)
			h.Write(elements[at*info.DType.Size() : end*info.DType.Size()])
			f.Forget(name, at, end)
		}
	}
	return fmt.Sprintf("sha256:%x", h.Sum(nil)), nil
}

// Path returns the path of the weights file or, for several files, of the index.
func (w *Weights) Path() string { return w.path }

// Bytes returns the size of all files.
func (w *Weights) Bytes() int64 { return w.size }

// Close closes the files.
func (w *Weights) Close() (err error) {
	for _, f := range w.files {
		err = errors.Join(err, f.Close())
	}
	return err
}
