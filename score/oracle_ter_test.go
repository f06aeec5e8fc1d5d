package score

import (
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
)

func oraclePrepare(o TEROptions, s string) string {
	s = rewrites(s, pythonSpace+`+$`, ``)
	if !o.CaseSensitive {
		s = lower(s)
	}
	const asianMarks = `[\x{3001}\x{3002}\x{3008}-\x{3011}\x{3014}-\x{301f}\x{ff61}-\x{ff65}\x{30fb}\x{ff0e}\x{ff0c}\x{ff1f}\x{ff1a}\x{ff1b}\x{ff01}\x{ff02}\x{ff08}\x{ff09}]`
	if o.Normalized && s != "" {
		s = rewrites(s, append([]string{`\n-`, ``, `\n`, ` `}, entities...)...)
		s = rewrites(" "+s+" ", append(append(slices.Clone(western), `'s `, ` 's `), points...)...)
		if o.AsianSupport {
			s = rewrites(s, `([\x{4e00}-\x{9fff}\x{3400}-\x{4dbf}\x{31c0}-\x{31ef}\x{2e80}-\x{2eff}\x{3300}-\x{33ff}\x{f900}-\x{faff}\x{fe30}-\x{fe4f}\x{3200}-\x{3f22}])`, ` $1 `,
				`(`+asianMarks+`)`, ` $1 `)
		}
	}
	if o.NoPunct {
		s = rewrites(s, `[.,?:;!"()]`, ``)
		if o.AsianSupport {
			s = rewrites(s, asianMarks, ``)
		}
	}
	return strings.Join(split(s), " ")
}

// oracleEdits is the edit distance of two texts within the beam, with its trace: one
// letter an edit, as rewriting hyp.
func oracleEdits(hyp, ref []string) (int, string) {
	type answer struct {
		cost int
		op   byte
	}
	const far = 1 << 30
	ratio, beam := 1.0, 25
	if len(hyp) > 0 {
		ratio = float64(len(ref)) / float64(len(hyp))
	}
	if ratio > 50 {
		beam = int(math.Ceil(ratio/2 + 25))
	}
	known := make([]answer, (len(hyp)+1)*(len(ref)+1))
	var find func(i, j int) answer
	find = func(i, j int) answer {
		diagonal := int(math.Floor(float64(i) * ratio))
		switch {
		case i < 0 || j < 0:
			return answer{far, 'x'}
		case i == 0:
			return answer{j, 'i'}
		case j < diagonal-beam || j >= diagonal+beam && i < len(hyp):
			return answer{far, 'x'}
		}
		a := &known[i*(len(ref)+1)+j]
		if a.op != 0 {
			return *a
		}
		change, op := 1, byte('s')
		if j > 0 && hyp[i-1] == ref[j-1] {
			change, op = 0, ' '
		}
		options := [...]answer{{find(i-1, j-1).cost + change, op}, {find(i-1, j).cost + 1, 'd'}, {find(i, j-1).cost + 1, 'i'}}
		*a = slices.MinFunc(options[:], func(a, b answer) int { return a.cost - b.cost })
		return *a
	}
	trace := ""
	for i, j := len(hyp), len(ref); i > 0 || j > 0; {
		op := find(i, j).op
		trace = string(op) + trace
		if op != 'i' {
			i--
		}
		if op != 'd' {
			j--
		}
	}
	return find(len(hyp), len(ref)).cost, trace
}

func oracleRate(hyp, ref []string) int {
	if len(ref) == 0 {
		return len(hyp)
	}
	for shifts, tried := 0, 0; ; shifts++ {
		cost, trace := oracleEdits(hyp, ref)
		align := map[int]int{}
		hypWrong, refWrong := "", ""
		for _, op := range trace {
			mark := "x"
			if op == ' ' {
				mark = "."
			}
			if op != 'i' {
				hypWrong += mark
			}
			if op != 'd' {
				align[len(refWrong)] = len(hypWrong) - 1
				refWrong += mark
			}
		}
		type candidate struct {
			rank  [4]int
			words []string
		}
		var all []candidate
	search:
		for h := range hyp {
			for r := range ref {
				for n := 1; n <= 10 && h+n <= len(hyp) && r+n <= len(ref) && slices.Equal(hyp[h:h+n], ref[r:r+n]); n++ {
					if abs(h-r) > 50 || !strings.Contains(hypWrong[h:h+n], "x") || !strings.Contains(refWrong[r:r+n], "x") ||
						align[r] >= h && align[r] < h+n {
						continue
					}
					targets := []int{}
					for place := r - 1; place < r+n; place++ {
						target := 0
						if place >= 0 {
							target = align[place] + 1
						}
						targets = append(targets, target)
					}
					for _, target := range slices.Compact(targets) {
						rest := slices.Concat(hyp[:h], hyp[h+n:])
						cut := target // in rest
						if target > h+n {
							cut = target - n
						}
						cut = min(cut, len(rest))
						words := slices.Concat(rest[:cut], hyp[h:h+n], rest[cut:])
						after, _ := oracleEdits(words, ref)
						all = append(all, candidate{[4]int{after - cost, -n, h, target}, words})
						tried++
					}
					if tried >= 1000 {
						break search
					}
				}
			}
		}
		slices.SortStableFunc(all, func(a, b candidate) int { return slices.Compare(a.rank[:], b.rank[:]) })
		if tried >= 1000 || len(all) == 0 || all[0].rank[0] >= 0 {
			return shifts + cost
		}
		hyp = all[0].words
	}
}

func oracleTER(o TEROptions, segments []segment) float64 {
	edits, length := 0, 0.0
	for _, s := range segments {
		rates, words := []int{}, 0
		for _, r := range s.refs {
			ref := split(oraclePrepare(o, oraclePrepare(o, r)))
			rates = append(rates, oracleRate(split(oraclePrepare(o, s.hyp)), ref))
			words += len(ref)
		}
		edits += slices.Min(rates)
		length += float64(words) / float64(len(s.refs))
	}
	switch {
	case length > 0:
		return 100 * float64(edits) / length
	case edits > 0:
		return 100
	}
	return 0
}

// TestOracleLong compares TER where its limits take hold: texts longer than the
// beam, far shifts, many candidates, and lengths that differ much.
func TestOracleLong(t *testing.T) {
	t.Parallel()
	r := rand.New(rand.NewPCG(3, 4))
	words := func(n, kinds int) string {
		var b strings.Builder
		for range n {
			fmt.Fprintf(&b, "w%d ", r.IntN(kinds))
		}
		return b.String()
	}
	for _, c := range []struct{ hyp, ref, kinds int }{
		{70, 70, 70}, {90, 60, 500}, {30, 75, 20}, {1, 120, 3}, {120, 1, 3}, {2, 130, 2}, {45, 45, 2}, {3, 0, 5}, {0, 70, 5},
	} {
		ref := words(c.ref, c.kinds)
		random := segment{words(c.hyp, c.kinds), []string{ref}}
		half := strings.Fields(ref)
		turned := segment{strings.Join(slices.Concat(half[len(half)/2:], half[:len(half)/2]), " "), []string{ref}}
		for _, s := range []segment{random, turned} {
			got, want := scoreOf(NewTER(TEROptions{}), []segment{s}), oracleTER(TEROptions{}, []segment{s})
			if !(math.Abs(got.Score-want) <= 1e-9*max(1, want)) {
				t.Errorf("%d words against %d: %v; the oracle has %.9f", c.hyp, c.ref, got, want)
			}
		}
	}
}
