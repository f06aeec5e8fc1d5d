package main

import (
	"errors"
	"fmt"
	"slices"

	"github.com/spf13/cobra"

	"github.com/bdia-go/bdia"
	"github.com/bdia-go/bdia/cmd/bdia/internal/cli"
	"github.com/bdia-go/bdia/generate"
	"github.com/bdia-go/bdia/hub"
	"github.com/bdia-go/bdia/model"
)

// continuer is a language model ready to continue prompts.
type continuer struct {
	*loaded
	*generate.Prompts
	o         generateOptions
	separator string // of the run, after its prompts
}

// noText stands for the tokenizer of a folder without one: for so many ids.
type noText int

func (n noText) VocabSize() int { return int(n) }

func (noText) Decode([]int32) ([]byte, error) { return nil, nil }

func runGenerate(cmd *cobra.Command, o generateOptions) error {
	if _, err := hub.Find(o.from); err != nil {
		return err
	}
	var in *lineInput
	if o.input != "" {
		var err error
		if in, err = openLines(cmd, nil, o.input); err != nil {
			return err
		}
		defer in.file.Close()
	}
	c, err := openContinuer(o)
	if err != nil {
		return err
	}
	if in != nil {
		return c.lines(cmd, in)
	}
	r, err := c.single(!cmd.Flags().Changed("prompt"))
	if err != nil {
		return err
	}
	return c.alone(cmd, r)
}

// openContinuer opens the model that o names; its weights are loaded by load.
func openContinuer(o generateOptions) (*continuer, error) {
	l, err := openDir(o.from, o.lora, o.promptIDs == "" || !o.printIDs)
	if err != nil {
		return nil, err
	}
	c := &continuer{loaded: l, o: o, Prompts: &generate.Prompts{Vocabulary: noText(l.cfg.Vocab), Context: l.cfg.Context, Options: o.Options}}
	if l.tok != nil {
		c.Vocabulary, c.Encoder = l.tok, hub.TextPrompts(l.tok)
	}
	if l.Separator != nil && l.tok != nil && !o.verbatim {
		c.separator = *l.Separator
		if c.Encoder, err = hub.NewPrompts(l.tok, c.separator); err != nil {
			return nil, err
		}
	}
	if l.Chat != nil && !o.verbatim {
		c.Encoder, c.Options.Answer = l.Chat, true
	}
	if o.beam {
		c.Search, c.Prompts.Context = &o.search, l.cfg.CacheContext()
	}
	if o.grid != "auto" {
		if l.grid, err = bdia.ParseGrid(o.grid); err != nil {
			return nil, cli.Usage(err)
		}
	}
	c.Options.Grid = l.grid
	return c, c.findEnds()
}

// findEnds settles what ends a text. A search ends hypotheses with a token.
func (c *continuer) findEnds() error {
	if c.tok != nil && !c.o.pastEnd {
		c.Ends = c.GPTInfo.StopIDs()
		c.Options.StopIDs = c.Ends
	}
	if !c.o.beam {
		return nil
	}
	for _, stop := range c.Options.Stop {
		if c.tok == nil {
			return cli.Usage(errors.New("a search ends at tokens, and the model has no tokenizer for --stop"))
		}
		ids, err := c.tok.Encode([]byte(stop))
		if err != nil {
			return fmt.Errorf("--stop: %w", err)
		}
		if len(ids) != 1 {
			return cli.Usage(fmt.Errorf("a search can only end at a token, and --stop %q is %d of them", stop, len(ids)))
		}
		c.Ends = append(slices.Clip(c.Ends), ids[0])
	}
	return nil
}

// prepare loads the weights, with memory for some prompts of up to n tokens.
func (c *continuer) prepare(prompts, n int) error {
	err := c.load(c.o.engine, func(m *model.GPT) error { return c.Rehearse(m, prompts, n) })
	c.Model = c.model
	return err
}
