package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"

	"github.com/bdia-go/bdia/cmd/bdia/internal/cli"
	"github.com/bdia-go/bdia/internal/disk"
	"github.com/bdia-go/bdia/score"
)

// run scores the files.
func (s *scoring) run(ctx context.Context, m score.Metric, in io.Reader, out io.Writer) error {
	streams, closeAll, err := scoreStreams(append([]string{s.hypotheses}, s.references...), in)
	defer closeAll()
	if err != nil {
		return err
	}
	err = score.Lines(streams[0], streams[1:], s.allowEmpty, func(hypothesis string, references []string) error {
		m.Add(hypothesis, references...)
		if s.sentences {
			if err := s.printSentence(out, m.Result()); err != nil {
				return err
			}
			m.Reset()
		}
		return ctx.Err()
	})
	if errors.Is(err, score.ErrEmptyReference) {
		return fmt.Errorf("%w, or take them for references of no words with --allow-empty", err)
	}
	if err != nil || s.sentences {
		return err
	}
	if s.asJSON {
		return cli.PrintJSON(out, m.Result())
	}
	_, err = fmt.Fprintln(out, m.Result())
	return err
}

// scoreStreams opens files, one of which can be standard input; closeAll is never nil.
func scoreStreams(paths []string, in io.Reader) (streams []score.Stream, closeAll func(), err error) {
	var files []*os.File
	closeAll = func() {
		for _, f := range files {
			f.Close()
		}
	}
	for _, path := range paths {
		if path == "-" {
			if in == nil {
				return nil, closeAll, cli.Usage(errors.New("standard input can be one of the files only"))
			}
			streams = append(streams, score.Stream{Name: "standard input", Text: in})
			in = nil
			continue
		}
		f, err := disk.OpenStream(path)
		if err != nil {
			return nil, closeAll, err
		}
		files = append(files, f)
		streams = append(streams, score.Stream{Name: path, Text: f})
	}
	return streams, closeAll, nil
}

// printSentence prints a segment's score on a line.
func (s *scoring) printSentence(out io.Writer, r score.Result) error {
	if s.asJSON {
		return json.NewEncoder(out).Encode(r)
	}
	_, err := fmt.Fprintf(out, "%.2f\n", r.Score)
	return err
}
