package hub

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/bdia-go/bdia/checkpoint"
	"github.com/bdia-go/bdia/convert"
	"github.com/bdia-go/bdia/internal/atomicfile"
	"github.com/bdia-go/bdia/internal/textfile"
	"github.com/bdia-go/bdia/model"
)

// Save writes the model as a folder that Open reads, and Hugging Face's transformers:
// config.json, model.safetensors, the tokenizer's files, and generation_config.json if the
// model came with one. The folder is made if it does not exist. Description and weights change together or not at all.
// Adapters that are not merged are ErrAdapters.
func (m *GPT) Save(dir string) error {
	if m.LoRA.Rank > 0 {
		return fmt.Errorf("%s %w beside its weights; open it in float32, which merges them, and save that", m.folder.Dir, ErrAdapters)
	}
	info := m.folder.GPTInfo
	info.Config, info.DType = m.Config, convert.WeightsDType(m.GPT)
	return m.folder.save(dir,
		func(w io.Writer) error { return convert.WriteGPTInfo(w, info) },
		func(w io.Writer) error { return convert.WriteGPT(w, m.Device, m.GPT) })
}

// Save writes the model as a folder that Open reads, and timm: config.json and
// model.safetensors. They change together or not at all.
func (m *ViT) Save(dir string) error {
	return m.folder.save(dir,
		func(w io.Writer) error { return convert.WriteViTConfig(w, m.folder.ViTInfo) },
		func(w io.Writer) error { return convert.WriteViT(w, m.Device, m.ViT) })
}

// Save writes the model as a folder that Open reads: config.json, model.safetensors and
// the tokenizers' files. Description and weights change together or not at all.
func (m *Seq2Seq) Save(dir string) error {
	info := m.folder.Seq2SeqInfo
	info.DType = 0
	return m.folder.save(dir,
		func(w io.Writer) error { return convert.WriteSeq2SeqConfig(w, info) },
		func(w io.Writer) error { return convert.WriteSeq2Seq(w, m.Device, m.Seq2Seq) })
}

// SaveOrigin writes into the folder dir of a run what the language model in the folder from, from which it starts,
// says to other programs: keys of its config.json that mean nothing here (convert.OriginFile), and
// generation_config.json. Files that dir has stay, and a folder from that has gone has nothing to say.
func SaveOrigin(from, dir string) error {
	path := filepath.Join(from, convert.OriginFile)
	if !has(from, convert.OriginFile) {
		path = filepath.Join(from, configFile)
		info, err := convert.ReadGPTInfo(path)
		if errors.Is(err, fs.ErrNotExist) {
			return nil
		}
		if err != nil {
			return err
		}
		if len(info.Others) == 0 && len(info.Ends) == 0 && info.Config.Family == model.GPT2 {
			path = ""
		}
	}
	for name, path := range map[string]string{convert.OriginFile: path, convert.GenerationFile: filepath.Join(from, convert.GenerationFile)} {
		if path == "" || has(dir, name) {
			continue
		}
		text, err := textfile.ReadFile(path, maxOrigin)
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err == nil {
			err = atomicfile.Write(filepath.Join(dir, name), text)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

const maxOrigin = 1 << 20 // bytes of a file that is kept

// ErrOther is wrapped by the error of Save for a folder with files that would change
// the meaning of what it writes.
var ErrOther = errors.New("choose another folder")

// others are files that do not go together with a single file of weights.
var others = []string{RunFile, convert.AdapterConfigFile, weightsFile + ".index.json"}

// save writes a model folder: its files change together or not at all, and a manifest lists them.
func (f *Folder) save(dir string, config, weights func(io.Writer) error) error {
	for _, name := range others {
		if _, err := os.Stat(filepath.Join(dir, name)); err == nil {
			return fmt.Errorf("%s holds %s, which does not go together with a saved model; %w", dir, name, ErrOther)
		}
	}
	if err := atomicfile.MkdirAll(dir); err != nil {
		return err
	}
	unlock, err := checkpoint.Lock(dir)
	if err != nil {
		return err
	}
	defer unlock()
	return checkpoint.Save(dir, func(t *checkpoint.Txn) error {
		if err := t.Fill(f.saveTokenizers); err != nil {
			return err
		}
		if err := t.Write(configFile, config); err != nil {
			return err
		}
		if f.Kind == convert.GPT && len(f.GPTInfo.Generation) > 0 {
			err := t.Write(convert.GenerationFile, func(w io.Writer) error { return convert.WriteGeneration(w, f.GPTInfo, f.Generation) })
			if err != nil {
				return err
			}
		}
		t.Manifest("", 0, nil)
		return t.Write(weightsFile, weights)
	})
}

// saveTokenizers writes the tokenizers' files, if the model has any.
func (f *Folder) saveTokenizers(dir string) error {
	switch {
	case f.Tokenizer != nil:
		return f.Tokenizer.Save(dir)
	case f.Source != nil:
		return SaveTokenizers(dir, f.Source, f.Target)
	}
	return nil
}
