package convert

import (
	"errors"
	"fmt"

	"github.com/bdia-go/bdia/format/gguf"
	"github.com/bdia-go/bdia/tokenizer"
)

// Kinds of tokens in a GGUF file.
const (
	ggufNormal  = 1
	ggufUnknown = 2
	ggufControl = 3 // matched in text only if the program asks for special tokens
	ggufAdded   = 4 // matched in text
	ggufUnused  = 5
	ggufByte    = 6 // <0x00> to <0xFF>
)

// ggufVocabulary returns the keys of a tokenizer for a model of vocab tokens.
// Tokens that the tokenizer lacks are marked unused, as by llama.cpp's own
// converter.
func ggufVocabulary(tok tokenizer.Tokenizer, vocab int) (keys []gguf.KV, notes []string, err error) {
	if tok == nil {
		return nil, nil, errors.New("a GGUF file needs a tokenizer, and the model has none; put tokenizer.json, or vocab.json and merges.txt, into its folder")
	}
	if n := tok.VocabSize(); n > vocab {
		return nil, nil, fmt.Errorf("%w: the tokenizer has %d tokens, the model only %d", ErrMismatch, n, vocab)
	}
	switch tok := tok.(type) {
	case *tokenizer.BPE:
		return ggufBPE(tok, vocab)
	case *tokenizer.Char:
		keys, err = ggufChars(tok, vocab)
		return keys, nil, err
	}
	return nil, nil, fmt.Errorf("%w: llama.cpp has no tokenizer like this one (%s); export to another format", ErrUnsupported, tok.Kind())
}

// ggufChars returns the keys of a vocabulary of characters. It uses llama.cpp's
// RWKV tokenizer, which takes the longest token at each place: with single
// characters, the only one. It is also the only tokenizer there that needs no token
// for the end of a text. Unknown characters become spaces (or the first token),
// since programs that ask llama.cpp for the id of unknown text abort without one.
func ggufChars(c *tokenizer.Char, vocab int) ([]gguf.KV, error) {
	unknown := uint32(0)
	if space, err := c.Encode([]byte(" ")); err == nil {
		unknown = uint32(space[0])
	}
	tokens, types := make([]string, vocab), make([]int32, vocab)
	for id := range tokens {
		// The byte ff never occurs in UTF-8, so no text contains an unused token.
		text, kind := fmt.Appendf(nil, "\xff%d", id), int32(ggufUnused)
		if id < c.VocabSize() {
			var err error
			if text, err = c.Decode([]int32{int32(id)}); err != nil {
				return nil, err
			}
			kind = ggufNormal
		}
		for _, b := range text {
			tokens[id] += fmt.Sprintf(`\x%02x`, b)
		}
		types[id] = kind
	}
	return []gguf.KV{
		{Key: "tokenizer.ggml.model", Value: "rwkv"},
		{Key: "tokenizer.ggml.tokens", Value: tokens},
		{Key: "tokenizer.ggml.token_type", Value: types},
		{Key: "tokenizer.ggml.unknown_token_id", Value: unknown},
	}, nil
}

// ggufBPE returns the keys of a BPE.
func ggufBPE(b *tokenizer.BPE, vocab int) (keys []gguf.KV, notes []string, err error) {
	tokens, types, notes, err := ggufTokens(b, vocab)
	if err != nil {
		return nil, nil, err
	}
	ends, err := ggufEnds(b, vocab)
	if err != nil {
		return nil, nil, err
	}
	var own []gguf.KV
	var more []string
	if b.ByteLevel() {
		own, more, err = ggufByteLevel(b)
	} else {
		own, more, err = ggufMarks(b, types)
	}
	if err != nil {
		return nil, nil, err
	}
	keys = append(own, []gguf.KV{
		{Key: "tokenizer.ggml.tokens", Value: tokens},
		{Key: "tokenizer.ggml.token_type", Value: types},
	}...)
	return append(keys, ends...), append(notes, more...), nil
}

// ggufTokens returns the tokens and their kinds, and what llama.cpp matches differently.
func ggufTokens(b *tokenizer.BPE, vocab int) (tokens []string, types []int32, notes []string, err error) {
	tokens, types = make([]string, vocab), make([]int32, vocab)
	ids := make(map[string]int, vocab)
	for id := range tokens {
		tokens[id], types[id] = fmt.Sprintf("[PAD%d]", id), ggufUnused
		if id < b.VocabSize() {
			tokens[id], _ = b.Spelling(int32(id))
			types[id] = ggufNormal
		}
		if other, twice := ids[tokens[id]]; twice {
			return nil, nil, nil, fmt.Errorf("%w: tokens %d and %d are both spelt %q; llama.cpp would confuse them", ErrUnsupported, other, id, tokens[id])
		}
		ids[tokens[id]] = id
	}
	for _, t := range b.Added() {
		types[t.ID] = ggufAdded
		if t.Special {
			types[t.ID] = ggufControl
		}
		if t.Lstrip || t.Rstrip || t.SingleWord {
			notes = append(notes, fmt.Sprintf("llama.cpp matches the token %q wherever it is spelt, without the white space around it", t.Content))
		}
	}
	return tokens, types, notes, nil
}

// ggufEnds returns the keys of the tokens that begin, end and fill texts. llama.cpp puts one at most before a text, and
// one behind it.
func ggufEnds(b *tokenizer.BPE, vocab int) ([]gguf.KV, error) {
	before, after := tokenizer.Around(b)
	end, ok := b.EndOfText()
	if !ok && b.VocabSize() == vocab {
		return nil, fmt.Errorf("%w: the tokenizer has no %s, and llama.cpp would take an ordinary token for the end of the text; add it to the vocabulary", ErrUnsupported, tokenizer.EndOfTextToken)
	}
	if !ok {
		end = int32(b.VocabSize()) // an unused one
	}
	begin, ok := b.Role("bos_token")
	if !ok {
		begin = end
	}
	if len(before) > 0 {
		begin = before[0]
	}
	if len(before) > 1 || len(after) > 1 || len(after) == 1 && after[0] != end {
		return nil, fmt.Errorf("%w: the tokenizer puts %d tokens before a text and %d behind it; llama.cpp puts one before it, and the end of the text behind it; export to another format", ErrUnsupported, len(before), len(after))
	}
	keys := []gguf.KV{
		{Key: "tokenizer.ggml.bos_token_id", Value: uint32(begin)},
		{Key: "tokenizer.ggml.eos_token_id", Value: uint32(end)},
		{Key: "tokenizer.ggml.add_bos_token", Value: len(before) > 0},
		{Key: "tokenizer.ggml.add_eos_token", Value: len(after) > 0},
	}
	if id, ok := b.Role("pad_token"); ok {
		keys = append(keys, gguf.KV{Key: "tokenizer.ggml.padding_token_id", Value: uint32(id)})
	}
	return keys, nil
}

// Regular expressions of words that llama.cpp knows.
const (
	numberWord = `\p{N}`
	gpt2Words  = `'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+`
	llamaWords = `(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+`
	qwenWords  = `(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+`
	mixedWords = `[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]*[\p{Ll}\p{Lm}\p{Lo}\p{M}]+|[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]+[\p{Ll}\p{Lm}\p{Lo}\p{M}]*|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n/]*|\s*[\r\n]+|\s+(?!\S)|\s+`
)

// ggufCuts are the ways in which llama.cpp cuts text into words, by its names.
var ggufCuts = []struct {
	name         string
	ignoreMerges bool
	words        []string
}{
	{"gpt-2", false, []string{gpt2Words}},
	{"llama-bpe", true, []string{llamaWords}},
	{"smaug-bpe", false, []string{llamaWords}}, // as llama-bpe, with merges
	{"qwen2", false, []string{qwenWords}},
	{"smollm", false, []string{numberWord, gpt2Words}},
	{"tekken", true, []string{mixedWords}},
}

// ggufByteLevel returns the keys of a byte-level BPE.
func ggufByteLevel(b *tokenizer.BPE) (keys []gguf.KV, notes []string, err error) {
	name := ""
	for _, c := range ggufCuts {
		if name == "" && b.IgnoresMerges() == c.ignoreMerges && b.Cuts(c.words...) {
			name = c.name
		}
	}
	if name == "" || !b.Keeps() && !b.Composes() {
		return nil, nil, fmt.Errorf("%w: the tokenizer changes text or cuts it into words in a way that llama.cpp does not know; export to another format", ErrUnsupported)
	}
	if b.Composes() {
		notes = append(notes, "llama.cpp does not compose characters (NFC): e and U+0301 are other tokens there than é")
	}
	var merges []string
	for left, right := range b.Merges() {
		merges = append(merges, left+" "+right)
	}
	return []gguf.KV{
		{Key: "tokenizer.ggml.model", Value: "gpt2"},
		{Key: "tokenizer.ggml.pre", Value: name},
		{Key: "tokenizer.ggml.merges", Value: merges},
	}, notes, nil
}

// ggufMarks returns the keys of a BPE of characters after SentencePiece. llama.cpp knows no merges there: it joins the
// neighbours that make the token of the highest score, which is minus the rank of the merge that makes it.
func ggufMarks(b *tokenizer.BPE, types []int32) (keys []gguf.KV, notes []string, err error) {
	before, unlessMarked, marks := b.Marks()
	bytes, all := b.ByteTokens()
	unknown, named := b.Unknown()
	switch {
	case !marks || b.IgnoresMerges():
		return nil, nil, fmt.Errorf("%w: the tokenizer changes text or cuts it into words in a way that llama.cpp does not know; export to another format", ErrUnsupported)
	case !all:
		return nil, nil, fmt.Errorf("%w: the tokenizer lacks tokens of the 256 bytes, <0x00> to <0xFF>, which llama.cpp asks of a vocabulary of characters; export to another format", ErrUnsupported)
	}
	for _, id := range bytes {
		types[id] = ggufByte
	}
	keys = []gguf.KV{
		{Key: "tokenizer.ggml.model", Value: "llama"},
		{Key: "tokenizer.ggml.pre", Value: "default"},
		{Key: "tokenizer.ggml.add_space_prefix", Value: before != "never"},
	}
	if named {
		types[unknown] = ggufUnknown
		keys = append(keys, gguf.KV{Key: "tokenizer.ggml.unknown_token_id", Value: uint32(unknown)})
	}
	scores, others := ggufScores(b, len(types))
	for _, t := range b.Added() {
		scores[t.ID] = -1000
	}
	if others > 0 {
		notes = append(notes, fmt.Sprintf("%d tokens are merged in an order that scores cannot say: llama.cpp may cut words with them into other tokens", others))
	}
	if before == "first" {
		notes = append(notes, "llama.cpp puts a space before text behind a special token too, the tokenizer only at the start of a text")
	}
	if unlessMarked && before != "never" {
		notes = append(notes, "llama.cpp puts a space before a text that begins with one too, which the tokenizer does not")
	}
	return append(keys, gguf.KV{Key: "tokenizer.ggml.scores", Value: scores}), notes, nil
}

// ggufScores returns the score of each token, and counts the tokens for which the list of merges does not go by scores:
// with merges of other tokens between its own, or without one of the ways to make it of two tokens.
func ggufScores(b *tokenizer.BPE, vocab int) (scores []float32, others int) {
	ids := make(map[string]int32, vocab)
	for id := range int32(b.VocabSize()) {
		name, _ := b.Spelling(id)
		ids[name] = id
	}
	scores = make([]float32, vocab)
	ways := make([]int, vocab)   // merges that make a token
	latest := make([]int, vocab) // the rank of the last of them
	rank := 0
	odd := map[int32]bool{}
	for left, right := range b.Merges() {
		id := ids[left+right]
		if ways[id] == 0 {
			scores[id] = float32(-rank)
		} else if latest[id] != rank-1 {
			odd[id] = true
		}
		ways[id], latest[id], rank = ways[id]+1, rank, rank+1
	}
	for id := range int32(b.VocabSize()) {
		name, added := b.Spelling(id)
		if added {
			continue
		}
		n := 0
		for at := range name {
			_, left := ids[name[:at]]
			_, right := ids[name[at:]]
			if left && right {
				n++
			}
		}
		if n != ways[id] {
			odd[id] = true
		}
	}
	return scores, len(odd)
}
