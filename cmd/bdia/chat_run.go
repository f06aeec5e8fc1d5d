package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"sync/atomic"

	"github.com/spf13/cobra"

	"github.com/bdia-go/bdia/chat"
	"github.com/bdia-go/bdia/cmd/bdia/internal/cli"
)

// run talks until the input ends or somebody leaves.
func (t *talker) run(cmd *cobra.Command) error {
	ctx, leave := context.WithCancel(cmd.Context())
	defer leave()
	in := newMessages(ctx, cmd)
	t.interactive = in.interactive
	var again atomic.Bool // Ctrl-C was pressed since the last line
	atPrompt := func() bool {
		if again.Swap(true) {
			return true
		}
		fmt.Fprintln(cmd.ErrOrStderr(), "Ctrl-C again, or Ctrl-D, leaves.")
		return false
	}
	if in.interactive {
		fmt.Fprintln(cmd.ErrOrStderr(), "Say something. /help lists commands; Ctrl-D leaves.")
		defer cli.OnInterrupt(ctx, func() {
			if stop := t.answering.Load(); stop != nil {
				(*stop)()
			} else if atPrompt() {
				leave()
			}
		})()
	}
	for {
		line, err := in.next()
		switch {
		case err == io.EOF || ctx.Err() != nil && cmd.Context().Err() == nil:
			return nil
		case errors.Is(err, cli.ErrInterrupt):
			if atPrompt() {
				return nil
			}
			continue
		case err != nil:
			return err
		}
		again.Store(false)
		done, err := t.take(ctx, line)
		switch {
		case done:
			return nil
		case err == nil:
		case in.interactive && errors.Is(err, context.Canceled) && ctx.Err() == nil:
			t.notes.Note("Cut.")
		case in.interactive && (cli.IsUsage(err) || !lasting(err)):
			t.notes.Note(cli.OneLine(err))
		case errors.Is(err, context.Canceled):
			return err
		default:
			return in.wrong(err)
		}
	}
}

// take does what a line says.
func (t *talker) take(ctx context.Context, line string) (done bool, err error) {
	text := strings.TrimSpace(line)
	switch {
	case text == "":
		return false, nil
	case t.o.asJSON:
		return false, t.takeJSON(ctx, text)
	case strings.HasPrefix(text, "//"):
		text = text[1:]
	case text[0] == '/':
		return t.command(ctx, text)
	}
	return false, t.say(ctx, chat.Message{Role: "user", Content: text})
}

// chatCommands are the lines that are no messages.
var chatCommands = []struct {
	name, takes, what string
	do                func(t *talker, ctx context.Context, text string) error
}{
	{"/reset", "", "begin anew, with the same system message", func(t *talker, _ context.Context, _ string) error {
		t.Messages = t.Messages[:min(len(t.Messages), t.systems())]
		return nil
	}},
	{"/system", "TEXT", "what the system says, from now on; without a text nothing", func(t *talker, _ context.Context, text string) error {
		return t.setSystem(text)
	}},
	{"/undo", "", "take the last question and its answer back", func(t *talker, _ context.Context, _ string) error {
		return t.undo("user")
	}},
	{"/retry", "", "answer the last question again", func(t *talker, ctx context.Context, _ string) error {
		if err := t.undo("assistant"); err != nil {
			return err
		}
		return t.answer(ctx)
	}},
	{"/help", "", "this list", nil},
	{"/exit", "", "leave", nil},
}

// commandNames names the commands in a sentence.
func commandNames() string {
	var names []string
	for _, c := range chatCommands {
		names = append(names, strings.TrimSpace(c.name+" "+c.takes))
	}
	return "Commands: " + strings.Join(names, ", ") + "."
}

// commandHelp lists the commands.
func commandHelp() string {
	var b strings.Builder
	for _, c := range chatCommands {
		fmt.Fprintf(&b, "%-13s %s\n", strings.TrimSpace(c.name+" "+c.takes), c.what)
	}
	fmt.Fprintf(&b, "%-13s %s", "//TEXT", "a message that begins with /")
	return b.String()
}

// command does what a command says.
func (t *talker) command(ctx context.Context, line string) (done bool, err error) {
	name, text, _ := strings.Cut(line, " ")
	text = strings.TrimSpace(text)
	for _, c := range chatCommands {
		if c.name != name {
			continue
		}
		if c.takes == "" && text != "" {
			return false, cli.Usage(fmt.Errorf("%s takes no text", name))
		}
		if c.do != nil {
			return false, c.do(t, ctx, text)
		}
		if name == "/help" {
			t.notes.Note(commandHelp())
		}
		return name == "/exit", nil
	}
	return false, cli.Usage(fmt.Errorf("there is no command %.40q; /help lists them, and //TEXT is a message that begins with /", name))
}

// systems is the number of messages of the system: one or none.
func (t *talker) systems() int {
	if len(t.Messages) > 0 && t.Messages[0].Role == "system" {
		return 1
	}
	return 0
}

// undo takes back all from the last message of role on.
func (t *talker) undo(role string) error {
	for i := len(t.Messages) - 1; i >= 0; i-- {
		if t.Messages[i].Role == role {
			t.Messages = t.Messages[:i]
			return nil
		}
	}
	return cli.Usage(errors.New("nothing has been said yet"))
}
