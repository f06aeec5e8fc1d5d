package convert

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"path/filepath"
	"slices"

	"github.com/bdia-go/bdia/internal/jsonfile"
	"github.com/bdia-go/bdia/internal/textfile"
	"github.com/bdia-go/bdia/model"
)

// GenerationFile holds the settings with which transformers writes texts.
const GenerationFile = "generation_config.json"

// OriginFile is the config.json of the model that a run started from, kept beside the run's own.
const OriginFile = "origin_config.json"

// notKept are keys of a config.json that say where and how a model was stored, and are wrong of another folder.
var notKept = []string{"_name_or_path", "dtype", "transformers_version", "quantization_config", "auto_map", "_commit_hash"}

// otherKeys returns the keys of a config.json that j does not have and that a folder made of it keeps.
func otherKeys(text []byte, j any) (map[string]json.RawMessage, error) {
	text, err := jsonfile.Clean(text)
	if err != nil {
		return nil, err
	}
	others, err := jsonfile.Unknown(text, j)
	for _, key := range notKept {
		delete(others, key)
	}
	for key, value := range others {
		if jsonfile.Infinite(value) {
			delete(others, key)
		}
	}
	if len(others) == 0 {
		return nil, err
	}
	return others, err
}

// ReadOthers completes info from the files in dir that a model is trained without: generation_config.json, of which it
// returns the keys, and the config.json that a run started from. Their ends of a text count too.
func ReadOthers(dir string, info *GPTInfo) (generation map[string]json.RawMessage, err error) {
	var origin GPTInfo
	text, err := textfile.ReadFile(filepath.Join(dir, OriginFile), maxConfig)
	if err == nil {
		if origin, err = parseGPTInfo(text); err != nil {
			return nil, fmt.Errorf("convert: %s: %w", filepath.Join(dir, OriginFile), err)
		}
		if len(info.Others) == 0 {
			info.Others = origin.Others
		}
		if info.Config.Family != model.GPT2 {
			info.Source, info.Begin = text, origin.Begin
		}
	} else if !errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("convert: %w", err)
	}
	ends := tokenIDs(append(info.StopIDs(), origin.Ends...))
	path := filepath.Join(dir, GenerationFile)
	text, err = textfile.ReadFile(path, maxConfig)
	switch {
	case err == nil:
		var own struct {
			Ends tokenIDs `json:"eos_token_id"`
		}
		if err = jsonfile.Decode(text, &own); err == nil {
			ends, info.Generation = append(ends, own.Ends...), text
			info.Outside = append(info.Outside, own.Ends.outside(GenerationFile+": eos_token_id", info.Config.Vocab)...)
			generation, err = otherKeys(text, struct{}{})
		}
		if err != nil {
			return nil, fmt.Errorf("convert: %s: %w", path, err)
		}
	case !errors.Is(err, fs.ErrNotExist):
		return nil, fmt.Errorf("convert: %w", err)
	}
	info.Ends = ends.of(info.Config.Vocab)
	return generation, nil
}

// WriteGeneration writes generation_config.json, which tells transformers the tokens at which a text ends, and the one
// that begins one; if info.Begin is nil, the first of the ends does. Others are keys that it has besides; theirs count.
// If a text ends at no other tokens than in the file that info was read with, this file is written, byte for byte.
func WriteGeneration(w io.Writer, info GPTInfo, others map[string]json.RawMessage) error {
	ends := info.StopIDs()
	var was struct {
		Ends tokenIDs `json:"eos_token_id"`
	}
	if len(info.Generation) > 0 && jsonfile.Decode(info.Generation, &was) == nil &&
		!slices.ContainsFunc(ends, func(id int32) bool { return !slices.Contains(was.Ends, id) }) {
		if _, err := w.Write(info.Generation); err != nil {
			return fmt.Errorf("convert: %s: %w", GenerationFile, err)
		}
		return nil
	}
	keys := map[string]any{"_from_model_config": true, "bos_token_id": or(info.Begin, ends[0]), "eos_token_id": tokenIDs(ends)}
	if len(others) > 0 {
		delete(keys, "_from_model_config") // since they say more than config.json
	}
	for key, value := range others {
		if key != "eos_token_id" {
			keys[key] = value
		}
	}
	return writeJSON(w, GenerationFile, keys)
}
