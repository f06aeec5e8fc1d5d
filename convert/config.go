// Package convert translates between models here and the names and layouts of
// other tools. Names such as wte and c_attn live only here.
package convert

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"

	"github.com/bdia-go/bdia/format/safetensors"
)

// ErrUnsupported is wrapped by errors about models that this package does not know.
var ErrUnsupported = errors.New("unsupported model")

// ErrMismatch is wrapped by errors about tensors that do not fit the model.
var ErrMismatch = errors.New("checkpoint does not fit the model")

// maxConfig bounds the size of a config.json.
const maxConfig = 1 << 20

// withOthers is a description with further keys after its own.
type withOthers struct {
	of     any
	others map[string]json.RawMessage
}

// MarshalJSON puts the keys into one object, the further ones in the order of their names.
func (v withOthers) MarshalJSON() ([]byte, error) {
	text, err := json.Marshal(v.of)
	if err != nil || len(v.others) == 0 {
		return text, err
	}
	more, err := json.Marshal(v.others)
	if err != nil || len(text) == 2 {
		return more, err
	}
	return append(append(text[:len(text)-1], ','), more[1:]...), nil
}

// torchType is PyTorch's name of a type.
func torchType(d safetensors.DType) string {
	switch d {
	case safetensors.F16:
		return "float16"
	case safetensors.BF16:
		return "bfloat16"
	}
	return "float32"
}

// writeJSON writes v as indented JSON. name is the file's name, for errors.
func writeJSON(w io.Writer, name string, v any) error {
	text, err := json.MarshalIndent(v, "", "  ")
	if err == nil {
		_, err = w.Write(append(text, '\n'))
	}
	if err != nil {
		return fmt.Errorf("convert: %s: %w", name, err)
	}
	return nil
}
