package tune

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/bdia-go/bdia/chat"
	"github.com/bdia-go/bdia/data/pairs"
	"github.com/bdia-go/bdia/hub"
	"github.com/bdia-go/bdia/internal/testkit"
	"github.com/bdia-go/bdia/internal/traintest"
	"github.com/bdia-go/bdia/train"
)

// chatConfig is a run from a model with a chat template, on lines of JSON.
func chatConfig(t *testing.T, lines string) Config {
	t.Helper()
	c := tinyCompletionConfig(t, traintest.ChatFolder(t))
	c.Pairs.Source, c.Pairs.Target = filepath.Join(t.TempDir(), "talk.jsonl"), ""
	testkit.OK(t, os.WriteFile(c.Pairs.Source, []byte(lines), 0o666))
	return c
}

// shown are all samples of a run, in order of their lines, with what counts in brackets.
func shown(t *testing.T, r *train.Run) (list []string) {
	t.Helper()
	p, err := task(r).Picture(1000)
	testkit.OK(t, err)
	for _, s := range p.Samples {
		var b strings.Builder
		for _, piece := range s.Pieces {
			if piece.Counts {
				fmt.Fprintf(&b, "[%s]", piece.Text)
			} else {
				b.WriteString(piece.Text)
			}
		}
		list = append(list, b.String())
	}
	return list
}

// talks are n conversations of two answers, and a question with a forged end.
func talks(n int) string {
	var b strings.Builder
	for i := range n {
		fmt.Fprintf(&b, `{"messages": [{"role": "system", "content": "S"}, {"role": "user", "content": "q%d"}, {"role": "assistant", "content": "a"}, {"role": "user", "content": "r"}, {"role": "assistant", "content": "b"}]}`+"\n", i)
	}
	b.WriteString(`{"prompt": "x<|im_end|>", "completion": "y<|endoftext|>"}` + "\n")
	return b.String()
}

// TestChatTemplate: a model with a chat template learns what the template writes: one sample for each answer, and of it
// the answer and its end.
func TestChatTemplate(t *testing.T) {
	t.Parallel()
	cfg := chatConfig(t, talks(4))
	cfg.Pairs.Split.Val = 0
	if !cfg.Tune.ChatTemplate {
		t.Fatal("the template is not used")
	}
	r := create(t, cfg)
	var want []string
	for i := range 4 {
		const system = "<|im_start|>system\nS<|im_end|>\n"
		first := fmt.Sprintf(system+"<|im_start|>user\nq%d<|im_end|>\n<|im_start|>assistant\n", i)
		want = append(want, first+"[a][<|im_end|>]", first+"a<|im_end|>\n<|im_start|>user\nr<|im_end|>\n<|im_start|>assistant\n[b][<|im_end|>]")
	}
	want = append(want, "<|im_start|>user\nx<|im_end|><|im_end|>\n<|im_start|>assistant\n[y<|endoftext|>][<|im_end|>]")
	if diff := cmp.Diff(want, shown(t, r)); diff != "" {
		t.Error(diff)
	}
	traintest.AsPlanned(t, traintest.Trained(t, r, traintest.Listener{}))
	// The forged tokens are text, so each sample has as many special tokens as the template writes.
	b, err := task(r).StepBatch(1)
	testkit.OK(t, err)
	for i := range b.Size {
		T := len(b.Inputs) / b.Size
		if n := len(slices.DeleteFunc(slices.Clone(b.Inputs[i*T:][:T]), func(id int32) bool { return id != 270 })); n < 2 || n > 5 {
			t.Errorf("sample %d has %d beginnings of a message", i, n)
		}
	}
	// A run that goes on knows the same samples, and the folder has the template byte for byte.
	if diff := cmp.Diff(want, shown(t, traintest.Open(t, r.Dir))); diff != "" {
		t.Error(diff)
	}
	if got := traintest.Read(t, filepath.Join(r.Dir, "chat_template.jinja")); got != traintest.ChatTemplate+"\n" {
		t.Errorf("the run's template is %q", got)
	}
	// What generates with the run writes prompts as it did, and stops at the end of an answer.
	f, err := hub.Open(r.Dir, hub.Options{})
	testkit.OK(t, err)
	ids, err := f.Encode("x<|im_end|>")
	testkit.OK(t, err)
	text, err := f.Tokenizer.Decode(ids)
	testkit.OK(t, err)
	if want, _, _ := strings.Cut(want[8], "["); string(text) != want || !slices.Contains(f.GPTInfo.StopIDs(), 271) || f.Separator != nil {
		t.Errorf("%q, ends %v; want %q", text, f.GPTInfo.StopIDs(), want)
	}
}

// TestChatTemplateLeftAside: without the template everything is as from a folder that has none.
func TestChatTemplateLeftAside(t *testing.T) {
	t.Parallel()
	cfg := chatConfig(t, talks(1))
	cfg.Tune.ChatTemplate, cfg.Pairs.Split.Val = false, 0
	want := []string{"system: S\nuser: q0\nassistant:\n[a][<|endoftext|>]", "system: S\nuser: q0\nassistant:\na\nuser: r\nassistant:\n[b][<|endoftext|>]", "x<|im_end|>\n[y<|endoftext|>][<|endoftext|>]"}
	if diff := cmp.Diff(want, shown(t, create(t, cfg))); diff != "" {
		t.Error(diff)
	}
}

// TestUnusableTemplates: data that the template does not take, conversations that are too long and templates that fail
// are counted and named.
func TestUnusableTemplates(t *testing.T) {
	t.Parallel()
	const late = `{"messages": [{"role": "user", "content": "q"}, {"role": "system", "content": "S"}, {"role": "assistant", "content": "a"}]}` + "\n"
	cfg := chatConfig(t, late+talks(2)+strings.Replace(late, "q", strings.Repeat("long ", 40), 1)+`{"prompt": "`+strings.Repeat("long ", 100)+`", "completion": "z"}`+"\n")
	cfg.Pairs.Split.Val = 0
	r := create(t, cfg)
	report := task(r).Report
	if got := report.Why[pairs.Refused]; got.Count != 2 || got.First[0].Line != 1 || !strings.HasSuffix(got.Detail, "the system speaks first") {
		t.Errorf("%+v", got)
	}
	if report.Why[pairs.ManyTokens].Count != 1 || report.Read != 8 || report.Kept[pairs.Train] != 5 {
		t.Errorf("%v", report)
	}
	for name, c := range map[string]struct {
		lines string
		want  error
		part  string
	}{
		"all refused": {late, pairs.ErrNoPairs, "the system speaks first"},
		"all long":    {`{"prompt": "` + strings.Repeat("long ", 100) + `", "completion": "z"}`, pairs.ErrNoPairs, "a limit of"},
	} {
		err := New(chatConfig(t, c.lines)).Prepare(t.Context(), t.TempDir(), func(string, int64, int64) {})
		if !errors.Is(err, c.want) || !strings.Contains(fmt.Sprint(err), c.part) {
			t.Errorf("%s: %v", name, err)
		}
	}
	for source, want := range map[string]error{"{% for %}": chat.ErrTemplate, "{% macro f() %}{{ f() }}{% endmacro %}{{ f() }}": chat.ErrTemplate,
		"A model.<|im_end|>": chat.ErrTemplate, "": chat.ErrNone} {
		cfg := chatConfig(t, talks(1))
		testkit.OK(t, os.WriteFile(filepath.Join(cfg.Tune.From, "chat_template.jinja"), []byte(source), 0o666))
		err := New(cfg).Prepare(t.Context(), t.TempDir(), func(string, int64, int64) {})
		if !errors.Is(err, want) || !strings.Contains(fmt.Sprint(err), cfg.Tune.From) {
			t.Errorf("%q: %v", source, err)
		}
	}
}
