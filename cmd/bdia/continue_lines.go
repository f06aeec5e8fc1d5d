package main

import (
	"os"
	"time"

	"github.com/spf13/cobra"

	"github.com/bdia-go/bdia/cmd/bdia/internal/cli"
	"github.com/bdia-go/bdia/generate"
)

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
	p := cli.NewProgress(cmd)
	defer p.Clear()
	began := time.Now()
	err = in.chunks(c.o.batch, func(lines []string) error {
		prompts := make([]*generate.Prompt, len(lines))
		for i, line := range lines {
			prompts[i] = c.Read(w.lines+1+i, line)
		}
		if err := c.Continue(cmd.Context(), prompts, nil); err != nil {
			return err
		}
		p.Clear()
		for _, r := range prompts {
			if err := c.write(w, r); err != nil {
				return err
			}
		}
		if err := w.out.Flush(); err != nil {
			return err
		}
		p.Lines("continued", "prompts", w.lines, in.total, began)
		return nil
	})
	if err == nil {
		w.report(cmd.ErrOrStderr())
	}
	return err
}

// longest returns the tokens of the longest line, at most the context, or the context if
// the lines have not arrived yet.
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
	err = newLines(in.name, f).chunks(c.o.batch, func(lines []string) error {
		for _, line := range lines {
			longest = max(longest, min(len(c.Read(0, line).PromptIDs), c.cfg.Context))
		}
		return nil
	})
	return longest, err
}

// write writes r as lines.
func (c *continuer) write(w *lineWriter, r *generate.Prompt) error {
	var texts []string
	var scores []float64
	for _, k := range r.Continuations {
		text, score := generate.OneLine([]byte(k.Text)), 0.0
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
