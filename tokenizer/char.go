package tokenizer

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"path/filepath"
	"slices"
	"unicode/utf8"

	"github.com/bdia-go/bdia/internal/jsonfile"
)

// Char gives each character (Unicode code point) one id: in ascending order of
// code points, and after them the ones that Extend has added.
type Char struct {
	runes []rune
	skips bool                 // characters that are not there are left out
	ascii [utf8.RuneSelf]int32 // id or -1
	ids   map[rune]int32
}

// UnknownError reports a character that is not in a Char's vocabulary. It wraps
// ErrUnknown.
type UnknownError struct {
	Rune   rune
	Offset int64 // in bytes, from the beginning of the text
}

// Error names the character and its place.
func (e *UnknownError) Error() string {
	return fmt.Sprintf("tokenizer: %v: %q (U+%04X) at byte %d; remove it from the text or train with text that has it",
		ErrUnknown, e.Rune, e.Rune, e.Offset)
}

// Unwrap returns ErrUnknown.
func (e *UnknownError) Unwrap() error { return ErrUnknown }

// NewChar collects the distinct characters of text, which must be valid UTF-8
// and not empty.
func NewChar(text io.Reader) (*Char, error) {
	seen := map[rune]bool{}
	var low [utf8.RuneSelf]bool
	see := func(r rune, _ int64) error {
		if r < utf8.RuneSelf {
			low[r] = true
		} else {
			seen[r] = true
		}
		return nil
	}
	base := int64(0)
	err := stream(text, func(part []byte, final bool) (int, error) {
		n, err := eachRune(part, base, final, see)
		base += int64(n)
		return n, err
	})
	if err != nil {
		return nil, err
	}
	var runes []rune
	for r, ok := range low {
		if ok {
			runes = append(runes, rune(r))
		}
	}
	for r := range seen {
		runes = append(runes, r)
	}
	if len(runes) == 0 {
		return nil, errors.New("tokenizer: the text is empty: a character vocabulary needs at least one character")
	}
	slices.Sort(runes)
	return newChar(runes), nil
}

// Extend returns c with the given characters as well. The old ones keep their ids;
// the new ones, which c lacks, follow in their order.
func (c *Char) Extend(more []rune) *Char {
	e := newChar(append(slices.Clone(c.runes), more...))
	e.skips = c.skips
	return e
}

// Skipping returns c as it reads a text in which it leaves out the characters that it lacks.
func (c *Char) Skipping() *Char {
	s := *c
	s.skips = true
	return &s
}

// Has reports whether r is in the vocabulary.
func (c *Char) Has(r rune) bool { return c.id(r) >= 0 }

// id returns the id of r, or -1.
func (c *Char) id(r rune) int32 {
	if r >= 0 && r < utf8.RuneSelf {
		return c.ascii[r]
	}
	if id, ok := c.ids[r]; ok {
		return id
	}
	return -1
}

func newChar(runes []rune) *Char {
	c := &Char{runes: runes, ids: make(map[rune]int32, len(runes))}
	for i := range c.ascii {
		c.ascii[i] = -1
	}
	for i, r := range runes {
		c.ids[r] = int32(i)
		if r < utf8.RuneSelf {
			c.ascii[r] = int32(i)
		}
	}
	return c
}

// eachRune calls f with every character of text and its offset in the whole
// text; this part begins at byte base. It returns the number of bytes done: all
// of them, except that unless final a character cut off at the end is left.
func eachRune(text []byte, base int64, final bool, f func(rune, int64) error) (int, error) {
	p := 0
	for p < len(text) && (final || utf8.FullRune(text[p:])) {
		r, n := rune(text[p]), 1
		if r >= utf8.RuneSelf {
			if r, n = utf8.DecodeRune(text[p:]); r == utf8.RuneError && n == 1 {
				return p, fmt.Errorf("tokenizer: %w: byte 0x%02x at byte %d; convert the text to UTF-8", ErrInvalidUTF8, text[p], base+int64(p))
			}
		}
		if err := f(r, base+int64(p)); err != nil {
			return p, err
		}
		p += n
	}
	return p, nil
}

// Kind returns "char".
func (c *Char) Kind() string { return "char" }

// VocabSize returns the number of characters.
func (c *Char) VocabSize() int { return len(c.runes) }

// Encode returns one id for each character; see UnknownError and
// ErrInvalidUTF8 for its errors.
func (c *Char) Encode(text []byte) ([]int32, error) {
	ids, _, err := c.encode(make([]int32, 0, utf8.RuneCount(text)), text, 0, true)
	if err != nil {
		return nil, err
	}
	return ids, nil
}

// EncodeStream encodes r as Encode does, in constant memory.
func (c *Char) EncodeStream(r io.Reader, emit func(ids []int32) error) error {
	var ids []int32
	base := int64(0)
	return stream(r, func(text []byte, final bool) (int, error) {
		var n int
		var err error
		ids, n, err = c.encode(ids[:0], text, base, final)
		base += int64(n)
		if err == nil && len(ids) > 0 {
			err = emit(ids)
		}
		return n, err
	})
}

// encode appends to ids the ids of text, as far as eachRune goes.
func (c *Char) encode(ids []int32, text []byte, base int64, final bool) ([]int32, int, error) {
	n, err := eachRune(text, base, final, func(r rune, at int64) error {
		id := c.id(r)
		if id < 0 && c.skips {
			return nil
		}
		if id < 0 {
			return &UnknownError{r, at}
		}
		ids = append(ids, id)
		return nil
	})
	return ids, n, err
}

// Decode returns the characters of ids.
func (c *Char) Decode(ids []int32) ([]byte, error) {
	text := make([]byte, 0, len(ids))
	for i, id := range ids {
		if id < 0 || int(id) >= len(c.runes) {
			return nil, idError(id, i, len(c.runes))
		}
		text = utf8.AppendRune(text, c.runes[id])
	}
	return text, nil
}

func idError(id int32, at, vocab int) error {
	return fmt.Errorf("tokenizer: %w: %d at position %d, the vocabulary has ids 0 to %d", ErrID, id, at, vocab-1)
}

// charsJSON is the layout of chars.json: the characters in the order of their
// ids, as one string.
type charsJSON struct {
	Version int    `json:"version"`
	Chars   string `json:"chars"`
}

// Save writes chars.json.
func (c *Char) Save(dir string) error {
	b, err := json.Marshal(charsJSON{1, string(c.runes)})
	if err != nil {
		return fmt.Errorf("tokenizer: %w", err)
	}
	return writeFile(dir, charsFile, append(b, '\n'))
}

func loadChar(path string) (*Char, error) {
	b, err := readFile(path, maxFile)
	if err != nil {
		return nil, err
	}
	c, err := parseChars(b)
	if err != nil {
		return nil, fmt.Errorf("tokenizer: %s: %w", filepath.Clean(path), err)
	}
	return c, nil
}

// parseChars reads chars.json; its errors wrap ErrFormat.
func parseChars(b []byte) (*Char, error) {
	var j charsJSON
	if err := jsonfile.Decode(b, &j); err != nil {
		return nil, fmt.Errorf("%w: %w", ErrFormat, err)
	}
	if j.Version != 1 {
		return nil, fmt.Errorf("%w: version %d, this program reads version 1", ErrFormat, j.Version)
	}
	runes := []rune(j.Chars)
	if len(runes) == 0 {
		return nil, fmt.Errorf("%w: no characters", ErrFormat)
	}
	c := newChar(runes)
	for i, r := range runes {
		if c.id(r) != int32(i) {
			return nil, fmt.Errorf("%w: character %d, %q, is there twice", ErrFormat, c.id(r), r)
		}
	}
	return c, nil
}
