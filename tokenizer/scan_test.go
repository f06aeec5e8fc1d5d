package tokenizer

import (
	"errors"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"unicode"
	"unicode/utf8"
)

// slowWords cuts text by GPT-2's pattern taken literally: the alternatives one
// after the other, runs from the longest length down.
func slowWords(text []byte) []string {
	var chars []string
	for p := 0; p < len(text); {
		_, n := utf8.DecodeRune(text[p:])
		chars = append(chars, string(text[p:p+n]))
		p += n
	}
	char := func(p int) rune {
		if p >= len(chars) {
			return -1
		}
		r, _ := utf8.DecodeRuneInString(chars[p])
		return r
	}
	is := map[string]func(rune) bool{
		`\p{L}`: unicode.IsLetter,
		`\p{N}`: unicode.IsNumber,
		`\s`:    func(r rune) bool { return unicode.Is(unicode.White_Space, r) },
	}
	is["other"] = func(r rune) bool { return !is[`\p{L}`](r) && !is[`\p{N}`](r) && !is[`\s`](r) }
	run := func(p int, f func(rune) bool) int {
		n := 0
		for char(p+n) >= 0 && f(char(p+n)) {
			n++
		}
		return n
	}
	match := func(p int) int {
		for _, c := range []string{"s", "t", "re", "ve", "m", "ll", "d"} {
			if strings.HasPrefix(strings.Join(chars[p:min(p+3, len(chars))], ""), "'"+c) {
				return 1 + len(c)
			}
		}
		for _, c := range []string{`\p{L}`, `\p{N}`, "other"} {
			lead := 0
			if char(p) == ' ' {
				lead = 1
			}
			if n := run(p+lead, is[c]); n > 0 {
				return lead + n
			}
		}
		white := run(p, is[`\s`])
		for n := white; n > 0; n-- {
			if next := char(p + n); next < 0 || is[`\s`](next) {
				return n
			}
		}
		return white
	}
	var words []string
	for p := 0; p < len(chars); {
		n := match(p)
		words = append(words, strings.Join(chars[p:p+n], ""))
		p += n
	}
	return words
}

func fastWords(t testing.TB, s splitter, text []byte) []string {
	t.Helper()
	list, n, err := wordsOf(s, text, true)
	if err != nil || n != len(text) {
		t.Fatalf("%q: %d bytes of %d, %v", text, n, len(text), err)
	}
	return list
}

// wordsOf returns what words finds, and what it returns.
func wordsOf(s splitter, text []byte, final bool) (list []string, n int, err error) {
	n, err = words(s, text, final, func(w []byte) error {
		list = append(list, string(w))
		return nil
	})
	return list, n, err
}

func TestScannerMatchesPattern(t *testing.T) {
	t.Parallel()
	r := rand.New(rand.NewPCG(1, 2))
	for range 20000 {
		text := randomText(r, 20)
		if got, want := fastWords(t, newScanner(), text), slowWords(text); !slices.Equal(got, want) {
			t.Fatalf("%q: got %q, want %q", text, got, want)
		}
	}
}

// TestClasses compares the table with the Unicode properties for every code
// point.
func TestClasses(t *testing.T) {
	t.Parallel()
	s := newScanner()
	for r := rune(0); r <= unicode.MaxRune; r++ {
		want := other
		switch {
		case 0xd800 <= r && r < 0xe000:
			continue
		case unicode.IsLetter(r):
			want = letter
		case unicode.IsNumber(r):
			want = number
		case unicode.Is(unicode.White_Space, r):
			want = space
		}
		if c, n := s.classAt(utf8.AppendRune(nil, r), 0); c != want || n != utf8.RuneLen(r) {
			t.Errorf("U+%04X: class %d of %d bytes, want %d", r, c, n, want)
		}
	}
}

func TestScannerWords(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{
		"I'll don't 'S":      "I|'ll| don|'t| '|S",
		"a  b":               "a| | b",
		"a\n\nb":             "a|\n|\n|b",
		"a \n":               "a| \n",
		"x1½ 2":              "x|1½| 2",
		"a\u3000\u3000b":     "a|\u3000|\u3000|b",
		"\xff\xfe \x80a\x80": "\xff\xfe| \x80|a|\x80",
		"''s 'x":             "''|s| '|x",
		"\x1c\x1d x":         "\x1c\x1d| x",
	} {
		if got := strings.Join(fastWords(t, newScanner(), []byte(text)), "|"); got != want {
			t.Errorf("%q: got %q, want %q", text, got, want)
		}
	}
}

func TestLongWordRefused(t *testing.T) {
	t.Parallel()
	if testing.Short() {
		t.Skip("reads 16 MiB twice")
	}
	text := strings.Repeat("a", MaxWord+1)
	b := toyBPE(t)
	if _, err := b.Encode([]byte(text)); !errors.Is(err, ErrLongWord) {
		t.Errorf("Encode: %v", err)
	}
	// The stream must give up before the end of a run that has none.
	err := b.EncodeStream(&repeat{'a', 4 * MaxWord}, func([]int32) error { return nil })
	if !errors.Is(err, ErrLongWord) {
		t.Errorf("EncodeStream: %v", err)
	}
}

// repeat reads as left times the byte c, and fails past that.
type repeat struct {
	c    byte
	left int
}

func (r *repeat) Read(p []byte) (int, error) {
	if r.left <= 0 {
		return 0, errors.New("read too far")
	}
	n := min(len(p), r.left)
	for i := range p[:n] {
		p[i] = r.c
	}
	r.left -= n
	return n, nil
}

func FuzzScanner(f *testing.F) {
	f.Add([]byte("I'll  go\n\n1st, don't!\u3000 \xff"))
	f.Fuzz(func(t *testing.T, text []byte) {
		if got, want := fastWords(t, newScanner(), text), slowWords(text); !slices.Equal(got, want) {
			t.Fatalf("%q: got %q, want %q", text, got, want)
		}
	})
}
