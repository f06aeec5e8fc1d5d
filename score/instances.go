package score

import (
	"encoding/csv"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/bdia-go/bdia/internal/textfile"
)

// ErrTable is wrapped by errors about a file without a table of references.
var ErrTable = errors.New("score: no table of references")

// Limits of [Instances], which bound its memory and time: maxCorpus is the size of a file
// and maxText of a text, in bytes; maxTexts is the number of lines, since even an empty
// line takes memory.
const maxCorpus, maxText, maxTexts = 32 << 20, 4 << 10, 1 << 20

// Instances calls each with every segment of a data-to-text corpus, in order: a
// hypothesis and the references for its input, without white space at both ends. It stops
// when each returns an error.
//
// The hypotheses file has one line for each distinct input. The references file is a
// table if its name ends in .csv or .tsv (or .csv.gz, .tsv.gz): column mr has the input
// and column ref one reference; rows with the same input belong together. Otherwise it
// has one reference a line and empty lines between inputs; without any empty line, each
// line belongs to another input.
//
// Errors wrap ErrLineCount if the files differ in their number of inputs, ErrTable if a
// column is missing, ErrEmptyReference for an empty cell of references, and ErrText for
// text that is not UTF-8, too long or too much.
func Instances(hypotheses, references Stream, each func(hypothesis string, references []string) error) error {
	groups, err := readReferences(references)
	if err != nil {
		return err
	}
	lines, err := readTexts(hypotheses)
	if err != nil {
		return err
	}
	if len(lines) != len(groups) {
		return fmt.Errorf("%w: %s has %s, %s has references for %s; write one line for each distinct input, in order", ErrLineCount,
			hypotheses.Name, plural(len(lines), "line"), references.Name, plural(len(groups), "input"))
	}
	for i, line := range lines {
		if err := each(line, groups[i]); err != nil {
			return err
		}
	}
	return nil
}

// readReferences returns the references of each input.
func readReferences(s Stream) ([][]string, error) {
	name := strings.TrimSuffix(strings.ToLower(s.Name), ".gz")
	if strings.HasSuffix(name, ".csv") || strings.HasSuffix(name, ".tsv") {
		return readTable(s)
	}
	lines, err := readTexts(s)
	if err != nil {
		return nil, err
	}
	var groups [][]string
	separated, fresh := false, true
	for _, line := range lines {
		if line == "" {
			fresh = true
			continue
		}
		if fresh {
			separated = separated || len(groups) > 0
			groups, fresh = append(groups, nil), false
		}
		groups[len(groups)-1] = append(groups[len(groups)-1], line)
	}
	if !separated && len(groups) == 1 {
		lines = slices.DeleteFunc(lines, func(l string) bool { return l == "" })
		groups = nil
		for _, line := range lines {
			groups = append(groups, []string{line})
		}
	}
	if len(groups) == 0 {
		return nil, fmt.Errorf("%w: %s has no references", ErrText, s.Name)
	}
	return groups, nil
}

// readTexts returns the lines of a file.
func readTexts(s Stream) ([]string, error) {
	r := newLineReader(s, false)
	var lines []string
	for {
		line, err := r.next()
		if errors.Is(err, io.EOF) {
			break
		}
		if err == nil && r.bytes > maxCorpus {
			err = fmt.Errorf("score: %s: %w", s.Name, errTooLarge)
		}
		if err == nil {
			err = checkText(s.Name, r.lines, line)
		}
		if err != nil {
			return nil, err
		}
		lines = append(lines, strings.TrimFunc(line, isSpace))
	}
	if len(lines) == 0 {
		return nil, fmt.Errorf("%w: %s has no lines", ErrText, s.Name)
	}
	return lines, nil
}

// checkText returns an error if the text is not UTF-8 or too long, or if its line is
// beyond the limit.
func checkText(name string, line int, text string) error {
	if line > maxTexts {
		return fmt.Errorf("%w: %s has more than %d lines; score parts of it", ErrText, name, maxTexts)
	}
	if !utf8.ValidString(text) {
		return fmt.Errorf("%w: %s: line %d is not UTF-8; convert it, for example with iconv", ErrText, name, line)
	}
	if len(text) > maxText {
		return fmt.Errorf("%w: %s: line %d has a text longer than %d KiB; shorten it", ErrText, name, line, maxText>>10)
	}
	return nil
}

// misread repairs four encoding mistakes in the files of the E2E challenge, as its script
// does.
var misread = strings.NewReplacer("Ł", "£", "Â£", "£", "Ã©", "é", "ã©", "é")

// readTable returns the references of each distinct input of a table.
func readTable(s Stream) ([][]string, error) {
	r := csv.NewReader(&cappedReader{textfile.New(s.Text, textfile.Options{}), maxCorpus})
	r.LazyQuotes, r.ReuseRecord = true, true
	if strings.Contains(strings.ToLower(s.Name), ".tsv") {
		r.Comma = '\t'
	}
	input, ref := -1, -1
	var groups [][]string
	known := map[string]int{}
	for {
		row, err := r.Read()
		if errors.Is(err, io.EOF) {
			break
		}
		var bad *csv.ParseError
		if errors.As(err, &bad) {
			return nil, fmt.Errorf("%w: %s: line %d: %v; write as many columns in every row", ErrTable, s.Name, bad.Line, bad.Err)
		}
		if err != nil {
			return nil, fmt.Errorf("score: %s: %w", s.Name, err)
		}
		if input < 0 {
			input, ref = column(row, "mr"), column(row, "ref")
			if input < 0 || ref < 0 {
				return nil, fmt.Errorf("%w: %s: no columns mr and ref; name them in the first line", ErrTable, s.Name)
			}
			continue
		}
		line, _ := r.FieldPos(ref)
		if err := checkText(s.Name, line, row[ref]); err != nil {
			return nil, err
		}
		reference := strings.TrimFunc(misread.Replace(row[ref]), isSpace)
		if reference == "" {
			return nil, fmt.Errorf("%w: %s: line %d has none; fill it in, or leave the row out", ErrEmptyReference, s.Name, line)
		}
		i, ok := known[row[input]]
		if !ok {
			i = len(groups)
			known[strings.Clone(row[input])] = i
			groups = append(groups, nil)
		}
		groups[i] = append(groups[i], reference)
	}
	if len(groups) == 0 {
		return nil, fmt.Errorf("%w: %s has no rows below the first", ErrTable, s.Name)
	}
	return groups, nil
}

func column(header []string, name string) int {
	return slices.IndexFunc(header, func(h string) bool { return strings.EqualFold(strings.TrimSpace(h), name) })
}

var errTooLarge = fmt.Errorf("the file is longer than %d MiB; score parts of it", maxCorpus>>20)

// cappedReader fails a read of more than left bytes.
type cappedReader struct {
	text io.Reader
	left int
}

func (c *cappedReader) Read(b []byte) (int, error) {
	n, err := c.text.Read(b)
	if c.left -= n; c.left < 0 {
		return 0, errTooLarge
	}
	return n, err
}
