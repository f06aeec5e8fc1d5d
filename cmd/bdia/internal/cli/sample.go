package cli

import (
	"fmt"
	"io"
	"strings"

	"github.com/bdia-go/bdia/train"
)

// Bounds of a sample on the terminal.
const (
	mostLines   = 12  // of a piece
	mostLetters = 360 // of a piece
)

// printSample shows a sample: behind ">" what the model learns to say, behind "|" what it only reads.
func printSample(w io.Writer, columns int, s train.Sample) {
	text := s.Place
	pieces := joined(s.Pieces)
	if len(pieces) > 1 {
		text = strings.TrimPrefix(text+"; lines with > are learned", "; ")
	}
	if text == "" {
		text = "of what is learned"
	}
	Row(w, columns, "Sample", text+":")
	for _, p := range pieces {
		mark := "|"
		if p.Counts {
			mark = ">"
		}
		for _, line := range clipped(p.Text, columns-labelColumns-2) {
			fmt.Fprintf(w, "%*s%s %s\n", labelColumns, "", mark, line)
		}
	}
}

// joined puts neighbours together that are learned alike.
func joined(pieces []train.Piece) (all []train.Piece) {
	for _, p := range pieces {
		if n := len(all); n > 0 && all[n-1].Counts == p.Counts {
			all[n-1].Text += p.Text
		} else if p.Text != "" {
			all = append(all, p)
		}
	}
	return all
}

// clipped returns text as lines for the screen, of at most columns. The middle of a long text is left out. A line break
// at the end is shown, since it counts.
func clipped(text string, columns int) (lines []string) {
	body := strings.TrimRight(text, "\n")
	ends := strings.Repeat(`\n`, min(len(text)-len(body), 4))
	letters := []rune(Harmless(strings.ReplaceAll(body, "\t", `\t`)))
	left := ""
	if n := len(letters); n > mostLetters {
		half := mostLetters / 2
		left = fmt.Sprintf("... %s letters ...", Count(int64(n-2*half)))
		lines = append(screen(string(letters[:half]), columns, mostLines/2), left)
		return append(lines, tail(screen(string(letters[n-half:])+ends, columns, mostLetters), mostLines/2)...)
	}
	if lines = screen(string(letters)+ends, columns, mostLetters); len(lines) > mostLines+1 {
		kept := mostLines / 2
		left = fmt.Sprintf("... %d lines ...", len(lines)-2*kept)
		lines = append(append(lines[:kept:kept], left), tail(lines, kept)...)
	}
	return lines
}

// screen is text in lines of at most columns, up to most of them.
func screen(text string, columns, most int) (lines []string) {
	for line := range strings.SplitSeq(text, "\n") {
		lines = append(lines, chop(line, max(columns, 1))...)
	}
	return lines[:min(len(lines), most)]
}

// tail returns the last n lines.
func tail(lines []string, n int) []string { return lines[max(len(lines)-n, 0):] }
