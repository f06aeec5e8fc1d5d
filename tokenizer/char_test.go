package tokenizer

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"testing/iotest"

	"github.com/bdia-go/bdia/internal/testkit"
)

func newTestChar(t testing.TB, text string) *Char {
	t.Helper()
	c, err := NewChar(strings.NewReader(text))
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func TestChar(t *testing.T) {
	t.Parallel()
	c := newTestChar(t, "bä日a👋\nab\ufffd")
	if got := string(c.runes); got != "\nabä日\ufffd👋" || c.VocabSize() != 7 || c.Kind() != "char" {
		t.Fatalf("vocabulary %q of %d", got, c.VocabSize())
	}
	text := []byte("日a👋\nb\ufffdä")
	ids := mustEncode(t, c, text)
	if want := []int32{4, 1, 6, 0, 2, 5, 3}; !slices.Equal(ids, want) {
		t.Errorf("got %v, want %v", ids, want)
	}
	if back, err := c.Decode(ids); err != nil || !bytes.Equal(back, text) {
		t.Errorf("came back as %q, %v", back, err)
	}
	if got := streamIDs(t, c, iotest.OneByteReader(bytes.NewReader(text))); !slices.Equal(got, ids) {
		t.Errorf("the stream gave %v", got)
	}
	for _, id := range []int32{-1, 7} {
		if _, err := c.Decode([]int32{id}); !errors.Is(err, ErrID) {
			t.Errorf("id %d: got %v", id, err)
		}
	}
}

// TestCharExtend: new characters follow the old ones, and come back from the file; Skipping leaves out what is not there.
func TestCharExtend(t *testing.T) {
	t.Parallel()
	old := newTestChar(t, "bda")
	c := old.Extend([]rune("éc"))
	if got := string(c.runes); got != "abdéc" || old.VocabSize() != 3 || old.Has('c') || !c.Has('é') || c.Has(-1) {
		t.Fatalf("vocabulary %q, before %q", got, string(old.runes))
	}
	dir := t.TempDir()
	if err := c.Save(dir); err != nil {
		t.Fatal(err)
	}
	back, err := Load(dir)
	if err != nil {
		t.Fatal(err)
	}
	if ids := mustEncode(t, back, []byte("écab")); !slices.Equal(ids, []int32{3, 4, 0, 1}) || Fingerprint(back) != Fingerprint(c) {
		t.Errorf("ids %v", ids)
	}
	if ids := mustEncode(t, old.Skipping(), []byte("écab 日")); !slices.Equal(ids, []int32{0, 1}) {
		t.Errorf("without what is not there: %v", ids)
	}
	if _, err := parseChars([]byte(`{"version":1,"chars":"aba"}`)); !errors.Is(err, ErrFormat) {
		t.Errorf("a character twice: %v", err)
	}
}

func TestCharShakespeare(t *testing.T) {
	t.Parallel()
	text, err := os.ReadFile(testkit.SharedPath(t, "data", "tinyshakespeare", "input.txt"))
	if err != nil {
		t.Fatal(err)
	}
	c := newTestChar(t, string(text))
	if c.VocabSize() != 65 {
		t.Errorf("%d characters, want 65", c.VocabSize())
	}
	ids := mustEncode(t, c, text)
	if len(ids) != 1115394 || !slices.Equal(ids[:5], []int32{18, 47, 56, 57, 58}) {
		t.Errorf("%d ids that begin %v", len(ids), ids[:5])
	}
	if got := streamIDs(t, c, bytes.NewReader(text)); !slices.Equal(got, ids) {
		t.Error("the stream differs")
	}
}

func TestCharErrors(t *testing.T) {
	t.Parallel()
	c := newTestChar(t, "abé\n")
	// The offset must count from the beginning of the text, whatever the buffer.
	long := strings.Repeat("é", chunk)
	for name, encode := range map[string]func(string) error{
		"Encode":       func(s string) error { _, err := c.Encode([]byte(s)); return err },
		"EncodeStream": func(s string) error { return c.EncodeStream(strings.NewReader(s), func([]int32) error { return nil }) },
	} {
		for bad, want := range map[string]UnknownError{"abz": {'z', 2}, long + "a日": {'日', 2*chunk + 1}} {
			err := encode(bad)
			var u *UnknownError
			if !errors.Is(err, ErrUnknown) || !errors.As(err, &u) || *u != want {
				t.Errorf("%s: got %v, want %v", name, err, want)
			}
		}
		for bad, at := range map[string]string{"ab\xff": "0xff at byte 2;", long + "\xe6\x97": "0xe6 at byte 524288;", "a\xc3": "0xc3 at byte 1;"} {
			if err := encode(bad); !errors.Is(err, ErrInvalidUTF8) || !strings.Contains(err.Error(), at) {
				t.Errorf("%s: got %v, want %s", name, err, at)
			}
		}
	}
	if _, err := NewChar(strings.NewReader("ok\xc3(")); !errors.Is(err, ErrInvalidUTF8) || !strings.Contains(err.Error(), "byte 2;") {
		t.Errorf("NewChar: got %v", err)
	}
	if _, err := NewChar(strings.NewReader("")); err == nil {
		t.Error("NewChar of nothing: no error")
	}
}

func TestCharSaveLoad(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	c := newTestChar(t, "\x00\n\"\\<>&aé日👋\u2028\ufffd")
	if err := c.Save(dir); err != nil {
		t.Fatal(err)
	}
	got, err := Load(dir)
	if err != nil {
		t.Fatal(err)
	}
	if g, ok := got.(*Char); !ok || !slices.Equal(g.runes, c.runes) {
		t.Errorf("read %v, wrote %q", got, string(c.runes))
	}
	if err := c.Save(filepath.Join(dir, "missing")); err == nil {
		t.Error("Save into a folder that is not there: no error")
	}
}

func FuzzChars(f *testing.F) {
	f.Add([]byte(`{"version":1,"chars":"ab\u00e9"}`))
	f.Add([]byte(`{"version":1,"chars":"ba"}`))
	for _, text := range testkit.Longer([]byte(`{"version":1,"chars":"ab\u00e9","x":"y"}`)) {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		c, err := parseChars(text)
		testkit.Refused(t, err)
		if err != nil {
			if !errors.Is(err, ErrFormat) {
				t.Errorf("error without ErrFormat: %v", err)
			}
			return
		}
		all := []byte(string(c.runes))
		if back, err := c.Decode(mustEncode(t, c, all)); err != nil || !bytes.Equal(back, all) {
			t.Errorf("%q came back as %q, %v", all, back, err)
		}
	})
}

func TestCharEndOfText(t *testing.T) {
	t.Parallel()
	if id, ok := EndOfText(newChar([]rune("ab"))); ok {
		t.Errorf("characters have the end of text %d", id)
	}
	if id, ok := EndOfText(toyBPE(t)); !ok || id != 279 {
		t.Errorf("EndOfText = %d, %v, want 279", id, ok)
	}
}
