package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"

	"github.com/spf13/cobra"

	"github.com/bdia-go/bdia/cmd/bdia/internal/cli"
	"github.com/bdia-go/bdia/generate"
	"github.com/bdia-go/bdia/tokenizer"
)

// single is the prompt of the command line. The standard one may be another.
func (c *continuer) single(standard bool) (*generate.Prompt, error) {
	r := &generate.Prompt{Line: 1, Prompt: c.o.prompt, Continuations: []generate.Continuation{}}
	var err error
	if c.o.promptIDs != "" {
		if r.PromptIDs, err = parseIDs(c.o.promptIDs, c.cfg.Vocab); err != nil {
			return nil, cli.Usage(err)
		}
		text, err := c.Vocabulary.Decode(r.PromptIDs)
		if c.o.printIDs { // which need no text
			err = nil
		}
		r.Prompt = string(text)
		return r, err
	}
	if standard && c.tok != nil {
		if before, _ := tokenizer.Around(c.tok); len(before) > 0 && c.Separator == nil && c.Chat == nil {
			r.Prompt, r.PromptIDs = "", before // a text begins with these
			return r, nil
		}
	}
	r.PromptIDs, err = c.Encoder.Encode([]byte(r.Prompt))
	if err != nil && standard { // a vocabulary without line breaks: start with its first token
		var first []byte
		r.PromptIDs = []int32{0}
		first, err = c.tok.Decode(r.PromptIDs)
		r.Prompt = string(first)
	}
	if err != nil {
		return nil, fmt.Errorf("the prompt: %w", err)
	}
	if len(r.PromptIDs) == 0 {
		return nil, cli.Usage(errors.New("the prompt is empty; give some text with --prompt"))
	}
	return r, nil
}

// alone continues one prompt, and writes prompt and text as they are.
func (c *continuer) alone(cmd *cobra.Command, r *generate.Prompt) (err error) {
	if n := len(r.PromptIDs); c.o.beam && n >= c.cfg.CacheContext() {
		return fmt.Errorf("a prompt of %d tokens leaves no room in a context of %d; shorten it", n, c.cfg.CacheContext())
	}
	if err := c.prepare(1, len(r.PromptIDs)); err != nil {
		return err
	}
	defer c.be.Close()
	c.noteUncached(cmd.ErrOrStderr(), len(r.PromptIDs))
	w := newLineWriter(c.o.search.NBest, c.o.asJSON)
	if err := w.open(cmd, nil, c.o.output); err != nil {
		return err
	}
	defer func() { err = w.close(err) }()
	plain := !c.o.asJSON && !c.o.printIDs && w.nBest == 1
	emit := func(text []byte) error {
		if !plain {
			return nil
		}
		_, err := w.out.Write(text)
		return cmp.Or(err, w.out.Flush())
	}
	if err := emit([]byte(r.Prompt + c.separator)); err != nil {
		return err
	}
	stopped := c.Continue(cmd.Context(), []*generate.Prompt{r}, emit)
	if plain {
		return cmp.Or(stopped, emit([]byte("\n")))
	}
	if len(r.Continuations) == 0 || stopped != nil && !errors.Is(stopped, context.Canceled) {
		return stopped
	}
	return cmp.Or(c.write(w, r), w.out.Flush(), stopped)
}

// noteUncached tells when a text may grow past the context: each token after that takes the time of a whole context.
func (c *continuer) noteUncached(w io.Writer, prompt int) {
	if T := c.cfg.CacheContext(); !c.o.beam && !c.o.NoCache && prompt+c.o.MaxTokens > T+1 {
		fmt.Fprintf(w, "The text may grow past the context of %s tokens; from there on no cache helps, and each token takes longer.\n", cli.Count(int64(T)))
	}
}
