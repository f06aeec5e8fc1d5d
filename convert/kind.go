package convert

import (
	"encoding/json"
	"fmt"
	"path/filepath"
)

// Kind names what a model folder holds.
type Kind string

// The kinds of models.
const (
	GPT2    Kind = "gpt2"         // a language model in Hugging Face's layout
	ViT     Kind = "vit"          // a vision transformer, timm's or Hugging Face's
	Seq2Seq Kind = "bdia-seq2seq" // an encoder-decoder of ours
)

// KindOf tells from config.json what the model folder dir holds. A model that is
// not known here is ErrUnsupported.
func KindOf(dir string) (Kind, error) {
	path := filepath.Join(dir, "config.json")
	text, err := readLimited(path, maxConfig)
	if err != nil {
		return "", fmt.Errorf("convert: %w", err)
	}
	var j struct {
		ModelType    string `json:"model_type"`
		Architecture string `json:"architecture"` // timm's
	}
	if err := json.Unmarshal(text, &j); err != nil {
		return "", fmt.Errorf("convert: %s: %w", path, err)
	}
	switch k := Kind(j.ModelType); {
	case j.Architecture != "":
		return ViT, nil
	case k == GPT2 || k == ViT || k == Seq2Seq:
		return k, nil
	}
	return "", fmt.Errorf("convert: %s: %w: model_type is %.40q; %s, %s, %s and timm's vision transformers are supported", path, ErrUnsupported, j.ModelType, GPT2, ViT, Seq2Seq)
}
