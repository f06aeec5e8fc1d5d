package text

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/bdia-go/bdia/internal/testkit"
	"github.com/bdia-go/bdia/internal/traintest"
	"github.com/bdia-go/bdia/tokenizer"
)

// TestTokenizersOfFamilies: text is learned with the tokenizers of other models. Documents begin as the tokenizer begins
// a text, special tokens that a text spells are text, and bytes without a token are counted.
func TestTokenizersOfFamilies(t *testing.T) {
	t.Parallel()
	for name, lost := range map[string]bool{"stories260K": false, "llama3_mini": false, "qwen3_mini": false, "smollm_mini": true} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			from := testkit.SharedPath(t, "llm", "tokenizers_mini", name)
			cfg := tinyConfig()
			cfg.Data.Path, cfg.Data.Tokenizer = traintest.TextFile(t, strings.Repeat(traintest.Text(50)+"<s></s><|im_end|><|eot_id|> é\u0301 \U00040000日 12\n", 60)), from
			r := create(t, cfg)
			task := r.Task.(*Task)
			ids := make([]int32, task.train.Len())
			if err := task.train.Read(ids, 0); err != nil {
				t.Fatal(err)
			}
			before, _ := tokenizer.Around(task.Tokenizer)
			if end, ok := tokenizer.EndOfText(task.Tokenizer); !ok || slices.Contains(ids, end) || len(before) > 0 && (ids[0] != before[0] || slices.Contains(ids[1:], before[0])) {
				t.Errorf("the tokens begin with %v, want %v, and no other special ones", ids[:8], before)
			}
			p, err := task.Picture(1)
			if err != nil {
				t.Fatal(err)
			}
			if got := slices.ContainsFunc(p.Notes, func(s string) bool { return strings.Contains(s, "bytes of the text, which are left out") }); got != lost {
				t.Errorf("bytes that were lost are noted: %v; %q", got, p.Notes)
			}
			for _, file := range []string{"tokenizer.json", "tokenizer_config.json"} {
				want, err := os.ReadFile(filepath.Join(from, file))
				got, err2 := os.ReadFile(filepath.Join(r.Dir, file))
				if err != nil || err2 != nil || string(got) != string(want) {
					t.Errorf("%s of the run: %v, %v", file, err, err2)
				}
			}
			if err := New(task.Settings).Reopen(r.Dir); err != nil {
				t.Errorf("opened again: %v", err)
			}
		})
	}
}
