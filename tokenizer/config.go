package tokenizer

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"github.com/bdia-go/bdia/internal/jsonfile"
)

// A role is the use of a special token. Hugging Face's folders list roles in
// tokenizer_config.json, older ones in special_tokens_map.json.
type role int

const (
	bos role = iota // begins a text
	eos             // ends a text
	unk             // stands for unknown text; a byte-level BPE never uses it
	pad             // fills a batch
	numRoles
)

// roleKeys are the keys of the files.
var roleKeys = [numRoles]string{"bos_token", "eos_token", "unk_token", "pad_token"}

// roles holds the id of each role's token, or -1.
type roles [numRoles]int32

// defaultRoles returns GPT-2's roles, for folders without these files.
func defaultRoles(added []AddedToken) roles {
	id := int32(-1)
	if i := slices.IndexFunc(added, func(t AddedToken) bool { return t.Content == EndOfTextToken }); i >= 0 {
		id = added[i].ID
	}
	return roles{bos: id, eos: id, unk: id, pad: -1}
}

// tokenName names a token in the files: by its spelling, or by an object that
// also has its flags.
type tokenName struct {
	AddedToken
	flags bool // the flags were given
}

func (n *tokenName) UnmarshalJSON(b []byte) error {
	if b[0] == '{' {
		n.flags = true
		return jsonfile.Unmarshal(b, &n.AddedToken)
	}
	return jsonfile.Unmarshal(b, &n.Content)
}

// settings holds the contents of the files that accompany a vocabulary.
type settings struct {
	class   string
	roles   map[string]*tokenName // by key; nil for a role without a token
	decoder map[string]AddedToken // by id, in digits
	added   vocabulary            // added_tokens.json
	prefix  bool                  // add_prefix_space
	addBOS  *bool                 // add_bos_token
	addEOS  *bool                 // add_eos_token
	kept    kept
	texts   map[string][]byte // of the files, by name
}

// maxSettings is the largest size of each file, in bytes.
const maxSettings = 8 << 20

// readSettings reads special_tokens_map.json, tokenizer_config.json and
// added_tokens.json, those that dir has. Where the first two differ,
// tokenizer_config.json counts.
func readSettings(dir string) (settings, error) {
	s := settings{roles: map[string]*tokenName{}, texts: map[string][]byte{}}
	for _, name := range []string{specialFile, configFile, addedFile} {
		path := filepath.Join(dir, name)
		text, err := readFile(path, maxSettings)
		if errors.Is(err, os.ErrNotExist) {
			continue
		}
		if err != nil {
			return s, err
		}
		s.texts[name] = text
		if name == addedFile {
			err = jsonfile.Decode(text, &s.added)
		} else {
			err = s.parse(name, text)
		}
		if err != nil {
			return s, fmt.Errorf("tokenizer: %s: %w: %w", path, ErrFormat, err)
		}
	}
	return s, nil
}

// parse reads tokenizer_config.json or special_tokens_map.json.
func (s *settings) parse(name string, text []byte) error {
	var file map[string]json.RawMessage
	if err := jsonfile.Decode(text, &file); err != nil {
		return err
	}
	s.keep(name, text, file)
	values := map[string]any{"tokenizer_class": &s.class, "added_tokens_decoder": &s.decoder, "add_prefix_space": &s.prefix,
		"add_bos_token": &s.addBOS, "add_eos_token": &s.addEOS}
	for _, key := range roleKeys {
		if _, ok := file[key]; ok {
			s.roles[key] = nil
			if !bytes.Equal(file[key], []byte("null")) {
				s.roles[key] = new(tokenName)
				values[key] = s.roles[key]
			}
		}
	}
	for key, value := range values {
		if text, ok := file[key]; ok {
			if err := jsonfile.Unmarshal(text, value); err != nil {
				return fmt.Errorf("%s: %w", key, err)
			}
		}
	}
	return nil
}

// check returns an error for settings that would change the ids.
func (s *settings) check(b *BPE) error {
	if s.prefix && !b.chars { // another one has the space in its pipeline
		return fmt.Errorf("%w: add_prefix_space is not supported: the ids would differ from the original's", ErrFormat)
	}
	return nil
}

// tokens returns the added tokens of a folder without tokenizer.json: the tokens
// that the files list and the tokens of the roles (by default GPT-2's).
func (s *settings) tokens(vocab vocabulary) ([]AddedToken, error) {
	switch strings.TrimSuffix(s.class, "Fast") {
	case "", "GPT2Tokenizer", "CodeGenTokenizer", "PreTrainedTokenizer":
	default:
		return nil, fmt.Errorf("%w: the tokenizer is of class %.80s; only GPT-2's is supported", ErrFormat, s.class)
	}
	list := map[string]AddedToken{}
	for digits, t := range s.decoder {
		id, err := strconv.ParseInt(digits, 10, 32)
		if err != nil {
			return nil, fmt.Errorf("%w: added_tokens_decoder: %.80q is not an id", ErrFormat, digits)
		}
		if _, ok := list[t.Content]; ok {
			return nil, fmt.Errorf("%w: added_tokens_decoder: the token %.80q occurs twice", ErrFormat, t.Content)
		}
		t.ID = int32(id)
		list[t.Content] = t
	}
	for content, id := range s.added {
		if t, ok := list[content]; ok && t.ID != id {
			return nil, fmt.Errorf("%w: the added token %.80q has id %d, but %d in %s", ErrFormat, content, t.ID, id, addedFile)
		} else if !ok {
			list[content] = AddedToken{ID: id, Content: content, Normalized: true}
		}
	}
	for r, key := range roleKeys {
		name, given := s.roles[key]
		if !given && role(r) != pad {
			name = &tokenName{AddedToken: AddedToken{Content: EndOfTextToken}}
		}
		if name == nil {
			continue
		}
		t, ok := list[name.Content]
		if id, known := vocab[name.Content]; !ok && known {
			t, ok = AddedToken{ID: id, Content: name.Content}, true
		}
		if !ok {
			continue // roles reports it
		}
		if _, listed := s.decoder[strconv.Itoa(int(t.ID))]; !listed && name.flags {
			id := t.ID
			t = name.AddedToken
			t.ID = id
		}
		t.Special = true
		list[name.Content] = t
	}
	return slices.Collect(maps.Values(list)), nil
}

// assign sets b's roles from the files.
func (s *settings) assign(b *BPE) error {
	for r, key := range roleKeys {
		name, given := s.roles[key]
		if !given {
			continue
		}
		b.roles[r] = -1
		if name == nil {
			continue
		}
		id, ok := b.id(name.Content)
		if !ok && (role(r) == pad || role(r) == unk) {
			continue // other programs add it; here nothing is padded, and nothing is unknown
		}
		if !ok {
			return fmt.Errorf("%w: %s is %.80q, but the vocabulary does not have it; name one that it has in tokenizer_config.json, or null", ErrFormat, key, name.Content)
		}
		b.roles[r] = id
	}
	return nil
}

// id returns the id of the added token with this spelling.
func (b *BPE) id(content string) (int32, bool) {
	i := slices.IndexFunc(b.added, func(t AddedToken) bool { return t.Content == content })
	if i < 0 {
		return -1, false
	}
	return b.added[i].ID, true
}

// config is the content of tokenizer_config.json.
func (b *BPE) config() map[string]any {
	c := map[string]any{
		"tokenizer_class":              "PreTrainedTokenizerFast",
		"add_prefix_space":             false,
		"clean_up_tokenization_spaces": false,
	}
	usual := defaultRoles(b.added)
	for r, key := range roleKeys {
		if id := b.roles[r]; id >= 0 {
			c[key], _ = b.Spelling(id)
		} else if usual[r] >= 0 {
			c[key] = nil
		}
	}
	if b.roles[eos] >= 0 {
		c["tokenizer_class"] = "GPT2Tokenizer"
	}
	decoder := map[string]any{}
	for _, t := range b.added {
		decoder[strconv.Itoa(int(t.ID))] = map[string]any{"content": t.Content, "single_word": t.SingleWord,
			"lstrip": t.Lstrip, "rstrip": t.Rstrip, "normalized": t.Normalized, "special": t.Special}
	}
	c["added_tokens_decoder"] = decoder
	for key, value := range b.kept.keys {
		if c[key] == nil {
			c[key] = value
		}
	}
	return c
}
