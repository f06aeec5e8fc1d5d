package seal

import (
	"errors"
	"os"
	"path/filepath"
	"testing"
)

// TestSeal: a file with its checksum is whole; every bit that flips in it is told, and so is a file without one.
func TestSeal(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "file")
	place := func(int64) (int64, string) { return 5, "sum=" }
	write := func(b []byte) {
		t.Helper()
		if err := os.WriteFile(path, b, 0o666); err != nil {
			t.Fatal(err)
		}
	}
	write([]byte("<sum=" + Zeros + "> and data"))
	if err := Check(path, place); !errors.Is(err, ErrNone) {
		t.Errorf("before Put: %v", err)
	}
	if err := Put(path, place); err != nil {
		t.Fatal(err)
	}
	if err := Check(path, place); err != nil {
		t.Error(err)
	}
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	for bit := range 8 * len(b) {
		b[bit/8] ^= 1 << (bit % 8)
		write(b)
		want := ErrChanged
		if at := bit / 8; at >= 1 && at < 5 {
			want = ErrNone // it is no checksum's name any more
		}
		if err := Check(path, place); !errors.Is(err, want) {
			t.Errorf("bit %d: %v, want %v", bit, err, want)
		}
		b[bit/8] ^= 1 << (bit % 8)
	}
	for _, n := range []int{0, 4, 36, len(b) - 1} {
		write(b[:n])
		if err := Check(path, place); err == nil {
			t.Errorf("the first %d bytes are whole", n)
		}
	}
}
