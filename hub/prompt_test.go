package hub_test

import (
	"errors"
	"path/filepath"
	"slices"
	"testing"

	"github.com/bdia-go/bdia/hub"
	"github.com/bdia-go/bdia/tokenizer"
)

// TestEncode: the separator of a run follows its prompts, and no others. A special token
// is one in the separator only.
func TestEncode(t *testing.T) {
	t.Parallel()
	root := oldRuns(t)
	for name, separator := range map[string]string{"completion": "\n", "base": ""} {
		f := mustOpen(t, filepath.Join(root, name), hub.Options{})
		got, err := f.Encode("a cat")
		want, _ := f.Tokenizer.Encode([]byte("a cat" + separator))
		if err != nil || !slices.Equal(got, want) {
			t.Errorf("%s: %v, %v, want %v", name, got, err, want)
		}
	}
	f := mustOpen(t, filepath.Join(root, "completion"), hub.Options{})
	end, _ := tokenizer.EndOfText(f.Tokenizer)
	const special = "<|endoftext|>"
	p, err := hub.NewPrompts(f.Tokenizer, special)
	if err != nil {
		t.Fatal(err)
	}
	plain, _ := tokenizer.Raw(f.Tokenizer).Encode([]byte(special))
	if got, err := p.Encode([]byte(special)); err != nil || !slices.Equal(got, append(plain, end)) {
		t.Errorf("a special token as prompt and separator: %v, %v, want %v and %d", got, err, plain, end)
	}
	f.Tokenizer = nil
	if _, err := f.Encode("a"); !errors.Is(err, tokenizer.ErrNotFound) {
		t.Errorf("without a tokenizer: %v", err)
	}
}
