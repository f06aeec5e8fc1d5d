package safetensors

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"strings"

	"github.com/bdia-go/bdia/internal/jsonfile"
)

// Limits of an index.
const (
	MaxIndex  = 64 << 20 // bytes of its text
	maxShards = 4096
	maxNames  = 1 << 20
	maxDepth  = 32 // of nested values that are skipped
)

// ParseIndex reads the text of a model.safetensors.index.json, and returns its
// weight_map: for each tensor the name of the file that has it. Files lie in the
// index's own folder; a name that leads elsewhere is an error, and so is a
// duplicate name. Errors wrap ErrCorrupt.
func ParseIndex(text []byte) (map[string]string, error) {
	m, err := parseIndex(text)
	if err != nil {
		return nil, fmt.Errorf("safetensors: index: %w", err)
	}
	return m, nil
}

func parseIndex(text []byte) (weights map[string]string, err error) {
	if len(text) > MaxIndex {
		return nil, corrupt("%d bytes are over the limit of %d", len(text), MaxIndex)
	}
	text, err = jsonfile.Clean(text)
	if err != nil {
		return nil, corrupt("%v", err)
	}
	r := jsonReader{json.NewDecoder(bytes.NewReader(text))}
	r.dec.UseNumber()
	shards := map[string]bool{}
	err = r.object("index", func(key string) error {
		if key != "weight_map" {
			return r.skip(key, 0)
		}
		weights = map[string]string{}
		return r.object(key, func(name string) error {
			file, err := r.str("the file of " + name)
			if err != nil {
				return err
			}
			if !plainName(file) {
				return corrupt("tensor %.80q is in %.64q, which is no .safetensors file of the same folder", name, file)
			}
			weights[name], shards[file] = file, true
			if len(weights) > maxNames || len(shards) > maxShards {
				return corrupt("more than %d tensors or %d files", maxNames, maxShards)
			}
			return nil
		})
	})
	if err != nil {
		return nil, err
	}
	if _, err := r.dec.Token(); err != io.EOF {
		return nil, corrupt("text after the last '}'")
	}
	if len(weights) == 0 {
		return nil, corrupt("no weight_map, or an empty one")
	}
	return weights, nil
}

// plainName reports whether name names a safetensors file and no folder.
func plainName(name string) bool {
	return strings.HasSuffix(name, ".safetensors") && len(name) <= 255 && !strings.ContainsAny(name, "/\\:\x00")
}

// skip reads a value of any kind and drops it.
func (r jsonReader) skip(where string, depth int) error {
	if depth > maxDepth {
		return corrupt("%s is nested more than %d deep", where, maxDepth)
	}
	tok, err := r.dec.Token()
	if err != nil {
		return corrupt("%s: %v", where, err)
	}
	open, ok := tok.(json.Delim)
	if !ok {
		return nil
	}
	for r.dec.More() {
		if open == '{' {
			if _, err := r.str("key in " + where); err != nil {
				return err
			}
		}
		if err := r.skip(where, depth+1); err != nil {
			return err
		}
	}
	if _, err := r.dec.Token(); err != nil {
		return corrupt("%s: %v", where, err)
	}
	return nil
}
