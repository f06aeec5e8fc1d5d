package tokenizer

import (
	"math/rand/v2"
	"strings"
	"testing"
)

// pieces are what the random texts of the tests are made of: every class of
// character, in every length in bytes, and bytes that are not UTF-8.
var pieces = []string{
	" ", " ", " ", "\n", "\t", "\r\n", "'", "'", "s", "t", "re", "ve", "ll", "d", "m", "l", "a", "Z", "the", "1", "42",
	"!", "?", "-", "é", "Я", "日", "👋", "\u00a0", "\u3000", "\u0085", "\u200b", "\u0301", "½", "٣", "𝒳", "𝟙", "\u2028",
	"<|endoftext|>", "ing", " of", "\x1f", "\x00", "\ufffd", "\x80", "\xff", "\xc3", "\xe2\x80", "\xf0\x9f\x91", "\xed\xa0\x80",
}

func randomText(r *rand.Rand, n int) []byte {
	var s strings.Builder
	for range r.IntN(n) {
		s.WriteString(pieces[r.IntN(len(pieces))])
	}
	return []byte(s.String())
}

// toyBPE is a small trained tokenizer.
func toyBPE(t testing.TB) *BPE {
	t.Helper()
	text := strings.Repeat("the theme of the thesis; don't they're 1234 12 12\n\n  aaaa aaa é日 é日\n", 3)
	b, err := TrainBPE(t.Context(), strings.NewReader(text), TrainOptions{VocabSize: 280})
	if err != nil {
		t.Fatal(err)
	}
	return b
}
