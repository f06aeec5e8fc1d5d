package pairs

import (
	"strings"
	"testing"
)

// TestSniffLongFirst: a first document of any length is text, as a short one is, and keys behind a long one still make
// it a pair.
func TestSniffLongFirst(t *testing.T) {
	t.Parallel()
	for _, length := range []int{10, headBytes, 5 * headBytes, 2 * MaxLine} {
		long := strings.Repeat("x", length)
		for text, want := range map[string]Kind{
			`{"text": "` + long + `", "id": 7}`:                           KindText,
			`{"text": "` + long + `"}` + "\n" + `{"text": "b"}`:           KindText,
			`[{"text": "` + long + `"}, {"text": "b"}]`:                   KindText,
			`{"id": 7, "prompt": "a", "completion": "` + long + `"}`:      KindPairs,
			`{"messages": [{"role": "user", "content": "` + long + `"}]}`: KindPairs,
			`{"data": [{"prompt": "` + long + `", "completion": "b"}]}`:   KindPairs,
		} {
			if kind, err := Sniff(write(t, "first.jsonl", text)); err != nil || kind != want {
				t.Errorf("%.20s, of %d characters: %q, %v", text, length, kind, err)
			}
		}
		if length > MaxLine {
			continue
		}
		if kind, err := Sniff(write(t, "sides.jsonl", `{"text": "`+long+`", "summary": "b"}`)); err != nil || kind != KindPairs {
			t.Errorf("a text of %d characters with its summary: %q, %v", length, kind, err)
		}
	}
	if kind, err := Sniff(write(t, "cut.jsonl", `{"text": "a`)); err != nil || kind != KindPairs {
		t.Errorf("a text that is cut short: %q, %v", kind, err)
	}
}
