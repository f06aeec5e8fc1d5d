package score

import (
	"math"
	"slices"
)

// Limits of the search, the same as in Tercom and sacreBLEU. They are part of the
// definition.
const (
	maxShiftWords    = 10   // words that move together
	maxShiftDistance = 50   // places between a run in the hypothesis and in the reference
	beamWidth        = 25   // columns each side of the diagonal
	maxShiftsTried   = 1000 // in one pair of texts
)

// shiftSearch finds the edits of TER. Finding the best set of shifts would take too
// long, so the search is greedy: it repeats the one shift that lowers the edit distance
// most, until none lowers it.
type shiftSearch struct {
	matrix         editMatrix
	words, shifted []int32 // the hypothesis so far; the same after the best shift
	trial          []int32
	tried          int

	align            []int  // by place in the reference: the place of its word in words, or the last one before it
	wrong, wrongRefs []bool // by place in words and in the reference: true if the aligned words differ
}

// shift moves length words from start to before target; gain is the fall in edit
// distance.
type shift struct{ gain, length, start, target int }

// better orders shifts: largest gain first, then longest, then smallest start, then
// smallest target.
func (s shift) better(than shift) bool {
	switch {
	case s.gain != than.gain:
		return s.gain > than.gain
	case s.length != than.length:
		return s.length > than.length
	case s.start != than.start:
		return s.start < than.start
	}
	return s.target < than.target
}

// edits returns the number of edits that turn hyp into ref.
func (s *shiftSearch) edits(hyp, ref []int32) int {
	if len(ref) == 0 {
		return len(hyp)
	}
	s.matrix.reset(ref, len(hyp))
	s.words = append(s.words[:0], hyp...)
	s.tried = 0
	for shifts := 0; ; shifts++ {
		gain := s.bestShift(ref)
		if gain <= 0 || s.tried >= maxShiftsTried {
			return shifts + s.matrix.distance(s.words)
		}
		s.words, s.shifted = s.shifted, s.words
	}
}

// bestShift tries each shift that moves a run of words to its place in the reference.
// It leaves the result of the best shift in s.shifted and returns its gain, or 0 if no
// shift helps.
func (s *shiftSearch) bestShift(ref []int32) int {
	before := s.matrix.distance(s.words)
	s.readAlignment(len(ref))
	var best shift
	found := false
	for start := range s.words {
		for at := max(0, start-maxShiftDistance); at < len(ref) && at <= start+maxShiftDistance; at++ {
			for length := 1; length <= maxShiftWords && start+length <= len(s.words) && at+length <= len(ref); length++ {
				if s.words[start+length-1] != ref[at+length-1] {
					break
				}
				// The run must be wrong on both sides, and its target outside it.
				if !slices.Contains(s.wrong[start:start+length], true) || !slices.Contains(s.wrongRefs[at:at+length], true) {
					continue
				}
				if s.align[at] >= start && s.align[at] < start+length {
					continue
				}
				previous := -1
				for place := at - 1; place < at+length; place++ {
					c := shift{length: length, start: start}
					if place >= 0 {
						c.target = s.align[place] + 1
					}
					if c.target == previous {
						continue
					}
					previous = c.target
					s.trial = c.apply(s.trial[:0], s.words)
					c.gain = before - s.matrix.distance(s.trial)
					s.tried++
					if !found || c.better(best) {
						best, found = c, true
						s.shifted, s.trial = s.trial, s.shifted
					}
				}
				if s.tried >= maxShiftsTried {
					return best.gain
				}
			}
		}
	}
	return best.gain
}

// apply appends the shifted words to dst. A target within the run counts from the
// run's start, past the words behind it.
func (s shift) apply(dst, words []int32) []int32 {
	end := s.start + s.length
	run := words[s.start:end]
	switch {
	case s.target < s.start:
		dst = append(append(dst, words[:s.target]...), run...)
		return append(append(dst, words[s.target:s.start]...), words[end:]...)
	case s.target > end:
		dst = append(append(dst, words[:s.start]...), words[end:s.target]...)
		return append(append(dst, run...), words[s.target:]...)
	}
	behind := min(s.target+s.length, len(words))
	dst = append(append(dst, words[:s.start]...), words[end:behind]...)
	return append(append(dst, run...), words[behind:]...)
}

// readAlignment reads the alignment of words with the reference from the matrix.
func (s *shiftSearch) readAlignment(refs int) {
	s.align = slices.Grow(s.align[:0], refs)[:refs]
	s.wrongRefs = slices.Grow(s.wrongRefs[:0], refs)[:refs]
	s.wrong = slices.Grow(s.wrong[:0], len(s.words))[:len(s.words)]
	for i, j := len(s.words), refs; i > 0 || j > 0; {
		switch op := s.matrix.op(i, j); op {
		case keep, replace:
			i, j = i-1, j-1
			s.align[j], s.wrong[i], s.wrongRefs[j] = i, op == replace, op == replace
		case remove:
			i--
			s.wrong[i] = true
		case insert:
			j--
			s.align[j], s.wrongRefs[j] = i-1, true
		}
	}
}

// Edits of one word.
const (
	keep byte = iota
	replace
	remove
	insert
)

// editMatrix is the matrix of edit distances between the beginnings of a hypothesis and
// of a reference, near its diagonal. Hypotheses of the same length share it: the rows
// of a common beginning with the last one are not computed again.
type editMatrix struct {
	ref   []int32
	words []int32 // the hypothesis of these rows
	rows  []row
	cost  []int32 // row after row
	ops   []byte
}

// row has the columns lo to hi-1, at an offset into cost and ops.
type row struct{ lo, hi, at int }

// reset starts with a reference, not empty, for hypotheses of n words.
func (m *editMatrix) reset(ref []int32, n int) {
	m.ref, m.words = ref, m.words[:0]
	ratio, beam := 1.0, beamWidth
	if n > 0 {
		ratio = float64(len(ref)) / float64(n)
	}
	if ratio/2 > beamWidth {
		beam = int(math.Ceil(ratio/2 + beamWidth))
	}
	m.rows = append(m.rows[:0], row{0, len(ref) + 1, 0})
	size := len(ref) + 1
	for i := 1; i <= n; i++ {
		diagonal := int(math.Floor(float64(i) * ratio))
		r := row{max(0, diagonal-beam), min(len(ref)+1, diagonal+beam), size}
		if i == n {
			r.hi = len(ref) + 1
		}
		m.rows = append(m.rows, r)
		size += r.hi - r.lo
	}
	m.cost = slices.Grow(m.cost[:0], size)[:size]
	m.ops = slices.Grow(m.ops[:0], size)[:size]
	for j := range len(ref) + 1 {
		m.cost[j], m.ops[j] = int32(j), insert
	}
}

// distance returns the number of edits, without shifts, that turn words into the
// reference.
func (m *editMatrix) distance(words []int32) int {
	same := 0
	for same < len(m.words) && m.words[same] == words[same] {
		same++
	}
	m.words = append(m.words[:same], words[same:]...)
	for i := same + 1; i <= len(words); i++ {
		m.fill(i, words[i-1])
	}
	return int(m.cost[len(m.cost)-1])
}

// fill computes row i. Among equally good edits, the order of preference is: keep or
// replace, remove, insert.
func (m *editMatrix) fill(i int, word int32) {
	const far = math.MaxInt32 / 2
	above, here := m.rows[i-1], m.rows[i]
	up := m.cost[above.at : above.at+above.hi-above.lo]
	left := int32(far)
	for j := here.lo; j < here.hi; j++ {
		best, op := int32(far), replace
		k := j - above.lo
		if k > 0 && k <= len(up) {
			best = up[k-1]
			if word == m.ref[j-1] {
				op = keep
			} else {
				best++
			}
		}
		if k < len(up) && up[k]+1 < best {
			best, op = up[k]+1, remove
		}
		if left+1 < best {
			best, op = left+1, insert
		}
		m.cost[here.at+j-here.lo], m.ops[here.at+j-here.lo] = best, op
		left = best
	}
}

// op returns the last edit that turns the first i words into the first j words of the
// reference.
func (m *editMatrix) op(i, j int) byte { return m.ops[m.rows[i].at+j-m.rows[i].lo] }
