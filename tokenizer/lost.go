package tokenizer

import (
	"sync/atomic"
	"unicode/utf8"
)

// Some vocabularies have no token for some bytes or characters. For example, SmolLM2's has none for 21 bytes, among
// them the control character U+0004. Such text is left out, or the unknown token stands for it.

// Missing returns the bytes for which tok has no token, so that text with them does not come back from Decode. Of a
// vocabulary of characters they are the ASCII characters without a token of their own or of their byte.
func Missing(tok Tokenizer) (list []byte) {
	b, ok := tok.(*BPE)
	if !ok {
		return nil
	}
	for c, id := range b.bytes {
		if id < 0 && (c < utf8.RuneSelf || !b.chars) && !b.hasSpare([]byte{byte(c)}) {
			list = append(list, byte(c))
		}
	}
	return list
}

// CountLost returns tok, which adds to lost the bytes of text that no token stands for when it encodes a text: they are
// left out, or the unknown token stands for them. Bytes are counted as the normalizer leaves them.
func CountLost(tok Tokenizer, lost *atomic.Int64) Tokenizer {
	b, ok := tok.(*BPE)
	if !ok {
		return tok
	}
	counts := *b
	counts.lost = lost
	return &counts
}
