package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/bdia-go/bdia"
	"github.com/bdia-go/bdia/cmd/bdia/internal/cli"
	"github.com/bdia-go/bdia/data/pairs"
	"github.com/bdia-go/bdia/generate"
	"github.com/bdia-go/bdia/hub"
	"github.com/bdia-go/bdia/model"
	"github.com/bdia-go/bdia/tokenizer"
)

// continuer is a language model ready to continue prompts.
type continuer struct {
	*loaded
	o       generateOptions
	end     int32         // of a text; negative for none
	prompts pairs.Encoder // of their text; nil without a tokenizer
	between string        // the text that it puts after them
}

// continued is a prompt and what was made of it.
type continued struct {
	Line          int            `json:"line"`
	Prompt        string         `json:"prompt"`
	PromptIDs     []int32        `json:"prompt_ids"`
	Continuations []continuation `json:"continuations"`  // best first; none for a line that was left out
	Note          string         `json:"note,omitempty"` // as of translated
}

// continuation is one of a prompt's.
type continuation struct {
	Text    string          `json:"text"`
	IDs     []int32         `json:"ids"`
	Finish  generate.Finish `json:"finish,omitempty"`   // of sampled texts
	Score   *float64        `json:"score,omitempty"`    // of texts that were searched for: by which they are ordered
	LogProb *float64        `json:"log_prob,omitempty"` // natural logarithm of its probability
}

// noText stands for the tokenizer of a folder without one: for so many ids.
type noText int

func (n noText) VocabSize() int { return int(n) }

func (noText) Decode([]int32) ([]byte, error) { return nil, nil }

// vocabulary turns tokens into text.
func (c *continuer) vocabulary() generate.Vocabulary {
	if c.tok == nil {
		return noText(c.cfg.Vocab)
	}
	return c.tok
}

func runGenerate(cmd *cobra.Command, o generateOptions) error {
	if _, err := os.Stat(o.from); err != nil {
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
	l, err := openDir(o.from, o.lora, o.promptIDs == "" || !o.printIDs)
	if err != nil {
		return err
	}
	c := &continuer{loaded: l, o: o, end: -1, prompts: l.tok}
	if l.Separator != nil && l.tok != nil && !o.verbatim {
		c.between = *l.Separator
		if c.prompts, err = hub.NewPrompts(l.tok, *l.Separator); err != nil {
			return err
		}
	}
	if o.grid != "auto" {
		if l.grid, err = bdia.ParseGrid(o.grid); err != nil {
			return cli.Usage(err)
		}
	}
	c.o.Grid = l.grid
	if err := c.findEnd(); err != nil {
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

// findEnd settles what ends a text. A search ends hypotheses with a token.
func (c *continuer) findEnd() error {
	if c.tok != nil && !c.o.pastEnd {
		if id, ok := tokenizer.EndOfText(c.tok); ok {
			c.end, c.o.StopIDs = id, []int32{id}
		}
	}
	if !c.o.beam || len(c.o.Stop) == 0 {
		return nil
	}
	if len(c.o.Stop) > 1 || c.tok == nil {
		return cli.Usage(errors.New("a search has one end; give --stop once"))
	}
	ids, err := c.tok.Encode([]byte(c.o.Stop[0]))
	if err != nil {
		return fmt.Errorf("--stop: %w", err)
	}
	if len(ids) != 1 {
		return cli.Usage(fmt.Errorf("a search can only end at a token, and --stop %q is %d of them", c.o.Stop[0], len(ids)))
	}
	c.end = ids[0]
	return nil
}

// single is the prompt of the command line. The standard one may be another.
func (c *continuer) single(standard bool) (*continued, error) {
	r := &continued{Line: 1, Prompt: c.o.prompt, Continuations: []continuation{}}
	var err error
	if c.o.promptIDs != "" {
		if r.PromptIDs, err = parseIDs(c.o.promptIDs, c.cfg.Vocab); err != nil {
			return nil, cli.Usage(err)
		}
		text, err := c.vocabulary().Decode(r.PromptIDs)
		if c.o.printIDs { // which need no text
			err = nil
		}
		r.Prompt = string(text)
		return r, err
	}
	r.PromptIDs, err = c.prompts.Encode([]byte(r.Prompt))
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

// prepare takes the memory for some prompts of up to n tokens.
func (c *continuer) prepare(prompts, n int) error {
	return c.load(c.o.engine, func(m *model.GPT) error {
		if c.o.beam {
			return generate.RehearseBeam(m, prompts, max(min(n, m.Config.Context-1), 1), c.o.MaxTokens, c.o.search, c.grid)
		}
		return generate.RehearseEach(m, prompts, n, c.o.Options)
	})
}

// alone continues one prompt, and writes prompt and text as they are.
func (c *continuer) alone(cmd *cobra.Command, r *continued) (err error) {
	if n := len(r.PromptIDs); c.o.beam && n >= c.cfg.Context {
		return fmt.Errorf("a prompt of %d tokens leaves no room in a context of %d; shorten it", n, c.cfg.Context)
	}
	if err := c.prepare(1, len(r.PromptIDs)); err != nil {
		return err
	}
	defer c.be.Close()
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
	if err := emit([]byte(r.Prompt + c.between)); err != nil {
		return err
	}
	stopped := c.run(cmd.Context(), []*continued{r}, emit)
	if plain {
		return cmp.Or(stopped, emit([]byte("\n")))
	}
	if len(r.Continuations) == 0 || stopped != nil && !errors.Is(stopped, context.Canceled) {
		return stopped
	}
	return cmp.Or(c.write(w, r), w.out.Flush(), stopped)
}

// lines continues the lines of in.
func (c *continuer) lines(cmd *cobra.Command, in *lineInput) (err error) {
	longest, err := c.longest(in)
	if err != nil {
		return err
	}
	if err := c.prepare(c.o.batch, longest); err != nil {
		return err
	}
	defer c.be.Close()
	w := newLineWriter(c.o.search.NBest, c.o.asJSON)
	if err := w.open(cmd, in, c.o.output); err != nil {
		return err
	}
	defer func() { err = w.close(err) }()
	p := cli.NewProgress(cmd.ErrOrStderr())
	defer p.Clear()
	for began := time.Now(); ; {
		lines, err := in.next()
		if err == io.EOF {
			w.report(cmd.ErrOrStderr())
			return nil
		}
		if err != nil {
			return err
		}
		for some := range slices.Chunk(lines, c.o.batch) {
			var all, open []*continued
			for i, line := range some {
				r := c.read(w.lines+1+i, line)
				if all = append(all, r); r.Note == "" {
					open = append(open, r)
				}
			}
			if err := c.run(cmd.Context(), open, func([]byte) error { return nil }); err != nil {
				return err
			}
			p.Clear()
			for _, r := range all {
				if err := c.write(w, r); err != nil {
					return err
				}
			}
			if err := w.out.Flush(); err != nil {
				return err
			}
			p.Lines("continued", "prompts", w.lines, in.total, began)
		}
	}
}

// longest returns the tokens of the longest line, as far as the context goes: that of
// the context where the lines are not there yet.
func (c *continuer) longest(in *lineInput) (int, error) {
	if in.total == 0 {
		return c.cfg.Context, nil
	}
	f, err := os.Open(in.name)
	if err != nil {
		return 0, err
	}
	defer f.Close()
	longest := 1
	for again := newLines(in.name, f); ; {
		lines, err := again.next()
		if err == io.EOF {
			return longest, nil
		}
		if err != nil {
			return 0, err
		}
		for _, line := range lines {
			longest = max(longest, min(len(c.read(0, line).PromptIDs), c.cfg.Context))
		}
	}
}

// read returns a line as a prompt, with a note if it is not to be continued.
func (c *continuer) read(number int, line string) *continued {
	line = strings.TrimRight(line, "\r\n")
	r := &continued{Line: number, Prompt: line, PromptIDs: []int32{}, Continuations: []continuation{}}
	if line == "" {
		r.Note = lineEmpty
		return r
	}
	ids, err := c.prompts.Encode([]byte(line))
	switch {
	case err != nil:
		r.Note = lineBad
	case c.o.beam && len(ids) >= c.cfg.Context:
		r.Note = lineLong
	default:
		r.PromptIDs = ids
	}
	return r
}

// run continues prompts, and hands new text to emit as it comes. It ends early with
// an error of emit or of ctx.
func (c *continuer) run(ctx context.Context, rs []*continued, emit func(text []byte) error) error {
	prompts := make([][]int32, len(rs))
	o := c.o.Options
	for i, r := range rs {
		prompts[i] = r.PromptIDs
		o.Samples = append(o.Samples, r.Line-1)
	}
	failed := ctx.Err()
	if failed != nil {
		return failed
	}
	if c.o.beam {
		return c.search(ctx, prompts, rs, emit)
	}
	written, err := generate.StreamEach(c.model, c.vocabulary(), prompts, o, func(_ int, text []byte) bool {
		if failed == nil {
			failed = cmp.Or(emit(text), ctx.Err())
		}
		return failed == nil
	})
	for i, w := range written {
		rs[i].Continuations = []continuation{{Text: string(w.Text), IDs: append([]int32{}, w.IDs...), Finish: w.Finish}}
	}
	return cmp.Or(err, failed)
}

// search looks for the likeliest continuations of prompts.
func (c *continuer) search(ctx context.Context, prompts [][]int32, rs []*continued, emit func(text []byte) error) error {
	best, err := generate.BeamEach(ctx, c.model, prompts, c.vocabulary().VocabSize(), c.end, c.o.MaxTokens, c.o.search, c.grid)
	if err != nil {
		return err
	}
	for i, r := range rs {
		for _, h := range best[i] {
			text, err := c.vocabulary().Decode(h.IDs)
			if err != nil {
				return err
			}
			r.Continuations = append(r.Continuations, continuation{Text: string(text), IDs: append([]int32{}, h.IDs...), Score: &h.Score, LogProb: &h.LogProb})
		}
		if err := emit([]byte(r.Continuations[0].Text)); err != nil {
			return err
		}
	}
	return nil
}

// write writes r as lines.
func (c *continuer) write(w *lineWriter, r *continued) error {
	var texts []string
	var scores []float64
	for _, k := range r.Continuations {
		text, score := oneLineOf([]byte(k.Text)), 0.0
		if c.o.printIDs {
			text = idsText(k.IDs)
		}
		if k.Score != nil {
			score = *k.Score
		}
		texts, scores = append(texts, text), append(scores, score)
	}
	return w.add(r.Note, texts, scores, r)
}
