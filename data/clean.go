package data

import (
	"bytes"
	"io"
	"unicode/utf8"
)

// cleaner reads text that is UTF-8, with lines that end in LF: CR LF becomes that, and zero bytes are left out. It
// counts both. A byte that is not UTF-8 is an EncodingError.
type cleaner struct {
	path   string
	r      io.Reader
	buf    []byte
	have   int    // bytes of buf that are not looked at
	ready  []byte // to be returned, of out
	out    []byte
	offset int64 // of the first byte of buf in the text
	line   int64 // its line breaks before that
	ends   int64 // CR LF
	zeros  int64 // zero bytes
	err    error
}

func newCleaner(path string, r io.Reader) *cleaner {
	return &cleaner{path: path, r: r, buf: make([]byte, 64<<10)}
}

// Read reads the text.
func (c *cleaner) Read(p []byte) (int, error) {
	for len(c.ready) == 0 {
		if c.err != nil {
			return 0, c.err
		}
		c.fill()
	}
	n := copy(p, c.ready)
	c.ready = c.ready[n:]
	return n, nil
}

// fill reads some text and cleans what is whole of it.
func (c *cleaner) fill() {
	n, err := c.r.Read(c.buf[c.have:])
	c.have += n
	whole := c.have
	if c.err = err; err == nil {
		whole = wholeText(c.buf[:c.have])
	}
	text := c.buf[:whole]
	if bad := invalid(text); bad >= 0 {
		c.err = &EncodingError{Path: c.path, Line: c.line + int64(bytes.Count(text[:bad], []byte("\n"))) + 1, Offset: c.offset + int64(bad),
			Byte: text[bad], Guess: guess(c.buf[bad:c.have])}
		return
	}
	c.line += int64(bytes.Count(text, []byte("\n")))
	c.offset += int64(whole)
	c.out = append(c.out[:0], c.tidy(text)...)
	c.ready = c.out
	c.have = copy(c.buf, c.buf[whole:c.have])
}

// tidy drops zero bytes and the CR of CR LF, in place.
func (c *cleaner) tidy(text []byte) []byte {
	if bytes.IndexByte(text, '\r') < 0 && bytes.IndexByte(text, 0) < 0 {
		return text
	}
	kept := text[:0]
	for i, b := range text {
		switch {
		case b == 0:
			c.zeros++
		case b == '\r' && i+1 < len(text) && text[i+1] == '\n':
			c.ends++
		default:
			kept = append(kept, b)
		}
	}
	return kept
}

// wholeText returns how many bytes of b are whole characters. A CR at the end may be half a line end.
func wholeText(b []byte) int {
	n := len(b)
	for back := 1; back < utf8.UTFMax && back <= n; back++ {
		if c := b[n-back]; utf8.RuneStart(c) {
			if !utf8.FullRune(b[n-back:]) {
				n -= back
			}
			break
		}
	}
	if n > 0 && b[n-1] == '\r' {
		n--
	}
	return n
}

// invalid returns the place of the first byte of text that is not UTF-8; -1: there is none.
func invalid(text []byte) int {
	if utf8.Valid(text) {
		return -1
	}
	i := 0
	for {
		r, n := utf8.DecodeRune(text[i:])
		if r == utf8.RuneError && n == 1 {
			return i
		}
		i += n
	}
}

// encodingNames are what guess may return.
var encodingNames = map[string]string{"cp1252": "Windows-1252 (Latin-1)"}

// guess returns the encoding that text is likely in. It knows western Europe's: few bytes are above ASCII, among
// letters that are ASCII, and none of them make UTF-8.
func guess(text []byte) string {
	above, letters := 0, 0
	for i, b := range text {
		switch {
		case b >= utf8.RuneSelf:
			if r, n := utf8.DecodeRune(text[i:]); r != utf8.RuneError && n > 1 {
				return ""
			}
			above++
		case b|0x20 >= 'a' && b|0x20 <= 'z':
			letters++
		}
	}
	if above*3 < letters {
		return "cp1252"
	}
	return ""
}
