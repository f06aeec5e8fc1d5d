package generate

import (
	"context"
	"errors"
	"slices"
	"strings"
	"testing"

	"github.com/bdia-go/bdia"
	"github.com/bdia-go/bdia/backend"
	"github.com/bdia-go/bdia/data/pairs"
	"github.com/bdia-go/bdia/hub"
	"github.com/bdia-go/bdia/model"
	"github.com/bdia-go/bdia/tokenizer"
)

// letters returns a tokenizer of n characters from a on.
func letters(t *testing.T, n int) tokenizer.Tokenizer {
	t.Helper()
	tok, err := tokenizer.NewChar(strings.NewReader("abcdefghijklmnop"[:n]))
	if err != nil {
		t.Fatal(err)
	}
	return tok
}

// TestSentences checks what each policy makes of empty, bad and long lines, and that the
// others are translated as their tokens are.
func TestSentences(t *testing.T) {
	t.Parallel()
	tr, _ := newTranslator(t, DefaultTranslate())
	tok := letters(t, 10)
	long := strings.Repeat("abc", 10) // 30 tokens; the model takes 19
	lines := []string{"abc", "", " cab\n", "x", long, "a\xff"}
	for _, c := range []struct {
		p     Policies
		notes []string // of the lines until the first error
		fails string
	}{
		{Policies{pairs.Skip, pairs.Skip}, []string{"", NoteEmpty, "", NoteBad, NoteLong, NoteBad}, ""},
		{Policies{pairs.Skip, pairs.Truncate}, []string{"", NoteEmpty, "", NoteBad, NoteTruncated, NoteBad}, ""},
		{Policies{pairs.Fatal, pairs.Skip}, []string{"", NoteEmpty, ""}, "in: line 8: "},
		{Policies{pairs.Skip, pairs.Fatal}, []string{"", NoteEmpty, "", NoteBad}, "in: line 9: a sentence of 30 tokens, and the model takes 19"},
	} {
		s := &Sentences{Translator: tr, Source: tok, Target: tok, Policies: c.p}
		done := 0
		got, err := s.Lines(t.Context(), "in", 5, lines, func(n int) { done = n })
		if c.fails == "" && err != nil || c.fails != "" && (err == nil || !strings.HasPrefix(err.Error(), c.fails)) {
			t.Fatalf("%+v: %v, want %q", c.p, err, c.fails)
		}
		if errors.As(err, new(*LongError)) != (c.p.OnLong == pairs.Fatal) {
			t.Errorf("%+v: %v", c.p, err)
		}
		var notes []string
		for i, r := range got {
			notes = append(notes, r.Note)
			if r.Line != 5+i || (len(r.Translations) == 0) != (r.Note != "" && r.Note != NoteTruncated) {
				t.Errorf("%+v: %+v", c.p, r)
			}
		}
		if !slices.Equal(notes, c.notes) || done != len(c.notes) {
			t.Errorf("%+v: notes %q, %d done; want %q", c.p, notes, done, c.notes)
		}
		ids, err := tok.Encode([]byte("cab"))
		if err != nil {
			t.Fatal(err)
		}
		var want string
		if err := tr.Translate([][]int32{ids}, func(_ int, best []Hypothesis) error {
			text, err := tok.Decode(best[0].IDs)
			want = OneLine(text)
			return err
		}); err != nil {
			t.Fatal(err)
		}
		if got[2].Translations[0].Text != want {
			t.Errorf("%q is translated as %q, its tokens as %q", got[2].Source, got[2].Translations[0].Text, want)
		}
	}
	if err := (Policies{pairs.Truncate, pairs.Skip}).Validate(); err == nil {
		t.Error("bad sentences cannot be truncated")
	}
}

// TestPrompts checks that prompts at a time are continued as one by one, by sampling and
// by a search, and which lines are left out.
func TestPrompts(t *testing.T) {
	t.Parallel()
	m, tok := newModel(t), letters(t, 12)
	for _, search := range []*SearchOptions{nil, {Beam: 2, NBest: 2, LengthPenalty: 1}} {
		p := &Prompts{Model: m, Context: m.Config.Context, Vocabulary: tok, Encoder: tok, Search: search,
			Options: Options{MaxTokens: 3, Temperature: 1, TopP: 1, RepetitionPenalty: 1, Seed: 3, Samples: []int{7}, Grid: bdia.DefaultGrid}} // the numbers of lines count
		var all []*Prompt
		for i, line := range []string{"ab\r\n", "", "cde", "z", "abcdef"} {
			all = append(all, p.Read(i+1, line))
		}
		var open []*Prompt
		for i, want := range []string{"", NoteEmpty, "", NoteBad, map[bool]string{true: NoteLong}[search != nil]} {
			if all[i].Note != want {
				t.Errorf("line %d: note %q, want %q", i+1, all[i].Note, want)
			}
			if all[i].Note == "" {
				open = append(open, all[i])
			}
		}
		none := func([]byte) error { return nil }
		if err := p.Continue(t.Context(), open, none); err != nil {
			t.Fatal(err)
		}
		for _, r := range open {
			alone := *r
			alone.Continuations = nil
			if err := p.Continue(t.Context(), []*Prompt{&alone}, none); err != nil {
				t.Fatal(err)
			}
			if got, want := r.Continuations[0], alone.Continuations[0]; got.Text != want.Text || len(got.IDs) == 0 || (got.Score == nil) != (search == nil) {
				t.Errorf("line %d: %+v, alone %+v", r.Line, got, want)
			}
		}
		wrong := errors.New("wrong")
		if err := p.Continue(t.Context(), open, func([]byte) error { return wrong }); err != wrong {
			t.Errorf("emit fails: %v", err)
		}
		ctx, stop := context.WithCancel(t.Context())
		stop()
		if err := p.Continue(ctx, open, none); !errors.Is(err, context.Canceled) {
			t.Errorf("the context has ended: %v", err)
		}
	}
}

func TestOneLine(t *testing.T) {
	t.Parallel()
	if got := OneLine([]byte(" a\nb\tc\xff ")); got != "a b c\uFFFD" {
		t.Errorf("%q", got)
	}
}

// TestFolderPrompts: prompts at a time are continued as FromFolder continues each alone, lines that were left out stay as
// they are, and nothing needs to listen.
func TestFolderPrompts(t *testing.T) {
	t.Parallel()
	f, err := hub.Open("../train/testdata/oldruns/base", hub.Options{})
	if err != nil {
		t.Fatal(err)
	}
	o := DefaultOptions()
	o.MaxTokens, o.Temperature, o.Samples = 5, 0, []int{7}
	p, err := FolderPrompts(f, o)
	if err != nil {
		t.Fatal(err)
	}
	m, err := f.GPT(backend.Options{}, func(m *model.GPT) error { return p.Rehearse(m, 2, p.Context) })
	if err != nil {
		t.Fatal(err)
	}
	defer m.Close()
	p.Model = m.GPT
	batch := []*Prompt{p.Read(1, "the "), p.Read(2, ""), p.Read(3, "an")}
	if err := p.Continue(t.Context(), batch, nil); err != nil {
		t.Fatal(err)
	}
	for _, r := range batch {
		if r.Note != "" {
			if r.Note != NoteEmpty || len(r.Continuations) != 0 {
				t.Errorf("a line that was left out: %+v", r)
			}
			continue
		}
		want, err := FromFolder(f, backend.Options{}, r.Prompt, o)
		if err != nil || r.Prompt+r.Continuations[0].Text != want {
			t.Errorf("%q: %q, alone %q, %v", r.Prompt, r.Continuations[0].Text, want, err)
		}
	}
	if err := p.Continue(t.Context(), batch[1:2], nil); err != nil {
		t.Errorf("nothing to continue: %v", err)
	}
	f.Tokenizer = nil
	if _, err := FolderPrompts(f, o); !errors.Is(err, tokenizer.ErrNotFound) {
		t.Errorf("without a tokenizer: error %v", err)
	}
}
