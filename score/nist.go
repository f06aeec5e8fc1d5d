package score

import "math"

// nistOrder is the longest n-gram of NIST.
const nistOrder = 5

// nist sums up a corpus for NIST: G. Doddington, "Automatic evaluation of machine
// translation quality using n-gram co-occurrence statistics", HLT 2002.
type nist struct {
	lexicon  *lexicon
	hits     [nistOrder][]int // by n-gram: count in the hypotheses, clipped to the count in one of their references
	inRefs   [nistOrder][]int // by n-gram: count in the references
	totals   [nistOrder]int   // n-grams of the hypotheses
	refWords int              // of all references
	refs     int              // references that have words
	segments int
	meanRef  float64 // words of an average reference, summed over the segments
	mostRefs int     // largest number of references of a segment
}

func newNIST() *nist { return &nist{lexicon: newLexicon(nistOrder)} }

// add counts a segment, in words of BLEU's tokenizer in lower case.
func (s *nist) add(hyp []string, refs [][]string) {
	most := [nistOrder]map[int32]int32{}
	words := 0
	for _, ref := range refs {
		for n, ids := range s.lexicon.grams(ref) {
			if most[n] == nil {
				most[n] = map[int32]int32{}
			}
			s.inRefs[n] = grown(s.inRefs[n], len(s.lexicon.ids[n]))
			for _, g := range counted(ids) {
				s.inRefs[n][g.id] += int(g.count)
				most[n][g.id] = max(most[n][g.id], g.count)
			}
		}
		words += len(ref)
		if len(ref) > 0 {
			s.refs++
		}
	}
	for n, ids := range s.lexicon.grams(hyp) {
		s.hits[n] = grown(s.hits[n], len(s.lexicon.ids[n]))
		s.inRefs[n] = grown(s.inRefs[n], len(s.lexicon.ids[n]))
		for _, g := range counted(ids) {
			s.hits[n][g.id] += int(min(g.count, most[n][g.id]))
		}
		s.totals[n] += ngrams(len(hyp), n+1)
	}
	s.segments++
	s.refWords += words
	s.meanRef += float64(words) / float64(len(refs))
	s.mostRefs = max(s.mostRefs, len(refs))
}

// grown returns counts with at least n elements.
func grown(counts []int, n int) []int {
	if n > len(counts) {
		counts = append(counts, make([]int, n-len(counts))...)
	}
	return counts
}

// score returns the NIST of the segments (equation 3 of the paper): the information
// of matching n-grams, per n-gram of the hypotheses, summed over n, times a penalty
// for short hypotheses. The scores differ in the length that hypotheses should have:
// official is all words of references over the mean number of references that are not
// empty, as in the challenge's script; bySegment is the sum of each segment's mean
// length, as in the script's option -p; byMost is all words of references over the
// largest number of references of a segment, as in NIST's own mteval-v13a.
func (s *nist) score() (official, bySegment, byMost float64) {
	zero := s.lexicon.gram("0") // which Perl takes for no word
	sum := 0.0
	for n := range nistOrder {
		info := 0.0
		for id, hits := range s.hits[n] {
			if hits == 0 {
				continue
			}
			before := s.refWords
			if n > 0 && !(n == 1 && s.lexicon.prefixes[1][id] == zero) {
				before = s.inRefs[n-1][s.lexicon.prefixes[n][id]]
			}
			info += float64(hits) * math.Log2(float64(before)/float64(s.inRefs[n][id]))
		}
		sum += info / float64(max(1, s.totals[n]))
	}
	hyp, words := float64(s.totals[0]), float64(s.refWords)
	official = sum * nistPenalty(hyp, words*float64(s.segments)/float64(max(1, s.refs)))
	return official, sum * nistPenalty(hyp, s.meanRef), sum * nistPenalty(hyp, words/float64(max(1, s.mostRefs)))
}

// nistPenalty returns 1 for hypotheses as long as the references, 1/2 at two thirds
// of that length.
func nistPenalty(hyp, ref float64) float64 {
	if hyp >= ref {
		return 1
	}
	log, at := math.Log(hyp/ref), math.Log(1.5)
	return math.Exp(math.Log(0.5) / (at * at) * log * log)
}
