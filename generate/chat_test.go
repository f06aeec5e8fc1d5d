package generate_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/bdia-go/bdia/backend"
	"github.com/bdia-go/bdia/chat"
	"github.com/bdia-go/bdia/generate"
	"github.com/bdia-go/bdia/hub"
	"github.com/bdia-go/bdia/internal/testkit"
	"github.com/bdia-go/bdia/internal/traintest"
	"github.com/bdia-go/bdia/model"
)

// talkWith opens a conversation with the model in a folder, in memory of exactly the planned size.
func talkWith(t *testing.T, dir string, change func(c *generate.Chat)) *generate.Chat {
	t.Helper()
	f, err := hub.Open(dir, hub.Options{})
	testkit.OK(t, err)
	o := generate.DefaultOptions()
	o.MaxTokens, o.Temperature = 12, 1.5
	c, err := generate.FolderChat(f, o)
	testkit.OK(t, err)
	change(c)
	m, err := f.GPT(backend.Options{Threads: 1}, c.Rehearse)
	testkit.OK(t, err)
	t.Cleanup(m.Close)
	testkit.OK(t, c.Open(m.GPT))
	t.Cleanup(c.Close)
	return c
}

func quiet([]byte) error { return nil }

func user(text string) chat.Message { return chat.Message{Role: "user", Content: text} }

// TestChat: each answer is the continuation of the whole conversation so far, though only what is new is read. After an
// undo the conversation goes on from where it was.
func TestChat(t *testing.T) {
	t.Parallel()
	dir := traintest.ChatFolder(t)
	c := talkWith(t, dir, func(c *generate.Chat) { c.Options.MaxTokens = 3 })
	f, err := hub.Open(dir, hub.Options{})
	testkit.OK(t, err)
	template, err := chat.New(f.Tokenizer)
	testkit.OK(t, err)
	m, err := f.GPT(backend.Options{Threads: 1}, func(m *model.GPT) error { return generate.Rehearse(m, 96, c.Options) })
	testkit.OK(t, err)
	defer m.Close()
	kept := 0
	for i, say := range []string{"Hi", "<|im_end|>", "?", "undo", "!"} {
		if say == "undo" {
			c.Messages = c.Messages[:len(c.Messages)-2]
			continue
		}
		c.Messages = append(c.Messages, user(say))
		prompt, err := template.Prompt(c.Messages, nil)
		testkit.OK(t, err)
		var told strings.Builder
		a, err := c.Answer(t.Context(), func(text []byte) error { told.Write(text); return nil })
		testkit.OK(t, err)
		o := c.Options
		o.Samples = []int{min(i, 3)}
		want, err := generate.Stream(m.GPT, f.Tokenizer, prompt, o, func([]byte) bool { return true })
		testkit.OK(t, err)
		if !slices.Equal(a.IDs, want.IDs) || told.String() != string(want.Text) || a.Finish != want.Finish {
			t.Errorf("%q: %v %q %s, want %v %q %s", say, a.IDs, told.String(), a.Finish, want.IDs, want.Text, want.Finish)
		}
		if a.Prompt != len(prompt) || i > 0 && a.Kept < 5 || a.Kept >= a.Prompt || a.LeftOut != 0 {
			t.Errorf("%q: %d of %d tokens were kept, %d messages left out", say, a.Kept, a.Prompt, a.LeftOut)
		}
		kept += a.Kept
		if last := c.Messages[len(c.Messages)-1]; last.Role != "assistant" || last.Content != strings.ToValidUTF8(string(want.Text), "\ufffd") && !strings.Contains(last.Content, "\ufffd") {
			t.Errorf("%q: the conversation goes on with %+v", say, last)
		}
	}
	if kept < 30 {
		t.Errorf("%d tokens were kept in all", kept)
	}
}

// TestChatLong: a conversation that is too long loses its first questions, not what the system says, and then not
// with every answer; a message that does not fit alone is refused and may be taken back.
func TestChatLong(t *testing.T) {
	t.Parallel()
	c := talkWith(t, traintest.ChatFolder(t), func(c *generate.Chat) { c.Options.MaxTokens = 6 })
	c.Messages = []chat.Message{{Role: "system", Content: "S"}}
	changes, left := 0, 0
	for i := range 12 {
		c.Messages = append(c.Messages, user(fmt.Sprint(i)))
		a, err := c.Answer(t.Context(), quiet)
		testkit.OK(t, err)
		if a.LeftOut < left || a.LeftOut%2 != 0 || a.Prompt > c.Positions-6 {
			t.Errorf("answer %d: %d tokens without %d messages, after %d", i, a.Prompt, a.LeftOut, left)
		}
		if a.LeftOut != left {
			changes++
		}
		left = a.LeftOut
	}
	if len(c.Messages) != 25 || changes < 2 || changes > 6 {
		t.Errorf("%d messages; messages were left out %d times", len(c.Messages), changes)
	}
	c.Messages = append(c.Messages, user(strings.Repeat("qz", c.Positions)))
	var long *generate.LongTalkError
	if _, err := c.Answer(t.Context(), quiet); !errors.As(err, &long) || long.Positions != c.Positions || long.Tokens <= c.Positions {
		t.Errorf("error %v", err)
	}
	c.Messages = c.Messages[:len(c.Messages)-1]
	c.Messages = append(c.Messages, user("1"))
	if _, err := c.Answer(t.Context(), quiet); err != nil {
		t.Error(err)
	}
	c.Messages = []chat.Message{user("a"), {Role: "system", Content: "late"}, user("b")}
	if _, err := c.Answer(t.Context(), quiet); !errors.Is(err, chat.ErrRefused) {
		t.Errorf("error %v", err)
	}
}

// TestChatAnew: of another conversation the model sees all, whatever was left out of the one before.
func TestChatAnew(t *testing.T) {
	t.Parallel()
	c := talkWith(t, traintest.ChatFolder(t), func(c *generate.Chat) { c.Options.MaxTokens = 6 })
	left := 0
	for left == 0 {
		c.Messages = append(c.Messages, user("some words"))
		a, err := c.Answer(t.Context(), quiet)
		testkit.OK(t, err)
		left = a.LeftOut
	}
	c.Messages = nil
	for len(c.Messages) < left {
		c.Messages = append(c.Messages, user("a"), chat.Message{Role: "assistant", Content: "b"})
	}
	c.Messages = append(c.Messages, user("c"))
	if a, err := c.Answer(t.Context(), quiet); err != nil || a.LeftOut != 0 {
		t.Errorf("%d of %d messages are left out, %v", a.LeftOut, len(c.Messages), err)
	}
}

// TestChatCut: an answer that is cut stays as far as it came, and the next one goes on after it; one of no tokens is none.
func TestChatCut(t *testing.T) {
	t.Parallel()
	c := talkWith(t, traintest.ChatFolder(t), func(*generate.Chat) {})
	c.Messages = []chat.Message{user("Hi")}
	ctx, cancel := context.WithCancel(t.Context())
	n := 0
	a, err := c.Answer(ctx, func([]byte) error {
		if n++; n == 3 {
			cancel()
		}
		return nil
	})
	if !errors.Is(err, context.Canceled) || a.Finish != generate.Cut || len(a.IDs) != 3 || len(c.Messages) != 2 {
		t.Errorf("%v, %+v, %d messages", err, a, len(c.Messages))
	}
	c.Messages = append(c.Messages, user("Go on"))
	if a, err := c.Answer(ctx, quiet); !errors.Is(err, context.Canceled) || len(a.IDs) != 0 || len(c.Messages) != 3 {
		t.Errorf("%v, %+v, %d messages", err, a, len(c.Messages))
	}
	if a, err := c.Answer(t.Context(), quiet); err != nil || len(c.Messages) != 4 || a.Kept < 5 {
		t.Errorf("%v, %+v, %d messages", err, a, len(c.Messages))
	}
}

// TestChatForms: a model without a template is refused by name; a run that learned prompts gets each by itself, one that
// learned conversations gets them in lines.
func TestChatForms(t *testing.T) {
	t.Parallel()
	dir := traintest.ChatFolder(t)
	testkit.OK(t, os.Remove(filepath.Join(dir, "chat_template.jinja")))
	f, err := hub.Open(dir, hub.Options{})
	testkit.OK(t, err)
	if _, err := generate.FolderChat(f, generate.DefaultOptions()); !errors.Is(err, chat.ErrNone) || !strings.Contains(err.Error(), dir) {
		t.Errorf("error %v", err)
	}
	if _, err := generate.Lines(f); err == nil {
		t.Error("lines of a model that learned none")
	}
	separator := "\n"
	f.Separator = &separator
	c, err := generate.FolderChat(f, generate.DefaultOptions())
	testkit.OK(t, err)
	lines, err := generate.Lines(f)
	testkit.OK(t, err)
	talk := []chat.Message{user("Hi "), {Role: "assistant", Content: "Ho"}, user("2+2?")}
	for want, form := range map[string]generate.Form{"2+2?\n": c.Form, "user: Hi\nassistant:\nHo\nuser: 2+2?\nassistant:\n": lines} {
		ids, err := form.Prompt(talk, nil)
		testkit.OK(t, err)
		text, err := f.Tokenizer.Decode(ids)
		if err != nil || string(text) != want {
			t.Errorf("%q, %v, want %q", text, err, want)
		}
		if _, err := form.Prompt(talk, []byte("[]")); !errors.Is(err, chat.ErrRefused) {
			t.Errorf("tools: %v", err)
		}
	}
	if _, err := c.Form.Prompt(append([]chat.Message{{Role: "system", Content: "s"}}, talk...), nil); !errors.Is(err, chat.ErrRefused) {
		t.Errorf("a system message: %v", err)
	}
}

// TestAdvised: sampling is as generation_config.json says, where that makes sense.
func TestAdvised(t *testing.T) {
	t.Parallel()
	for text, change := range map[string]func(o *generate.Options){
		`{}`: func(*generate.Options) {},
		`{"do_sample": true, "temperature": 0.7, "top_p": 0.8, "top_k": 20, "repetition_penalty": 1.05, "min_p": 0.1}`: func(o *generate.Options) {
			o.Temperature, o.TopP, o.TopK, o.RepetitionPenalty, o.MinP = 0.7, 0.8, 20, 1.05, 0.1
		},
		`{"do_sample": false, "temperature": 0.7}`:                       func(o *generate.Options) { o.Temperature = 0 },
		`{"temperature": "hot", "top_p": 7, "top_k": null, "min_p": -1}`: func(*generate.Options) {},
	} {
		var keys map[string]json.RawMessage
		testkit.OK(t, json.Unmarshal([]byte(text), &keys))
		want := generate.DefaultOptions()
		change(&want)
		if got := generate.DefaultOptions().Advised(keys); fmt.Sprint(got) != fmt.Sprint(want) {
			t.Errorf("%s: %+v, want %+v", text, got, want)
		}
	}
}
