package pairs

import (
	"slices"
	"strconv"
	"strings"
)

// names are how others call the two sides of a pair: in the header of a table, or as keys of JSON.
type names struct {
	source, target string
	more           []string // a text that follows the source, if there is one: Alpaca's input
}

// known lists the names in order: of several that a file has, the first counts. So the ones of which there can be two
// in a file, for example a question with its answer beside the text it is about, stand behind.
var (
	strong = slices.Concat(
		cross([]string{"prompt"}, answers),
		cross([]string{"instruction", "instructions"}, answers, "input", "inputs", "context"),
		cross([]string{"question", "query", "user_query", "request", "q"}, append([]string{"a"}, answers...), "context"),
		cross([]string{"input", "inputs", "input_text", "user", "human", "user_input"}, answers),
		[]names{
			{source: "source", target: "target"}, {source: "src", target: "tgt"}, {source: "src", target: "trg"},
			{source: "source_text", target: "target_text"}, {source: "source", target: "translation"},
			{source: "mr", target: "ref"}, {source: "meaning_representation", target: "human_reference"},
			{source: "text_a", target: "text_b"}, {source: "sentence1", target: "sentence2"}, {source: "text1", target: "text2"},
		})
	known = slices.Concat(strong,
		cross([]string{"context"}, []string{"response", "reply", "answer"}),
		cross([]string{"document", "article", "dialogue", "dialog", "text"}, append([]string{"summary", "highlights", "translation"}, answers...)),
		cross([]string{"sentence", "review"}, []string{"label", "category", "class", "sentiment"}))
)

// answers are names of a completion.
var answers = []string{"completion", "output", "outputs", "response", "answer", "reply", "target", "target_text", "output_text", "label",
	"assistant", "bot", "gpt", "intent", "category", "class", "sentiment"}

// cross pairs every source with every target.
func cross(sources, targets []string, more ...string) (all []names) {
	for _, s := range sources {
		for _, t := range targets {
			all = append(all, names{s, t, more})
		}
	}
	return all
}

// plain is a name without differences that do not matter: "Input Text" is "input_text".
func plain(name string) string {
	return strings.NewReplacer(" ", "_", "-", "_").Replace(strings.ToLower(strings.TrimSpace(name)))
}

// isKnown reports a name that a header has and a text is not.
func isKnown(name string) bool {
	name = plain(name)
	return len(name) > 1 && (name == "index" || strings.HasPrefix(name, "unnamed:_") || slices.ContainsFunc(known, func(n names) bool {
		return n.source == name || n.target == name || slices.Contains(n.more, name)
	}))
}

// choice is where the sides of a pair are: the places of names, and -1.
type choice struct {
	source, target int
	more           int // of a text that follows the source
}

// choose finds the sides among names, with a given source or target, or -1. Several pairs of names without a name in
// common are ambiguous.
func choose(all []string, source, target int) (c choice, ok, ambiguous bool) {
	if source >= 0 || target >= 0 {
		c, ok = other(all, source, target)
		return c, ok, false
	}
	place := make(map[string]int, len(all))
	for i, name := range slices.Backward(all) { // of equal names the first counts
		place[plain(name)] = i
	}
	for i, n := range known {
		s, isS := place[n.source]
		t, isT := place[n.target]
		switch {
		case !isS || !isT || s == t:
		case !ok:
			c, ok = choice{s, t, -1}, true
			for _, name := range n.more {
				if at, has := place[name]; has && at != s && at != t {
					c.more = at
					break
				}
			}
		case i < len(strong) && s != c.source && t != c.target && s != c.more && t != c.more && s != c.target && t != c.source:
			return c, true, true
		}
	}
	return c, ok, false
}

// other finds the other side of a given source or target: by the names that go with its own, else by any that such a
// side has.
func other(all []string, source, target int) (choice, bool) {
	for _, own := range []bool{true, false} {
		for _, n := range known {
			want, given, name := n.target, source, n.source
			if source < 0 {
				want, given, name = n.source, target, n.target
			}
			at := nameAt(all, want)
			switch {
			case at < 0 || at == given || own && plain(all[given]) != name:
			case source >= 0:
				return choice{source, at, -1}, true
			default:
				return choice{at, target, -1}, true
			}
		}
	}
	return choice{}, false
}

// unpaired returns the first name of one side among all, in which no two are a pair, and two that the other side has
// then, as in "completion" or "output"; own is empty if there is none.
func unpaired(all []string) (own, others string) {
	for _, n := range known {
		for _, side := range [2][2]string{{n.source, n.target}, {n.target, n.source}} {
			at := nameAt(all, side[0])
			switch {
			case at < 0 || len(side[1]) == 1 || own != "" && own != all[at]:
			case own == "":
				own, others = all[at], strconv.Quote(side[1])
			default:
				return own, others + " or " + strconv.Quote(side[1])
			}
		}
	}
	return own, others
}

// isLanguage reports the name of a language, or its code: "en", "en-GB", "English", "french sentences".
func isLanguage(name string) bool {
	name = plain(name)
	word, _, _ := strings.Cut(name, "_")
	if slices.Contains(languages, word) {
		return true
	}
	return slices.Contains(codes, word) && len(name) <= 7
}

var codes = strings.Fields(`af am ar az be bg bn bs ca cs cy da de el en eo es et eu fa fi fr ga gl gu he hi hr hu hy id is it ja ka kk km kn ko ky
	la lb lt lv mk ml mn mr ms mt my nb ne nl nn no pa pl ps pt ro ru sk sl sq sr sv sw ta te th tl tr uk ur uz vi yo zh zu
	ara bul cat ces cmn dan deu ell eng epo est eus fas fin fra fre ger gle heb hin hrv hun ind isl ita jpn kor lat lit lav nld nor pol por ron rus slk slv spa sqi srp
	swe tam tel tha tur ukr urd vie zho`)

var languages = strings.Fields(`afrikaans albanian amharic arabic armenian azerbaijani basque belarusian bengali bosnian bulgarian catalan chinese croatian
	czech danish dutch english esperanto estonian finnish french galician georgian german greek gujarati hebrew hindi hungarian icelandic indonesian irish italian
	japanese kannada kazakh khmer korean latin latvian lithuanian macedonian malay malayalam maltese mandarin marathi mongolian nepali norwegian persian polish
	portuguese punjabi romanian russian serbian slovak slovenian spanish swahili swedish tamil telugu thai turkish ukrainian urdu vietnamese welsh yoruba zulu
	deutsch français francais español espanol italiano nederlands português`)
