package hub

import (
	"cmp"
	"errors"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"

	"github.com/bdia-go/bdia/checkpoint"
	"github.com/bdia-go/bdia/convert"
)

// manifestOf reads the manifest of a model folder; nil: it has none, or other software's file of that name, for example
// {"manifest_version":3,"version":3} of a browser's extension. In a run's folder every file of that name counts.
func manifestOf(dir string) (*checkpoint.Manifest, error) {
	m, err := checkpoint.ReadManifest(dir)
	var newer *checkpoint.ManifestVersionError
	if errors.Is(err, fs.ErrNotExist) || err != nil && RunOf(dir) == "" && !(errors.As(err, &newer) && newer.Ours) {
		return nil, nil
	}
	return m, err
}

// intact calls read, which reads files in the folder dir, and meanwhile compares the listed files that pick picks
// with the folder's manifest (checkpoint.ErrDamaged). Both are done again if a trainer has saved meanwhile. In a folder
// that is no run's, a file that is gone is for read to miss: other software may have split the weights.
func intact(dir string, pick func(name string) bool, read func() error) error {
	return checkpoint.Read(dir, func() error {
		m, err := manifestOf(dir)
		if err != nil {
			return err
		}
		if m == nil {
			return read()
		}
		var names []string
		for _, name := range m.Names() {
			if pick(name) && (RunOf(dir) != "" || isThere(filepath.Join(dir, filepath.FromSlash(name)))) {
				names = append(names, name)
			}
		}
		check := m.Check(dir, names...)
		err = read()
		return cmp.Or(check.Wait(), err)
	})
}

// isWeights reports a file of a model's weights.
func isWeights(name string) bool {
	return !strings.Contains(name, "/") && name != convert.AdapterFile &&
		(strings.HasSuffix(name, ".safetensors") || strings.HasSuffix(name, ".safetensors.index.json"))
}

func isAdapter(name string) bool { return name == convert.AdapterFile }

// isBeside reports a file that stands beside the weights.
func isBeside(name string) bool {
	return !strings.HasSuffix(name, ".safetensors") && !strings.HasPrefix(name, "state/") && !strings.HasPrefix(name, "data/")
}

// compareBeside compares the files beside the weights with the folder's manifest. A change of a file that people edit
// becomes a note.
func (f *Folder) compareBeside() error {
	m, err := manifestOf(f.Dir)
	if m == nil || err != nil {
		return err
	}
	for _, name := range m.Names() {
		if !isBeside(name) {
			continue
		}
		err := m.Compare(f.Dir, name)
		var damage *checkpoint.DamagedError
		if checkpoint.Editable(name) && errors.As(err, &damage) {
			f.Notes = append(f.Notes, damage.Note())
			continue
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// stepFolder reports a folder of an older checkpoint of a run, and returns the run's.
func stepFolder(abs, dir string) (run string, ok bool) {
	home, name := filepath.Join(abs, "..", ".."), path.Join(filepath.Base(filepath.Dir(abs)), filepath.Base(abs))
	if path.Dir(name) != checkpoint.KeptDir {
		return "", false
	}
	steps, err := checkpoint.Kept(home)
	if err != nil || !slices.ContainsFunc(steps, func(step int) bool { return checkpoint.KeptName(step) == name }) {
		return "", false
	}
	return filepath.Join(dir, "..", ".."), true
}

// isThere reports whether there is a file at path.
func isThere(path string) bool {
	_, err := os.Stat(path)
	return err == nil
}
