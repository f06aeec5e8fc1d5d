package score

import (
	"math"
	"math/rand/v2"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
	"unicode"
)

// The oracle computes the same scores another way: tokenizers are chains of regular
// expressions, n-grams are strings in maps, edit distances a recursion over whole
// texts, and all shifts are listed before the best is chosen. It is slow and shares
// no code with the package but lower, which has a test of its own.

// rewrites is a chain of regular expressions and replacements.
func rewrites(s string, chain ...string) string {
	for i := 0; i < len(chain); i += 2 {
		s = expression(chain[i]).ReplaceAllString(s, chain[i+1])
	}
	return s
}

var expressions sync.Map

func expression(e string) *regexp.Regexp {
	if known, ok := expressions.Load(e); ok {
		return known.(*regexp.Regexp)
	}
	compiled := regexp.MustCompile(e)
	expressions.Store(e, compiled)
	return compiled
}

const pythonSpace = `[\s\x0b\x1c-\x1f\x{85}\p{Z}]`

func split(s string) []string {
	words := expression(pythonSpace+`+`).Split(s, -1)
	return slices.DeleteFunc(words, func(w string) bool { return w == "" })
}

var western = []string{`([{-~[-` + "`" + ` -&(-+:-@/])`, ` $1 `}

var points = []string{`([^0-9])([.,])`, `$1 $2 `, `([.,])([^0-9])`, ` $1 $2`, `([0-9])(-)`, `$1 $2 `}

var entities = []string{`&quot;`, `"`, `&amp;`, `&`, `&lt;`, `<`, `&gt;`, `>`}

func oracleTokens(name, s string) []string {
	s = rewrites(s, pythonSpace+`+$`, ``)
	switch name {
	case "13a":
		s = rewrites(s, append([]string{`<skipped>`, ``, `-\n`, ``, `\n`, ` `}, entities...)...)
		s = rewrites(" "+s+" ", append(slices.Clone(western), points...)...)
	case "intl":
		s = rewrites(s, `(\P{N})(\p{P})`, `$1 $2 `, `(\p{P})(\P{N})`, ` $1 $2`, `(\p{S})`, ` $1 `)
	case "char":
		s = rewrites(s, `(.)`, `$1 `)
	case "zh":
		s = rewrites(s, `^`+pythonSpace+`+`, ``,
			`([\x{2001}-\x{2a6d}\x{2e80}-\x{2fdf}\x{2ff0}-\x{303f}\x{3100}-\x{312f}\x{31a0}-\x{31bf}\x{31c0}-\x{31ef}\x{3200}-\x{4db5}\x{4e00}-\x{9fbb}`+
				`\x{f900}-\x{fa2d}\x{fa30}-\x{fa6a}\x{fa70}-\x{fad9}\x{fe10}-\x{fe1f}\x{fe30}-\x{fe4f}\x{ff00}-\x{ffef}])`, ` $1 `)
		s = rewrites(s, append(slices.Clone(western), points...)...)
	}
	return split(s)
}

// bag counts the n-grams of words.
func bag(words []string, n int) map[string]int {
	b := map[string]int{}
	for i := range words {
		if i+n <= len(words) {
			b[strings.Join(words[i:i+n], "\x00")]++
		}
	}
	return b
}

func size(b map[string]int) (n int) {
	for _, c := range b {
		n += c
	}
	return n
}

func common(a, b map[string]int) (n int) {
	for k, c := range a {
		n += min(c, b[k])
	}
	return n
}

func oracleBLEU(o BLEUOptions, segments []segment) float64 {
	words := func(s string) []string {
		if o.Lowercase {
			s = lower(s)
		}
		return oracleTokens(o.Tokenizer, s)
	}
	var matched, total [5]float64
	hypLen, refLen := 0, 0
	for _, s := range segments {
		hyp := words(s.hyp)
		lengths := []int{}
		for _, r := range s.refs {
			lengths = append(lengths, len(words(r)))
		}
		slices.Sort(lengths)
		slices.SortStableFunc(lengths, func(a, b int) int { return abs(a-len(hyp)) - abs(b-len(hyp)) })
		hypLen, refLen = hypLen+len(hyp), refLen+lengths[0]
		for n := 1; n <= 4; n++ {
			most := map[string]int{}
			for _, r := range s.refs {
				for k, c := range bag(words(r), n) {
					most[k] = max(most[k], c)
				}
			}
			matched[n] += float64(common(bag(hyp, n), most))
			total[n] += float64(size(bag(hyp, n)))
		}
	}
	if matched[1] == 0 {
		return 0
	}
	product, orders, zeros := 1.0, 4, 0
	for n := 1; n <= 4; n++ {
		if o.Smoothing == "add-k" && n > 1 {
			matched[n]++
			total[n]++
		}
		if total[n] == 0 {
			if o.EffectiveOrder {
				orders = n - 1
			} else {
				product = 0
			}
			break
		}
		p := matched[n] / total[n]
		if matched[n] == 0 {
			zeros++
			p = map[string]float64{"exp": math.Pow(0.5, float64(zeros)), "floor": 0.1}[o.Smoothing] / total[n]
		}
		product *= p
	}
	penalty := 1.0
	if hypLen < refLen {
		penalty = math.Exp(1 - float64(refLen)/float64(hypLen))
	}
	return 100 * penalty * math.Pow(product, 1/float64(orders))
}

func oracleCHRF(o CHRFOptions, segments []segment) float64 {
	bags := func(s string) (all []map[string]int) {
		if o.Lowercase {
			s = lower(s)
		}
		chars := s
		if !o.Whitespace {
			chars = strings.Join(split(s), "")
		}
		for n := 1; n <= o.CharOrder; n++ {
			all = append(all, bag(strings.Split(chars, ""), n))
		}
		var words []string
		for _, w := range split(s) {
			w = rewrites(w, "^(.+)([!-/:-@[-`{-~])$", "$1\n$2")
			if !strings.Contains(w, "\n") {
				w = rewrites(w, "^([!-/:-@[-`{-~])(.+)$", "$1\n$2")
			}
			words = append(words, strings.Split(w, "\n")...)
		}
		for n := 1; n <= o.WordOrder; n++ {
			all = append(all, bag(words, n))
		}
		return all
	}
	orders := o.CharOrder + o.WordOrder
	f := func(p, r float64) float64 {
		b := float64(o.Beta)
		if p+r == 0 {
			return 0
		}
		return (1 + b*b) * p * r / (b*b*p + r)
	}
	score := func(sums [][3]int) float64 {
		var ps, rs, fs, counted float64
		for _, s := range sums {
			if s[0] == 0 || s[1] == 0 {
				continue
			}
			p, r := float64(s[2])/float64(s[0]), float64(s[2])/float64(s[1])
			ps, rs, fs, counted = ps+p, rs+r, fs+f(p, r), counted+1
		}
		if o.EpsSmoothing {
			return 100 * fs / float64(orders)
		}
		if counted == 0 {
			return 0
		}
		return 100 * f(ps/counted, rs/counted)
	}
	sums := make([][3]int, orders)
	for _, s := range segments {
		var best [][3]int
		for _, r := range s.refs {
			h, r := bags(s.hyp), bags(r)
			stats := make([][3]int, orders)
			for i := range stats {
				stats[i] = [3]int{size(h[i]), size(r[i]), common(h[i], r[i])}
				if stats[i][1] == 0 {
					stats[i][0] = 0
				}
			}
			// Scores that differ by rounding only are not a better reference.
			if best == nil || score(stats) > score(best)+1e-9 {
				best = stats
			}
		}
		for i := range sums {
			for k := range sums[i] {
				sums[i][k] += best[i][k]
			}
		}
	}
	return score(sums)
}

// oracleSettings are settings of all metrics, each with its oracle.
func oracleSettings(t testing.TB) (metrics []Metric, oracles []func([]segment) float64) {
	for _, tokenizer := range Tokenizers() {
		for i, smoothing := range Smoothings() {
			o := BLEUOptions{Tokenizer: tokenizer, Lowercase: i%2 == 1, Smoothing: smoothing, EffectiveOrder: i > 1}
			metrics = append(metrics, mustBLEU(t, o))
			oracles = append(oracles, func(s []segment) float64 { return oracleBLEU(o, s) })
		}
	}
	for i := range 8 {
		o := CHRFOptions{CharOrder: 6 - i%3, WordOrder: i % 3, Beta: 1 + i%3, Lowercase: i&1 > 0, Whitespace: i&2 > 0, EpsSmoothing: i&4 > 0}
		metrics = append(metrics, mustCHRF(t, o))
		oracles = append(oracles, func(s []segment) float64 { return oracleCHRF(o, s) })
	}
	for i := range 16 {
		o := TEROptions{i&1 > 0, i&2 > 0, i&4 > 0, i&8 > 0}
		metrics = append(metrics, NewTER(o))
		oracles = append(oracles, func(s []segment) float64 { return oracleTER(o, s) })
	}
	return metrics, oracles
}

// vocabulary is what random texts are made of: words that are easily confused, and
// what the tokenizers treat apart.
var vocabulary = strings.Split("the|the|cat|cat|sat|on|mat|The|CAT|ΟΔΟΣ|İzmir|straße|1.5|2,000|3-4|5.|.5|..|,.|a.,5|x.|(y)|\"z\"|don't|Jim's|"+
	"&amp;lt;|&quot;|<skipped>|—|…|€5|§|猫|坐在|。|，|ねこ|カタ・カナ|\u2003|\u00a0|\x1c|𠀀|½|٣|a\u0301|%|$|#|_|-|'s|’s", "|")

func randomText(r *rand.Rand, words int) string {
	var b strings.Builder
	for range r.IntN(words + 1) {
		b.WriteString(vocabulary[r.IntN(len(vocabulary))])
		if r.IntN(5) > 0 {
			b.WriteByte(' ')
		}
	}
	return b.String()
}

// disturbed is a text with words moved, changed, left out and repeated.
func disturbed(r *rand.Rand, s string) string {
	words := strings.Fields(s)
	for range r.IntN(4) {
		if len(words) < 2 {
			break
		}
		i, j := r.IntN(len(words)), r.IntN(len(words))
		i, j = min(i, j), max(i, j)
		k := r.IntN(i + 1)
		switch r.IntN(4) {
		case 0: // the run i..j to k
			words = slices.Concat(words[:k], words[i:j], words[k:i], words[j:])
		case 1:
			words[i] = "dog"
		case 2:
			words = slices.Concat(words[:i], words[min(i+2, j):])
		case 3:
			words = slices.Concat(words[:j], words[i:])
		}
	}
	return strings.Join(words, " ")
}

func TestOracle(t *testing.T) {
	t.Parallel()
	metrics, oracles := oracleSettings(t)
	rounds := 60
	if testing.Short() {
		rounds = 10
	}
	r := rand.New(rand.NewPCG(1, 2))
	for range rounds {
		var segments []segment
		refs := 1 + r.IntN(3)
		for range 1 + r.IntN(3) {
			var s segment
			for range refs {
				s.refs = append(s.refs, randomText(r, 14))
			}
			s.hyp = disturbed(r, s.refs[0])
			segments = append(segments, s)
		}
		compareWithOracle(t, metrics, oracles, segments)
	}
}

func compareWithOracle(t *testing.T, metrics []Metric, oracles []func([]segment) float64, segments []segment) {
	t.Helper()
	for i, m := range metrics {
		got, want := scoreOf(m, segments), oracles[i](segments)
		if !(math.Abs(got.Score-want) <= 1e-6*max(1, want)) {
			t.Fatalf("%v; the oracle has %.9f for %q", got, want, segments)
		}
	}
}

func FuzzOracle(f *testing.F) {
	f.Add("the cat sat on the mat", "on the mat sat the cat", "The cat.")
	f.Add("1.5 a.,5 3-4", "a.,5 1.5. &amp;quot; Jim's", "")
	f.Add("猫坐在。", "猫，坐在", "ΟΔΟΣ İ")
	metrics, oracles := oracleSettings(f)
	f.Fuzz(func(t *testing.T, hyp, ref1, ref2 string) {
		texts := []string{hyp, ref1, ref2}
		for i, s := range texts {
			s = strings.ToValidUTF8(s, "?")
			if len(s) > 80 || strings.ContainsRune(s, unicode.ReplacementChar) {
				t.Skip()
			}
			texts[i] = s
		}
		compareWithOracle(t, metrics, oracles, one(texts[0], texts[1], texts[2]))
	})
}
