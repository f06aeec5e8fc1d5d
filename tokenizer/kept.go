package tokenizer

import (
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/bdia-go/bdia/internal/jsonfile"
)

// kept is what a tokenizer's folder says to other programs, and nothing here: Save writes it again. That way an
// export of a model that was fine-tuned has the chat template of the model that it was made from. Of a tokenizer with
// another pipeline than GPT-2's, all files are kept.
type kept struct {
	keys  map[string]json.RawMessage // of tokenizer_config.json
	files map[string][]byte          // by name
}

// templateFile is the template of conversations beside tokenizer_config.json, in newer folders.
const templateFile = "chat_template.jinja"

// ownKeys are the keys of tokenizer_config.json that Save writes by itself, and those that say how a folder was stored.
var ownKeys = append([]string{"tokenizer_class", "add_prefix_space", "clean_up_tokenization_spaces", "added_tokens_decoder",
	"name_or_path", "special_tokens_map_file", "tokenizer_file", "vocab_file", "merges_file", "auto_map", "backend", "is_local",
	"add_bos_token", "add_eos_token"}, roleKeys[:]...)

// keep notes what the named file says that nothing here understands.
func (s *settings) keep(name string, text []byte, keys map[string]json.RawMessage) {
	if name != configFile {
		s.kept.file(name, text)
		return
	}
	for key, value := range keys {
		if !slices.Contains(ownKeys, key) && !strings.HasPrefix(key, "_") && !jsonfile.Infinite(value) {
			s.kept.set(key, value)
		}
	}
	// A role that no token of the vocabulary has, such as padding, is named as it was.
	for _, role := range []role{pad, unk} {
		if value, ok := keys[roleKeys[role]]; ok {
			s.kept.set(roleKeys[role], value)
		}
	}
}

func (k *kept) set(key string, value json.RawMessage) {
	if k.keys == nil {
		k.keys = map[string]json.RawMessage{}
	}
	k.keys[key] = value
}

func (k *kept) file(name string, text []byte) {
	if k.files == nil {
		k.files = map[string][]byte{}
	}
	k.files[name] = text
}

// read notes the named file of dir, if it is there.
func (k *kept) read(dir, name string, most int64) error {
	text, err := readFile(filepath.Join(dir, name), most)
	if err == nil {
		k.file(name, text)
	} else if !errors.Is(err, os.ErrNotExist) {
		return err
	}
	return nil
}

// carry notes the given files, and those from which other programs make the same tokenizer: SentencePiece's model, or
// vocabulary and merges.
func (k *kept) carry(dir string, texts map[string][]byte) error {
	for name, text := range texts {
		k.file(name, text)
	}
	return cmp.Or(k.read(dir, modelFile, maxSettings), k.read(dir, vocabFile, maxFile), k.read(dir, mergesFile, maxFile))
}

// ChatTemplate returns the template of conversations that the tokenizer's folder has, in Jinja as in Hugging Face's
// tokenizer_config.json; empty: there is none.
func ChatTemplate(tok Tokenizer) string {
	b, ok := tok.(*BPE)
	if !ok {
		return ""
	}
	if text, ok := b.kept.files[templateFile]; ok {
		return string(text)
	}
	var one string
	if json.Unmarshal(b.kept.keys["chat_template"], &one) == nil {
		return one
	}
	var several []struct{ Name, Template string }
	if json.Unmarshal(b.kept.keys["chat_template"], &several) == nil {
		for _, t := range several {
			if t.Name == "default" {
				return t.Template
			}
		}
	}
	return ""
}

// WithChatTemplate returns tok, which Save writes with a template of conversations. A tokenizer that is no BPE is
// returned as it is: no other program reads it.
func WithChatTemplate(tok Tokenizer, template string) Tokenizer {
	b, ok := tok.(*BPE)
	if !ok {
		return tok
	}
	with := *b
	text, err := marshal(template)
	if err != nil {
		panic(fmt.Sprint("tokenizer: a text is no JSON: ", err))
	}
	with.kept = kept{keys: maps.Clone(b.kept.keys), files: maps.Clone(b.kept.files)}
	with.kept.set("chat_template", text)
	delete(with.kept.files, templateFile) // which would win
	if !b.pipe.gpt2 {
		config := map[string]json.RawMessage{}
		if text, ok := b.kept.files[configFile]; ok && jsonfile.Decode(text, &config) != nil || config == nil {
			config = map[string]json.RawMessage{} // it is no object
		}
		config["chat_template"] = text
		if text, err = marshal(config); err == nil {
			with.kept.file(configFile, text)
		}
		if err != nil {
			panic(fmt.Sprint("tokenizer: a file that was read is no JSON: ", err))
		}
	}
	return &with
}

// write writes the files that were kept into dir, tokenizer.json last: Load reads it, so a folder with it is complete.
func (k *kept) write(dir string) error {
	names := slices.Collect(maps.Keys(k.files))
	slices.SortFunc(names, func(a, b string) int {
		return cmp.Or(boolInt(a == tokenizerFile)-boolInt(b == tokenizerFile), strings.Compare(a, b))
	})
	for _, name := range names {
		if err := writeFile(dir, name, k.files[name]); err != nil {
			return err
		}
	}
	return nil
}

func boolInt(b bool) int {
	if b {
		return 1
	}
	return 0
}
