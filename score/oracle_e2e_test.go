package score

import (
	"math"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
)

// oracleNIST computes NIST from bags of strings, in two passes over the corpus; the
// words are cut by the oracle of BLEU's tokenizer.
func oracleNIST(segments []segment) (official, bySegment, byMost float64) {
	score := 0.0
	cut := func(s string) []string { return oracleTokens("13a", lowerASCII(s)) }
	freq := []map[string]int{{}, {}, {}, {}, {}, {}}
	hyp, meanRef, most, refs := 0, 0.0, 0, 0
	for _, s := range segments {
		words := 0
		for _, r := range s.refs {
			for n := 1; n <= 5; n++ {
				for g, c := range bag(cut(r), n) {
					freq[n][g] += c
				}
			}
			words, refs = words+len(cut(r)), refs+1
		}
		freq[0][""] += words
		meanRef += float64(words) / float64(len(s.refs))
		most, hyp = max(most, len(s.refs)), hyp+len(cut(s.hyp))
	}
	for n := 1; n <= 5; n++ {
		info, total := 0.0, 0
		for _, s := range segments {
			for g, c := range bag(cut(s.hyp), n) {
				total += c
				best := 0
				for _, r := range s.refs {
					best = max(best, bag(cut(r), n)[g])
				}
				before := ""
				if i := strings.LastIndex(g, "\x00"); i >= 0 {
					before = g[:i]
				}
				if best > 0 {
					info += float64(min(c, best)) * math.Log2(float64(freq[n-1][before])/float64(freq[n][g]))
				}
			}
		}
		if total > 0 {
			score += info / float64(total)
		}
	}
	penalty := func(ref float64) float64 {
		ratio := min(1, float64(hyp)/ref)
		return math.Exp(math.Log(0.5) / math.Pow(math.Log(1.5), 2) * math.Pow(math.Log(ratio), 2))
	}
	words := float64(freq[0][""])
	return score * penalty(words*float64(len(segments))/float64(refs)), score * penalty(meanRef), score * penalty(words/float64(most))
}

// oracleCIDEr computes CIDEr from vectors that are maps of strings.
func oracleCIDEr(hyps [][]string, refs [][][]string) float64 {
	documents := map[string]float64{}
	for _, texts := range refs {
		seen := map[string]bool{}
		for _, r := range texts {
			for n := 1; n <= 4; n++ {
				for g := range bag(r, n) {
					seen[g] = true
				}
			}
		}
		for g := range seen {
			documents[g]++
		}
	}
	vector := func(words []string, n int) (map[string]float64, float64) {
		v, norm := map[string]float64{}, 0.0
		for g, c := range bag(words, n) {
			v[g] = float64(c) * (math.Log(float64(len(refs))) - math.Log(max(1, documents[g])))
			norm += v[g] * v[g]
		}
		return v, math.Sqrt(norm)
	}
	total := 0.0
	for i, h := range hyps {
		for _, r := range refs[i] {
			apart := float64(max(0, len(h)-1) - max(0, len(r)-1))
			for n := 1; n <= 4; n++ {
				vh, nh := vector(h, n)
				vr, nr := vector(r, n)
				dot := 0.0
				for g, x := range vh {
					dot += min(x, vr[g]) * vr[g]
				}
				if nh > 0 && nr > 0 {
					total += dot / (nh * nr) * math.Exp(-apart*apart/72) / 4 / float64(len(refs[i]))
				}
			}
		}
	}
	return 10 * total / float64(len(hyps))
}

// oracleCommon is the longest common subsequence by trying all that can be left out.
func oracleCommon(a, b []string) int {
	if len(a) == 0 || len(b) == 0 {
		return 0
	}
	if a[0] == b[0] {
		return 1 + oracleCommon(a[1:], b[1:])
	}
	return max(oracleCommon(a[1:], b), oracleCommon(a, b[1:]))
}

func oracleROUGE(hyp []string, refs [][]string) float64 {
	var precision, recall float64
	for _, r := range refs {
		common := float64(oracleCommon(hyp, r))
		precision, recall = max(precision, common/float64(len(hyp))), max(recall, common/float64(len(r)))
	}
	if precision*recall == 0 {
		return 0
	}
	return 1 / (1/precision/(1+1.44) + 1.44/recall/(1+1.44))
}

// babble are random texts of few words, so that n-grams repeat.
func babble(r *rand.Rand, least, most int) string {
	words := strings.Fields("pub Pub cheap. cheaply river, rivers the 5 £20 it's family-friendly")
	text := make([]string, least+r.IntN(most-least+1))
	for i := range text {
		text[i] = words[r.IntN(len(words))]
	}
	return strings.Join(text, " ")
}

func TestE2EOracle(t *testing.T) {
	t.Parallel()
	r := rand.New(rand.NewPCG(7, 8))
	for range 60 {
		var segments []segment
		var hyps [][]string
		var refs [][][]string
		e, rouge := NewE2E(), 0.0
		for range 2 + r.IntN(4) {
			s := segment{hyp: babble(r, 1, 9)}
			for range 1 + r.IntN(3) {
				s.refs = append(s.refs, babble(r, 1, 9))
			}
			e.Add(s.hyp, s.refs...)
			segments = append(segments, s)
			var c captionTokenizer
			var texts [][]string
			for _, ref := range s.refs {
				texts = append(texts, c.words(ref))
			}
			hyps, refs = append(hyps, c.words(s.hyp)), append(refs, texts)
			rouge += oracleROUGE(c.words(s.hyp), texts)
		}
		got := e.Result()
		official, bySegment, byMost := oracleNIST(segments)
		near(t, "NIST", got.NIST, official, 1e-9)
		near(t, "NIST by segment", got.NISTBySegment, bySegment, 1e-9)
		near(t, "NIST by most", got.NISTByMost, byMost, 1e-9)
		near(t, "CIDEr", got.CIDEr, oracleCIDEr(hyps, refs), 1e-9)
		near(t, "ROUGE-L", got.ROUGEL, rouge/float64(len(segments)), 1e-9)
		if t.Failed() {
			t.Fatalf("%q", segments)
		}
	}
}

// alignmentOf counts exact matches and chunks.
func alignmentOf(hyp, ref []meteorWord, at []int) (exact, chunks int) {
	for j, m := range at {
		if m < 0 {
			continue
		}
		if hyp[m].word == ref[j].word {
			exact++
		}
		if j == 0 || at[j-1] < 0 || at[j-1] != m-1 {
			chunks++
		}
	}
	return exact, chunks
}

// bestAlignment tries all alignments of the words of ref from j on that keep the fixed
// matches, and returns the most exact matches and, with these, the fewest chunks.
func bestAlignment(hyp, ref []meteorWord, matches [][]int, fixed, at []int) (exact, chunks int) {
	j := len(at)
	if j == len(ref) {
		return alignmentOf(hyp, ref, at)
	}
	exact = -1
	choices := append([]int{-1}, matches[j]...)
	if fixed[j] >= 0 {
		choices = fixed[j : j+1]
	}
	for _, m := range choices {
		if m >= 0 && slices.Contains(at, m) {
			continue
		}
		e, c := bestAlignment(hyp, ref, matches, fixed, append(at[:j:j], m))
		if e > exact || e == exact && c < chunks {
			exact, chunks = e, c
		}
	}
	return exact, chunks
}

// TestAlign compares the beam search with the best of all alignments.
func TestAlign(t *testing.T) {
	t.Parallel()
	r := rand.New(rand.NewPCG(9, 10))
	words := strings.Fields("pub pubs river rivers the")
	text := func() []meteorWord {
		var text []string
		for range r.IntN(6) {
			text = append(text, words[r.IntN(len(words))])
		}
		return new(meteor).words(text)
	}
	for range 2000 {
		hyp, ref := text(), text()
		matches := meteorMatches(hyp, ref)
		at := align(hyp, ref, matches)
		used := map[int]bool{}
		for j, m := range at {
			if m >= 0 && (used[m] || !slices.Contains(matches[j], m)) {
				t.Fatalf("%v, %v: word %d is aligned with %d", hyp, ref, j, m)
			}
			used[m] = true
		}
		exact, chunks := alignmentOf(hyp, ref, at)
		wantExact, wantChunks := bestAlignment(hyp, ref, matches, fixedMatches(len(hyp), matches), nil)
		if exact != wantExact || chunks != wantChunks {
			t.Fatalf("%v, %v: %d exact matches in %d chunks, want %d in %d", hyp, ref, exact, chunks, wantExact, wantChunks)
		}
	}
}

// FuzzE2E: scores of any text stay within bounds; a text equal to its reference has
// the best ROUGE-L and METEOR, if it has words.
func FuzzE2E(f *testing.F) {
	f.Add("The Mill is a 5-star pub.", "the mill's café, (£20-25)")
	f.Add("", "...")
	f.Add("\xff'n't'", "a-b-'s U.S.. \u0130")
	f.Fuzz(func(t *testing.T, a, b string) {
		if len(a)+len(b) > 1000 {
			return
		}
		s := e2eOf([]segment{{a, []string{b, a}}, {b, []string{b}}})
		for _, x := range []float64{s.BLEU, s.METEOR, s.ROUGEL, s.CIDEr / 10} {
			if !(x >= 0 && x <= 1+1e-9) {
				t.Errorf("%q, %q: %v", a, b, s)
			}
		}
		if !(s.NIST >= 0) || s.ROUGEL < 1-1e-9 {
			t.Errorf("%q, %q: %v", a, b, s)
		}
		if m := e2eOf([]segment{{a, []string{a}}}).METEOR; m != 0 && m < 1-1e-9 {
			t.Errorf("%q: METEOR of equal texts is %v", a, m)
		}
	})
}
