package main

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"time"

	"github.com/spf13/cobra"

	"github.com/bdia-go/bdia/cmd/bdia/internal/cli"
	"github.com/bdia-go/bdia/data/pairs"
	"github.com/bdia-go/bdia/generate"
	"github.com/bdia-go/bdia/score"
)

// scoreReport is how a run's translations of a file fare.
type scoreReport struct {
	Source        string         `json:"source"`
	References    []string       `json:"references"`
	Beam          int            `json:"beam"`
	LengthPenalty float64        `json:"length_penalty"`
	Precision     string         `json:"precision"`
	BLEU          score.Result   `json:"bleu"`
	CHRF          score.Result   `json:"chrf"`
	Lines         map[string]int `json:"lines"` // that were left out or truncated, by kind
}

// evalTranslations scores the translations of a run, or of its best/ folder. A line
// that cannot be translated counts as an empty translation, one that is too long is
// truncated.
func evalTranslations(cmd *cobra.Command, dirs []string, o evalOptions, asJSON bool) error {
	if len(dirs) > 1 {
		return cli.Usage(errors.New("translations of one run are scored at a time; name one"))
	}
	_, dir, err := o.folders(dirs[0])
	if err != nil {
		return err
	}
	e := &scoreReport{Source: o.source, References: o.references, Beam: o.search.Beam, LengthPenalty: o.search.LengthPenalty, Lines: map[string]int{}}
	in, err := openLines(cmd, nil, o.source)
	if err != nil {
		return err
	}
	if in.file != nil {
		defer in.file.Close()
	}
	lines, err := in.rest()
	if err != nil {
		return err
	}
	var references [][]byte
	for _, path := range o.references {
		text, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		references = append(references, text)
	}
	none := func(string, []string) error { return nil }
	if err := e.each(in.name, bytes.Repeat([]byte("\n"), len(lines)), references, none); err != nil { // before hours of translating
		return err
	}
	t, err := loadTranslator(dir, o.search, generate.Policies{OnBad: pairs.Skip, OnLong: pairs.Truncate}, o.engine)
	if err != nil {
		return err
	}
	defer t.be.Close()
	e.Precision = t.be.Precision().String()
	p := cli.NewProgress(cmd)
	defer p.Clear()
	began := time.Now()
	results, err := t.Lines(cmd.Context(), in.name, 1, lines, func(done int) { p.Lines("translated", "sentences", done, len(lines), began) })
	if err != nil {
		return err
	}
	p.Clear()
	var hypotheses bytes.Buffer
	for _, r := range results {
		if r.Note != "" {
			e.Lines[r.Note]++
		}
		if len(r.Translations) > 0 {
			hypotheses.WriteString(r.Translations[0].Text)
		}
		hypotheses.WriteByte('\n')
	}
	if err := e.score(hypotheses.Bytes(), references); err != nil {
		return err
	}
	if asJSON {
		return cli.PrintJSON(cmd.OutOrStdout(), e)
	}
	e.print(cmd.OutOrStdout())
	return nil
}

// each calls f with the lines of hypotheses and their references.
func (e *scoreReport) each(name string, hypotheses []byte, references [][]byte, f func(hypothesis string, references []string) error) error {
	var streams []score.Stream
	for i, text := range references {
		streams = append(streams, score.Stream{Name: e.References[i], Text: bytes.NewReader(text)})
	}
	return score.Lines(score.Stream{Name: name, Text: bytes.NewReader(hypotheses)}, streams, false, f)
}

// score compares hypotheses with references.
func (e *scoreReport) score(hypotheses []byte, references [][]byte) error {
	bleu, err := score.NewBLEU(score.DefaultBLEU())
	if err != nil {
		return err
	}
	chrf, err := score.NewCHRF(score.DefaultCHRF())
	if err != nil {
		return err
	}
	if err := e.each("the translations of "+e.Source, hypotheses, references, func(hypothesis string, references []string) error {
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
	fmt.Fprintf(w, "%s sentences, beam %d, length penalty %g, precision %s:\n  %v\n  %v\n", cli.Count(int64(e.BLEU.Segments)), e.Beam, e.LengthPenalty, e.Precision, e.BLEU, e.CHRF)
	for _, kind := range generate.Notes() {
		if n := e.Lines[kind]; n > 0 {
			fmt.Fprintf(w, "  %s lines %s\n", cli.Count(int64(n)), kind)
		}
	}
}
