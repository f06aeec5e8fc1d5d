package score

import (
	"fmt"
	"math"
	"strings"
)

// E2E measures a corpus by the five metrics of the E2E NLG challenge (Dušek, Novikova
// and Rieser, "Evaluating the State-of-the-Art of End-to-End Natural Language
// Generation: The E2E NLG Challenge", 2020, section 4.1), as its script
// measure_scores.py defines them. Only METEOR differs: it lacks two stages. E2E keeps
// the n-grams of the whole corpus, because NIST and CIDEr weigh them by the number of
// texts that have them. It may not be used concurrently.
type E2E struct {
	corpus
	bleu     *BLEU
	nist     *nist
	captions captionTokenizer
	meteor   meteor
	rougeL   float64 // sum over the segments
	cider    *cider
	refs     int // of all segments
}

// NewE2E returns a measure without segments.
func NewE2E() *E2E {
	bleu, err := NewBLEU(DefaultBLEU())
	if err != nil {
		panic(err)
	}
	return &E2E{bleu: bleu, nist: newNIST(), cider: newCIDEr()}
}

// Add counts a segment: the text for a meaning representation and its references, one
// at least, in UTF-8. It panics without a reference.
func (e *E2E) Add(hypothesis string, references ...string) {
	e.corpus.add(len(references))
	e.refs += len(references)
	low := make([]string, len(references))
	for i, r := range references {
		low[i] = lowerASCII(r)
	}
	e.bleu.Add(lowerASCII(hypothesis), low...)
	cut := func(words func(string) []string) (hyp []string, refs [][]string) {
		for _, r := range references {
			refs = append(refs, words(r))
		}
		return words(hypothesis), refs
	}
	e.nist.add(cut(func(s string) []string { return tokenize13a(lowerASCII(trimRight(s))) }))
	hyp, refs := cut(e.captions.words)
	e.meteor.add(hyp, refs)
	e.rougeL += rougeL(hyp, refs)
	e.cider.add(hyp, refs)
}

// E2EScores are the scores of a corpus, scaled as the challenge's script prints them:
// BLEU, METEOR and ROUGE-L go from 0 to 1; NIST and CIDEr have no fixed upper bound.
type E2EScores struct {
	BLEU float64 `json:"bleu"`
	NIST float64 `json:"nist"` // length penalty by all words of references over the mean number of references
	// NISTBySegment and NISTByMost differ in the length penalty only: by the sum of each segment's mean length of
	// references, and by all words of references over the largest number of references of a segment.
	NISTBySegment float64 `json:"nist_by_segment_mean"`
	NISTByMost    float64 `json:"nist_by_most_references"`
	METEOR        float64 `json:"meteor_exact_stem"` // METEOR 1.5 without the stages synonym and paraphrase
	ROUGEL        float64 `json:"rouge_l"`
	CIDEr         float64 `json:"cider"`
	Segments      int     `json:"segments"`
	References    int     `json:"references"` // of all segments
	Signature     string  `json:"signature"`
}

// Result returns the scores of the segments added so far.
func (e *E2E) Result() E2EScores {
	official, bySegment, byMost := e.nist.score()
	return E2EScores{
		BLEU: perlBLEU(e.bleu.d), NIST: official, NISTBySegment: bySegment, NISTByMost: byMost, METEOR: e.meteor.sum.score(),
		ROUGEL: e.rougeL / float64(max(1, e.segments)), CIDEr: e.cider.score(),
		Segments: e.segments, References: e.refs, Signature: e.signature("e2e-metrics", "meteor:exact+stem"),
	}
}

// String prints one score a line, and notes the differences from the challenge's script.
func (s E2EScores) String() string {
	var b strings.Builder
	for _, line := range []struct {
		name  string
		score float64
	}{
		{"BLEU", s.BLEU}, {"NIST", s.NIST}, {"METEOR (exact, stem)", s.METEOR}, {"ROUGE_L", s.ROUGEL}, {"CIDEr", s.CIDEr},
	} {
		fmt.Fprintf(&b, "%-21s %7.4f\n", line.name, line.score)
	}
	fmt.Fprintf(&b, "%s, %s; %s\n", plural(s.Segments, "segment"), plural(s.References, "reference"), s.Signature)
	fmt.Fprintf(&b, "METEOR lacks the stages synonym and paraphrase: compare it with itself only, not with published values.\n")
	fmt.Fprintf(&b, "NIST is the challenge's. By each segment's mean reference length, as its option -p, it is %.4f; by the\n"+
		"largest number of references of a segment, as NIST's own mteval-v13a, it is %.4f.", s.NISTBySegment, s.NISTByMost)
	return b.String()
}

// perlBLEU is BLEU from the counts of a corpus as the challenge's Perl script computes it, from 0 to 1. An order of
// which the hypotheses have no n-gram counts as if all of its n-grams matched. One without a match is halved, even if
// nothing matches at all.
func perlBLEU(d BLEUDetails) float64 {
	if d.HypLen == 0 {
		return 0
	}
	logs, halvings := 0.0, 1.0
	for n, total := range d.Totals {
		switch {
		case total == 0:
		case d.Counts[n] == 0:
			halvings *= 2
			logs -= math.Log(halvings * float64(total))
		default:
			logs += math.Log(float64(d.Counts[n]) / float64(total))
		}
	}
	return math.Exp(logs/bleuOrder + min(0, 1-float64(d.RefLen)/float64(d.HypLen)))
}

// lowerASCII returns s with A to Z in lower case, as Perl's tr/A-Z/a-z/.
func lowerASCII(s string) string {
	return strings.Map(func(r rune) rune {
		if 'A' <= r && r <= 'Z' {
			return r + 'a' - 'A'
		}
		return r
	}, s)
}
