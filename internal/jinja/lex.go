package jinja

import (
	"fmt"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"
)

// kind is what a token is.
type kind uint8

const (
	tText     kind = iota // text of the template
	tPrint                // {{
	tPrintEnd             // }}
	tBlock                // {%
	tBlockEnd             // %}
	tName                 // also true, not, if
	tString               // its value
	tInt                  // its digits
	tFloat                // its digits
	tOp                   // one of operators
	tEOF                  // the end
)

// token is a piece of a template.
type token struct {
	kind kind
	text string
	line int // from 1
}

// operators, the longer ones first.
var operators = []string{"**", "//", "==", "!=", "<=", ">=", "+", "-", "/", "*", "%", "~", "[", "]", "(", ")", "{", "}", ">", "<", "=", ".", ":", "|", ","}

// closers end what an opening bracket begins.
var closers = map[string]string{"(": ")", "[": "]", "{": "}"}

// lexer cuts a template into tokens.
type lexer struct {
	text   string
	at     int
	line   int
	starts bool // a line starts here: at the beginning, and where a tag has taken the line break after it
	tokens []token
}

// lex returns the tokens of a template, with white space around tags taken as its tags say.
func lex(source string) ([]token, error) {
	source = strings.NewReplacer("\r\n", "\n", "\r", "\n").Replace(source)
	l := &lexer{text: strings.TrimSuffix(source, "\n"), line: 1, starts: true}
	for l.at < len(l.text) {
		open := l.nextTag()
		if err := l.data(open); err != nil {
			return nil, err
		}
	}
	l.add(tEOF, "")
	return l.tokens, nil
}

func (l *lexer) add(k kind, text string) { l.tokens = append(l.tokens, token{k, text, l.line}) }

func (l *lexer) wrong(format string, args ...any) error {
	return &Error{Line: l.line, Text: fmt.Sprintf(format, args...)}
}

// skip goes n bytes on.
func (l *lexer) skip(n int) {
	l.line += strings.Count(l.text[l.at:l.at+n], "\n")
	l.at += n
}

// nextTag returns where the next tag begins; the end of the text: there is none.
func (l *lexer) nextTag() int {
	for i := l.at; i+1 < len(l.text); i++ {
		if l.text[i] == '{' && strings.IndexByte("{%#", l.text[i+1]) >= 0 {
			return i
		}
	}
	return len(l.text)
}

// data takes the text up to a tag, and the tag.
func (l *lexer) data(open int) error {
	text := l.text[l.at:open]
	if open == len(l.text) {
		l.add(tText, text)
		l.skip(len(text))
		return nil
	}
	what, sign := l.text[open+1], byte(0)
	if open+2 < len(l.text) && (l.text[open+2] == '-' || l.text[open+2] == '+') {
		sign = l.text[open+2]
	}
	kept := text
	switch {
	case sign == '-':
		kept = strings.TrimRightFunc(text, isSpace)
	case sign == 0 && what != '{':
		if first := strings.LastIndexByte(text, '\n') + 1; (first > 0 || l.starts) && strings.Trim(text[first:], " \t") == "" {
			kept = text[:first]
		}
	}
	if kept != "" {
		l.add(tText, kept)
	}
	l.skip(len(text) + 2)
	if sign != 0 {
		l.skip(1)
	}
	switch what {
	case '#':
		end := strings.Index(l.text[l.at:], "#}")
		if end < 0 {
			return l.wrong("a comment {# has no end")
		}
		strips := end > 0 && l.text[l.at+end-1] == '-'
		keeps := end > 0 && l.text[l.at+end-1] == '+'
		l.skip(end + 2)
		l.after(strips, !keeps)
		return nil
	case '{':
		l.add(tPrint, "")
		return l.tag(tPrintEnd, "}}")
	}
	if end, ok := l.raw(); ok {
		return l.rawText(end)
	}
	l.add(tBlock, "")
	return l.tag(tBlockEnd, "%}")
}

// after takes the white space that a tag takes with it: all of it, or a line break.
func (l *lexer) after(strips, breaks bool) {
	rest := l.text[l.at:]
	n := 0
	switch {
	case strips:
		n = len(rest) - len(strings.TrimLeftFunc(rest, isSpace))
	case breaks && strings.HasPrefix(rest, "\n"):
		n = 1
	}
	l.starts = n > 0 && rest[n-1] == '\n'
	l.skip(n)
}

// raw reports a tag {% raw %}, and where it ends.
func (l *lexer) raw() (end int, ok bool) {
	rest := strings.TrimLeftFunc(l.text[l.at:], isSpace)
	rest, ok = strings.CutPrefix(rest, "raw")
	if !ok {
		return 0, false
	}
	rest = strings.TrimLeftFunc(rest, isSpace)
	for _, s := range []string{"-%}", "%}"} {
		if strings.HasPrefix(rest, s) {
			return len(l.text) - len(rest) + len(s), true
		}
	}
	return 0, false
}

// rawText takes what stands between {% raw %}, which ends at end, and {% endraw %}.
func (l *lexer) rawText(end int) error {
	strips := l.text[end-3] == '-'
	l.skip(end - l.at)
	l.after(strips, true)
	for i := l.at; ; {
		n := strings.Index(l.text[i:], "{%")
		if n < 0 {
			return l.wrong("{%% raw %%} has no {%% endraw %%}")
		}
		i += n
		inner := strings.TrimPrefix(strings.TrimPrefix(l.text[i+2:], "-"), "+")
		strip := l.text[i+2:] != inner && l.text[i+2] == '-'
		rest, ok := strings.CutPrefix(strings.TrimLeftFunc(inner, isSpace), "endraw")
		if !ok {
			i += 2
			continue
		}
		rest = strings.TrimLeftFunc(rest, isSpace)
		dash := strings.HasPrefix(rest, "-%}")
		if rest, ok = strings.CutPrefix(strings.TrimPrefix(rest, "-"), "%}"); !ok {
			i += 2
			continue
		}
		text := l.text[l.at:i]
		if strip {
			text = strings.TrimRightFunc(text, isSpace)
		} else if first := strings.LastIndexByte(text, '\n') + 1; strings.Trim(text[first:], " \t") == "" && first > 0 {
			text = text[:first]
		}
		l.add(tText, text)
		l.skip(len(l.text) - len(rest) - l.at)
		l.after(dash, true)
		return nil
	}
}

// tag takes the tokens of a tag up to its end.
func (l *lexer) tag(endKind kind, end string) error {
	begun := l.line
	var open []string // brackets that are to be closed
	for {
		l.skip(len(l.text[l.at:]) - len(strings.TrimLeftFunc(l.text[l.at:], isSpace)))
		rest := l.text[l.at:]
		if rest == "" {
			return &Error{Line: begun, Text: "a tag has no end " + end}
		}
		if len(open) == 0 {
			inner, sign := rest, 0
			if rest[0] == '-' || rest[0] == '+' {
				inner, sign = rest[1:], 1
			}
			if strings.HasPrefix(inner, end) && (sign == 0 || rest[0] == '-' || endKind == tBlockEnd) {
				l.add(endKind, "")
				l.skip(sign + len(end))
				l.after(sign > 0 && rest[0] == '-', endKind == tBlockEnd && sign == 0)
				return nil
			}
		}
		if err := l.token(rest, &open); err != nil {
			return err
		}
	}
}

// token takes the next token of a tag.
func (l *lexer) token(rest string, open *[]string) error {
	first, size := utf8.DecodeRuneInString(rest)
	switch {
	case first == '\'' || first == '"':
		end := quoted(rest)
		if end < 0 {
			return l.wrong("a text in quotation marks has no end")
		}
		l.add(tString, unescape(rest[1:end]))
		l.skip(end + 1)
		return nil
	case first >= '0' && first <= '9':
		k, n := number(rest)
		l.add(k, strings.ReplaceAll(rest[:n], "_", ""))
		l.skip(n)
		return nil
	case first == '_' || unicode.IsLetter(first):
		n := size
		for n < len(rest) {
			r, m := utf8.DecodeRuneInString(rest[n:])
			if r != '_' && !unicode.IsLetter(r) && !unicode.IsDigit(r) {
				break
			}
			n += m
		}
		l.add(tName, rest[:n])
		l.skip(n)
		return nil
	}
	for _, op := range operators {
		if !strings.HasPrefix(rest, op) {
			continue
		}
		if closer := closers[op]; closer != "" {
			*open = append(*open, closer)
		} else if op == ")" || op == "]" || op == "}" {
			if n := len(*open); n == 0 || (*open)[n-1] != op {
				return l.wrong("%q closes nothing", op)
			}
			*open = (*open)[:len(*open)-1]
		}
		l.add(tOp, op)
		l.skip(len(op))
		return nil
	}
	return l.wrong("%q is out of place", first)
}

// quoted returns where the text in quotation marks that s begins with ends; -1: nowhere.
func quoted(s string) int {
	for i := 1; i < len(s); i++ {
		switch s[i] {
		case '\\':
			i++
		case s[0]:
			return i
		}
	}
	return -1
}

// unescape decodes a literal's escapes as Python does. An unknown one stays as it is.
func unescape(s string) string {
	if strings.IndexByte(s, '\\') < 0 {
		return s
	}
	var b strings.Builder
	for i := 0; i < len(s); i++ {
		if s[i] != '\\' || i+1 == len(s) {
			b.WriteByte(s[i])
			continue
		}
		i++
		if plain := strings.IndexByte(`ntrabfv\'"`, s[i]); plain >= 0 {
			b.WriteByte("\n\t\r\a\b\f\v\\'\""[plain])
			continue
		}
		digits := map[byte]int{'x': 2, 'u': 4, 'U': 8}[s[i]]
		if digits > 0 && i+digits < len(s) {
			if n, err := strconv.ParseUint(s[i+1:i+1+digits], 16, 32); err == nil {
				b.WriteRune(rune(n))
				i += digits
				continue
			}
		}
		b.WriteByte('\\')
		b.WriteByte(s[i])
	}
	return b.String()
}

// number returns the kind and the length of the number that s begins with.
func number(s string) (kind, int) {
	digits := func(n int) int {
		for n < len(s) && (s[n] >= '0' && s[n] <= '9' || s[n] == '_' && n+1 < len(s) && s[n+1] >= '0' && s[n+1] <= '9') {
			n++
		}
		return n
	}
	k, n := tInt, digits(0)
	if n+1 < len(s) && s[n] == '.' && s[n+1] >= '0' && s[n+1] <= '9' {
		k, n = tFloat, digits(n+1)
	}
	if n < len(s) && (s[n] == 'e' || s[n] == 'E') {
		at := n + 1
		if at < len(s) && (s[at] == '+' || s[at] == '-') {
			at++
		}
		if end := digits(at); end > at {
			k, n = tFloat, end
		}
	}
	return k, n
}

// isSpace reports white space as Python has it.
func isSpace(r rune) bool { return unicode.IsSpace(r) || r >= 0x1c && r <= 0x1f }
