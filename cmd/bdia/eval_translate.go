package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"time"

	"github.com/spf13/cobra"

	"github.com/bdia-go/bdia/data/pairs"
	"github.com/bdia-go/bdia/score"
	"github.com/bdia-go/bdia/train"
)

// scoreReport is how a run's translations of a file fare.
type scoreReport struct {
	Source        string         `json:"source"`
	References    []string       `json:"references"`
	Beam          int            `json:"beam"`
	LengthPenalty float64        `json:"length_penalty"`
	BLEU          score.Result   `json:"bleu"`
	CHRF          score.Result   `json:"chrf"`
	Lines         map[string]int `json:"lines"` // that were left out or truncated, by kind
}

// evalTranslations scores the translations of a run. A line that cannot be
// translated counts as an empty translation, one that is too long is truncated.
func evalTranslations(cmd *cobra.Command, dirs []string, o evalOptions, asJSON bool) error {
	if len(dirs) > 1 {
		return usage(errors.New("translations of one run are scored at a time; name one"))
	}
	r, err := openRun(dirs[0])
	if err != nil {
		return err
	}
	defer r.Close()
	if r.Config.Task != train.TaskTranslation {
		return usage(fmt.Errorf("%s is no run of translations; leave out --source", dirs[0]))
	}
	in, err := openLines(cmd, nil, o.source)
	if err != nil {
		return err
	}
	if in.file != nil {
		defer in.file.Close()
	}
	var references []score.Stream
	for _, path := range o.references {
		f, err := os.Open(path)
		if err != nil {
			return err
		}
		defer f.Close()
		references = append(references, score.Stream{Name: path, Text: f})
	}
	t, err := loadTranslator(o.dir(r), o.search, policies{pairs.Skip, pairs.Truncate}, o.engine)
	if err != nil {
		return err
	}
	defer t.be.Close()
	p := newProgress(cmd.ErrOrStderr())
	defer p.clear()
	e := &scoreReport{Source: o.source, References: o.references, Beam: o.search.Beam, LengthPenalty: o.search.LengthPenalty, Lines: map[string]int{}}
	hypotheses, err := t.file(cmd.Context(), in, p, e.Lines)
	if err != nil {
		return err
	}
	p.clear()
	if err := e.score(hypotheses, references); err != nil {
		return err
	}
	if asJSON {
		return printJSON(cmd.OutOrStdout(), e)
	}
	e.print(cmd.OutOrStdout())
	return nil
}

// file translates the lines of in, a line for each, and counts those that are not
// translated as they are.
func (t *translator) file(ctx context.Context, in *lineInput, p *progress, odd map[string]int) ([]byte, error) {
	var text bytes.Buffer
	began, n := time.Now(), 0
	for {
		lines, err := in.next()
		if err == io.EOF {
			return text.Bytes(), nil
		}
		if err != nil {
			return nil, err
		}
		results, err := t.lines(ctx, in.name, n+1, lines, func(done int) { p.lines("translated", "sentences", n+done, in.total, began) })
		if err != nil {
			return nil, err
		}
		for _, r := range results {
			if r.Note != "" {
				odd[r.Note]++
			}
			if len(r.Translations) > 0 {
				text.WriteString(r.Translations[0].Text)
			}
			text.WriteByte('\n')
		}
		n += len(lines)
	}
}

// score compares hypotheses with references.
func (e *scoreReport) score(hypotheses []byte, references []score.Stream) error {
	bleu, err := score.NewBLEU(score.DefaultBLEU())
	if err != nil {
		return err
	}
	chrf, err := score.NewCHRF(score.DefaultCHRF())
	if err != nil {
		return err
	}
	name := "the translations of " + e.Source
	if err := score.Lines(score.Stream{Name: name, Text: bytes.NewReader(hypotheses)}, references, false, func(hypothesis string, references []string) error {
		bleu.Add(hypothesis, references...)
		chrf.Add(hypothesis, references...)
		return nil
	}); err != nil {
		return err
	}
	e.BLEU, e.CHRF = bleu.Result(), chrf.Result()
	return nil
}

func (e *scoreReport) print(w io.Writer) {
	fmt.Fprintf(w, "%s sentences, beam %d, length penalty %g:\n  %v\n  %v\n", countText(int64(e.BLEU.Segments)), e.Beam, e.LengthPenalty, e.BLEU, e.CHRF)
	for _, kind := range []string{lineEmpty, lineBad, lineLong, lineTruncated} {
		if n := e.Lines[kind]; n > 0 {
			fmt.Fprintf(w, "  %s lines %s\n", countText(int64(n)), kind)
		}
	}
}
