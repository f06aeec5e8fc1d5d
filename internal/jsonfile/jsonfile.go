// Package jsonfile reads the JSON that other programs write as the settings of models: Python's json module above
// all. Such files have a byte order mark at times, NaN and Infinity, whole numbers as 32.0 and numbers as texts. All
// of that is read. Errors name keys and lines, never types of Go, and name neither package nor file: callers know
// both.
package jsonfile

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"unicode/utf16"
	"unicode/utf8"
)

// ErrSyntax is wrapped by errors about text that is no JSON.
var ErrSyntax = errors.New("it is no JSON")

// Decode is Clean and Unmarshal.
func Decode(text []byte, v any) error {
	text, err := Clean(text)
	if err != nil {
		return err
	}
	return Unmarshal(text, v)
}

// Clean returns JSON as the standard says, from what Python reads as such: without a byte order mark, in UTF-8 if the
// mark is UTF-16's, and with "NaN", "Infinity" and "-Infinity" as texts, which no number of a model may be. A text
// that is no JSON at all is ErrSyntax, with what it seems to be: a web page, a Git LFS pointer, nothing.
func Clean(text []byte) ([]byte, error) {
	text = decode(text)
	if !utf8.Valid(text) {
		return nil, fmt.Errorf("%w: it is not UTF-8; save it as UTF-8", ErrSyntax)
	}
	if what := Other(text); what != "" {
		return nil, fmt.Errorf("%w: %s", ErrSyntax, what)
	}
	text = quoteNumbers(text)
	if err := json.Unmarshal(text, new(nothing)); err != nil {
		return nil, syntax(text, err)
	}
	return text, nil
}

// nothing takes any JSON and keeps none of it.
type nothing struct{}

func (*nothing) UnmarshalJSON([]byte) error { return nil }

// Other says what a file that should be something else seems to be by its first bytes, with the remedy; empty:
// nothing that is known here.
func Other(head []byte) string {
	trimmed := bytes.TrimLeft(head[:min(len(head), 1024)], "\ufeff \t\r\n")
	lower := bytes.ToLower(trimmed[:min(len(trimmed), 64)])
	switch {
	case len(trimmed) == 0:
		return "it is empty; get it again"
	case bytes.HasPrefix(lower, []byte("<!doctype")), bytes.HasPrefix(lower, []byte("<html")), bytes.HasPrefix(lower, []byte("<?xml")),
		bytes.HasPrefix(lower, []byte("<head")), bytes.HasPrefix(lower, []byte("<body")), bytes.HasPrefix(lower, []byte("<!--")):
		return "it is a web page: the download failed; fetch the file itself"
	case bytes.HasPrefix(trimmed, []byte("../")) && len(trimmed) < 512:
		return "it is a link that was copied as a text: copy the folder again with the files that its links lead to (cp -L)"
	case bytes.HasPrefix(trimmed, []byte("version https://git-lfs")):
		return "it is a Git LFS pointer, not the file: fetch that with git lfs pull"
	}
	return ""
}

// decode drops a byte order mark, and turns UTF-16 with one into UTF-8.
func decode(text []byte) []byte {
	var order func([]byte) uint16
	switch {
	case bytes.HasPrefix(text, []byte("\xef\xbb\xbf")):
		return text[3:]
	case bytes.HasPrefix(text, []byte("\xff\xfe")):
		order = func(b []byte) uint16 { return uint16(b[0]) | uint16(b[1])<<8 }
	case bytes.HasPrefix(text, []byte("\xfe\xff")):
		order = func(b []byte) uint16 { return uint16(b[1]) | uint16(b[0])<<8 }
	default:
		return text
	}
	units := make([]uint16, 0, len(text)/2)
	for at := 2; at+1 < len(text); at += 2 {
		units = append(units, order(text[at:]))
	}
	return []byte(string(utf16.Decode(units)))
}

// Infinite reports whether a value is one of Python's names of numbers, as Clean leaves them. A file for other
// programs leaves them out: few read them.
func Infinite(value []byte) bool {
	return slices.Contains([]string{`"NaN"`, `"Infinity"`, `"-Infinity"`}, string(value))
}

// quoteNumbers puts Python's names of numbers into quotation marks, outside texts.
func quoteNumbers(text []byte) []byte {
	if !bytes.Contains(text, []byte("NaN")) && !bytes.Contains(text, []byte("Infinity")) {
		return text
	}
	var out []byte
	inside := false
	for at := 0; at < len(text); at++ {
		c := text[at]
		if inside && c == '\\' && at+1 < len(text) {
			out = append(out, c, text[at+1])
			at++
			continue
		}
		inside = inside != (c == '"')
		name := ""
		if !inside && (c == 'N' || c == 'I' || c == '-') {
			for _, n := range []string{"NaN", "Infinity", "-Infinity"} {
				if bytes.HasPrefix(text[at:], []byte(n)) {
					name = n
				}
			}
		}
		if name == "" {
			out = append(out, c)
			continue
		}
		out = append(append(append(out, '"'), name...), '"')
		at += len(name) - 1
	}
	return out
}

// syntax says where text ceases to be JSON, and what is wrong there as far as that is known.
func syntax(text []byte, err error) error {
	at := len(text)
	if e := (*json.SyntaxError)(nil); errors.As(err, &e) && !strings.HasPrefix(e.Error(), "unexpected end") {
		at = min(int(e.Offset)-1, len(text))
	}
	before := text[:max(at, 0)]
	line := 1 + bytes.Count(before, []byte("\n"))
	rest := string(text[len(before):])
	what := fmt.Sprintf("%.1q is out of place", rest)
	last := strings.TrimRight(string(before), " \t\r\n")
	switch {
	case rest == "":
		return fmt.Errorf("%w: it is cut short, in line %d; get it again", ErrSyntax, line)
	case strings.HasSuffix(last, ",") && (rest[0] == '}' || rest[0] == ']'):
		line, what = 1+strings.Count(last, "\n"), fmt.Sprintf("a comma before %.1q; remove the comma", rest)
	case rest[0] == '/' || rest[0] == '#':
		what = "a comment; JSON has none, so remove it"
	case rest[0] == '\'':
		what = "a text in single quotation marks; JSON has double ones"
	case strings.HasPrefix(rest, "True") || strings.HasPrefix(rest, "False") || strings.HasPrefix(rest, "None"):
		what = "Python's True, False or None; JSON has true, false and null"
	}
	return fmt.Errorf("%w: line %d: %s", ErrSyntax, line, what)
}
