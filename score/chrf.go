package score

import (
	"fmt"
	"strings"
	"unicode/utf8"
)

// maxOrder is the longest n-gram that chrF allows.
const maxOrder = 32

// CHRFOptions are the settings of chrF.
type CHRFOptions struct {
	CharOrder  int // longest n-gram of characters
	WordOrder  int // longest n-gram of words: 0 is chrF, 2 is chrF++
	Beta       int // weight of recall relative to precision
	Lowercase  bool
	Whitespace bool // count white space as characters
	// EpsSmoothing averages the F-scores of all orders, like chrF++.py, Moses and
	// NLTK. Without it precision and recall are averaged, over the orders that both
	// texts are long enough for.
	EpsSmoothing bool
}

// DefaultCHRF returns the settings of published chrF scores; chrF++ has WordOrder 2.
func DefaultCHRF() CHRFOptions { return CHRFOptions{CharOrder: 6, Beta: 2} }

// Validate returns an ErrOptions if o makes no sense.
func (o CHRFOptions) Validate() error {
	switch {
	case o.CharOrder < 1 || o.CharOrder > maxOrder:
		return fmt.Errorf("%w: n-grams of %d characters; give 1 to %d", ErrOptions, o.CharOrder, maxOrder)
	case o.WordOrder < 0 || o.WordOrder > maxOrder:
		return fmt.Errorf("%w: n-grams of %d words; give 0 to %d", ErrOptions, o.WordOrder, maxOrder)
	case o.Beta < 1 || o.Beta > 1000:
		return fmt.Errorf("%w: beta %d; give 1 to 1000", ErrOptions, o.Beta)
	}
	return nil
}

// CHRF is chrF (Popović, "chrF: character n-gram F-score for automatic MT
// evaluation", WMT 2015) and chrF++ ("chrF++: words helping character n-grams",
// WMT 2017).
type CHRF struct {
	o CHRFOptions
	corpus
	sums []match // by order: characters, then words

	words                symbols
	hyp, ref             chrfText
	counter              counter
	matched              []int
	segment, bestSegment []match
}

// match counts the n-grams of one order: in the hypothesis, in the reference, in
// both.
type match struct{ hyp, ref, both int }

// chrfText is one text of a segment.
type chrfText struct{ chars, words []int32 }

// CHRFDetails holds precision and recall, in percent, averaged over the orders.
type CHRFDetails struct {
	Precision float64 `json:"precision"`
	Recall    float64 `json:"recall"`
}

// String formats d for people.
func (d CHRFDetails) String() string {
	return fmt.Sprintf("(precision = %.2f recall = %.2f)", d.Precision, d.Recall)
}

// NewCHRF returns a metric without segments, or an ErrOptions.
func NewCHRF(o CHRFOptions) (*CHRF, error) {
	if err := o.Validate(); err != nil {
		return nil, err
	}
	orders := o.CharOrder + o.WordOrder
	return &CHRF{
		o: o, words: symbols{}, sums: make([]match, orders), matched: make([]int, orders),
		segment: make([]match, orders), bestSegment: make([]match, orders),
	}, nil
}

// Reset forgets the segments.
func (c *CHRF) Reset() {
	c.corpus = corpus{}
	clear(c.sums)
}

// Add counts a segment; see Metric. With several references, the best score counts.
func (c *CHRF) Add(hypothesis string, references ...string) {
	c.corpus.add(len(references))
	clear(c.words)
	c.read(&c.hyp, hypothesis)
	best := -1.0
	for _, reference := range references {
		c.read(&c.ref, reference)
		c.compare()
		if score, _ := chrf(c.segment, c.o); score > best {
			best = score
			copy(c.bestSegment, c.segment)
		}
	}
	for i, m := range c.bestSegment {
		c.sums[i].hyp += m.hyp
		c.sums[i].ref += m.ref
		c.sums[i].both += m.both
	}
}

func (c *CHRF) read(t *chrfText, s string) {
	if c.o.Lowercase {
		s = lower(s)
	}
	t.chars, t.words = t.chars[:0], t.words[:0]
	for _, r := range s {
		if c.o.Whitespace || !isSpace(r) {
			t.chars = append(t.chars, r)
		}
	}
	if c.o.WordOrder > 0 {
		t.words = c.words.number(t.words, chrfWords(s))
	}
}

// chrfWords splits a text at white space and takes one punctuation mark off each
// word: the last character if it is punctuation, else the first.
func chrfWords(s string) []string {
	var words []string
	for _, w := range fields(s) {
		last := len(w) - 1
		switch {
		case utf8.RuneCountInString(w) == 1:
			words = append(words, w)
		case isPunctuation(w[last]):
			words = append(words, w[:last], w[last:])
		case isPunctuation(w[0]):
			words = append(words, w[:1], w[1:])
		default:
			words = append(words, w)
		}
	}
	return words
}

func isPunctuation(c byte) bool { return c > ' ' && c <= '~' && !isAlphanumeric(c) }

// compare counts the n-grams of hypothesis and reference. Orders longer than the
// reference count nothing.
func (c *CHRF) compare() {
	chars := c.o.CharOrder
	c.counter.matches(c.matched[:chars], c.hyp.chars, c.ref.chars)
	c.counter.matches(c.matched[chars:], c.hyp.words, c.ref.words)
	for i := range c.segment {
		n, hyp, ref := i+1, len(c.hyp.chars), len(c.ref.chars)
		if i >= chars {
			n, hyp, ref = i-chars+1, len(c.hyp.words), len(c.ref.words)
		}
		m := match{hyp: ngrams(hyp, n), ref: ngrams(ref, n), both: c.matched[i]}
		if m.ref == 0 {
			m.hyp = 0
		}
		c.segment[i] = m
	}
}

// Result is the chrF of the segments added so far.
func (c *CHRF) Result() Result {
	score, d := chrf(c.sums, c.o)
	return Result{
		Name:  fmt.Sprintf("chrF%d%s", c.o.Beta, strings.Repeat("+", c.o.WordOrder)),
		Score: score, Segments: c.segments, Details: d,
		Signature: c.signature("case:"+caseOf(c.o.Lowercase), "eff:"+yesNo(!c.o.EpsSmoothing),
			fmt.Sprintf("nc:%d|nw:%d", c.o.CharOrder, c.o.WordOrder), "space:"+yesNo(c.o.Whitespace)),
	}
}

// chrf computes (1 + beta^2) P R / (beta^2 P + R) of the mean precision P and recall
// R, or, with EpsSmoothing, the mean of this score over the orders.
func chrf(orders []match, o CHRFOptions) (float64, CHRFDetails) {
	const eps = 1e-16
	beta2 := float64(o.Beta * o.Beta)
	var precision, recall, scores float64
	counted := 0
	for _, m := range orders {
		p, r := eps, eps
		if m.hyp > 0 {
			p = float64(m.both) / float64(m.hyp)
		}
		if m.ref > 0 {
			r = float64(m.both) / float64(m.ref)
		}
		if m.hyp > 0 && m.ref > 0 {
			precision, recall = precision+p, recall+r
			counted++
		}
		scores += fScore(p, r, beta2, eps)
	}
	if counted > 0 {
		precision, recall = precision/float64(counted), recall/float64(counted)
	}
	d := CHRFDetails{100 * precision, 100 * recall}
	if o.EpsSmoothing {
		return 100 * scores / float64(len(orders)), d
	}
	return 100 * fScore(precision, recall, beta2, 0), d
}

// fScore returns the weighted harmonic mean of p and r; if both are 0, it returns
// otherwise.
func fScore(p, r, beta2, otherwise float64) float64 {
	if d := float64(beta2*p) + r; d > 0 {
		return (1 + beta2) * p * r / d
	}
	return otherwise
}
