package data

import (
	"errors"
	"fmt"
	"strings"
)

// ErrNotUTF8 is wrapped by errors about text in another encoding than UTF-8 or UTF-16.
var ErrNotUTF8 = errors.New("not UTF-8")

// EncodingError reports a byte that is not UTF-8. It wraps ErrNotUTF8.
type EncodingError struct {
	Path   string
	Line   int64 // from 1
	Offset int64 // in bytes from the beginning of the file, unpacked
	Byte   byte
	Guess  string // what the encoding may be, as iconv spells it: "cp1252"; empty: not known
}

// Error names the file, the place, and how to convert the text.
func (e *EncodingError) Error() string {
	guess, from := "", "ENCODING"
	if e.Guess != "" {
		guess, from = "; it may be "+encodingNames[e.Guess], e.Guess
	}
	return fmt.Sprintf("data: %s: line %d: byte 0x%02x at byte %d is %v%s: convert the file, for example with iconv -f %s -t utf-8",
		e.Path, e.Line, e.Byte, e.Offset, ErrNotUTF8, guess, from)
}

// Unwrap returns ErrNotUTF8.
func (e *EncodingError) Unwrap() error { return ErrNotUTF8 }

// place is where and what, without the remedy.
func (e *EncodingError) place() string {
	text := fmt.Sprintf("%s, line %d: byte 0x%02x at byte %d", e.Path, e.Line, e.Byte, e.Offset)
	if e.Guess != "" {
		text += ", perhaps " + encodingNames[e.Guess]
	}
	return text
}

// KeysError reports a file of JSON or a table in which no key or column is known to hold the text. It wraps ErrNoText.
type KeysError struct {
	Path  string
	Table bool     // Keys are columns
	Asked string   // the key that was asked for, or empty
	Keys  []string // of the first object, or of the header
}

// Error names the keys.
func (e *KeysError) Error() string {
	what, known := "keys", "the text"
	if e.Table {
		what = "columns"
	}
	if e.Asked != "" {
		known = fmt.Sprintf("%q", e.Asked)
	}
	return fmt.Sprintf("data: %v: %s: none of its %s is %s: there are %s; name the one that holds the text", ErrNoText, e.Path, what, known, quoted(e.Keys))
}

// Unwrap returns ErrNoText.
func (e *KeysError) Unwrap() error { return ErrNoText }

// quoted lists names, the first ones of many.
func quoted(names []string) string {
	const most = 12
	var list []string
	for i, n := range names {
		if i == most {
			list = append(list, "..")
			break
		}
		list = append(list, fmt.Sprintf("%.40q", n))
	}
	return strings.Join(list, ", ")
}
