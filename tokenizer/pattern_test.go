package tokenizer

import (
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/dlclark/regexp2/v2"
)

// Word patterns of published models.
const (
	llama3Words = `(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+`
	qwenWords   = `(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+`
	tekkenWords = `[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]*[\p{Ll}\p{Lm}\p{Lo}\p{M}]+|[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]+[\p{Ll}\p{Lm}\p{Lo}\p{M}]*|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n/]*|\s*[\r\n]+|\s+(?!\S)|\s+`
	gpt4oWords  = `[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]*[\p{Ll}\p{Lm}\p{Lo}\p{M}]+(?i:'s|'t|'re|'ve|'m|'ll|'d)?|[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]+[\p{Ll}\p{Lm}\p{Lo}\p{M}]*(?i:'s|'t|'re|'ve|'m|'ll|'d)?|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n/]*|\s*[\r\n]+|\s+(?!\S)|\s+`
)

// everyPattern returns patterns in which each spelling of each alternative occurs.
func everyPattern() []string {
	list := []string{llama3Words, qwenWords, tekkenWords, gpt4oWords, wordPatterns[0], wordPatterns[1]}
	for slot, of := range alternatives {
		for i := range of {
			text := ""
			for k, others := range alternatives {
				n := i % len(others)
				if k != slot {
					n = (i + k) % len(others)
				}
				text += others[n].text
			}
			list = append(list, text)
		}
	}
	slices.Sort(list)
	return slices.Compact(list)
}

// oracle cuts text by the regular expression itself.
type oracle struct{ *regexp2.Regexp }

func newOracle(t testing.TB, pattern string) oracle {
	t.Helper()
	// The library does not know that ſ is an s in any case.
	pattern = strings.NewReplacer(`(?i:'s|'t|'re|'ve|'m|'ll|'d)`, `(?:'[sSſ]|'[tT]|'[rR][eE]|'[vV][eE]|'[mM]|'[lL][lL]|'[dD])`,
		`(?i:[sdmt]|ll|ve|re)`, `(?:[sdmtSDMTſ]|[lL][lL]|[vV][eE]|[rR][eE])`, `?+`, `?`, `++`, `+`).Replace(pattern)
	re, err := regexp2.Compile(pattern)
	if err != nil {
		t.Fatal(err)
	}
	return oracle{re}
}

func (o oracle) words(t testing.TB, text string) (list []string) {
	t.Helper()
	at := 0
	m, err := o.FindStringMatch(text)
	for ; m != nil && err == nil; m, err = o.FindNextMatch(m) {
		if !strings.HasPrefix(text[at:], m.String()) {
			t.Fatalf("the match %q is not at %q", m, text[at:])
		}
		at += len(m.String())
		list = append(list, m.String())
	}
	if err != nil || at != len(text) {
		t.Fatalf("%q is matched up to %d, %v", text, at, err)
	}
	return list
}

// nasty are what the texts of these tests are made of, besides the usual: letters in every case, line ends, marks.
var nasty = slices.Concat(pieces, []string{"S", "LL", "Re", "ſ", "'", "\n", "\r", "\r\n", "/", " ", "  ", "\n\n", "ABC", "aBc", "ǅ", "ʰ", "\u0301", "\u0903", "日本", "ß", "9", "123", "Ⅷ", "²"})

func nastyText(r *rand.Rand, n int) string {
	var s strings.Builder
	for range r.IntN(n) {
		s.WriteString(nasty[r.IntN(len(nasty))])
	}
	return s.String()
}

// TestPatterns compares with a library of regular expressions, on a text as a whole and in parts.
func TestPatterns(t *testing.T) {
	t.Parallel()
	n := 2000
	if testing.Short() {
		n = 300
	}
	for i, pattern := range everyPattern() {
		s, err := parsePattern(pattern)
		if err != nil {
			t.Fatal(err)
		}
		o, r := newOracle(t, pattern), rand.New(rand.NewPCG(21, uint64(i)))
		for range n {
			text := nastyText(r, 20)
			if !utf8.ValidString(text) { // which the library does not take
				text = strings.ToValidUTF8(text, "\ufffd")
			}
			want := o.words(t, text)
			if got := fastWords(t, s, []byte(text)); !slices.Equal(got, want) {
				t.Fatalf("%q by %s: got %q, want %q", text, pattern, got, want)
			}
			part, _, err := wordsOf(s, []byte(text)[:r.IntN(len(text)+1)], false)
			if err != nil || len(part) > len(want) || !slices.Equal(part, want[:len(part)]) {
				t.Fatalf("%q by %s: %q of a part, %v, %q of the whole", text, pattern, part, err, want)
			}
		}
	}
}

func TestPatternsRefused(t *testing.T) {
	t.Parallel()
	for _, pattern := range []string{``, `\s+`, llama3Words + `|x`, strings.TrimSuffix(llama3Words, `|\s+`), strings.Replace(llama3Words, `{1,3}`, `{1,2}`, 1),
		`x|` + llama3Words, strings.Repeat("(", 1000)} {
		if s, err := parsePattern(pattern); err == nil || s != nil || len(err.Error()) > 400 {
			t.Errorf("%q: %v, %v", pattern, s, err)
		}
	}
}

func FuzzPattern(f *testing.F) {
	f.Add("I'LL  go\n \n1234st, don'ſ!\u3000 \u0301ABcd日A/\n", uint8(0), uint8(9))
	all := everyPattern()
	f.Fuzz(func(t *testing.T, text string, which, cut uint8) {
		pattern := all[int(which)%len(all)]
		s, err := parsePattern(pattern)
		if err != nil {
			t.Fatal(err)
		}
		text = strings.ToValidUTF8(text, "\ufffd")
		want := newOracle(t, pattern).words(t, text)
		if got := fastWords(t, s, []byte(text)); !slices.Equal(got, want) {
			t.Fatalf("%q by %s: got %q, want %q", text, pattern, got, want)
		}
		part, _, err := wordsOf(s, []byte(text)[:min(len(text), int(cut))], false)
		if err != nil || len(part) > len(want) || !slices.Equal(part, want[:len(part)]) {
			t.Fatalf("%q by %s: %q of a part, %v, %q of the whole", text, pattern, part, err, want)
		}
	})
}
