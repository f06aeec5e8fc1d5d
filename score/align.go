package score

import (
	"cmp"
	"slices"
)

// meteorBeam is the number of partial alignments that METEOR keeps.
const meteorBeam = 40

// partial aligns the first words of a reference with words of a hypothesis.
type partial struct {
	exact, chunks, distance int
	end                     int     // place in the hypothesis after the last match; -1 after a word without one
	used                    bits    // places in the hypothesis
	taken                   *taking // matches, the last one first
	next                    int     // match of the last word that is not yet in used and taken; -1 for none
}

type taking struct {
	word, match int
	before      *taking
}

// bits is a set of places.
type bits []uint64

func (b bits) has(i int) bool { return b[i/64]&(1<<(i%64)) != 0 }

func (b bits) with(i int) bits {
	b = slices.Clone(b)
	b[i/64] |= 1 << (i % 64)
	return b
}

// align returns, for each word of a reference, the place of the hypothesis word it is
// aligned with, or -1. matches has the places to choose from.
//
// The best alignment has the most exact matches, then the fewest chunks, then the
// least distance between places. The search is METEOR 1.5's (Denkowski and Lavie,
// "Meteor Universal: Language Specific Translation Evaluation for Any Target
// Language", WMT 2014, section 2.1): from left to right with a beam. Two of its
// quirks change scores and are kept. A match of stems counts half, rounded down:
// nothing. The distance of a match is added to the paths tried after it, not to its
// own.
func align(hyp, ref []meteorWord, matches [][]int) []int {
	fixed := fixedMatches(len(hyp), matches)
	used := make(bits, len(hyp)/64+1)
	for _, m := range fixed {
		if m >= 0 {
			used = used.with(m)
		}
	}
	paths := []partial{{end: -1, used: used, next: -1}}
	for j, choices := range matches {
		var next []partial
		for _, p := range bestPaths(paths) {
			p.settle(j - 1)
			if m := fixed[j]; m >= 0 {
				p.match(m, hyp[m].word == ref[j].word)
				p.taken = &taking{j, m, p.taken}
				p.distance += abs(j - m)
				next = append(next, p)
				continue
			}
			for _, m := range choices {
				if p.used.has(m) {
					continue
				}
				q := p
				q.match(m, hyp[m].word == ref[j].word)
				q.next = m
				next = append(next, q)
				p.distance += abs(j - m)
			}
			p.close()
			next = append(next, p)
		}
		paths = next
	}
	paths = bestPaths(paths)
	for i := range paths {
		paths[i].close()
	}
	best := bestPaths(paths)[0]
	best.settle(len(ref) - 1)
	at := slices.Repeat([]int{-1}, len(ref))
	for t := best.taken; t != nil; t = t.before {
		at[t.word] = t.match
	}
	return at
}

// fixedMatches returns, for each word of the reference, the place of its match if
// neither of the two words has another match, else -1.
func fixedMatches(hypWords int, matches [][]int) []int {
	count := make([]int, hypWords)
	for _, choices := range matches {
		for _, m := range choices {
			count[m]++
		}
	}
	fixed := slices.Repeat([]int{-1}, len(matches))
	for j, choices := range matches {
		if len(choices) == 1 && count[choices[0]] == 1 {
			fixed[j] = choices[0]
		}
	}
	return fixed
}

// bestPaths sorts paths and returns the best, as many as the beam holds.
func bestPaths(paths []partial) []partial {
	slices.SortStableFunc(paths, func(a, b partial) int {
		return cmp.Or(b.exact-a.exact, a.chunks-b.chunks, a.distance-b.distance)
	})
	return paths[:min(len(paths), meteorBeam)]
}

// match extends p by a match at a place of the hypothesis.
func (p *partial) match(place int, exact bool) {
	if exact {
		p.exact++
	}
	if p.end >= 0 && p.end != place {
		p.chunks++
	}
	p.end = place + 1
}

// close ends a chunk.
func (p *partial) close() {
	if p.end >= 0 {
		p.chunks, p.end = p.chunks+1, -1
	}
}

// settle copies used and taken and adds the match of the last word. It is called for
// paths in the beam only, which saves copies.
func (p *partial) settle(word int) {
	if p.next >= 0 {
		p.used, p.taken, p.next = p.used.with(p.next), &taking{word, p.next, p.taken}, -1
	}
}
