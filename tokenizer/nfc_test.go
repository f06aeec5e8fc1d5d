package tokenizer

import (
	"math/rand/v2"
	"strings"
	"testing"
	"unicode/utf8"

	"golang.org/x/text/unicode/norm"
)

// TestNFC compares with golang.org/x/text, and the way for many marks with the way for few.
func TestNFC(t *testing.T) {
	t.Parallel()
	chars := []string{"a", "e", "o", "\u0301", "\u0323", "\u0308", "\u0327", "\u0344", "가", "\u1100", "\u1161", "\u11a8", "é", "ǭ", "Å", "\u212b", " ", "\u0f71\u0f72", "\u0915\u093c", "日", "\u0340", "\xff", "\U0001d15e"}
	r := rand.New(rand.NewPCG(41, 42))
	for range 20000 {
		var s strings.Builder
		for range r.IntN(14) {
			s.WriteString(chars[r.IntN(len(chars))])
		}
		text := []byte(s.String())
		want := norm.NFC.String(s.String())
		if got := string(appendNFC(nil, text)); got != want {
			t.Fatalf("%+q: got %+q, want %+q", text, got, want)
		}
		if got := string(appendComposed(nil, text)); got != want {
			t.Fatalf("%+q, by hand: got %+q, want %+q", text, got, want)
		}
	}
}

// TestManyMarks: golang.org/x/text would put a character of its own between the marks.
func TestManyMarks(t *testing.T) {
	t.Parallel()
	text := "e" + strings.Repeat("\u0323", 50) + strings.Repeat("\u0301", 50) + "x"
	want := "ẹ" + strings.Repeat("\u0323", 49) + strings.Repeat("\u0301", 50) + "x"
	want = strings.Replace(want, "ẹ", "\u1eb9", 1)
	got := string(appendNFC(nil, []byte(text)))
	if got != want || utf8.RuneCountInString(got) != 101 {
		t.Errorf("got %+q, want %+q", got, want)
	}
	if ids := mustEncode(t, mustParse(t, smallFamilies(t)["qwen"]), []byte(strings.Repeat(text, 2000))); len(ids) == 0 {
		t.Error("no ids")
	}
}
