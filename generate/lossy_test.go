package generate

import "testing"

// TestLossy has what Python's decoder and Rust's from_utf8_lossy write.
func TestLossy(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{
		"plain é": "plain é", "\xff\xfe": "\ufffd\ufffd", "a\x80\x80\x80b": "a\ufffd\ufffd\ufffdb", "\xe2\x82": "\ufffd", "\xe2\x82x": "\ufffdx",
		"\xe2\x82\xe2\x82\xac": "\ufffd€", "\xf0\x9f\x98": "\ufffd", "\xc0\x80": "\ufffd\ufffd", "\xed\xa0\x80": "\ufffd\ufffd\ufffd", "\ufffd": "\ufffd",
	} {
		if got := lossy([]byte(text)); got != want {
			t.Errorf("%q: %q, want %q", text, got, want)
		}
	}
}
