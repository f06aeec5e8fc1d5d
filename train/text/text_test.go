package text

import (
	"slices"
	"strings"
	"testing"

	"github.com/bdia-go/bdia/internal/traintest"
	"github.com/bdia-go/bdia/tokenizer"
)

// TestSpecialTokensOfText: what is spelt like the end of a text ends one only
// where that is asked for.
func TestSpecialTokensOfText(t *testing.T) {
	t.Parallel()
	for _, special := range []bool{false, true} {
		cfg := tinyConfig()
		cfg.Data.Path = traintest.TextFile(t, strings.Repeat(traintest.Text(50)+tokenizer.EndOfTextToken, 100))
		cfg.Data.Tokenizer, cfg.Data.BPEVocab, cfg.Data.Special = "bpe", 300, special
		r := create(t, cfg)
		end, ok := tokenizer.EndOfText(r.Task.(*Task).Tokenizer)
		if !ok {
			t.Fatal("no end of text")
		}
		ids := make([]int32, r.Task.(*Task).train.Len())
		if err := r.Task.(*Task).train.Read(ids, 0); err != nil {
			t.Fatal(err)
		}
		if got := slices.Contains(ids, end); got != special {
			t.Errorf("special %v: the text has the end of a text: %v", special, got)
		}
	}
}
