package hub

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"github.com/bdia-go/bdia/convert"
)

var (
	// ErrBase is wrapped by the error for base weights that changed after a run started from them.
	ErrBase = errors.New("its weights are not those from which the run started")
	// ErrNoAdapter is wrapped by the error for a path that leads to no adapters.
	ErrNoAdapter = errors.New("holds no adapters")
	// ErrAdapters is wrapped by the error for adapters on top of other adapters.
	ErrAdapters = errors.New("has adapters of its own")
)

// Adapter describes the LoRA adapters in the model folder dir; ok is false for a folder
// that has its own weights.
func Adapter(dir string) (c convert.AdapterConfig, ok bool, err error) {
	c, err = convert.ReadAdapterConfig(filepath.Join(dir, convert.AdapterConfigFile))
	if errors.Is(err, os.ErrNotExist) {
		return c, false, nil
	}
	return c, err == nil, err
}

// findAdapter returns the folder of adapters that path names: itself, or the folder of one of its files.
func findAdapter(path string) (string, error) {
	info, err := os.Stat(path)
	switch {
	case errors.Is(err, os.ErrNotExist):
		return "", fmt.Errorf("there is no folder %s: it %w: %w", path, ErrNoAdapter, os.ErrNotExist)
	case err != nil:
		return "", err
	case !info.IsDir() && has(filepath.Dir(path), convert.AdapterConfigFile):
		return filepath.Dir(path), nil
	case has(path, convert.AdapterConfigFile):
		return path, nil
	}
	text := ""
	if entries, err := os.ReadDir(path); err == nil {
		for _, e := range entries[:min(len(entries), maxEntries)] {
			if at := filepath.Join(path, e.Name()); text == "" && has(at, convert.AdapterConfigFile) {
				text = "; there are some in " + at
			}
		}
	}
	return "", fmt.Errorf("%s %w: %s is missing%s", path, ErrNoAdapter, convert.AdapterConfigFile, text)
}

// weightsOf returns the folder of the weights of the language model in dir, and the
// folder of the adapters to merge into them: adapter if it is given, else dir's own.
func weightsOf(dir, adapter string) (weights, adapters string, err error) {
	weights, err = WeightsDir(dir)
	switch {
	case err != nil || weights == dir:
		return weights, adapter, err
	case adapter != "":
		return "", "", fmt.Errorf("%s %w: it takes no second adapter", dir, ErrAdapters)
	}
	return weights, dir, nil
}

// WeightsDir returns the folder of the weights of the model folder dir: dir, or the
// folder of the model that the adapters in dir belong to. A run's adapters belong to
// exactly the weights that the run started from (ErrBase).
func WeightsDir(dir string) (string, error) {
	c, adapted, err := Adapter(dir)
	if err != nil || !adapted {
		return dir, err
	}
	if _, err := os.Stat(c.Base); err != nil {
		return "", fmt.Errorf("%s: its adapters stand beside the model in %q, which cannot be read: name that folder in %s, as base_model_name_or_path: %w",
			dir, c.Base, convert.AdapterConfigFile, err)
	}
	if _, again, err := Adapter(c.Base); err != nil {
		return "", err
	} else if again {
		return "", fmt.Errorf("%s: %w: its adapters stand beside %s, which %w; merge those first", dir, convert.ErrUnsupported, c.Base, ErrAdapters)
	}
	run, err := ReadSettings(RunOf(dir))
	if err != nil {
		return "", err
	}
	return c.Base, CheckBase(c.Base, run.Base, baseSetting)
}

// Fingerprint identifies the weights of the model folder dir, which it reads to the end.
func Fingerprint(dir string) (string, error) {
	w, err := convert.OpenWeights(dir)
	if err != nil {
		return "", err
	}
	defer w.Close()
	return w.Fingerprint()
}

// CheckBase fails with ErrBase if the weights in dir have another fingerprint than base, which the run keeps under the
// given setting. An empty base is not checked.
func CheckBase(dir, base, setting string) error {
	if base == "" {
		return nil
	}
	is, err := Fingerprint(dir)
	if err == nil && is != base {
		err = fmt.Errorf("%s: %w: put those back, or start a new run; if they are only stored in another way, remove %s from the run's %s",
			dir, ErrBase, setting, RunFile)
	}
	return err
}
