// Package tokenizer turns text into ids and back: one id per character ([Char])
// or byte pair encoding ([BPE]), GPT-2's and that of later language models.
package tokenizer

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"

	"github.com/bdia-go/bdia/internal/atomicfile"
	"github.com/bdia-go/bdia/internal/textfile"
)

// Tokenizer maps text to ids 0..VocabSize()-1 and back. Implementations are
// immutable and safe for use by several goroutines at once.
type Tokenizer interface {
	// Kind is "char" or "bpe".
	Kind() string
	// VocabSize is the number of ids.
	VocabSize() int
	// Encode returns the ids of text. As in Hugging Face's tokenizers, the
	// spelling of a special token in the text becomes that token; see Raw.
	Encode(text []byte) ([]int32, error)
	// EncodeStream reads r to its end and passes the same ids as Encode of the
	// whole text to emit, in batches and in order. The batch is reused: emit must
	// not keep it. If emit returns an error, reading stops and the error is
	// returned.
	EncodeStream(r io.Reader, emit func(ids []int32) error) error
	// Decode returns the text of ids; an id that is not in the vocabulary gives
	// an error that wraps ErrID.
	Decode(ids []int32) ([]byte, error)
	// Save writes the files for Load into the existing folder dir.
	Save(dir string) error
}

// EndOfText returns the id of the token that ends a text, and whether tok has
// one: a vocabulary of characters has none.
func EndOfText(tok Tokenizer) (id int32, ok bool) {
	if t, has := tok.(interface{ EndOfText() (int32, bool) }); has {
		return t.EndOfText()
	}
	return -1, false
}

// Raw returns tok without special tokens, for untrusted text such as training
// data: their spelling is ordinary text, so a document that mentions
// "<|endoftext|>" does not end there. Hugging Face calls this
// split_special_tokens. Added tokens that are not special are still matched.
func Raw(tok Tokenizer) Tokenizer {
	if b, ok := tok.(*BPE); ok {
		raw := *b
		raw.raw = true
		return &raw
	}
	return tok
}

var (
	// ErrUnknown is wrapped by the error for text with a character that a
	// character-level vocabulary lacks; see UnknownError.
	ErrUnknown = errors.New("character not in the vocabulary")
	// ErrID is wrapped by the error of Decode for an id out of range.
	ErrID = errors.New("id not in the vocabulary")
	// ErrInvalidUTF8 is wrapped by the error of NewChar and of Char's encoding
	// for text that is not valid UTF-8.
	ErrInvalidUTF8 = errors.New("text is not valid UTF-8")
	// ErrLongWord is wrapped by the error of BPE's encoding and training for a
	// run without a word boundary of more than MaxWord bytes.
	ErrLongWord = errors.New("run without a word boundary is too long")
	// ErrMemory is wrapped by the error of a text for which learning a vocabulary takes more memory than
	// TrainOptions.Fits allows.
	ErrMemory = errors.New("too little memory is free")
	// ErrFormat is wrapped by the errors of Load for files that do not hold a
	// tokenizer this package can reproduce exactly.
	ErrFormat = errors.New("not a usable tokenizer file")
	// ErrNotFound is wrapped by the error of Load for a folder without
	// tokenizer files.
	ErrNotFound = errors.New("no tokenizer files")
)

// maxFile limits the size of a tokenizer file and maxVocab the ids in it; both
// are several times larger than any published vocabulary needs.
const (
	maxFile  = 64 << 20
	maxVocab = 1 << 20
)

// Names of the files in a run directory.
const (
	charsFile     = "chars.json"
	tokenizerFile = "tokenizer.json"
	configFile    = "tokenizer_config.json"
	specialFile   = "special_tokens_map.json"
	addedFile     = "added_tokens.json"
	vocabFile     = "vocab.json"
	mergesFile    = "merges.txt"
	modelFile     = "tokenizer.model" // SentencePiece's
)

// Load reads the tokenizer in the folder dir: what Save wrote, a Hugging Face
// tokenizer.json of a BPE (GPT-2's, Llama's, Qwen's, Mistral's and others), GPT-2's
// vocab.json and merges.txt, or the same two under their first names,
// encoder.json and vocab.bpe. If a folder has both tokenizer.json and vocab.json,
// tokenizer.json is read, since only it states the word boundaries.
func Load(dir string) (Tokenizer, error) {
	has := func(name string) bool {
		_, err := os.Stat(filepath.Join(dir, name))
		return err == nil
	}
	isBPE := has(tokenizerFile) || has(vocabFile)
	if has(charsFile) {
		if isBPE {
			return nil, fmt.Errorf("tokenizer: %s holds both %s and the files of a BPE; remove one of them: %w", dir, charsFile, ErrFormat)
		}
		c, err := loadChar(filepath.Join(dir, charsFile))
		if err != nil {
			return nil, err
		}
		return c, nil
	}
	var b *BPE
	var err error
	switch {
	case has(tokenizerFile):
		b, err = loadBPE(dir, tokenizerFile, "")
	case has(vocabFile) && has(mergesFile):
		b, err = loadBPE(dir, vocabFile, mergesFile)
	case has("encoder.json") && has("vocab.bpe"):
		b, err = loadBPE(dir, "encoder.json", "vocab.bpe")
	case has(modelFile):
		err = fmt.Errorf("tokenizer: %w in %s that are read: of SentencePiece's %s, Hugging Face's transformers makes a %s, by AutoTokenizer.from_pretrained(FOLDER).save_pretrained(FOLDER)",
			ErrNotFound, dir, modelFile, tokenizerFile)
	default:
		err = fmt.Errorf("tokenizer: %w in %s (wanted %s, %s, %s with %s, or encoder.json with vocab.bpe)",
			ErrNotFound, dir, charsFile, tokenizerFile, vocabFile, mergesFile)
	}
	if err != nil {
		return nil, err
	}
	return b, nil
}

// readFile returns the content of a file of at most most bytes.
func readFile(path string, most int64) ([]byte, error) {
	b, err := textfile.ReadFile(path, most)
	if errors.As(err, new(*textfile.TooLargeError)) {
		return nil, fmt.Errorf("tokenizer: %w: %w", err, ErrFormat)
	}
	if err != nil {
		return nil, fmt.Errorf("tokenizer: %w", err)
	}
	return b, nil
}

// writeFile replaces a file in one step, so that a stop half-way leaves no
// half-written vocabulary beside a finished model.
func writeFile(dir, name string, b []byte) error {
	path := filepath.Join(dir, name)
	if err := atomicfile.Write(path, b); err != nil {
		return fmt.Errorf("tokenizer: writing %s: %w", path, err)
	}
	return nil
}
