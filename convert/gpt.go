package convert

import (
	"encoding/json"
	"fmt"
	"io"
	"slices"

	"github.com/bdia-go/bdia/format/safetensors"
	"github.com/bdia-go/bdia/internal/jsonfile"
	"github.com/bdia-go/bdia/internal/textfile"
	"github.com/bdia-go/bdia/model"
)

// GPTInfo describes a language model, GPT-2 or of a family, in a model folder.
type GPTInfo struct {
	Config model.GPTConfig
	Begin  *int32  // the token that begins a text, in a family; nil if there is none
	End    *int32  // the token that ends a text, and in a GPT-2 begins one; nil if there is none
	Ends   []int32 // all tokens at which a text ends, if there are several: End and others
	// Outside tells of the tokens that begin or end a text by the files, and are outside the vocabulary.
	Outside []string
	DType   safetensors.DType // of the weights, when written; zero: F32
	// Others are keys of config.json that mean nothing here. They are written again.
	Others map[string]json.RawMessage
	// Source is the config.json of a family that the model was read from, or that the run which made it started from. It
	// is written again as it is, if it describes Config.
	Source []byte
	// Generation is the generation_config.json that the model was read with. It is written again as it is, if a text ends
	// at no other token.
	Generation []byte
}

// endAt sets the tokens at which a text ends.
func (i *GPTInfo) endAt(ends []int32) {
	if len(ends) > 0 {
		i.End = &ends[0]
	}
	if len(ends) > 1 {
		i.Ends = ends
	}
}

// StopIDs are the tokens at which a text ends: Ends, or End.
func (i GPTInfo) StopIDs() []int32 {
	if len(i.Ends) == 0 && i.End != nil {
		return []int32{*i.End}
	}
	return slices.Clone(i.Ends)
}

// tokenIDs are one or several tokens: a number, a list of numbers, or null for none.
type tokenIDs []int32

// MarshalJSON writes one token as a number.
func (ids tokenIDs) MarshalJSON() ([]byte, error) {
	switch len(ids) {
	case 0:
		return []byte("null"), nil
	case 1:
		return json.Marshal(ids[0])
	}
	return json.Marshal([]int32(ids))
}

// UnmarshalJSON reads what MarshalJSON writes, and numbers as texts.
func (ids *tokenIDs) UnmarshalJSON(text []byte) error {
	if text[0] == '[' {
		var list []*int32
		err := jsonfile.Unmarshal(text, &list)
		*ids = nil
		for _, id := range list {
			if id != nil {
				*ids = append(*ids, *id)
			}
		}
		return err
	}
	var one *int32
	if err := jsonfile.Unmarshal(text, &one); err != nil || one == nil {
		return err
	}
	*ids = tokenIDs{*one}
	return nil
}

// of returns the first tokens of a vocabulary of so many, at most maxEnds. GPT2Config's default may be larger.
func (ids tokenIDs) of(vocab int) (list []int32) {
	for _, id := range ids {
		if id >= 0 && int(id) < vocab && len(list) < maxEnds && !slices.Contains(list, id) {
			list = append(list, id)
		}
	}
	return list
}

// outside tells of the tokens under key that are outside a vocabulary of so many.
func (ids tokenIDs) outside(key string, vocab int) (told []string) {
	for _, id := range ids {
		if id < 0 || int(id) >= vocab {
			told = append(told, fmt.Sprintf("%s is %d, and the vocabulary has the tokens 0 to %d; no text begins or ends with it", key, id, vocab-1))
		}
	}
	return told[:min(len(told), maxEnds)]
}

const maxEnds = 64

// WriteGPTConfig writes config.json of a model without a token that ends a text,
// in F32.
func WriteGPTConfig(w io.Writer, c model.GPTConfig) error {
	return WriteGPTInfo(w, GPTInfo{Config: c})
}

// WriteGPTInfo writes config.json.
func WriteGPTInfo(w io.Writer, info GPTInfo) error {
	if info.Config.Family != model.GPT2 {
		return writeFamily(w, info)
	}
	return writeGPT2(w, info)
}

// ReadGPTConfig reads the config.json at path.
func ReadGPTConfig(path string) (model.GPTConfig, error) {
	info, err := ReadGPTInfo(path)
	return info.Config, err
}

// ReadGPTInfo reads the config.json at path. DType is not set: only the weights'
// own file has their type. End is the first of the ends, of which there may be a list.
func ReadGPTInfo(path string) (GPTInfo, error) {
	text, err := textfile.ReadFile(path, maxConfig)
	if err != nil {
		return GPTInfo{}, fmt.Errorf("convert: %w", err)
	}
	info, err := parseGPTInfo(text)
	if err != nil {
		return GPTInfo{}, fmt.Errorf("convert: %s: %w", path, err)
	}
	return info, nil
}

// parseGPTInfo reads the text of a config.json.
func parseGPTInfo(text []byte) (info GPTInfo, err error) {
	kind, err := parseKind(text)
	if err != nil {
		return info, err
	}
	if family, ok := familyOf(kind.ModelType, kind.Architectures); ok {
		return parseFamily(text, family)
	}
	return parseGPT2(text)
}
