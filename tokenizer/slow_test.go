package tokenizer

import (
	"slices"
	"strings"
	"testing"
	"unicode"
	"unicode/utf8"
)

// slowBPE is Hugging Face's library taken literally: pieces between added tokens are normalized one by one, cut by one
// pre-tokenizer after the other, and merged as whole words.
type slowBPE struct {
	*BPE
	vocab map[string]int32
}

func newSlow(b *BPE) slowBPE {
	s := slowBPE{b, map[string]int32{}}
	for id := range int32(len(b.ends)) {
		if !b.isSpecial(id) {
			s.vocab[string(b.token(id))] = id
		}
	}
	return s
}

func (s slowBPE) encode(t testing.TB, text []byte) []int32 {
	return slowCut(s.BPE, string(text), false, func(part string, outer int) []int32 {
		return slowCut(s.BPE, s.pipe.normalForm(part), true, func(part string, inner int) []int32 {
			var ids []int32
			for _, word := range s.words(t, part, outer+inner == 0) {
				ids = append(ids, s.merge(word)...)
			}
			return ids
		})
	})
}

// words cuts a piece. first: the text begins with it.
func (s slowBPE) words(t testing.TB, piece string, first bool) []string {
	list := []string{piece}
	for _, step := range s.pipe.words {
		var next []string
		for _, part := range list {
			switch step := step.(type) {
			case metaspace:
				part = strings.ReplaceAll(part, " ", mark)
				if !strings.HasPrefix(part, mark) && (step.before == always || step.before != never && first) {
					part = mark + part
				}
				next = append(next, part)
			case digits:
				next = append(next, slowDigits(part, step.each)...)
			case splitStep:
				m, ok := step.splitter.(markWords)
				switch {
				case ok && m.joins != nil: // it must make no difference
					next = append(next, part)
				case ok:
					for i := range part {
						if i == 0 || strings.HasPrefix(part[i:], mark) {
							next = append(next, "")
						}
						_, n := utf8.DecodeRuneInString(part[i:])
						next[len(next)-1] += part[i : i+n]
					}
				default:
					next = append(next, fastWords(t, step.splitter, []byte(part))...)
				}
			}
		}
		list = next
	}
	return list
}

func slowDigits(text string, each bool) (list []string) {
	open := -1 // 1: the last piece is of numbers
	for len(text) > 0 {
		r, n := utf8.DecodeRuneInString(text)
		kind := 0
		if unicode.IsNumber(r) {
			kind = 1
		}
		if kind != open || kind == 1 && each {
			list = append(list, "")
		}
		list[len(list)-1] += text[:n]
		text, open = text[n:], kind
	}
	return list
}

// merge is merge_word of Hugging Face's library.
func (s slowBPE) merge(word string) []int32 {
	if id, ok := s.vocab[word]; ok && s.ignoreMerges {
		return []int32{id}
	}
	var ids []int32
	unknown := 0 // pending
next:
	for len(word) > 0 {
		n := 1
		if s.chars {
			_, n = utf8.DecodeRuneInString(word)
		}
		char := word[:n]
		word = word[n:]
		if id, ok := s.vocab[char]; ok {
			if unknown > 0 {
				ids, unknown = append(ids, s.unknown), 0
			}
			ids = append(ids, id)
			continue
		}
		if s.spare != nil {
			var bytes []int32
			for _, c := range []byte(char) {
				if s.spare[c] < 0 {
					break
				}
				bytes = append(bytes, s.spare[c])
			}
			if len(bytes) == n {
				ids = append(ids, bytes...)
				continue next
			}
		}
		if s.unknown < 0 {
			continue
		}
		if unknown > 0 && !s.fuse {
			ids = append(ids, s.unknown)
		}
		unknown++
	}
	if unknown > 0 {
		ids = append(ids, s.unknown)
	}
	for {
		at, rank := -1, len(s.merges)
		for i := 1; i < len(ids); i++ {
			if r := slices.IndexFunc(s.merges, func(m merge) bool { return m.left == ids[i-1] && m.right == ids[i] }); r >= 0 && r < rank {
				at, rank = i-1, r
			}
		}
		if at < 0 {
			return ids
		}
		ids = slices.Replace(ids, at, at+2, s.merges[rank].id)
	}
}
