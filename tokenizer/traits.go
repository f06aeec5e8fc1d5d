package tokenizer

import "slices"

// What other programs' formats ask of a BPE, beside its tokens and merges. Such a format names a kind of tokenizer that
// its program knows, so a pipeline is compared with the known ones.

// Cuts reports whether b cuts text into words as the regular expressions do, one after the other. Spellings of one
// expression that published files have are the same, as is a contraction in capitals beyond ASCII.
func (b *BPE) Cuts(regexes ...string) bool {
	if len(regexes) != len(b.pipe.words) {
		return false
	}
	for i, s := range b.pipe.words {
		switch s := s.(type) {
		case digits:
			if s.regex() != regexes[i] {
				return false
			}
		case splitStep:
			other, err := parsePattern(regexes[i])
			if s.regex == "" || err != nil || traitsOf(s.splitter) != traitsOf(other) {
				return false
			}
		default:
			return false
		}
	}
	return true
}

// patternTraits are what tells patterns apart; zero: GPT-2's.
type patternTraits struct {
	contraction, anyCase bool
	letters              int
	suffix               bool
	digits               int
	tail                 string
	lines                bool
}

func traitsOf(s splitter) patternTraits {
	p, ok := s.(*pattern)
	if !ok {
		return patternTraits{}
	}
	t := patternTraits{letters: p.letters, suffix: p.suffix, digits: p.digits, tail: p.tail, lines: p.lines}
	if p.contraction != nil {
		t.contraction, t.anyCase = true, p.contraction([]byte("S")) > 0
	}
	return t
}

// Composes reports a tokenizer that composes characters first: e and U+0301 become é.
func (b *BPE) Composes() bool { return len(b.pipe.normal) == 1 && b.pipe.normal[0] == step(nfc{}) }

// Keeps reports a tokenizer without a normalizer.
func (b *BPE) Keeps() bool { return len(b.pipe.normal) == 0 }

// IgnoresMerges reports a tokenizer in which a word that is a token is this token, whatever the merges.
func (b *BPE) IgnoresMerges() bool { return b.ignoreMerges }

// Role returns the id of the token with a role, by its key in tokenizer_config.json ("bos_token" for example), and
// whether there is one.
func (b *BPE) Role(key string) (id int32, ok bool) {
	if r := slices.Index(roleKeys[:], key); r >= 0 {
		id = b.roles[r]
		return id, id >= 0
	}
	return -1, false
}

// Unknown returns the token that stands for text without a token, and whether there is one.
func (b *BPE) Unknown() (id int32, ok bool) { return b.unknown, b.unknown >= 0 }

// ByteTokens returns the tokens <0x00> to <0xFF> of a vocabulary of characters, which stand for characters without a
// token; ok is false if there are none, or not all of them.
func (b *BPE) ByteTokens() (ids [256]int32, ok bool) {
	if b.spare == nil || slices.Contains(b.spare[:], -1) {
		return ids, false
	}
	return *b.spare, true
}

// Marks tells of a tokenizer after SentencePiece, which puts ▁ in place of spaces and does nothing else to a text.
// before says which pieces between added tokens have a ▁ put before them: "always", "first" (the one at the start of
// the text) or "never". unlessMarked: a piece that begins with a space has none put before it. ok is false for another
// tokenizer.
func (b *BPE) Marks() (before string, unlessMarked, ok bool) {
	before = "never"
	spaces := false
	for _, s := range b.pipe.normal {
		switch s {
		case step(prepend{mark}):
			before = "always"
		case step(replace{" ", mark}):
			spaces = true
		default:
			return "", false, false
		}
	}
	for _, s := range b.pipe.words {
		switch s := s.(type) {
		case metaspace:
			before, unlessMarked, spaces = schemes[s.before], true, true
		case splitStep:
			if m, ours := s.splitter.(markWords); !ours || m.joins == nil {
				return "", false, false // merges do not reach across its cuts
			}
		default:
			return "", false, false
		}
	}
	return before, unlessMarked, b.chars && spaces
}

// schemes are Hugging Face's names of the pieces that a metaspace comes before.
var schemes = [...]string{never: "never", first: "first", always: "always"}
