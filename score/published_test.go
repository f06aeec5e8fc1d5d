package score

import (
	"fmt"
	"math"
	"strings"
	"testing"
)

// segment is a hypothesis with its references.
type segment struct {
	hyp  string
	refs []string
}

func one(hyp string, refs ...string) []segment { return []segment{{hyp, refs}} }

// scoreOf returns the result for segments.
func scoreOf(m Metric, segments []segment) Result {
	m.Reset()
	for _, s := range segments {
		m.Add(s.hyp, s.refs...)
	}
	return m.Result()
}

func mustBLEU(t testing.TB, o BLEUOptions) *BLEU {
	t.Helper()
	b, err := NewBLEU(o)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func mustCHRF(t testing.TB, o CHRFOptions) *CHRF {
	t.Helper()
	c, err := NewCHRF(o)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func checkScore(t *testing.T, what string, r Result, want, tolerance float64) {
	t.Helper()
	if !(math.Abs(r.Score-want) <= tolerance) {
		t.Errorf("%s: %.8f, want %.8f: %v", what, r.Score, want, r)
	}
}

// readme is the example of sacreBLEU's README: three segments, two references.
var readme = []segment{
	{"The dog bit the man.", []string{"The dog bit the man.", "The dog had bit the man."}},
	{"It wasn't surprising.", []string{"It was not unexpected.", "No one was surprised."}},
	{"The man had just bitten him.", []string{"The man bit him first.", "The man had bitten the dog."}},
}

// TestPublishedBLEU has the values of sacreBLEU's own tests (test/test_bleu.py and
// test/test_sentence_bleu.py) and of the documentation of Hugging Face's evaluate,
// which were made with sacreBLEU (metrics/sacrebleu/README.md).
func TestPublishedBLEU(t *testing.T) {
	t.Parallel()
	romanian := one("Producția de zahăr primă va fi exprimată în ceea ce privește zahărul alb;",
		"producţia de zahăr brut se exprimă în zahăr alb;")
	cat := one("this is a cat", "okay thanks")
	raw := BLEUOptions{Tokenizer: "none", Smoothing: "floor", SmoothValue: 0.01, EffectiveOrder: true}
	sentence := func(smoothing string, value float64, lowercase bool, tokenizer string) BLEUOptions {
		return BLEUOptions{tokenizer, lowercase, smoothing, value, true}
	}
	with := func(tokenizer, smoothing string) BLEUOptions {
		return BLEUOptions{Tokenizer: tokenizer, Smoothing: smoothing}
	}
	for _, c := range []struct {
		name      string
		o         BLEUOptions
		segments  []segment
		want      float64
		tolerance float64
	}{
		{"readme", DefaultBLEU(), readme, 48.530827, 1e-6},
		{"readme, no tokenizer", with("none", "exp"), readme, 49.1919566, 1e-6},
		{"readme, intl", with("intl", "exp"), readme, 43.91623493, 1e-6},
		{"readme, no smoothing", with("13a", "none"), readme, 48.530827, 1e-6},
		{"readme, empty hypotheses", DefaultBLEU(), []segment{{"", readme[0].refs}, {"", readme[1].refs}, {"", readme[2].refs}}, 0, 0},
		{"raw, no match", raw, []segment{{"this is a test", []string{"ref1"}}, {"another test", []string{"ref2"}}}, 0, 0},
		{"raw, all match", raw, one("this is a test", "this is a test"), 100, 1e-6},
		{"raw, one word", raw, one("this is a fest", "this is a test"), 22.3606797749979, 1e-6},
		{"raw, offset 0.1", BLEUOptions{Tokenizer: "none", Smoothing: "floor", EffectiveOrder: true},
			one("am I am a character sequence", "I am a symbol string sequence a a"), 15.55722182, 1e-6},
		{"raw, no offset", BLEUOptions{Tokenizer: "none", Smoothing: "none", EffectiveOrder: true},
			one("am I am a character sequence", "I am a symbol string sequence a a"), 0, 0},
		{"effective order, short", raw, one("test", "a test"), 36.78794411714425, 1e-6},
		{"effective order, equal", raw, one("a test", "a test"), 100, 1e-6},
		{"effective order, long", raw, one("a little test", "a test"), 3.218297948685433, 1e-6},
		{"romanian, exp", sentence("exp", 0, false, "13a"), romanian, 8.493, 1e-3},
		{"romanian, none", sentence("none", 0, false, "13a"), romanian, 0, 0},
		{"romanian, floor", sentence("floor", 0, false, "13a"), romanian, 4.51688, 1e-3},
		{"romanian, floor 0.1", sentence("floor", 0.1, false, "13a"), romanian, 4.51688, 1e-3},
		{"romanian, floor 0.5", sentence("floor", 0.5, false, "13a"), romanian, 10.10, 1e-3},
		{"romanian, add-k", sentence("add-k", 0, false, "13a"), romanian, 14.882, 1e-3},
		{"romanian, add-k 1", sentence("add-k", 1, false, "13a"), romanian, 14.882, 1e-3},
		{"romanian, add-k 2", sentence("add-k", 2, false, "13a"), romanian, 21.389, 1e-3},
		{"romanian, no tokenizer", sentence("exp", 0, false, "none"), romanian, 7.347, 1e-3},
		{"romanian, intl", sentence("exp", 0, false, "intl"), romanian, 8.493, 1e-3},
		{"romanian, char", sentence("exp", 0, false, "char"), romanian, 40.8759, 1e-3},
		{"romanian, char, lower case", sentence("exp", 0, true, "char"), romanian, 42.0267, 1e-3},
		{"cat, exp", sentence("exp", 0, false, "13a"), cat, 0, 0},
		{"cat, none", sentence("none", 0, false, "13a"), cat, 0, 0},
		{"cat, floor", sentence("floor", 0, false, "13a"), cat, 0, 0},
		{"cat, add-k", sentence("add-k", 0, false, "13a"), cat, 0, 0},
		{"evaluate, kenobi", DefaultBLEU(), []segment{
			{"hello there general kenobi", []string{"hello there general kenobi", "hello there !"}},
			{"foo bar foobar", []string{"foo bar foobar", "foo bar foobar"}},
		}, 100, 1e-6},
		{"evaluate, ankh morpork", DefaultBLEU(), []segment{
			{"hello there general kenobi", []string{"hello there general kenobi", "hello there !"}},
			{"on our way to ankh morpork", []string{"goodbye ankh morpork", "ankh morpork"}},
		}, 39.76353643835252, 1e-6},
	} {
		checkScore(t, c.name, scoreOf(mustBLEU(t, c.o), c.segments), c.want, c.tolerance)
	}
}

// TestPublishedBLEUFromStatistics has the cases of test/test_bleu.py that start from
// counts.
func TestPublishedBLEUFromStatistics(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		counts, totals [bleuOrder]int
		hyp, ref       int
		o              BLEUOptions
		want           float64
	}{
		{[4]int{9, 7, 5, 3}, [4]int{10, 8, 6, 4}, 11, 11, BLEUOptions{Smoothing: "none"}, 83.75922397},
		{[4]int{}, [4]int{4, 4, 2, 1}, 0, 1, BLEUOptions{Smoothing: "floor"}, 0},
		{[4]int{}, [4]int{10, 11, 12, 0}, 14, 10, BLEUOptions{Smoothing: "floor"}, 0},
		{[4]int{}, [4]int{}, 0, 0, BLEUOptions{Smoothing: "floor"}, 0},
		{[4]int{6, 5, 4, 0}, [4]int{6, 5, 4, 3}, 6, 6, BLEUOptions{Smoothing: "floor"}, 0},
		{[4]int{}, [4]int{}, 0, 0, BLEUOptions{Smoothing: "floor", SmoothValue: 0.1}, 0},
		{[4]int{}, [4]int{}, 1, 5, BLEUOptions{Smoothing: "floor", SmoothValue: 0.01}, 0},
	} {
		got, _ := bleu(BLEUDetails{Counts: c.counts, Totals: c.totals, HypLen: c.hyp, RefLen: c.ref}, c.o)
		if !(math.Abs(got-c.want) <= 1e-6) {
			t.Errorf("%v of %v: %v, want %v", c.counts, c.totals, got, c.want)
		}
	}
	d := scoreOf(mustBLEU(t, BLEUOptions{Tokenizer: "none", Smoothing: "floor", EffectiveOrder: true}),
		one("am I am a character sequence", "I am a symbol string sequence a a")).Details.(BLEUDetails)
	if d.Counts != [4]int{4, 2, 1, 0} || d.Totals != [4]int{6, 5, 4, 3} {
		t.Errorf("counts %v of %v, want [4 2 1 0] of [6 5 4 3]", d.Counts, d.Totals)
	}
}

// TestBLEUPaper has the worked examples of Papineni et al. (2002), section 2.1.
func TestBLEUPaper(t *testing.T) {
	t.Parallel()
	refs := []string{
		"It is a guide to action that ensures that the military will forever heed Party commands",
		"It is the guiding principle which guarantees the military forces always being under the command of the Party",
		"It is the practical guide for the army always to heed the directions of the party",
	}
	cats := []string{"the cat is on the mat", "there is a cat on the mat"}
	for _, c := range []struct {
		hyp    string
		refs   []string
		counts [2]int
		totals [2]int
	}{
		{"It is a guide to action which ensures that the military always obeys the commands of the party", refs, [2]int{17, 10}, [2]int{18, 17}},
		{"It is to insure the troops forever hearing the activity guidebook that party direct", refs, [2]int{8, 1}, [2]int{14, 13}},
		{"the the the the the the the", cats, [2]int{2, 0}, [2]int{7, 6}},
	} {
		d := scoreOf(mustBLEU(t, DefaultBLEU()), one(c.hyp, c.refs...)).Details.(BLEUDetails)
		if [2]int(d.Counts[:2]) != c.counts || [2]int(d.Totals[:2]) != c.totals {
			t.Errorf("%q: %v of %v, want %v of %v", c.hyp, d.Counts[:2], d.Totals[:2], c.counts, c.totals)
		}
	}
}

// TestPublishedCHRF has the values of sacreBLEU's test/test_chrf.py and of Hugging
// Face's metrics/chrf/README.md.
func TestPublishedCHRF(t *testing.T) {
	t.Parallel()
	eps := CHRFOptions{CharOrder: 6, Beta: 3, EpsSmoothing: true}
	effective := CHRFOptions{CharOrder: 6, Beta: 3}
	spaces := CHRFOptions{CharOrder: 6, Beta: 3, Whitespace: true}
	czech := CHRFOptions{CharOrder: 6, Beta: 2, EpsSmoothing: true}
	risk := one(" risk assessment must be made of those who are qualified and expertise in the sector - these are the scientists .",
		"risk assessment has to be undertaken by those who are qualified and expert in that area - that is the scientists .")
	wall := "Niemand hat die Absicht, eine Mauer zu errichten"
	shop := []segment{
		{"The relationship between cats and dogs is not exactly friendly.", []string{"The relationship between dogs and cats is not exactly friendly."}},
		{"a good bookshop is just a genteel black hole that knows how to read.", []string{"A good bookshop is just a genteel Black Hole that knows how to read."}},
	}
	pair := []segment{{"a", []string{"a"}}, {"b", []string{"c"}}}
	for i, c := range []struct {
		o        CHRFOptions
		segments []segment
		want     float64
	}{
		{eps, one("abcdefg", "hijklmnop"), 0},
		{eps, one("a", "b"), 0},
		{eps, one("", "b"), 0},
		{eps, one("", "ref"), 0},
		{eps, one("", "reference"), 0},
		{eps, one("aa", "ab"), 8.3333},
		{eps, pair, 8.3333},
		{eps, one("a", "a"), 16.6667},
		{eps, one("a b c", "a b c"), 50},
		{eps, one("a b c", "abc"), 50},
		{eps, risk, 63.361730},
		{eps, one(" Die    Beziehung zwischen  Obama und Netanjahu ist nicht gerade  freundlich. ",
			"Das Verhältnis zwischen Obama und Netanyahu ist nicht gerade freundschaftlich."), 64.1302698},
		{eps, one(wall, wall), 100},
		{effective, one("a", "a"), 100},
		{effective, one("", "reference"), 0},
		{effective, one("a b c", "a b c"), 100},
		{effective, one("a b c", "abc"), 100},
		{effective, one("", "c"), 0},
		{effective, pair, 50},
		{effective, one("aa", "ab"), 25},
		{spaces, one("Die Beziehung zwischen Obama und Netanjahu ist nicht gerade freundlich.",
			"Das Verhältnis zwischen Obama und Netanyahu ist nicht gerade freundschaftlich."), 67.3481606},
		{spaces, one(strings.TrimSpace(risk[0].hyp), risk[0].refs...), 65.2414427},
		{czech, one("Co nás nejvíc trápí, protože lékaři si vybírají, kdo bude žít a kdo zemře.",
			"Nejvíce smutní jsme z toho, že musíme rozhodovat o tom, kdo bude žít a kdo zemře."), 39.14078509},
		{czech, one("Nebo prostě nemají vybavení, které by jim pomohlo, uvedli lékaři.",
			"A někdy nemáme ani potřebný materiál, abychom jim pomohli, popsali lékaři."), 31.22557079},
		{czech, one("Lapali po dechu, jejich životy skončily dřív, než skutečně začaly.",
			"Lapali po dechu a pak jejich život skončil - dřív, než skutečně mohl začít, připomněli."), 57.15704367},
		{DefaultCHRF(), shop, 84.64214891738334},
		{CHRFOptions{CharOrder: 6, WordOrder: 2, Beta: 2}, shop, 82.87263732906315},
		{CHRFOptions{CharOrder: 6, WordOrder: 2, Beta: 2, Lowercase: true}, shop, 92.12853119829202},
	} {
		checkScore(t, fmt.Sprintf("case %d", i+1), scoreOf(mustCHRF(t, c.o), c.segments), c.want, 1e-4)
	}
}

// TestPublishedTER has the values of sacreBLEU's test/test_ter.py, of Hugging Face's
// metrics/ter/README.md, and of the example of Snover et al. (2006), section 2: one
// shift, two replacements and an insertion, over 13 words.
func TestPublishedTER(t *testing.T) {
	t.Parallel()
	match := segment{"does this sentence match??", []string{"does this sentence match", "does this sentence match!?!"}}
	about := segment{"what about this sentence?", []string{"wHaT aBoUt ThIs SeNtEnCe?", "wHaT aBoUt ThIs SeNtEnCe?"}}
	jokes := segment{"What did the TER metric user say to the developer?", []string{"Your jokes are...", "...TERrible"}}
	two, three := []segment{match, about}, []segment{match, about, jokes}
	for _, c := range []struct {
		o        TEROptions
		segments []segment
		want     float64
		edits    int
		length   float64
	}{
		{TEROptions{}, one("aaaa bbbb cccc dddd", "aaaa bbbb cccc dddd"), 0, 0, 4},
		{TEROptions{}, one("dddd eeee ffff", "aaaa bbbb cccc"), 100, 3, 3},
		{TEROptions{}, one("", "a"), 100, 1, 1},
		{TEROptions{}, one("d e f g h a b c", "a b c d e f g h"), 12.5, 1, 8},
		{TEROptions{}, []segment{
			{`wählen Sie " Bild neu berechnen , " um beim Ändern der Bildgröße Pixel hinzuzufügen oder zu entfernen , damit das Bild ungefähr dieselbe Größe aufweist wie die andere Größe .`,
				[]string{`wählen Sie " Bild neu berechnen , " um beim Ändern der Bildgröße Pixel hinzuzufügen oder zu entfernen , damit die Darstellung des Bildes in einer anderen Größe beibehalten wird .`}},
			{`wenn Sie alle Aufgaben im aktuellen Dokument aktualisieren möchten , wählen Sie im Menü des Aufgabenbedienfelds die Option " Alle Aufgaben aktualisieren . "`,
				[]string{`wenn Sie alle Aufgaben im aktuellen Dokument aktualisieren möchten , wählen Sie im Menü des Aufgabenbedienfelds die Option " Alle Aufgaben aktualisieren . "`}},
			{`klicken Sie auf der Registerkarte " Optionen " auf die Schaltfläche " Benutzerdefiniert " und geben Sie Werte für " Fehlerkorrektur-Level " und " Y / X-Verhältnis " ein .`,
				[]string{`klicken Sie auf der Registerkarte " Optionen " auf die Schaltfläche " Benutzerdefiniert " und geben Sie für " Fehlerkorrektur-Level " und " Y / X-Verhältnis " niedrigere Werte ein .`}},
			{`Sie können beispielsweise ein Dokument erstellen , das ein Auto über die Bühne enthält .`,
				[]string{`Sie können beispielsweise ein Dokument erstellen , das ein Auto enthalt , das sich über die Bühne bewegt .`}},
			{`wählen Sie im Dialogfeld " Neu aus Vorlage " eine Vorlage aus und klicken Sie auf " Neu . "`,
				[]string{`wählen Sie im Dialogfeld " Neu aus Vorlage " eine Vorlage aus und klicken Sie auf " Neu . "`}},
		}, 13.6, 17, 125},
		{TEROptions{CaseSensitive: true}, three, 150, 15, 10},
		{TEROptions{CaseSensitive: true}, two, 62.5, 5, 8},
		{TEROptions{CaseSensitive: true, Normalized: true}, two, 57.14285714285714, 6, 10.5},
		{TEROptions{NoPunct: true}, two, 0, 0, 8},
		{TEROptions{NoPunct: true}, three, 100, 10, 10},
		{TEROptions{}, one("this week the saudis denied information published in the new york times",
			"saudi arabia denied this week information published in the american new york times"), 100 * 4.0 / 13, 4, 13},
	} {
		r := scoreOf(NewTER(c.o), c.segments)
		checkScore(t, c.segments[0].hyp, r, c.want, 1e-9)
		if d := r.Details.(TERDetails); d.Edits != c.edits || d.RefLength != c.length {
			t.Errorf("%q: %v, want %d edits of %v words", c.segments[0].hyp, d, c.edits, c.length)
		}
	}
}

// TestPublishedTERTokens has the cases of sacreBLEU's test/test_tokenizer_ter.py.
func TestPublishedTERTokens(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		o        TEROptions
		in, want string
	}{
		{TEROptions{}, "a b c d", "a b c d"},
		{TEROptions{}, "", ""},
		{TEROptions{}, "a b c d.", "a b c d."},
		{TEROptions{}, "A B C D.", "a b c d."},
		{TEROptions{NoPunct: true}, "a b c d.", "a b c d"},
		{TEROptions{NoPunct: true}, "A ; B ) C : D.", "a b c d"},
		{TEROptions{Normalized: true}, "a b (c) d.", "a b ( c ) d ."},
		{TEROptions{Normalized: true}, "Jim's car.", "jim 's car ."},
		{TEROptions{Normalized: true}, "4.2", "4.2"},
		{TEROptions{Normalized: true, AsianSupport: true}, "美众院公布对特", "美 众 院 公 布 对 特"},
		{TEROptions{Normalized: true, AsianSupport: true}, "りの拳銃を持", "りの 拳 銃 を 持"},
	} {
		if got := c.o.prepare(c.in); got != c.want {
			t.Errorf("%+v: %q becomes %q, want %q", c.o, c.in, got, c.want)
		}
	}
}
