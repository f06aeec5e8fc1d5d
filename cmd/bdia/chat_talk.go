package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"sync/atomic"
	"unicode"
	"unicode/utf8"

	"github.com/spf13/cobra"

	"github.com/bdia-go/bdia"
	"github.com/bdia-go/bdia/chat"
	"github.com/bdia-go/bdia/cmd/bdia/internal/cli"
	"github.com/bdia-go/bdia/generate"
)

// talker is a conversation on the command line.
type talker struct {
	*loaded
	*generate.Chat
	o           chatOptions
	out         io.Writer
	notes       *cli.Progress
	interactive bool // somebody types
	left        int  // messages that are known to be left out
	answering   atomic.Pointer[context.CancelFunc]
}

// openTalk loads the model that o names, with memory for a conversation.
func openTalk(cmd *cobra.Command, o chatOptions) (*talker, error) {
	l, err := openDir(o.from, o.lora, true)
	if err != nil {
		return nil, err
	}
	o.advise(cmd.Flags(), o.Options.Advised(l.Generation))
	c, err := generate.FolderChat(l.Folder, o.Options)
	if err == nil && learnedTalks(cmd.Context(), l.Folder) {
		c.Form, err = generate.Lines(l.Folder)
	}
	if err != nil {
		return nil, err
	}
	t := &talker{loaded: l, Chat: c, o: o, out: cmd.OutOrStdout(), notes: cli.NewProgress(cmd)}
	if o.grid != autoWord {
		if c.Options.Grid, err = bdia.ParseGrid(o.grid); err != nil {
			return nil, cli.Usage(err)
		}
	}
	if most := l.cfg.CacheContext(); o.positions > most {
		return nil, cli.Usage(fmt.Errorf("--context %d: the model has %d", o.positions, most))
	}
	if o.positions > 0 {
		c.Positions = o.positions
	}
	if err := t.setSystem(o.system); err != nil {
		return nil, cli.Usage(fmt.Errorf("--system: %w", err))
	}
	if err := l.load(o.engine, c.Rehearse); err != nil {
		return nil, err
	}
	if err := c.Open(l.model); err != nil {
		l.be.Close()
		return nil, err
	}
	return t, nil
}

func (t *talker) close() {
	t.Chat.Close()
	t.be.Close()
}

// errNotUTF8 is the error of what is said in another encoding.
var errNotUTF8 = cli.Usage(errors.New("what is said is not UTF-8; type it, or convert the file, as UTF-8"))

// setSystem is what the system says from now on; empty: nothing. It fails if the form does not take it.
func (t *talker) setSystem(text string) error {
	rest := t.Messages
	if len(rest) > 0 && rest[0].Role == "system" {
		rest = rest[1:]
	}
	if text == "" {
		t.Messages = rest
		return nil
	}
	if !utf8.ValidString(text) {
		return errNotUTF8
	}
	said := chat.Message{Role: "system", Content: text}
	if _, err := t.Form.Prompt([]chat.Message{said, {Role: "user", Content: "Hello"}}, nil); err != nil {
		return err
	}
	t.Messages = append([]chat.Message{said}, rest...)
	return nil
}

// say adds a message and prints the answer to it. A message that cannot be answered is taken back.
func (t *talker) say(ctx context.Context, m chat.Message) error {
	if !utf8.ValidString(m.Content) {
		return errNotUTF8
	}
	t.Messages = append(t.Messages, m)
	n := len(t.Messages)
	err := t.answer(ctx)
	if err != nil && len(t.Messages) == n {
		t.Messages = t.Messages[:n-1]
	}
	return err
}

// answer prints the answer to the last message.
func (t *talker) answer(ctx context.Context) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	t.answering.Store(&cancel)
	defer t.answering.Store(nil)
	shown := false
	a, err := t.Answer(ctx, func(text []byte) error {
		if t.o.asJSON || len(text) == 0 {
			return nil
		}
		shown = true
		_, err := io.WriteString(t.out, t.visible(text))
		return err
	})
	if shown || err == nil && !t.o.asJSON {
		fmt.Fprintln(t.out)
	}
	if err != nil && len(a.IDs) == 0 {
		return err
	}
	if t.o.asJSON {
		t.print(a)
	}
	t.noteEnd(a)
	return err
}

// visible is text without the control characters that a terminal would obey.
func (t *talker) visible(text []byte) string {
	if !cli.IsTerminal(t.out) {
		return string(text)
	}
	return strings.Map(func(r rune) rune {
		if unicode.IsControl(r) && r != '\n' && r != '\t' {
			return -1
		}
		return r
	}, string(text))
}

// noteEnd tells why an answer is not whole, and what the model does not see any more.
func (t *talker) noteEnd(a generate.Answer) {
	if a.LeftOut != t.left && a.LeftOut > 0 {
		t.notes.Note(fmt.Sprintf("The conversation is longer than %s tokens: the model does not see its first %s any more.", cli.Count(int64(t.Positions)), messages(a.LeftOut)))
	}
	t.left = a.LeftOut
	if !t.interactive || a.Finish != generate.Length {
		return
	}
	if len(a.IDs) == t.Options.MaxTokens {
		t.notes.Note(fmt.Sprintf("The answer has %s tokens, and ends there; see --max-tokens.", cli.Count(int64(len(a.IDs)))))
	} else {
		t.notes.Note(fmt.Sprintf("The conversation has %s tokens, and the answer ends there; see --context and /reset.", cli.Count(int64(t.Positions))))
	}
}

// messages is a number of them.
func messages(n int) string {
	if n == 1 {
		return "message"
	}
	return fmt.Sprintf("%d messages", n)
}

// lasting reports an error after which a conversation cannot go on.
func lasting(err error) bool {
	return !errors.Is(err, chat.ErrRefused) && !errors.As(err, new(*generate.LongTalkError))
}
