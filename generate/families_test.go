package generate

import (
	"bytes"
	"slices"
	"strings"
	"testing"

	"github.com/bdia-go/bdia"
	"github.com/bdia-go/bdia/backend/cpu"
	"github.com/bdia-go/bdia/internal/testkit"
	"github.com/bdia-go/bdia/model"
	"github.com/bdia-go/bdia/tokenizer"
)

// TestTextOfFamilies: the pieces of a text are its text, after a prompt and at the start. Tokens of bytes are held back
// until a character is whole, and the space that begins a text is dropped there only,
// or of an answer.
func TestTextOfFamilies(t *testing.T) {
	t.Parallel()
	tok, err := tokenizer.Load(testkit.SharedPath(t, "llm", "tokenizers_mini", "stories260K"))
	if err != nil {
		t.Fatal(err)
	}
	be := newCPU(t, cpu.ScratchBytes(1)+16<<20)
	m, err := model.NewGPT(be, model.GPTConfig{Vocab: tok.VocabSize(), Context: 12, Layers: 1, Heads: 2, Width: 16}, bdia.DefaultOptions())
	if err != nil {
		t.Fatal(err)
	}
	m.Init(4)
	begin, _ := tokenizer.Around(tok)
	once, err := tokenizer.EncodePrompt(tok, []byte("Once upon"))
	if err != nil || once[0] != begin[0] {
		t.Fatal(once, err)
	}
	spaces := false
	for start, prompt := range map[string][]int32{"": begin, "Once upon": once} {
		o := DefaultOptions()
		o.MaxTokens, o.Temperature = 60, 3
		for o.Seed = range uint64(4) {
			var pieces []string
			w, err := Stream(m, tok, prompt, o, func(text []byte) bool { pieces = append(pieces, string(text)); return true })
			if err != nil {
				t.Fatal(err)
			}
			want, err := tokenizer.DecodeAfter(tok, prompt, w.IDs)
			if got := strings.Join(pieces, ""); err != nil || got != string(want) || !bytes.Equal(w.Text, want) {
				t.Errorf("%q in pieces, %q as text, want %q, %v", got, w.Text, want, err)
			}
			o.Answer = true
			answer, err := Stream(m, tok, prompt, o, func([]byte) bool { return true })
			alone, err2 := tok.Decode(w.IDs)
			if err != nil || err2 != nil || !slices.Equal(answer.IDs, w.IDs) || !bytes.Equal(answer.Text, alone) {
				t.Errorf("the answer %q, %v, want %q, %v", answer.Text, err, alone, err2)
			}
			spaces = spaces || start != "" && len(alone) < len(want)
			o.Answer = false
			text, err := Text(m, tok, prompt, o)
			if err != nil || text != start+string(want) {
				t.Errorf("%q, %v, want %q and %q", text, err, start, want)
			}
		}
	}
	if !spaces {
		t.Error("no answer began with a space that is not its own")
	}
	twice, err := tokenizer.EncodePrompt(tok, []byte("<s>Once upon"))
	if err != nil || slices.Contains(twice[1:], begin[0]) {
		t.Errorf("a text that spells its begin: %v, %v", twice, err)
	}
}
