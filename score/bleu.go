package score

import (
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"
)

// bleuOrder is the longest n-gram of BLEU.
const bleuOrder = 4

// BLEUOptions are the settings of BLEU.
type BLEUOptions struct {
	Tokenizer string // one of Tokenizers()
	Lowercase bool
	// Smoothing of orders without a match, by Chen and Cherry (2014): "exp" (halve
	// for each such order), "floor" (SmoothValue matches), "add-k" (SmoothValue more
	// matches and n-grams of every order above the first) or "none".
	Smoothing   string
	SmoothValue float64 // 0 for the default: floor 0.1, add-k 1
	// EffectiveOrder leaves out n-gram orders longer than the hypotheses. Use it to
	// score single sentences.
	EffectiveOrder bool
}

// DefaultBLEU returns the settings of published scores.
func DefaultBLEU() BLEUOptions { return BLEUOptions{Tokenizer: "13a", Smoothing: "exp"} }

// usualSmoothing has the smoothing methods with their usual values.
var usualSmoothing = map[string]float64{"add-k": 1, "exp": 0, "floor": 0.1, "none": 0}

// Smoothings lists the names that BLEUOptions knows.
func Smoothings() []string { return []string{"exp", "floor", "add-k", "none"} }

// Validate returns an ErrOptions if o makes no sense.
func (o BLEUOptions) Validate() error {
	if tokenizers[o.Tokenizer] == nil {
		return fmt.Errorf("%w: no tokenizer %q; use one of %s", ErrOptions, o.Tokenizer, strings.Join(Tokenizers(), ", "))
	}
	if !slices.Contains(Smoothings(), o.Smoothing) {
		return fmt.Errorf("%w: no smoothing %q; use one of %s", ErrOptions, o.Smoothing, strings.Join(Smoothings(), ", "))
	}
	if !(o.SmoothValue >= 0) || math.IsInf(o.SmoothValue, 0) {
		return fmt.Errorf("%w: smoothing value %v; give a positive number, or 0 for the usual one", ErrOptions, o.SmoothValue)
	}
	if o.SmoothValue != 0 && usualSmoothing[o.Smoothing] == 0 {
		return fmt.Errorf("%w: smoothing %s takes no value; floor and add-k do", ErrOptions, o.Smoothing)
	}
	return nil
}

// BLEU is the metric of Papineni et al., "BLEU: a method for automatic evaluation of
// machine translation", ACL 2002.
type BLEU struct {
	o        BLEUOptions
	tokenize func(string) []string
	corpus
	d BLEUDetails

	words   symbols
	texts   [][]int32 // of the segment: the references, then the hypothesis
	counter counter
	matched [bleuOrder]int
}

// BLEUDetails holds the statistics from which BLEU is computed, over all segments.
type BLEUDetails struct {
	Precisions     [bleuOrder]float64 `json:"precisions"` // by order, in percent, smoothed
	Counts         [bleuOrder]int     `json:"counts"`     // n-grams of the hypotheses that are in a reference too
	Totals         [bleuOrder]int     `json:"totals"`     // n-grams of the hypotheses
	BrevityPenalty float64            `json:"bp"`
	HypLen         int                `json:"hyp_len"` // words
	RefLen         int                `json:"ref_len"` // words, of the reference nearest in length
}

// String formats d in sacreBLEU's notation.
func (d BLEUDetails) String() string {
	p, ratio := d.Precisions, 0.0
	if d.RefLen > 0 {
		ratio = float64(d.HypLen) / float64(d.RefLen)
	}
	return fmt.Sprintf("%.1f/%.1f/%.1f/%.1f (BP = %.3f ratio = %.3f hyp_len = %d ref_len = %d)",
		p[0], p[1], p[2], p[3], d.BrevityPenalty, ratio, d.HypLen, d.RefLen)
}

// NewBLEU returns a metric without segments, or an ErrOptions.
func NewBLEU(o BLEUOptions) (*BLEU, error) {
	if err := o.Validate(); err != nil {
		return nil, err
	}
	if o.SmoothValue == 0 {
		o.SmoothValue = usualSmoothing[o.Smoothing]
	}
	return &BLEU{o: o, tokenize: tokenizers[o.Tokenizer], words: symbols{}}, nil
}

// Reset forgets the segments.
func (b *BLEU) Reset() { b.corpus, b.d = corpus{}, BLEUDetails{} }

// Add counts a segment; see Metric.
func (b *BLEU) Add(hypothesis string, references ...string) {
	b.corpus.add(len(references))
	clear(b.words)
	for len(b.texts) <= len(references) {
		b.texts = append(b.texts, nil)
	}
	for i, text := range append(references[:len(references):len(references)], hypothesis) {
		if b.o.Lowercase {
			text = lower(text)
		}
		b.texts[i] = b.words.number(b.texts[i][:0], b.tokenize(trimRight(text)))
	}
	refs, hyp := b.texts[:len(references)], b.texts[len(references)]
	b.counter.matches(b.matched[:], hyp, refs...)
	for n := range bleuOrder {
		b.d.Counts[n] += b.matched[n]
		b.d.Totals[n] += ngrams(len(hyp), n+1)
	}
	b.d.HypLen += len(hyp)
	b.d.RefLen += nearest(len(hyp), refs)
}

// nearest returns the reference length nearest to n; of two equally near, the
// shorter.
func nearest(n int, refs [][]int32) int {
	best := len(refs[0])
	for _, ref := range refs[1:] {
		d, least := abs(len(ref)-n), abs(best-n)
		if d < least || d == least && len(ref) < best {
			best = len(ref)
		}
	}
	return best
}

func abs(n int) int { return max(n, -n) }

// Result is the BLEU of the segments added so far.
func (b *BLEU) Result() Result {
	score, d := bleu(b.d, b.o)
	smooth := b.o.Smoothing
	if usualSmoothing[smooth] != 0 {
		smooth += "[" + strconv.FormatFloat(b.o.SmoothValue, 'f', 2, 64) + "]"
	}
	return Result{
		Name: "BLEU", Score: score, Segments: b.segments, Details: d,
		Signature: b.signature("case:"+caseOf(b.o.Lowercase), "eff:"+yesNo(b.o.EffectiveOrder), "tok:"+b.o.Tokenizer, "smooth:"+smooth),
	}
}

// bleu computes BP * exp(mean over n of log p_n) (equation 3 and section 2.3 of the
// paper, all weights 1/4) and completes d. A corpus without any match scores 0,
// smoothing or not.
func bleu(d BLEUDetails, o BLEUOptions) (float64, BLEUDetails) {
	switch {
	case d.HypLen >= d.RefLen:
		d.BrevityPenalty = 1
	case d.HypLen > 0:
		d.BrevityPenalty = math.Exp(1 - float64(d.RefLen)/float64(d.HypLen))
	}
	if d.Counts == [bleuOrder]int{} {
		return 0, d
	}
	orders, halvings := bleuOrder, 1.0
	for n := range bleuOrder {
		count, total := float64(d.Counts[n]), float64(d.Totals[n])
		if o.Smoothing == "add-k" && n > 0 {
			count, total = count+o.SmoothValue, total+o.SmoothValue
		}
		if total == 0 {
			break
		}
		if o.EffectiveOrder {
			orders = n + 1
		}
		switch {
		case count > 0:
			d.Precisions[n] = 100 * count / total
		case o.Smoothing == "exp":
			halvings *= 2
			d.Precisions[n] = 100 / (halvings * total)
		case o.Smoothing == "floor":
			d.Precisions[n] = 100 * o.SmoothValue / total
		}
	}
	logs := 0.0
	for _, p := range d.Precisions[:orders] {
		logs += math.Log(p)
	}
	return d.BrevityPenalty * math.Exp(logs/float64(orders)), d
}
