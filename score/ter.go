package score

import (
	"fmt"
	"strings"
	"unicode"
)

// TEROptions are the settings of TER. The zero value is Tercom's default.
type TEROptions struct {
	Normalized    bool // cut punctuation off words
	NoPunct       bool // delete punctuation
	AsianSupport  bool // treat Chinese and Japanese punctuation too; with Normalized, characters are words
	CaseSensitive bool
}

// TER is the translation edit rate (Snover et al., "A Study of Translation Edit Rate with
// Targeted Human Annotation", AMTA 2006): the insertions, deletions and replacements of
// words, and shifts of runs of words, that turn the hypothesis into a reference, over the
// length of the reference. With several references it is the fewest edits over the mean
// length.
type TER struct {
	o TEROptions
	corpus
	edits     int
	refLength float64

	words    symbols
	hyp, ref []int32
	search   shiftSearch
}

// TERDetails holds the sums from which TER is computed.
type TERDetails struct {
	Edits     int     `json:"num_edits"`
	RefLength float64 `json:"ref_length"` // words, mean over the references of a segment
}

// String formats d for people.
func (d TERDetails) String() string {
	return fmt.Sprintf("(num_edits = %d ref_length = %.2f)", d.Edits, d.RefLength)
}

// NewTER returns a metric without segments.
func NewTER(o TEROptions) *TER { return &TER{o: o, words: symbols{}} }

// Reset forgets the segments.
func (t *TER) Reset() { t.corpus, t.edits, t.refLength = corpus{}, 0, 0 }

// Add counts a segment; see Metric.
func (t *TER) Add(hypothesis string, references ...string) {
	t.corpus.add(len(references))
	clear(t.words)
	t.hyp = t.words.number(t.hyp[:0], fields(t.o.prepare(hypothesis)))
	least, length := -1, 0
	for _, reference := range references {
		// Twice, as in sacreBLEU: one pass does not always cut off all punctuation.
		reference = t.o.prepare(t.o.prepare(reference))
		t.ref = t.words.number(t.ref[:0], fields(reference))
		length += len(t.ref)
		if n := t.search.edits(t.hyp, t.ref); least < 0 || n < least {
			least = n
		}
	}
	t.edits += least
	t.refLength += float64(length) / float64(len(references))
}

// Result returns the TER of the segments added so far. If the references have no words
// but the hypotheses do, it is 100.
func (t *TER) Result() Result {
	score := 0.0
	switch {
	case t.refLength > 0:
		score = 100 * (float64(t.edits) / t.refLength)
	case t.edits > 0:
		score = 100
	}
	return Result{
		Name: "TER", Score: score, Segments: t.segments, Details: TERDetails{t.edits, t.refLength},
		Signature: t.signature("case:"+caseOf(!t.o.CaseSensitive), "tok:tercom", "norm:"+yesNo(t.o.Normalized),
			"punct:"+yesNo(!t.o.NoPunct), "asian:"+yesNo(t.o.AsianSupport)),
	}
}

// prepare normalises a text as Tercom does.
func (o TEROptions) prepare(s string) string {
	s = trimRight(s)
	if s == "" {
		return ""
	}
	if !o.CaseSensitive {
		s = lower(s)
	}
	if o.Normalized {
		s = splitPunctuation(" " + unescape(joinLines(s, "\n-")) + " ")
		s = splitNumbers(strings.ReplaceAll(s, "'s ", " 's "))
		if o.AsianSupport {
			s = spaceAround(s, func(r rune) bool { return unicode.In(r, asian, asianPunctuation) })
		}
	}
	if o.NoPunct {
		s = strings.Map(func(r rune) rune {
			if strings.ContainsRune(`.,?:;!"()`, r) || o.AsianSupport && unicode.Is(asianPunctuation, r) {
				return -1
			}
			return r
		}, s)
	}
	return strings.Join(fields(s), " ")
}

// asian are the characters that are words by themselves. Tercom's rule for kana is
// not here: in sacreBLEU it never applies.
var asian = &unicode.RangeTable{R16: []unicode.Range16{
	{0x2e80, 0x2eff, 1}, // radicals
	{0x31c0, 0x31ef, 1}, // strokes
	{0x3200, 0x4dbf, 1}, // enclosed and square characters, extension A
	{0x4e00, 0x9fff, 1}, // unified ideographs
	{0xf900, 0xfaff, 1}, // compatibility ideographs
	{0xfe30, 0xfe4f, 1}, // compatibility forms
}}

// asianPunctuation has Chinese and Japanese marks, and full-width Latin ones.
var asianPunctuation = &unicode.RangeTable{R16: []unicode.Range16{
	{0x3001, 0x3002, 1},
	{0x3008, 0x3011, 1},
	{0x3014, 0x301f, 1},
	{0x30fb, 0x30fb, 1},
	{0xff01, 0xff02, 1},
	{0xff08, 0xff09, 1},
	{0xff0c, 0xff0c, 1},
	{0xff0e, 0xff0e, 1},
	{0xff1a, 0xff1b, 1},
	{0xff1f, 0xff1f, 1},
	{0xff61, 0xff65, 1},
}}
