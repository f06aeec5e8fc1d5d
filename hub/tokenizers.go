package hub

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/bdia-go/bdia/internal/atomicfile"
	"github.com/bdia-go/bdia/model"
	"github.com/bdia-go/bdia/tokenizer"
)

// Folders of the tokenizers of an encoder-decoder whose languages have one each.
const (
	sourceDir = "source"
	targetDir = "target"
)

// TokenizerFiles lists the names of the files that tokenizers are saved in.
func TokenizerFiles() []string {
	return []string{"chars.json", "tokenizer.json", "tokenizer_config.json", "vocab.json", "merges.txt", "special_tokens_map.json",
		"added_tokens.json", "chat_template.jinja", "tokenizer.model"}
}

// SpecialTokens is the number of special tokens at the end of each vocabulary of an
// encoder-decoder: begin, end and padding.
const SpecialTokens = 3

// LoadTokenizers loads the tokenizers of the encoder-decoder in dir: one for both
// languages, or one each from source/ and target/.
func LoadTokenizers(dir string) (source, target tokenizer.Tokenizer, err error) {
	if _, err := os.Stat(filepath.Join(dir, sourceDir)); errors.Is(err, fs.ErrNotExist) {
		tok, err := tokenizer.Load(dir)
		return tok, tok, err
	}
	if source, err = tokenizer.Load(filepath.Join(dir, sourceDir)); err != nil {
		return nil, nil, err
	}
	target, err = tokenizer.Load(filepath.Join(dir, targetDir))
	return source, target, err
}

// TokenizersOf is LoadTokenizers for the model c. It fails with ErrMismatch unless each
// vocabulary of c is its tokenizer's and the special tokens.
func TokenizersOf(dir string, c model.Seq2SeqConfig) (source, target tokenizer.Tokenizer, err error) {
	if source, target, err = LoadTokenizers(dir); err != nil {
		return nil, nil, err
	}
	for _, side := range []struct {
		name string
		tok  tokenizer.Tokenizer
		want int
	}{{"source", source, c.SourceVocab}, {"target", target, c.TargetVocab}} {
		if n := side.tok.VocabSize(); n+SpecialTokens != side.want {
			return nil, nil, fmt.Errorf("%s: the %s tokenizer has %d tokens and the model %d, of which %d are special; %w",
				dir, side.name, n, side.want, SpecialTokens, ErrMismatch)
		}
	}
	return source, target, nil
}

// SaveTokenizers writes the files that LoadTokenizers reads into the existing folder dir.
func SaveTokenizers(dir string, source, target tokenizer.Tokenizer) error {
	if source == target {
		return source.Save(dir)
	}
	for name, tok := range map[string]tokenizer.Tokenizer{sourceDir: source, targetDir: target} {
		sub := filepath.Join(dir, name)
		if err := atomicfile.MkdirAll(sub); err != nil {
			return err
		}
		if err := tok.Save(sub); err != nil {
			return err
		}
	}
	return nil
}
