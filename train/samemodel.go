package train

import (
	"bytes"
	"errors"
	"fmt"
	"path/filepath"
	"strings"

	"github.com/bdia-go/bdia/checkpoint"
	"github.com/bdia-go/bdia/internal/textfile"
)

// modelKeys are what config.json says of a model that the shapes of its weights do not.
var modelKeys = []string{"n_head", "num_heads", "attention_heads", "activation_function", "act_layer", "layer_norm_epsilon", "bdia_eps", "bdia_no_bias", "bias"}

const maxModelText = 1 << 20 // bytes

// asWritten reports whether a file is the one of the latest manifest: nobody has edited it.
func (r *Run) asWritten(name string) bool {
	m, err := checkpoint.ReadManifest(r.Dir)
	if err != nil {
		return false
	}
	_, listed := m.Files[name]
	return listed && m.Compare(r.Dir, name) == nil
}

// sameModel fails if the model of s is not the one that the checkpoint's config.json describes: its settings were
// edited. A config.json that was edited itself, and one without a manifest, is not compared.
func (r *Run) sameModel(s *Session) error {
	if !r.asWritten(ConfigFile) {
		return nil
	}
	for _, f := range s.folder().Files() {
		if f.Name != ConfigFile {
			continue
		}
		was, err := textfile.ReadFile(filepath.Join(r.Dir, ConfigFile), maxModelText)
		var is bytes.Buffer
		if err = errors.Join(err, f.Write(&is)); err != nil {
			return fmt.Errorf("train: %w", err)
		}
		a, b := describes(string(was)), describes(is.String())
		for _, key := range modelKeys {
			if a[key] != b[key] {
				return fmt.Errorf("train: the settings of %s are of another model: %w; put them back to go on with this run",
					r.Dir, &ChangeError{key + " of " + ConfigFile, a[key], b[key]})
			}
		}
	}
	return nil
}

// describes has the values of the lines of a JSON text by their key.
func describes(text string) map[string]string {
	values := map[string]string{}
	for line := range strings.Lines(text) {
		if key, value, ok := strings.Cut(strings.Trim(line, " ,\r\n"), ": "); ok {
			values[strings.Trim(key, `"`)] = strings.Trim(value, `"`)
		}
	}
	return values
}
