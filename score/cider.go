package score

import "math"

// ciderOrder is the longest n-gram of CIDEr, ciderSigma the width of its penalty for
// lengths that differ.
const ciderOrder, ciderSigma = 4, 6.0

// cider keeps a corpus for CIDEr: R. Vedantam, C. L. Zitnick, D. Parikh, "CIDEr:
// Consensus-based Image Description Evaluation", CVPR 2015. It is the paper's variant
// CIDEr-D, which the MS-COCO caption evaluation calls CIDEr. As there, a text's length
// is its number of word pairs.
type cider struct {
	lexicon  *lexicon
	segments []ciderSegment
	inRefs   [ciderOrder][]int // by n-gram: number of segments with it in a reference
}

type ciderSegment struct {
	hyp  ciderText
	refs []ciderText
}

type ciderText struct {
	grams [ciderOrder][]gram // by order less one, sorted
	pairs int                // of words, with repetition: the length
}

func newCIDEr() *cider { return &cider{lexicon: newLexicon(ciderOrder)} }

// add counts a segment, in words of captions.
func (c *cider) add(hyp []string, refs [][]string) {
	s := ciderSegment{hyp: c.text(hyp)}
	for _, ref := range refs {
		s.refs = append(s.refs, c.text(ref))
	}
	for n := range ciderOrder {
		c.inRefs[n] = grown(c.inRefs[n], len(c.lexicon.ids[n]))
		seen := map[int32]bool{}
		for _, ref := range s.refs {
			for _, g := range ref.grams[n] {
				if !seen[g.id] {
					seen[g.id] = true
					c.inRefs[n][g.id]++
				}
			}
		}
	}
	c.segments = append(c.segments, s)
}

func (c *cider) text(words []string) ciderText {
	t := ciderText{pairs: ngrams(len(words), 2)}
	for n, ids := range c.lexicon.grams(words) {
		t.grams[n] = counted(ids)
	}
	return t
}

// score returns ten times the mean, over segments, references and orders, of similarity
// times length penalty.
func (c *cider) score() float64 {
	all := math.Log(float64(len(c.segments)))
	weight := [ciderOrder][]float64{} // by n-gram: the inverse document frequency
	for n, counts := range c.inRefs {
		for _, count := range counts {
			weight[n] = append(weight[n], all-math.Log(float64(max(1, count))))
		}
	}
	sum := 0.0
	for _, s := range c.segments {
		segment := 0.0
		for _, ref := range s.refs {
			short := float64(s.hyp.pairs - ref.pairs)
			penalty := math.Exp(-short * short / (2 * ciderSigma * ciderSigma))
			for n := range ciderOrder {
				segment += penalty * ciderSimilarity(s.hyp.grams[n], ref.grams[n], weight[n])
			}
		}
		sum += segment / float64(ciderOrder*len(s.refs))
	}
	return 10 * sum / float64(max(1, len(c.segments)))
}

// ciderSimilarity returns the cosine of two texts' weighted n-grams (equations 1 and 2
// of the paper). An n-gram that the hypothesis repeats more often than the reference
// gets no credit for the excess.
func ciderSimilarity(hyp, ref []gram, weight []float64) float64 {
	dot, i := 0.0, 0
	for _, r := range ref {
		for i < len(hyp) && hyp[i].id < r.id {
			i++
		}
		if i < len(hyp) && hyp[i].id == r.id {
			w := weight[r.id] * weight[r.id]
			dot += w * float64(min(hyp[i].count, r.count)) * float64(r.count)
		}
	}
	if dot == 0 {
		return 0
	}
	return dot / math.Sqrt(ciderSquare(hyp, weight)*ciderSquare(ref, weight))
}

func ciderSquare(grams []gram, weight []float64) float64 {
	sum := 0.0
	for _, g := range grams {
		v := float64(g.count) * weight[g.id]
		sum += v * v
	}
	return sum
}
