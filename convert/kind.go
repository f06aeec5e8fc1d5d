package convert

import (
	"fmt"
	"path/filepath"
	"strings"

	"github.com/bdia-go/bdia/internal/jsonfile"
	"github.com/bdia-go/bdia/internal/textfile"
	"github.com/bdia-go/bdia/model"
)

// Kind is the kind of model in a folder.
type Kind string

// The kinds of models.
const (
	GPT     Kind = "gpt2"         // a language model in Hugging Face's layout: a GPT-2, or of a family (model.Families)
	ViT     Kind = "vit"          // a vision transformer, timm's or Hugging Face's
	Seq2Seq Kind = "bdia-seq2seq" // an encoder-decoder of ours
)

// KindOf returns the kind of model in folder dir, from its config.json. An unknown model
// is ErrUnsupported.
func KindOf(dir string) (Kind, error) {
	path := filepath.Join(dir, "config.json")
	text, err := textfile.ReadFile(path, maxConfig)
	if err != nil {
		return "", fmt.Errorf("convert: %w", err)
	}
	j, err := parseKind(text)
	if err != nil {
		return "", fmt.Errorf("convert: %s: %w", path, err)
	}
	if k := j.kind(); k != "" {
		return k, nil
	}
	if found := foreignModel(text); found != "" {
		return "", fmt.Errorf("convert: %s: %w: model_type is %.40q, and %s", path, ErrUnsupported, j.ModelType, found)
	}
	return "", fmt.Errorf("convert: %s: %w: model_type is %.40q; %s, %s, %s, %s and timm's vision transformers are supported", path, ErrUnsupported, j.ModelType, GPT, familyNames(), ViT, Seq2Seq)
}

// familyNames lists the families, with commas between.
func familyNames() string {
	var names []string
	for _, f := range model.Families() {
		names = append(names, string(f))
	}
	return strings.Join(names, ", ")
}

// kindJSON has the fields of config.json that tell the kind.
type kindJSON struct {
	ModelType     string   `json:"model_type"`
	Architectures []string `json:"architectures"`
	Architecture  string   `json:"architecture"` // timm's
}

func parseKind(text []byte) (j kindJSON, err error) { return j, jsonfile.Decode(text, &j) }

// kind returns "" for an unknown model.
func (j kindJSON) kind() Kind {
	if _, ok := familyOf(j.ModelType, j.Architectures); ok {
		return GPT
	}
	switch k := Kind(strings.ToLower(j.ModelType)); {
	case k == "" && len(j.Architectures) > 0 && strings.HasPrefix(j.Architectures[0], "GPT2"):
		return GPT
	case j.Architecture != "":
		return ViT
	case k == GPT || k == ViT || k == Seq2Seq:
		return k
	}
	return ""
}

// kindTexts name the kinds for people.
var kindTexts = map[Kind]string{GPT: "a language model", ViT: "a vision transformer", Seq2Seq: "an encoder-decoder"}

// KindError is the error for a model folder of another kind than the caller wants. It
// wraps ErrUnsupported.
type KindError struct{ Have, Want Kind }

// Error names both kinds.
func (e *KindError) Error() string {
	return fmt.Sprintf("%v: it is %s, not %s", ErrUnsupported, kindTexts[e.Have], kindTexts[e.Want])
}

// Unwrap returns ErrUnsupported.
func (e *KindError) Unwrap() error { return ErrUnsupported }

// otherKind returns the error for a config.json that does not describe a model of kind
// want.
func otherKind(text []byte, want Kind) error {
	j, err := parseKind(text)
	if err != nil {
		return err
	}
	if have := j.kind(); have != "" {
		return &KindError{Have: have, Want: want}
	}
	if found := foreignModel(text); found != "" {
		return fmt.Errorf("%w: model_type is %.40q, and %s", ErrUnsupported, j.ModelType, found)
	}
	if want == GPT {
		return fmt.Errorf("%w: model_type is %.40q; %s, %s are supported", ErrUnsupported, j.ModelType, want, familyNames())
	}
	return fmt.Errorf("%w: model_type is %.40q; %s is supported", ErrUnsupported, j.ModelType, want)
}
