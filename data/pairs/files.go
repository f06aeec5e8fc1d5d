package pairs

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"slices"
	"strings"

	"github.com/bdia-go/bdia/internal/delimited"
	"github.com/bdia-go/bdia/internal/textfile"
)

// Errors of reading text, for errors.Is.
var (
	// ErrNoPairs is wrapped by errors about text, or a part of it, without pairs.
	ErrNoPairs = errors.New("no pairs")
	// ErrFormat is wrapped by errors about a file that is not in its stated format.
	ErrFormat = errors.New("not a file of pairs")
	// ErrColumns is an ErrFormat: the file does not have the requested columns or
	// JSON keys.
	ErrColumns = fmt.Errorf("%w in these columns", ErrFormat)
	// ErrLineCounts is wrapped by errors about parallel files of different length.
	ErrLineCounts = errors.New("files differ in their numbers of lines")
	// ErrTooLong is wrapped by errors about a line or value of more than MaxLine
	// bytes, or a sentence with too many tokens.
	ErrTooLong = errors.New("too long")
	// ErrMemory is wrapped by the error of more pairs than Options.Fits allows.
	ErrMemory = errors.New("too many pairs for the memory that is free")
	// ErrText is wrapped by errors about a sentence that is not text or is missing
	// from its row.
	ErrText = errors.New("unusable sentence")
)

// MaxLine is the largest length of a row, in bytes.
const MaxLine = textfile.MaxLine

// Format is the format of a file of pairs; see the package comment.
type Format string

const (
	Lines Format = "lines"
	TSV   Format = "tsv"
	CSV   Format = "csv"
	JSONL Format = "jsonl"
	JSON  Format = "json"
)

// Formats lists the formats.
func Formats() []Format { return []Format{Lines, TSV, CSV, JSONL, JSON} }

// Files are the files and columns of pairs. A column is a name in the header, or a
// number from 1.
type Files struct {
	Source       string    `yaml:"source"`             // the file of the source sentences, or of both
	Target       string    `yaml:"target"`             // the file of the target sentences; empty: Source has both
	Format       Format    `yaml:"format"`             // empty: lines if there is Target, else by the ending and the content of Source
	Header       Header    `yaml:"header"`             // whether the first line of a table has the names of its columns
	SourceColumn string    `yaml:"source_column"`      // empty: by a known name, or the first of two columns
	TargetColumn string    `yaml:"target_column"`      // empty: by a known name, or the second of two columns
	Delimiter    Delimiter `yaml:"delimiter,omitzero"` // between the fields of a CSV file
}

// Validate returns an error for the first invalid setting. It does not look at the files.
func (f Files) Validate() error {
	format := f.Format
	if format == "" {
		format = formatOf(f.Source)
	}
	if format == "" && f.Target != "" {
		format = Lines
	}
	switch {
	case f.Source == "":
		return errors.New("pairs: no file of source sentences: give one")
	case f.Format != "" && !slices.Contains(Formats(), f.Format):
		return fmt.Errorf("pairs: format %q; use %s, %s, %s, %s or %s", f.Format, Lines, TSV, CSV, JSONL, JSON)
	case f.Format == Lines && f.Target == "":
		return fmt.Errorf("pairs: %s is one side of the pairs: give the file of the other side too", f.Source)
	case f.Format != "" && f.Format != Lines && f.Target != "":
		return fmt.Errorf("pairs: a %s file has both sides, but %s is given for the target: leave one out", f.Format, f.Target)
	case (f.Format == JSONL || f.Format == JSON) && (f.Header == HeaderYes || f.Header == HeaderNone):
		return errors.New("pairs: a JSON file names its texts itself: leave the header out")
	case format == Lines && f.Header != headerOld && f.Header != HeaderAuto || format == Lines && (f.SourceColumn != "" || f.TargetColumn != ""):
		return errors.New("pairs: files of lines have neither a header nor columns: leave these settings out")
	case f.Delimiter != "" && f.Delimiter.comma() == 0:
		return fmt.Errorf("pairs: fields between %q; use comma, semicolon, tab or pipe", f.Delimiter)
	case f.Delimiter != "" && format != CSV && format != "":
		return fmt.Errorf("pairs: a delimiter, and %s files have none: leave it out, or say that the format is %s", format, CSV)
	}
	return nil
}

// format returns the format of the files, for which it may look into them.
func (f Files) format() (Format, error) {
	switch {
	case f.Format == JSONL || f.Format == JSON:
		if byContent, _, err := sniff(f.Source); err == nil && (byContent == JSONL || byContent == JSON) {
			return byContent, nil
		}
		return f.Format, nil
	case f.Format != "":
		return f.Format, nil
	case f.Target != "":
		return Lines, nil
	}
	format, _, err := sniff(f.Source)
	if err == nil && format == "" {
		err = fmt.Errorf("pairs: %s does not end in .csv, .tsv, .jsonl or .json: give the file of its other side, or a format", f.Source)
	}
	return format, err
}

// row is the content of a line of input, not yet checked.
type row struct {
	line    int    // from 1, the first one of a row with line breaks
	missing string // why sentences are missing, or "", and the reason to count
	reason  Reason
	sides   [2]string
	origin  string // the source sentence that decides the pair's part; empty: its own
	whole   string // all that is asked in its conversation, which decides if most conversations begin alike; empty: origin
	begins  bool   // it is the first pair of a conversation

	talk *Talk // nil: not asked for, or no conversation
}

// tooLong is a row of more than MaxLine bytes.
func tooLong(line int) row { return row{line: line, reason: LongRow, missing: "cut it"} }

// rows reads the rows of open files; after the last one it returns io.EOF.
type rows interface{ next() (row, error) }

// openFiles opens the one or two files. Close them, after an error too.
func openFiles(f Files) ([]*input, error) {
	var inputs []*input
	for _, path := range []string{f.Source, f.Target} {
		if path == "" {
			continue
		}
		in, err := openInput(path)
		if err != nil {
			return inputs, err
		}
		inputs = append(inputs, in)
	}
	return inputs, nil
}

// newRows reads the header of a file, if there is one. Separator is what follows "assistant:" in conversations. With
// turns their rows have them.
func newRows(f Files, format Format, separator string, turns bool, inputs []*input) (rows, error) {
	switch format {
	case Lines:
		return &parallel{source: inputs[0], target: inputs[1]}, nil
	case JSONL, JSON:
		r, err := newRecords(f, separator)
		if err != nil {
			return nil, err
		}
		r.turns = turns
		if format == JSON {
			return newJSONList(r, inputs[0]), nil
		}
		return &jsonLines{r, inputs[0]}, nil
	}
	t, err := newTable(f, format, inputs[0])
	if err != nil {
		return nil, err
	}
	return t, nil
}

// input is an open file, unpacked and without a byte order mark.
type input struct {
	*textfile.Reader
	path string
	file *textfile.File
}

func openInput(path string) (*input, error) {
	f, err := textfile.OpenFile(path)
	if err != nil {
		return nil, fmt.Errorf("pairs: %w", err)
	}
	in := newInput(path, f)
	if _, err := in.Packed(); err != nil { // a folder, say, is found before the first pair
		f.Close()
		return nil, in.wrong(err)
	}
	in.file = f
	return in, nil
}

func newInput(path string, r io.Reader) *input {
	return &input{Reader: textfile.New(r, textfile.Options{}), path: path}
}

// line returns the next line without its end, or io.EOF. For one that is too long it returns delimited.ErrTooLong, and
// goes on with the next.
func (in *input) line() (string, error) {
	line, err := in.Line()
	switch {
	case err == io.EOF:
		return "", err
	case err == textfile.ErrTooLong:
		return "", delimited.ErrTooLong
	}
	if err != nil {
		return "", in.wrong(err)
	}
	text := strings.TrimRight(string(textfile.Trim(line)), "\r") // some programs write CR CR LF
	if strings.Contains(text, "\r") && !strings.Contains(string(line), "\n") && in.Lines() == 1 {
		return "", in.wrong(fmt.Errorf("%w: its lines end in CR alone, as on old Macs: write them with LF, for example with tr '\\r' '\\n'", ErrFormat))
	}
	return text, nil
}

// wrong adds the file's name to an error from reading it.
func (in *input) wrong(err error) error {
	if errors.Is(err, textfile.ErrDamaged) {
		err = fmt.Errorf("%w: %w", ErrFormat, err)
	}
	var path *fs.PathError
	if errors.As(err, &path) {
		err = path.Err
	}
	return fmt.Errorf("pairs: %s: %w", in.path, err)
}

// parallel are two files of lines.
type parallel struct {
	source, target *input
	line           int // of both
}

func (p *parallel) next() (r row, err error) {
	var ends int
	p.line++
	r.line = p.line
	for i, side := range []*input{p.source, p.target} {
		switch r.sides[i], err = side.line(); {
		case err == io.EOF:
			ends++
		case err == delimited.ErrTooLong:
			r = tooLong(r.line)
		case err != nil:
			return row{}, err
		}
	}
	if ends == 0 {
		return r, nil
	}
	for _, side := range []*input{p.source, p.target} { // to the end of the longer one
		for err = nil; err == nil || err == delimited.ErrTooLong; _, err = side.line() {
		}
		if err != io.EOF {
			return row{}, err
		}
	}
	if p.source.Lines() != p.target.Lines() {
		return row{}, fmt.Errorf("pairs: %w: %s has %d, %s has %d: every line needs its other side, or an empty line", ErrLineCounts,
			p.source.path, p.source.Lines(), p.target.path, p.target.Lines())
	}
	return row{}, io.EOF
}
