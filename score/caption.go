package score

import (
	"regexp"
	"slices"
	"strings"
	"unicode/utf8"
)

// captionTokenizer splits texts into words like the MS-COCO caption evaluation (Chen
// et al., "Microsoft COCO Captions: Data Collection and Evaluation Server", arXiv
// 1504.00325, section 3): the Penn Treebank tokens of the Stanford tokenizer 3.4.1,
// in lower case and without punctuation.
type captionTokenizer struct {
	known map[string][]string // by piece between white space
}

// keptPieces and keptPiece, in bytes, bound the memory of a captionTokenizer.
const keptPieces, keptPiece = 1 << 16, 64

// words cuts a text into words.
func (c *captionTokenizer) words(text string) []string {
	var words []string
	for _, piece := range strings.Fields(text) {
		w, ok := c.known[piece]
		if !ok {
			w = captionWords(piece)
			c.keep(piece, w)
		}
		words = append(words, w...)
	}
	return words
}

func (c *captionTokenizer) keep(piece string, words []string) {
	if len(piece) > keptPiece {
		return
	}
	if c.known == nil || len(c.known) == keptPieces {
		c.known = map[string][]string{}
	}
	c.known[piece] = words
}

// captionDropped are the tokens that the evaluation drops as punctuation. Its list
// has the names of brackets too, but in capitals, so they never match and brackets
// stay.
var captionDropped = []string{"''", "'", "``", "`", ".", "?", "!", ",", ":", "-", "--", "...", ";"}

var plainCharacters = strings.NewReplacer("‘", "`", "’", "'", "´", "'", "“", "``", "”", "''", `"`, "''",
	"…", "...", "–", "--", "—", "--", "&amp;", "&", "&lt;", "<", "&gt;", ">", "&quot;", "''", "&apos;", "'")

// captionWords splits a piece without white space into words.
func captionWords(piece string) []string {
	var words []string
	piece = plainCharacters.Replace(piece)
	for len(piece) > 0 {
		token := treebankToken(piece)
		piece = piece[len(token):]
		if word := lower(treebankForm(token)); !slices.Contains(captionDropped, word) {
			words = append(words, word)
		}
	}
	return words
}

// treebankRules are the forms of tokens. The token is the group of the expression;
// the rest of the expression must follow it in the text. The rule with the longest
// match wins, or the first of several.
var treebankRules = func() []*regexp.Regexp {
	const (
		letter    = `\p{L}\p{M}`
		alnum     = letter + `0-9`
		number    = `[0-9]*(?:[.,][0-9]+)+|[0-9]+(?:[.:,][0-9]+)*`
		particle  = `(?:[dol]'[` + alnum + `])?`
		end       = `(?:[^a-z]|$)`
		clitic    = `'(?:m|s|d|re|ve|ll)`
		word      = `[` + letter + `][` + alnum + `]*(?:[.!?][` + letter + `][` + alnum + `]*)*`
		shortened = `mr|mrs|ms|dr|prof|st|mt|ft|ave|blvd|jr|sr|inc|ltd|co|corp|etc|vs`
	)
	var rules []*regexp.Regexp
	for _, e := range []string{
		`(can)not`, `('t)was`, `(dun)no`,
		`('t)is` + end, `(gon)na` + end, `(got)ta` + end, `(lem)me` + end, `(gim)me` + end, `(wan)na` + end, `(n)no` + end,
		`(` + word + `)` + clitic, `([a-z]*[a-mo-z])n't`,
		`(` + clitic + `)` + end, `(n't)` + end,
		`(` + particle + `(?:[` + alnum + `]+|[-+]?(?:` + number + `))(?:-` + particle + `(?:[` + alnum + `]+|` + number + `))*)`,
		`([` + alnum + `]+(?:-[` + letter + `]+){0,2}(?:/[` + alnum + `]+(?:-[` + letter + `]+){0,2}){1,2})`,
		`(` + word + `)`, `([a-hj-xzn]'[` + letter + `]{2}[` + alnum + `]*)`,
		`([` + alnum + `][` + alnum + `.,]*(?:-(?:[` + alnum + `]+|[a-z](?:\.[a-z])+\.))+)`,
		`([a-z](?:\.[a-z])+\.)`, `((?:` + shortened + `)\.)`,
		`('[0-9][0-9])` + end, `([a-z]*\$)`,
		`('')`, "(``)", `(\.\.\.+)`, `(-+)`, `([?!]+)`, `(@+)`, `(_+)`, `(\*+)`, `(#+)`, `(<<|>>)`,
	} {
		r := regexp.MustCompile(`^(?i:` + e + `)`)
		r.Longest()
		rules = append(rules, r)
	}
	return rules
}()

// treebankToken returns the first token of s, which has no white space: by the
// rules, or else one character.
func treebankToken(s string) string {
	token, most := "", 0
	for _, rule := range treebankRules {
		if at := rule.FindStringSubmatchIndex(s); at != nil && at[1] > most {
			token, most = s[:at[3]], at[1]
		}
	}
	if token == "" {
		_, n := utf8.DecodeRuneInString(s)
		token = s[:n]
	}
	return token
}

// treebankForm returns the written form of a token: brackets by name, pounds as #,
// other currency signs as $, slashes and asterisks after a backslash, words in
// American spelling. For example "(" becomes -LRB-.
func treebankForm(token string) string {
	switch token {
	case "(":
		return "-LRB-"
	case ")":
		return "-RRB-"
	case "[":
		return "-LSB-"
	case "]":
		return "-RSB-"
	case "{":
		return "-LCB-"
	case "}":
		return "-RCB-"
	case "£":
		return "#"
	case "€":
		return "$"
	case "¢":
		return "cents"
	}
	switch {
	case strings.HasPrefix(token, "..."):
		return "..."
	case strings.HasPrefix(token, "---"):
		return "--"
	case strings.ContainsAny(token, "/*"):
		return strings.NewReplacer("/", `\/`, "*", `\*`).Replace(token)
	}
	return american(token)
}

// american returns the American spelling of a lower-case word: colour becomes color.
// It knows words in -our and -ours and the common others of the Stanford tokenizer's
// list. A word with a capital keeps its spelling, as in that tokenizer.
func american(word string) string {
	if s, ok := americanSpelling[word]; ok {
		return s
	}
	if m := endsInOur.FindStringSubmatch(word); m != nil && !keepsOur.MatchString(word) {
		return m[1] + "or" + m[2]
	}
	return word
}

var (
	endsInOur = regexp.MustCompile(`^([a-z]{3,})our(s?)$`)
	keepsOur  = regexp.MustCompile(`abatjour|flour|bonjour|carrefour|contour|de[tv]our|downpour|glamour|outpour|paramour|pompadour|tambour|troubadour|velour`)
)

var americanSpelling = map[string]string{
	"centre": "center", "theatre": "theater", "theatres": "theaters", "fibre": "fiber", "fibres": "fibers",
	"favoured": "favored", "favouring": "favoring", "favourite": "favorite", "favourites": "favorites",
	"flavoured": "flavored", "flavouring": "flavoring", "neighbourhood": "neighborhood", "neighbourhoods": "neighborhoods",
	"coloured": "colored", "colouring": "coloring", "colourful": "colorful", "honoured": "honored", "honourable": "honorable",
	"labelled": "labeled", "travelled": "traveled", "travelling": "traveling", "cancelled": "canceled", "cancelling": "canceling",
	"organisation": "organization", "organisations": "organizations", "programme": "program", "programmes": "programs",
	"realise": "realize", "realised": "realized", "realising": "realizing", "realises": "realizes",
	"recognise": "recognize", "recognised": "recognized", "recognising": "recognizing", "recognises": "recognizes",
	"analyse": "analyze", "analysed": "analyzed", "defence": "defense", "grey": "gray", "learnt": "learned",
	"practise": "practice", "practised": "practiced", "manoeuvre": "maneuver", "savoured": "savored", "savouring": "savoring",
}
