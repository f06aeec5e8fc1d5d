package textfile

import "testing"

// TestForeign: every format is known by its first bytes, also if no more is there, and text is none.
func TestForeign(t *testing.T) {
	t.Parallel()
	for _, f := range formats {
		head := string(make([]byte, f.at)) + f.magic
		if got := Foreign([]byte(head)); got != f.name {
			t.Errorf("%q is %q, want %q", head, got, f.name)
		}
		if got := Foreign([]byte(head)[:len(head)-1]); got != "" {
			t.Errorf("a part of %q is %q", head, got)
		}
	}
	for _, text := range []string{"", "A dog.", "PDF", "\x1f\x8b"} {
		if got := Foreign([]byte(text)); got != "" {
			t.Errorf("%q is %q", text, got)
		}
	}
}
