package score

import "slices"

// lexicon numbers the words and n-grams of a whole corpus.
type lexicon struct {
	words symbols
	ids   []map[uint64]int32 // by order less one: (number of the first n-1 words, last word) → number
	// prefixes has the number of the first n-1 words, by order less one and number.
	prefixes [][]int32
}

func newLexicon(orders int) *lexicon {
	l := &lexicon{words: symbols{}, prefixes: make([][]int32, orders)}
	for range orders {
		l.ids = append(l.ids, map[uint64]int32{})
	}
	return l
}

// grams returns the numbers of a text's n-grams, by order less one and place.
func (l *lexicon) grams(words []string) [][]int32 {
	text := l.words.number(nil, words)
	grams := make([][]int32, len(l.ids))
	for n, ids := range l.ids {
		for i := range ngrams(len(text), n+1) {
			prefix := int32(0)
			if n > 0 {
				prefix = grams[n-1][i]
			}
			k := key(prefix, text[i+n])
			id, ok := ids[k]
			if !ok {
				id = int32(len(ids))
				ids[k] = id
				l.prefixes[n] = append(l.prefixes[n], prefix)
			}
			grams[n] = append(grams[n], id)
		}
	}
	return grams
}

// gram returns the number of a word as an n-gram, -1 if the corpus lacks it.
func (l *lexicon) gram(word string) int32 {
	if symbol, ok := l.words[word]; ok {
		if id, ok := l.ids[0][key(0, symbol)]; ok {
			return id
		}
	}
	return -1
}

// gram is an n-gram with its count in a text.
type gram struct{ id, count int32 }

// counted sorts ids and returns the distinct n-grams with their counts.
func counted(ids []int32) []gram {
	slices.Sort(ids)
	var grams []gram
	for _, id := range ids {
		if n := len(grams); n > 0 && grams[n-1].id == id {
			grams[n-1].count++
		} else {
			grams = append(grams, gram{id, 1})
		}
	}
	return grams
}
