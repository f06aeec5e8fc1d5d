package tokenizer

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/bdia-go/bdia/internal/jsonfile"
)

// kept is what a tokenizer's folder says to other programs, and nothing here: Save writes it again. That way an
// export of a model that was fine-tuned has the chat template of the model that it was made from.
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

// readTemplate notes the template of conversations in dir, if it has a file of its own.
func (k *kept) readTemplate(dir string) error {
	text, err := readFile(filepath.Join(dir, templateFile), maxSettings)
	if err == nil {
		k.file(templateFile, text)
	} else if !errors.Is(err, os.ErrNotExist) {
		return err
	}
	return nil
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
	with, keys := *b, map[string]json.RawMessage{}
	for key, value := range b.kept.keys {
		keys[key] = value
	}
	with.kept = kept{keys: keys, files: b.kept.files}
	text, err := marshal(template)
	if err != nil {
		panic(fmt.Sprint("tokenizer: a text is no JSON: ", err))
	}
	with.kept.keys["chat_template"] = text
	return &with
}

// write writes the files that were kept into dir.
func (k *kept) write(dir string) error {
	for name, text := range k.files {
		if err := writeFile(dir, name, text); err != nil {
			return err
		}
	}
	return nil
}
