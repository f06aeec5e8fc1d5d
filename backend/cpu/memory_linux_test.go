package cpu

import (
	"errors"
	"strings"
	"testing"

	"github.com/bdia-go/bdia/backend"
)

func TestAvailable(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]int64{
		"MemTotal: 9 kB\nMemAvailable:   3 kB\nSwapTotal: 8 kB\nSwapFree: 2 kB\n": 5 << 10,
		"MemAvailable: 3 kB":                   3 << 10,
		"MemTotal: 9 kB\nSwapFree: 2 kB\n":     0, // an old kernel
		"MemAvailable: many kB\n":              0,
		"MemAvailable: 9999999999999999999 kB": 0,
		"":                                     0,
	} {
		if got := parseMeminfo(text); got != want {
			t.Errorf("%q: %d bytes, want %d", text, got, want)
		}
	}
	free := available()
	if free == 0 {
		t.Skip("this system does not tell")
	}
	b, err := New(Options{Threads: 1, ArenaBytes: 2*free + ScratchBytes(1)})
	if err == nil {
		b.Close()
	}
	var memory *backend.MemoryError
	if !errors.As(err, &memory) || memory.Need != 2*free+ScratchBytes(1) || memory.Free <= 0 || memory.Free >= memory.Need ||
		!strings.Contains(err.Error(), "GiB are free; use a smaller batch or model") {
		t.Errorf("an arena of twice the free memory: error %v", err)
	}
}
