package convert

import (
	"fmt"
	"regexp"
	"strings"

	"github.com/bdia-go/bdia/format/safetensors"
)

// wrappers are what training loops put around a model, and so into the names of its weights: torch.compile, data
// parallelism, FSDP, DeepSpeed, Lightning.
var wrappers = regexp.MustCompile(`(^|\.)(_orig_mod|_forward_module|_fsdp_wrapped_module|_checkpoint_wrapped_module)\.`)

// outer are names that wrap a whole model, in any number and order.
var outer = []string{"module.", "model.", "_model.", "state_dict."}

// bareName is the name of a tensor without wrappers around the model, its parts, or the adapters of it.
func bareName(name string) string {
	if _, rest, ok := strings.Cut(name, peftBarePrefix); ok {
		return peftBarePrefix + bareName(rest)
	}
	for wrappers.MatchString(name) {
		name = wrappers.ReplaceAllString(name, "$1")
	}
	for again := true; again; {
		again = false
		for _, prefix := range outer {
			if rest, ok := strings.CutPrefix(name, prefix); ok {
				name, again = rest, true
			}
		}
	}
	return name
}

// renamed are tensors under their bare names.
type renamed struct {
	Tensors
	names  []string          // in the order of their data
	inFile map[string]string // by the bare name
}

// bare returns f under the bare names of its tensors, or f itself if they are bare. Two tensors of one bare name are
// ErrMismatch.
func bare(f Tensors) (Tensors, error) {
	r := &renamed{Tensors: f, inFile: map[string]string{}}
	changed := false
	for _, name := range f.Names() {
		short := bareName(name)
		changed = changed || short != name
		if other, twice := r.inFile[short]; twice {
			return nil, fmt.Errorf("convert: %w: tensors %.80q and %.80q are both %s; which of them is meant is not known", ErrMismatch, other, name, short)
		}
		r.inFile[short], r.names = name, append(r.names, short)
	}
	if !changed {
		return f, nil
	}
	return r, nil
}

func (r *renamed) Names() []string { return r.names }

func (r *renamed) Info(name string) (safetensors.Info, bool) {
	in, ok := r.inFile[name]
	if !ok {
		return safetensors.Info{}, false
	}
	info, ok := r.Tensors.Info(in)
	info.Name = name
	return info, ok
}

func (r *renamed) ReadFloat32At(name string, dst []float32, from int) error {
	return r.Tensors.ReadFloat32At(r.inFile[name], dst, from)
}

func (r *renamed) Forget(name string, from, to int) { r.Tensors.Forget(r.inFile[name], from, to) }
