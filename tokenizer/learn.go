package tokenizer

import (
	"context"
	"crypto/sha256"
	"fmt"
	"io"
)

// Kinds of tokenizers that Learn makes.
const (
	KindChar = "char"
	KindBPE  = "bpe"
)

// Learn makes a tokenizer of a kind, KindChar or KindBPE, from text. o is for a BPE.
func Learn(ctx context.Context, kind string, text io.Reader, o TrainOptions) (Tokenizer, error) {
	if kind == KindChar {
		return NewChar(text)
	}
	return TrainBPE(ctx, text, o)
}

// CheckChoice reports a choice that no tokenizer can be made of: name is KindChar, KindBPE or a folder with tokenizer
// files, and vocab the vocabulary of a BPE.
func CheckChoice(name string, vocab int) error {
	switch {
	case name == "":
		return fmt.Errorf("tokenizer: no tokenizer; use char, bpe or a folder with tokenizer files")
	case name == KindBPE && vocab < 257:
		return fmt.Errorf("tokenizer: a BPE vocabulary of %d is too small; 256 bytes and the end-of-text token need 257", vocab)
	}
	return nil
}

// Fingerprint tells tokenizers apart by what they decode, and ones of other pipelines than GPT-2's by their file too.
func Fingerprint(tok Tokenizer) (sum [32]byte) {
	h := sha256.New()
	fmt.Fprintln(h, tok.Kind(), tok.VocabSize())
	for id := range int32(tok.VocabSize()) {
		text, _ := tok.Decode([]int32{id})
		fmt.Fprintf(h, "%d %q\n", id, text)
	}
	if b, ok := tok.(*BPE); ok && !b.pipe.gpt2 {
		h.Write(b.kept.files[tokenizerFile])
	}
	copy(sum[:], h.Sum(nil))
	return sum
}

// EndID is EndOfText as a pointer: nil if tok has no token that ends a text.
func EndID(tok Tokenizer) *int32 {
	if id, ok := EndOfText(tok); ok {
		return &id
	}
	return nil
}
