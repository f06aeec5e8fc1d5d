package cli

import (
	"strings"
	"testing"
)

func TestWrap(t *testing.T) {
	t.Parallel()
	const text = "One two three four\nfive six.\n\n  a  list item that is too long\n  b  short\n"
	want := "One two three\nfour five six.\n\n  a list item\n      that is too\n      long\n  b  short"
	if got := Wrap(text, 17); got != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
	if got := Wrap("longer-than-the-line is", 5); got != "longer-than-the-line\nis" {
		t.Errorf("a long word: %q", got)
	}
}

func TestWrapCommands(t *testing.T) {
	t.Parallel()
	got := WrapCommands("  bdia train --data input.txt --layers 4   # small\n  bdia plan  # all", 32)
	want := "  # small\n  bdia train --data input.txt \\\n      --layers 4\n  bdia plan  # all"
	if got != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
}

func TestColumns(t *testing.T) {
	for env, want := range map[string]int{"": 80, "100": 100, "7": 40, "1000": 120, "-5": 80, "x": 80} {
		t.Setenv("COLUMNS", env)
		if got := Columns(&strings.Builder{}); got != want {
			t.Errorf("COLUMNS=%s: %d, want %d", env, got, want)
		}
	}
}

func TestNearest(t *testing.T) {
	t.Parallel()
	names := []string{"batch", "layers", "lr", "optimizer", "beta1", "beta2", "eval-every", "eval-samples"}
	for word, want := range map[string]string{"bacth": "batch", "layres": "layers", "Layers": "layers", "optim": "optimizer", "rl": "",
		"bet": "", "beta3": "beta1", "eval": "", "evalevery": "eval-every", "xyz": "", "": "", "batch": "batch"} {
		if got := Nearest(word, names); got != want {
			t.Errorf("%q: %q, want %q", word, got, want)
		}
	}
}
