package score

import (
	"slices"
	"strings"
)

// stem returns the stem of a word by Snowball's English stemmer ("Porter2"): M. Porter,
// "An algorithm for suffix stripping", Program 14(3), 1980, as revised in the Snowball
// project. The word is in lower case.
func stem(word string) string {
	if len([]rune(word)) <= 2 {
		return word
	}
	word = strings.TrimPrefix(word, "'")
	if s, ok := stemExceptions[word]; ok {
		return s
	}
	w := stemmer{word: []rune(word)}
	w.markConsonants()
	w.markRegions()
	w.possessive()
	w.plural()
	if !slices.Contains(stemsAsTheyAre, string(w.word)) {
		w.past()
		w.finalY()
		w.replace(stemStep2, w.r1)
		w.replace(stemStep3, w.r1)
		w.replace(stemStep4, w.r2)
		w.finalEL()
	}
	return strings.ReplaceAll(string(w.word), "Y", "y")
}

var stemExceptions = map[string]string{
	"skis": "ski", "skies": "sky", "dying": "die", "lying": "lie", "tying": "tie",
	"idly": "idl", "gently": "gentl", "ugly": "ugli", "early": "earli", "only": "onli", "singly": "singl",
	"sky": "sky", "news": "news", "howe": "howe", "atlas": "atlas", "cosmos": "cosmos", "bias": "bias", "andes": "andes",
}

// stemsAsTheyAre are words that only look like participles or other forms: they are
// their own stems.
var stemsAsTheyAre = []string{"inning", "outing", "canning", "herring", "earring", "proceed", "exceed", "succeed"}

// stemmer is a word that is being stemmed. The region R1 starts after the first
// consonant that follows a vowel, and R2 in the same way within R1; r1 and r2 are their
// offsets.
type stemmer struct {
	word   []rune // with Y for a y that is a consonant
	r1, r2 int
}

func isVowel(r rune) bool { return strings.ContainsRune("aeiouy", r) }

func (w *stemmer) markConsonants() {
	for i, r := range w.word {
		if r == 'y' && (i == 0 || isVowel(w.word[i-1])) {
			w.word[i] = 'Y'
		}
	}
}

func (w *stemmer) markRegions() {
	w.r1 = w.region(0)
	for _, p := range [...]string{"gener", "commun", "arsen"} {
		if strings.HasPrefix(string(w.word), p) {
			w.r1 = len(p)
		}
	}
	w.r2 = w.region(w.r1)
}

// region returns the offset after the first consonant that follows a vowel.
func (w *stemmer) region(from int) int {
	for i := from + 1; i < len(w.word); i++ {
		if !isVowel(w.word[i]) && isVowel(w.word[i-1]) {
			return i + 1
		}
	}
	return len(w.word)
}

func (w *stemmer) ends(suffix string) bool {
	s := []rune(suffix)
	return len(w.word) >= len(s) && slices.Equal(w.word[len(w.word)-len(s):], s)
}

// longest returns the first suffix that the word ends with, or "". List suffixes from
// long to short.
func (w *stemmer) longest(suffixes ...string) string {
	for _, s := range suffixes {
		if w.ends(s) {
			return s
		}
	}
	return ""
}

func (w *stemmer) swap(suffix, by string) {
	w.word = append(w.word[:len(w.word)-len(suffix)], []rune(by)...)
}

func (w *stemmer) drop(suffix string) { w.swap(suffix, "") }

// at returns the i-th character from the end, so at(1) is the last; 0 if the word is
// too short.
func (w *stemmer) at(i int) rune {
	if i > len(w.word) {
		return 0
	}
	return w.word[len(w.word)-i]
}

// vowelBefore reports whether there is a vowel before the last n characters.
func (w *stemmer) vowelBefore(n int) bool {
	return len(w.word) > n && slices.ContainsFunc(w.word[:len(w.word)-n], isVowel)
}

// shortSyllable reports whether the word without its last n characters ends in a short
// syllable: a vowel and a consonant at the start of the word, or a consonant, a vowel,
// and a consonant other than w, x, Y.
func (w *stemmer) shortSyllable(n int) bool {
	a, b, c := w.at(n+3), w.at(n+2), w.at(n+1)
	if b == 0 || !isVowel(b) || isVowel(c) {
		return false
	}
	return a == 0 || !isVowel(a) && !strings.ContainsRune("wxY", c)
}

func (w *stemmer) possessive() { w.drop(w.longest("'s'", "'s", "'")) }

func (w *stemmer) plural() {
	switch s := w.longest("sses", "ied", "ies", "us", "ss", "s"); s {
	case "sses":
		w.swap(s, "ss")
	case "ied", "ies":
		if len(w.word) > 4 {
			w.swap(s, "i")
		} else {
			w.swap(s, "ie")
		}
	case "s":
		if w.vowelBefore(2) {
			w.drop(s)
		}
	}
}

func (w *stemmer) past() {
	s := w.longest("eedly", "ingly", "edly", "eed", "ing", "ed")
	switch {
	case s == "eed" || s == "eedly":
		if len(w.word)-len(s) >= w.r1 {
			w.swap(s, "ee")
		}
		return
	case s == "" || !w.vowelBefore(len(s)):
		return
	}
	w.drop(s)
	switch last := w.at(1); {
	case w.longest("at", "bl", "iz") != "":
		w.word = append(w.word, 'e')
	case last == w.at(2) && strings.ContainsRune("bdfgmnprt", last):
		w.word = w.word[:len(w.word)-1]
	case len(w.word) <= w.r1 && w.shortSyllable(0):
		w.word = append(w.word, 'e')
	}
}

func (w *stemmer) finalY() {
	if last := w.at(1); (last == 'y' || last == 'Y') && len(w.word) > 2 && !isVowel(w.at(2)) {
		w.word[len(w.word)-1] = 'i'
	}
}

// stemRule replaces a suffix; after lists the characters that may stand before it
// (empty: any); inR2 requires the suffix to lie in R2, not only in R1.
type stemRule struct {
	suffix, by string
	after      string
	inR2       bool
}

// The rules of a step go from long to short. The first with a suffix that the word has
// is the only one tried, even if its condition then fails.
var stemStep2 = []stemRule{
	{suffix: "ational", by: "ate"}, {suffix: "fulness", by: "ful"}, {suffix: "iveness", by: "ive"}, {suffix: "ization", by: "ize"},
	{suffix: "ousness", by: "ous"}, {suffix: "biliti", by: "ble"}, {suffix: "lessli", by: "less"}, {suffix: "tional", by: "tion"},
	{suffix: "alism", by: "al"}, {suffix: "aliti", by: "al"}, {suffix: "ation", by: "ate"}, {suffix: "entli", by: "ent"},
	{suffix: "fulli", by: "ful"}, {suffix: "iviti", by: "ive"}, {suffix: "ousli", by: "ous"}, {suffix: "abli", by: "able"},
	{suffix: "alli", by: "al"}, {suffix: "anci", by: "ance"}, {suffix: "ator", by: "ate"}, {suffix: "enci", by: "ence"},
	{suffix: "izer", by: "ize"}, {suffix: "bli", by: "ble"}, {suffix: "ogi", by: "og", after: "l"}, {suffix: "li", after: "cdeghkmnrt"},
}

var stemStep3 = []stemRule{
	{suffix: "ational", by: "ate"}, {suffix: "tional", by: "tion"}, {suffix: "alize", by: "al"}, {suffix: "ative", inR2: true},
	{suffix: "icate", by: "ic"}, {suffix: "iciti", by: "ic"}, {suffix: "ical", by: "ic"}, {suffix: "ness"}, {suffix: "ful"},
}

var stemStep4 = []stemRule{
	{suffix: "ement"}, {suffix: "able"}, {suffix: "ance"}, {suffix: "ence"}, {suffix: "ible"}, {suffix: "ment"},
	{suffix: "ant"}, {suffix: "ate"}, {suffix: "ent"}, {suffix: "ion", after: "st"}, {suffix: "ism"}, {suffix: "iti"},
	{suffix: "ive"}, {suffix: "ize"}, {suffix: "ous"}, {suffix: "al"}, {suffix: "er"}, {suffix: "ic"},
}

func (w *stemmer) replace(rules []stemRule, region int) {
	i := slices.IndexFunc(rules, func(r stemRule) bool { return w.ends(r.suffix) })
	if i < 0 {
		return
	}
	r := rules[i]
	from := len(w.word) - len(r.suffix)
	if from < region || r.inR2 && from < w.r2 {
		return
	}
	if r.after == "" || from > 0 && strings.ContainsRune(r.after, w.word[from-1]) {
		w.swap(r.suffix, r.by)
	}
}

func (w *stemmer) finalEL() {
	from := len(w.word) - 1
	switch {
	case w.ends("e") && (from >= w.r2 || from >= w.r1 && !w.shortSyllable(1)), w.ends("ll") && from >= w.r2:
		w.word = w.word[:from]
	}
}
