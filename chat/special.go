package chat

import (
	"slices"
	"strings"

	"github.com/bdia-go/bdia/tokenizer"
)

// special are the special tokens of a vocabulary.
type special struct {
	ids     map[string]int32 // by spelling
	byFirst [256][]string    // spellings by their first byte, the longest first
}

func specialOf(tok tokenizer.Tokenizer) special {
	s := special{ids: map[string]int32{}}
	b, ok := tok.(interface{ Added() []tokenizer.AddedToken })
	if !ok {
		return s
	}
	for _, a := range b.Added() {
		if a.Special && a.Content != "" {
			s.ids[a.Content] = a.ID
			first := &s.byFirst[a.Content[0]]
			*first = append(*first, a.Content)
		}
	}
	for _, list := range s.byFirst {
		slices.SortFunc(list, func(a, b string) int { return len(b) - len(a) })
	}
	return s
}

// at is the longest spelling that text begins with; empty: none.
func (s *special) at(text string) string {
	for _, spelling := range s.byFirst[text[0]] {
		if strings.HasPrefix(text, spelling) {
			return spelling
		}
	}
	return ""
}

// in reports whether a spelling is in text.
func (s *special) in(text string) bool {
	for i := range len(text) {
		if s.at(text[i:]) != "" {
			return true
		}
	}
	return false
}

// marked is text with a mark before each place where a spelling begins.
func (s *special) marked(text string, mark rune) string {
	var b strings.Builder
	for i := range len(text) {
		if s.at(text[i:]) != "" {
			b.WriteRune(mark)
		}
		b.WriteByte(text[i])
	}
	return b.String()
}

// last returns where the last spelling in text is that has no mark before it, if nothing but white space follows it; at
// is -1: there is none.
func (s *special) last(text string, mark rune) (at int, spelling string) {
	at = -1
	for i := 0; i < len(text); {
		if found := s.at(text[i:]); found != "" && (mark == 0 || !strings.HasSuffix(text[:i], string(mark))) {
			at, spelling = i, found
			i += len(found)
			continue
		}
		i++
	}
	if at >= 0 && strings.TrimSpace(text[at+len(spelling):]) != "" {
		return -1, ""
	}
	return at, spelling
}
