package textfile

import (
	"bytes"
	"io"
	"strings"
	"testing"
	"testing/iotest"

	"golang.org/x/text/encoding"
	"golang.org/x/text/encoding/unicode"
)

// TestUTF16: UTF-16 is read by its mark, and without one if it is unmistakable, by
// bytes and by lines, packed or not.
func TestUTF16(t *testing.T) {
	t.Parallel()
	text := strings.Repeat("It’s a long, long line. \r\nÄ 😀\n", 3000)
	for name, e := range map[string]encoding.Encoding{
		"little": unicode.UTF16(unicode.LittleEndian, unicode.UseBOM), "big": unicode.UTF16(unicode.BigEndian, unicode.UseBOM),
		"little without a mark": unicode.UTF16(unicode.LittleEndian, unicode.IgnoreBOM), "big without a mark": unicode.UTF16(unicode.BigEndian, unicode.IgnoreBOM),
	} {
		file, err := e.NewEncoder().Bytes([]byte(text))
		if err != nil {
			t.Fatal(err)
		}
		for _, file := range [][]byte{file, pack(file)} {
			for _, o := range []Options{{}, {KeepMark: true, Buffer: 16}} {
				got, err := io.ReadAll(New(iotest.HalfReader(bytes.NewReader(file)), o))
				if string(got) != text || err != nil {
					t.Errorf("%s: %.20q of %d bytes, error %v, want %d", name, got, len(got), err, len(text))
				}
				r := New(bytes.NewReader(file), o)
				lines, err := all(r)
				if is, _ := r.UTF16(); !is || err != nil || strings.Join(lines, "") != text || len(lines) != 6000 {
					t.Errorf("%s: UTF-16 %v, %d lines, error %v", name, is, len(lines), err)
				}
			}
		}
	}
	half := "\xff\xfeA\x00\x00\xd8B\x00C"
	if got, err := io.ReadAll(New(strings.NewReader(half), Options{})); string(got) != "A\ufffdB\ufffd" || err != nil {
		t.Errorf("half a pair is read as %q, error %v", got, err)
	}
}

// TestNotUTF16: other bytes stay as they are, and UTF-32 is refused by its name.
func TestNotUTF16(t *testing.T) {
	t.Parallel()
	for _, text := range []string{"a", "\x00", "a\x00", "\x00\x00\x00\x00", "text\x00", "a\x00b", "\xff", "\xfe", strings.Repeat("ab\x00", 100), "plain\x00\x00text"} {
		r := New(strings.NewReader(text), Options{})
		got, err := io.ReadAll(r)
		if is, _ := r.UTF16(); is || string(got) != text || err != nil {
			t.Errorf("%q: UTF-16 %v, %q, error %v", text, is, got, err)
		}
	}
	for _, text := range []string{"\xff\xfe\x00\x00a\x00\x00\x00", "\x00\x00\xfe\xff\x00\x00\x00a"} {
		if _, err := io.ReadAll(New(strings.NewReader(text), Options{})); err != ErrUTF32 {
			t.Errorf("%q: error %v", text, err)
		}
	}
	if got, err := io.ReadAll(New(strings.NewReader("a\x00b\x00c\x00"), Options{AsItComes: true})); string(got) != "a\x00b\x00c\x00" || err != nil {
		t.Errorf("typed text is %q, error %v", got, err)
	}
}
