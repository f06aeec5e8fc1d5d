package score

import (
	"math"
	"strings"
	"testing"
)

// sets are hypotheses and references written for this test. Expected values were
// derived without this package: the words are cut off by hand as mteval-v13a does,
// written out; the n-grams of these words, and of the characters, were counted with a
// multiset of tuples in another language; the scores follow from the counts by the
// definitions, and the edits of TER were counted by hand.
//
// For example "repeated word, clipped": "the" is in the reference twice, so 2 of 4
// words match, and no pair of words, nor more. Smoothing gives 2/4, 1/(2*3), 1/(4*2),
// 1/(8*1); the lengths are equal; 100 * (2/4 * 1/6 * 1/8 * 1/8)^(1/4) = 19.00.
var sets = []struct {
	name           string
	segments       []segment
	words          []string // of the hypotheses, by 13a
	counts, totals [bleuOrder]int
	hyp, ref       int // length in words
	bleu, chrf     float64
	edits          int
	refLength, ter float64
}{
	{"one segment, the same", []segment{
		{"The sun is up.", []string{"The sun is up."}},
	}, []string{"The sun is up ."},
		[4]int{5, 4, 3, 2}, [4]int{5, 4, 3, 2}, 5, 5, 100.00, 100.00, 0, 4, 0.00},
	{"nothing in common", []segment{
		{"red fish", []string{"blue bird sings"}},
	}, []string{"red fish"},
		[4]int{0, 0, 0, 0}, [4]int{2, 1, 0, 0}, 2, 3, 0.00, 7.06, 3, 3, 100.00},
	{"empty hypothesis among others", []segment{
		{"", []string{"good morning"}},
		{"see you later today", []string{"see you later today"}},
	}, []string{"", "see you later today"},
		[4]int{4, 3, 2, 1}, [4]int{4, 3, 2, 1}, 4, 6, 60.65, 66.77, 2, 6, 33.33},
	{"empty reference", []segment{
		{"uh", []string{""}},
		{"we leave at nine", []string{"we leave at nine"}},
	}, []string{"uh", "we leave at nine"},
		[4]int{4, 3, 2, 1}, [4]int{5, 3, 2, 1}, 5, 4, 94.57, 100.00, 1, 4, 25.00},
	{"both empty", []segment{
		{"", []string{""}},
		{"one two three four", []string{"one two three four"}},
	}, []string{"", "one two three four"},
		[4]int{4, 3, 2, 1}, [4]int{4, 3, 2, 1}, 4, 4, 100.00, 100.00, 0, 4, 0.00},
	{"repeated word, clipped", []segment{
		{"the the the the", []string{"the cat the mat"}},
	}, []string{"the the the the"},
		[4]int{2, 0, 0, 0}, [4]int{4, 3, 2, 1}, 4, 4, 19.00, 20.51, 2, 4, 50.00},
	{"repeated pair, clipped", []segment{
		{"a b a b a b", []string{"a b c a b"}},
	}, []string{"a b a b a b"},
		[4]int{4, 2, 0, 0}, [4]int{6, 5, 4, 3}, 6, 5, 22.96, 24.91, 2, 5, 40.00},
	{"shorter: brevity penalty", []segment{
		{"he went home", []string{"he went home late at night"}},
	}, []string{"he went home"},
		[4]int{3, 2, 1, 0}, [4]int{3, 2, 1, 0}, 3, 6, 0.00, 45.48, 3, 6, 50.00},
	{"longer: none", []segment{
		{"he went home late at night again", []string{"he went home late"}},
	}, []string{"he went home late at night again"},
		[4]int{4, 3, 2, 1}, [4]int{7, 6, 5, 4}, 7, 4, 41.11, 82.58, 3, 4, 75.00},
	{"punctuation is cut off", []segment{
		{"Well, \"yes\"; (maybe)!", []string{"Well: \"yes\", maybe!"}},
	}, []string{"Well , \" yes \" ; ( maybe ) !"},
		[4]int{7, 2, 1, 0}, [4]int{10, 9, 8, 7}, 10, 8, 19.30, 43.44, 3, 3, 100.00},
	{"apostrophe and dash stay", []segment{
		{"it's a well-known fact", []string{"it's a well known fact"}},
	}, []string{"it's a well-known fact"},
		[4]int{3, 1, 0, 0}, [4]int{4, 3, 2, 1}, 4, 5, 27.53, 81.39, 2, 5, 40.00},
	{"numbers keep their points", []segment{
		{"It cost 1,234.50 in 2019.", []string{"It cost 1,234.5 in 2019."}},
	}, []string{"It cost 1,234.50 in 2019 ."},
		[4]int{5, 3, 1, 0}, [4]int{6, 5, 4, 3}, 6, 6, 37.99, 83.66, 1, 5, 20.00},
	{"dash after a digit", []segment{
		{"pages 3-4 of 10", []string{"pages 3 - 5 of 10"}},
	}, []string{"pages 3 - 4 of 10"},
		[4]int{5, 3, 1, 0}, [4]int{6, 5, 4, 3}, 6, 6, 37.99, 60.85, 3, 6, 50.00},
	{"entities", []segment{
		{"Tom &amp; Jerry say &quot;hi&quot;", []string{"Tom & Jerry say \"hi\""}},
	}, []string{"Tom & Jerry say \" hi \""},
		[4]int{7, 6, 5, 4}, [4]int{7, 6, 5, 4}, 7, 7, 100.00, 45.14, 2, 5, 40.00},
	{"case differs", []segment{
		{"the Eiffel tower in Paris", []string{"The Eiffel Tower in Paris"}},
	}, []string{"the Eiffel tower in Paris"},
		[4]int{3, 1, 0, 0}, [4]int{5, 4, 3, 2}, 5, 5, 23.64, 74.60, 0, 5, 0.00},
	{"accents and white space", []segment{
		{"Le garçon\u00a0mange  une pêche", []string{"Le garçon mange une peche"}},
	}, []string{"Le garçon mange une pêche"},
		[4]int{4, 3, 2, 1}, [4]int{5, 4, 3, 2}, 5, 5, 66.87, 83.12, 1, 5, 20.00},
	{"French", []segment{
		{"Un homme monte à cheval.", []string{"Un homme est à cheval."}},
	}, []string{"Un homme monte à cheval ."},
		[4]int{5, 3, 1, 0}, [4]int{6, 5, 4, 3}, 6, 6, 37.99, 63.09, 1, 5, 20.00},
	{"Chinese, by 13a one word", []segment{
		{"猫坐在垫子上。", []string{"猫坐在垫子上"}},
	}, []string{"猫坐在垫子上。"},
		[4]int{0, 0, 0, 0}, [4]int{1, 0, 0, 0}, 1, 1, 0.00, 93.26, 1, 1, 100.00},
	{"Japanese with spaces", []segment{
		{"猫 が 好き です", []string{"犬 が 好き です"}},
	}, []string{"猫 が 好き です"},
		[4]int{3, 2, 1, 0}, [4]int{4, 3, 2, 1}, 4, 4, 59.46, 59.17, 1, 4, 25.00},
	{"two references, best of each", []segment{
		{"the dog barks at the mailman", []string{"the dog barks loudly", "a hound barks at the mailman"}},
	}, []string{"the dog barks at the mailman"},
		[4]int{5, 5, 3, 1}, [4]int{6, 5, 4, 3}, 6, 6, 67.56, 72.70, 2, 5, 40.00},
	{"two references, equally near in length: the shorter", []segment{
		{"a b c d", []string{"a b c", "a b c d e"}},
	}, []string{"a b c d"},
		[4]int{4, 3, 2, 1}, [4]int{4, 3, 2, 1}, 4, 3, 100.00, 89.84, 1, 4, 25.00},
	{"two references, clipped by each alone", []segment{
		{"x x x y", []string{"x x y", "x y y x z"}},
	}, []string{"x x x y"},
		[4]int{3, 2, 1, 0}, [4]int{4, 3, 2, 1}, 4, 3, 59.46, 89.84, 1, 4, 25.00},
	{"a shift", []segment{
		{"on the mat the cat sat", []string{"the cat sat on the mat"}},
	}, []string{"on the mat the cat sat"},
		[4]int{6, 4, 2, 0}, [4]int{6, 5, 4, 3}, 6, 6, 50.81, 81.09, 1, 6, 16.67},
	{"several segments", []segment{
		{"a small house", []string{"a little house"}},
		{"near the river bank", []string{"near the river"}},
		{"stands", []string{"stands alone"}},
	}, []string{"a small house", "near the river bank", "stands"},
		[4]int{6, 2, 1, 0}, [4]int{8, 5, 3, 1}, 8, 8, 47.29, 57.54, 3, 8, 37.50},
}

func TestSets(t *testing.T) {
	t.Parallel()
	for _, s := range sets {
		for i, words := range s.words {
			if got := strings.Join(tokenize13a(trimRight(s.segments[i].hyp)), " "); got != words {
				t.Errorf("%s: words %q, want %q", s.name, got, words)
			}
		}
		r := scoreOf(mustBLEU(t, DefaultBLEU()), s.segments)
		checkScore(t, s.name, r, s.bleu, 0.005)
		want := r.Details.(BLEUDetails)
		want.Counts, want.Totals, want.HypLen, want.RefLen = s.counts, s.totals, s.hyp, s.ref
		if r.Details != want {
			t.Errorf("%s: %v, want %v", s.name, r.Details, want)
		}
		checkScore(t, s.name, scoreOf(mustCHRF(t, DefaultCHRF()), s.segments), s.chrf, 0.005)
		r = scoreOf(NewTER(TEROptions{}), s.segments)
		checkScore(t, s.name, r, s.ter, 0.005)
		if want := (TERDetails{s.edits, s.refLength}); r.Details != want {
			t.Errorf("%s: %v, want %v", s.name, r.Details, want)
		}
	}
}

// TestTokenizers has words cut off by hand after the rules of mteval-v13a and v14,
// and of the Chinese tokenizer.
func TestTokenizers(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ tokenizer, in, want string }{
		{"13a", "a.,5 1..2 5. .5 3-4-", "a . ,5 1 . . 2 5 . . 5 3 - 4 -"},
		{"13a", "&amp;quot; &lt;b&gt; <skipped>x", "& quot ; < b > x"},
		{"13a", "line-\nbreak\nnext", "linebreak next"},
		{"13a", "don't «oui» — 10%", "don't «oui» — 10 %"},
		{"13a", "a\u00a0b\u3000c\x1cd", "a b c d"},
		{"intl", "don't «oui» — 10% €5, 1,5 in 2019.", "don ' t « oui » — 10 % € 5 , 1,5 in 2019."},
		{"intl", "a+b=c&amp;", "a + b = c & amp ;"},
		{"zh", "我有3.5个苹果,ok. 等5.", "我 有 3.5 个 苹 果 , ok . 等 5."},
		{"zh", "“引用”→𠀀𠀁", "“ 引 用 ” → 𠀀𠀁"},
		{"char", "né à 3", "n é à 3"},
		{"none", " a.b  c ", "a.b c"},
	} {
		if got := strings.Join(tokenizers[c.tokenizer](c.in), " "); got != c.want {
			t.Errorf("%s: %q becomes %q, want %q", c.tokenizer, c.in, got, c.want)
		}
	}
}

// TestLower has what Python's str.lower gives where it is not letter by letter.
func TestLower(t *testing.T) {
	t.Parallel()
	for in, want := range map[string]string{
		"": "", "ÀÉ ẞ ǅ": "àé ß ǆ", "İSTANBUL": "i\u0307stanbul", "ΟΔΟΣ": "οδος", "ΟΔΟΣ.": "οδος.", "ΣΑΣ ΣΑ": "σας σα", "Σ": "σ",
		"Α'Σ": "α'ς", "ΑΣ:": "ας:", "ΑΣ'Α": "ασ'α", "1Σ": "1σ", "Α\u0301Σ\u0301": "α\u0301ς\u0301",
	} {
		if got := lower(in); got != want {
			t.Errorf("lower(%q) = %q, want %q", in, got, want)
		}
	}
}

func TestSignatures(t *testing.T) {
	t.Parallel()
	bleu := func(o BLEUOptions) Metric { return mustBLEU(t, o) }
	chrf := func(o CHRFOptions) Metric { return mustCHRF(t, o) }
	for _, c := range []struct {
		m    Metric
		want string
	}{
		{bleu(DefaultBLEU()), "BLEU|nrefs:2|case:mixed|eff:no|tok:13a|smooth:exp|version:bdia.2"},
		{bleu(BLEUOptions{"intl", true, "floor", 0, true}), "BLEU|nrefs:2|case:lc|eff:yes|tok:intl|smooth:floor[0.10]|version:bdia.2"},
		{bleu(BLEUOptions{"zh", false, "add-k", 2, false}), "BLEU|nrefs:2|case:mixed|eff:no|tok:zh|smooth:add-k[2.00]|version:bdia.2"},
		{chrf(DefaultCHRF()), "chrF2|nrefs:2|case:mixed|eff:yes|nc:6|nw:0|space:no|version:bdia.2"},
		{chrf(CHRFOptions{6, 2, 3, true, true, true}), "chrF3++|nrefs:2|case:lc|eff:no|nc:6|nw:2|space:yes|version:bdia.2"},
		{NewTER(TEROptions{}), "TER|nrefs:2|case:lc|tok:tercom|norm:no|punct:yes|asian:no|version:bdia.2"},
		{NewTER(TEROptions{true, true, true, true}), "TER|nrefs:2|case:mixed|tok:tercom|norm:yes|punct:no|asian:yes|version:bdia.2"},
	} {
		c.m.Add("a", "b", "c")
		if r := c.m.Result(); r.Name+"|"+r.Signature != c.want {
			t.Errorf("signature %s|%s, want %s", r.Name, r.Signature, c.want)
		}
		c.m.Add("a", "b")
		if r := c.m.Result(); !strings.HasPrefix(r.Signature, "nrefs:var|") || r.Segments != 2 {
			t.Errorf("segments with 2 and 1 references: %v", r)
		}
	}
	const want = "BLEU|nrefs:2|case:mixed|eff:no|tok:13a|smooth:exp|version:bdia.2 = 48.53 " +
		"82.4/50.0/45.5/37.5 (BP = 0.943 ratio = 0.944 hyp_len = 17 ref_len = 18)"
	if got := scoreOf(mustBLEU(t, DefaultBLEU()), readme).String(); got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
}

// TestNothing scores corpora without a segment.
func TestNothing(t *testing.T) {
	t.Parallel()
	metrics, _ := oracleSettings(t)
	for _, m := range metrics {
		if r := m.Result(); !(math.Abs(r.Score) < 1e-9) {
			t.Errorf("no segment at all: %v", r)
		}
	}
}
