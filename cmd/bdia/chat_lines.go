package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/spf13/cobra"

	"github.com/bdia-go/bdia/chat"
	"github.com/bdia-go/bdia/cmd/bdia/internal/cli"
	"github.com/bdia-go/bdia/data/pairs"
	"github.com/bdia-go/bdia/generate"
)

// messageInput gives what is said, a message at a time.
type messageInput struct {
	*lineInput
	held        []string // lines that have arrived
	number      int      // of the last line
	interactive bool
	editor      *cli.Editor // nil: the terminal edits lines, or nobody does
	prompt      io.Writer   // nil: none is printed
}

const chatPrompt = "> "

func newMessages(ctx context.Context, cmd *cobra.Command) *messageInput {
	stdin, errOut := cmd.InOrStdin(), cmd.ErrOrStderr()
	in := &messageInput{lineInput: newLines("standard input", cli.UntilDone(ctx, stdin))}
	if in.interactive = cli.IsTerminal(stdin) && cli.IsTerminal(errOut); in.interactive {
		in.editor, in.prompt = cli.NewEditor(ctx, stdin, errOut, chatPrompt), errOut
	}
	return in
}

// next returns the next message. On a terminal a line that ends with \ goes on in the next.
func (in *messageInput) next() (string, error) {
	message := ""
	for {
		line, err := in.line()
		if err != nil {
			return "", err
		}
		more, goesOn := strings.CutSuffix(line, `\`)
		if !in.interactive || !goesOn {
			return message + line, nil
		}
		message += more + "\n"
	}
}

// line returns the next line.
func (in *messageInput) line() (string, error) {
	if in.editor != nil {
		return in.editor.Line()
	}
	if in.interactive {
		fmt.Fprint(in.prompt, chatPrompt)
	}
	if len(in.held) == 0 {
		lines, err := in.lineInput.next()
		if err != nil {
			return "", err
		}
		in.held = lines
	}
	line := strings.TrimRight(in.held[0], "\r\n")
	in.held, in.number = in.held[1:], in.number+1
	return line, nil
}

// wrong says at which line an error came up.
func (in *messageInput) wrong(err error) error {
	if in.interactive {
		return err
	}
	return fmt.Errorf("%s: line %d: %w", in.name, in.number, err)
}

// takeJSON adds a message, or begins a conversation anew, and answers unless the last word is not a user's or a tool's.
func (t *talker) takeJSON(ctx context.Context, line string) error {
	if !json.Valid([]byte(line)) {
		return cli.Usage(errors.New("it is no JSON object with role and content, or messages; write each in one line, with double quotation marks"))
	}
	said, whole, err := pairs.ReadTalk([]byte(line))
	if err != nil {
		return cli.Usage(err)
	}
	if whole {
		t.Messages, t.Tools = nil, nil
		if t.o.system != "" {
			t.Messages = []chat.Message{{Role: "system", Content: t.o.system}}
		}
	}
	if said.Tools != nil {
		t.Tools = said.Tools
	}
	for i, turn := range said.Turns {
		m := chat.Message(turn)
		if i == 0 && m.Role == "system" && t.systems() == 1 {
			t.Messages[0] = m
			continue
		}
		t.Messages = append(t.Messages, m)
	}
	if n := len(t.Messages); n == 0 || t.Messages[n-1].Role == "assistant" || t.Messages[n-1].Role == "system" {
		return nil
	}
	return t.answer(ctx)
}

// answerJSON is an answer as a line of JSON.
type answerJSON struct {
	Role    string          `json:"role"`
	Content string          `json:"content"`
	Finish  generate.Finish `json:"finish"`
	Tokens  int             `json:"tokens"`
	Prompt  int             `json:"prompt_tokens"`
	Kept    int             `json:"kept_tokens"`
	LeftOut int             `json:"left_out"`
}

// print prints an answer as JSON.
func (t *talker) print(a generate.Answer) {
	encoder := json.NewEncoder(t.out)
	encoder.SetEscapeHTML(false)
	last := t.Messages[len(t.Messages)-1].Content
	_ = encoder.Encode(answerJSON{"assistant", last, a.Finish, len(a.IDs), a.Prompt, a.Kept, a.LeftOut}) // t.out keeps what fails
}
