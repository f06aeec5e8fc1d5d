package score

import (
	"strings"
	"unicode"
)

// lower returns s in lower case as Python does it, by the full mapping of the
// Unicode standard (section 3.13). strings.ToLower maps letter by letter; here a
// capital dotted I becomes two code points, and a capital sigma at the end of a
// word becomes the final sigma.
func lower(s string) string {
	if !strings.ContainsAny(s, "İΣ") {
		return strings.ToLower(s)
	}
	runes := []rune(s)
	var b strings.Builder
	b.Grow(len(s) + 8)
	for i, r := range runes {
		switch {
		case r == 'İ':
			b.WriteString("i\u0307")
		case r == 'Σ' && endsWord(runes, i):
			b.WriteRune('ς')
		default:
			b.WriteRune(unicode.ToLower(r))
		}
	}
	return b.String()
}

// endsWord is the standard's condition Final_Sigma: a cased letter before and none
// after; marks without case are skipped.
func endsWord(runes []rune, at int) bool {
	i := at - 1
	for i >= 0 && caseIgnorable(runes[i]) {
		i--
	}
	if i < 0 || !cased(runes[i]) {
		return false
	}
	i = at + 1
	for i < len(runes) && caseIgnorable(runes[i]) {
		i++
	}
	return i == len(runes) || !cased(runes[i])
}

func cased(r rune) bool {
	return unicode.In(r, unicode.Lu, unicode.Ll, unicode.Lt, unicode.Other_Lowercase, unicode.Other_Uppercase)
}

// midWord are the apostrophes, colons and points that do not end a word
// (Word_Break MidLetter, MidNumLet and Single_Quote).
const midWord = "'.:·\u0387\u055f\u05f4‘’\u2024\u2027\ufe13\ufe52\ufe55＇．："

func caseIgnorable(r rune) bool {
	return unicode.In(r, unicode.Mn, unicode.Me, unicode.Cf, unicode.Lm, unicode.Sk) || strings.ContainsRune(midWord, r)
}
