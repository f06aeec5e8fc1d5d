package score

import (
	"math"
	"regexp"
	"slices"
	"strings"
)

// METEOR's parameters for English, from version 1.5's default task, ranking (Denkowski
// and Lavie 2014, section 2.2).
const (
	meteorAlpha = 0.85 // weight of recall relative to precision
	meteorBeta  = 0.20 // exponent of fragmentation
	meteorGamma = 0.60 // largest penalty for fragmentation

	// Weights of words in twentieths, so that sums are exact: a content word has delta =
	// 0.75, a function word 1 - delta; a match of stems counts 0.6 of the word's weight.
	meteorContent, meteorFunction   = 15, 5
	meteorStemShare, meteorStemBase = 3, 5
)

// meteorFunctionWords are the words of lower weight: version 1.5's list of the most
// frequent words of English news text, with punctuation.
var meteorFunctionWords = func() map[string]bool {
	set := map[string]bool{}
	for _, w := range strings.Fields(`a about after all also an and are as at be been but by can could first for from had has have
		he her his i if in into is it its last more new no not of on one or other out over people s said she so some
		than that the their there they this time to two up was we were what when which who will with would year years you
		's 't -lrb- -rrb- , . " ’ ) ( : $ - “ ” -- ? — '`) {
		set[w] = true
	}
	return set
}()

// meteor sums up a corpus for METEOR with two of its four stages: exact and stem.
// The others need WordNet and a table of paraphrases.
type meteor struct {
	known map[string][]meteorWord // by word of a caption
	sum   meteorCounts
}

// meteorWord is a word with its stem.
type meteorWord struct{ word, stem string }

func (w meteorWord) weight() int {
	if meteorFunctionWords[w.word] {
		return meteorFunction
	}
	return meteorContent
}

// meteorCounts are the statistics of an aligned pair, or sums of them.
type meteorCounts struct {
	hypLength, refLength   int // weights of all words
	hypMatched, refMatched int // weights of the words that are aligned
	matches                int // words of each side that are aligned
	chunks                 int // runs of matches that follow each other on both sides; 0 if there is only one
}

// add counts a segment, in words of captions: the hypothesis with its best-scoring
// reference, or the first of several.
func (s *meteor) add(hyp []string, refs [][]string) {
	h := s.words(hyp)
	best := countMeteor(h, s.words(refs[0]))
	for _, ref := range refs[1:] {
		if c := countMeteor(h, s.words(ref)); c.score() > best.score() {
			best = c
		}
	}
	s.sum.hypLength += best.hypLength
	s.sum.refLength += best.refLength
	s.sum.hypMatched += best.hypMatched
	s.sum.refMatched += best.refMatched
	s.sum.matches += best.matches
	s.sum.chunks += best.chunks
}

// score returns METEOR from these sums over segments (equations 1 to 4 of the paper).
func (c meteorCounts) score() float64 {
	if c.matches == 0 {
		return 0
	}
	precision := float64(c.hypMatched) / float64(c.hypLength)
	recall := float64(c.refMatched) / float64(c.refLength)
	mean := 1 / ((1-meteorAlpha)/precision + meteorAlpha/recall)
	return mean * (1 - meteorGamma*math.Pow(float64(c.chunks)/float64(c.matches), meteorBeta))
}

// countMeteor aligns a hypothesis with a reference and counts.
func countMeteor(hyp, ref []meteorWord) meteorCounts {
	var c meteorCounts
	for _, w := range hyp {
		c.hypLength += w.weight()
	}
	for _, w := range ref {
		c.refLength += w.weight()
	}
	last := -2 // place in the hypothesis matched by the previous word; -2 for none
	for j, m := range align(hyp, ref, meteorMatches(hyp, ref)) {
		if m < 0 {
			last = -2
			continue
		}
		share := meteorStemBase
		if hyp[m].word != ref[j].word {
			share = meteorStemShare
		}
		c.hypMatched += hyp[m].weight() * share / meteorStemBase
		c.refMatched += ref[j].weight() * share / meteorStemBase
		c.matches++
		if m != last+1 {
			c.chunks++
		}
		last = m
	}
	if c.chunks == 1 && c.matches == len(hyp) && c.matches == len(ref) {
		c.chunks = 0
	}
	return c
}

// meteorMatches returns, for each word of a reference, the places of the same word in
// the hypothesis. Unless the texts are equal, the places of other words with the same
// stem follow.
func meteorMatches(hyp, ref []meteorWord) [][]int {
	matches := make([][]int, len(ref))
	same := slices.Equal(hyp, ref)
	for j, r := range ref {
		for i, h := range hyp {
			if h.word == r.word {
				matches[j] = append(matches[j], i)
			}
		}
		for i, h := range hyp {
			if !same && h.stem == r.stem && h.word != r.word {
				matches[j] = append(matches[j], i)
			}
		}
	}
	return matches
}

// words splits the words of captions further, as METEOR does. A full stop at the end of
// a word becomes a word, unless a lower-case letter follows or the word is an
// abbreviation.
func (s *meteor) words(caption []string) []meteorWord {
	var words []meteorWord
	for _, c := range caption {
		w, ok := s.known[c]
		if !ok {
			for _, part := range meteorParts(c) {
				w = append(w, meteorWord{part, stem(part)})
			}
			s.keep(c, w)
		}
		words = append(words, w...)
	}
	return meteorStops(words)
}

func (s *meteor) keep(caption string, words []meteorWord) {
	if len(caption) > keptPiece {
		return
	}
	if s.known == nil || len(s.known) == keptPieces {
		s.known = map[string][]meteorWord{}
	}
	s.known[caption] = words
}

// meteorAbbreviations keep their full stop, here in lower case; pp only before a number.
var meteorAbbreviations = []string{"v", "vs", "rev", "pp"}

func meteorStops(words []meteorWord) []meteorWord {
	var out []meteorWord
	for i, w := range words {
		body, stop := strings.CutSuffix(w.word, ".")
		next := byte(0)
		if i+1 < len(words) {
			next = words[i+1].word[0]
		}
		switch {
		case !stop || body == "":
			out = append(out, w)
		case strings.Contains(body, ".") && meteorLetter.MatchString(body):
			whole := strings.ReplaceAll(body, ".", "")
			out = append(out, meteorWord{whole, stem(whole)})
		case next >= 'a' && next <= 'z', slices.Contains(meteorAbbreviations, body) && (body != "pp" || isDigit(next)):
			out = append(out, w)
		default:
			out = append(out, meteorWord{body, stem(body)}, meteorWord{".", "."})
		}
	}
	return out
}

// METEOR's letters are the Western European and Cyrillic ones.
const meteorLetters = `A-Za-zÀ-ÖØ-öø-žЀ-ԧ`

var meteorLetter = regexp.MustCompile(`[` + meteorLetters + `]`)

// meteorRules are the steps of METEOR's normaliser that cut words; each goes once over a
// word between spaces, from left to right without overlap.
var meteorRules = func() []meteorRule {
	const letter, digit = meteorLetters, `0-9`
	var rules []meteorRule
	for _, r := range [][2]string{
		{`([^` + digit + letter + "\\s.'`,\\-‘’])", ` $1 `},
		{`([^0-9]),([^0-9])`, `$1 , $2`}, {`([0-9]),([^0-9])`, `$1 , $2`}, {`([^0-9]),([0-9])`, `$1 , $2`},
		{"[`‘’]", `'`}, {`[“”]|''`, ` " `}, {`–`, `-`}, {`--`, `-`},
		{`([` + digit + letter + `.])-([` + digit + letter + `])`, `$1 $2`},
		{`([^` + letter + `])'([^` + letter + `])`, `$1 ' $2`}, {`([^` + letter + digit + `])'([` + letter + `])`, `$1 ' $2`},
		{`([` + letter + `])'([^` + letter + `])`, `$1 ' $2`}, {`([` + letter + `])'([` + letter + `])`, `$1 '$2`},
		{`([0-9])'(s)`, `$1 '$2`},
	} {
		rules = append(rules, meteorRule{regexp.MustCompile(r[0]), strings.NewReplacer("$1", "${1}", "$2", "${2}").Replace(r[1])})
	}
	return rules
}()

type meteorRule struct {
	from *regexp.Regexp
	to   string
}

func meteorParts(word string) []string {
	word = " " + word + " "
	for _, r := range meteorRules {
		word = r.from.ReplaceAllString(word, r.to)
	}
	return strings.Fields(word)
}
