package pairs

import (
	"encoding/csv"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"slices"
	"strconv"
	"strings"

	"github.com/bdia-go/bdia/internal/textfile"
)

// Errors of reading text, for errors.Is.
var (
	// ErrNoPairs is wrapped by errors about text, or a part of it, without pairs.
	ErrNoPairs = errors.New("no sentence pairs")
	// ErrFormat is wrapped by errors about a file that is not in its stated format.
	ErrFormat = errors.New("not a file of sentence pairs")
	// ErrColumns is an ErrFormat: the file does not have the requested columns or
	// JSON keys.
	ErrColumns = fmt.Errorf("%w in these columns", ErrFormat)
	// ErrLineCounts is wrapped by errors about parallel files of different length.
	ErrLineCounts = errors.New("files differ in their numbers of lines")
	// ErrTooLong is wrapped by errors about a line or CSV row of more than MaxLine
	// bytes, or a sentence with too many tokens.
	ErrTooLong = errors.New("too long")
	// ErrText is wrapped by errors about a sentence that is not text or is missing
	// from its row.
	ErrText = errors.New("unusable sentence")
)

// MaxLine is the largest length of a line or CSV row, in bytes.
const MaxLine = textfile.MaxLine

// Format is the format of a file of pairs; see the package comment.
type Format string

const (
	Lines Format = "lines"
	TSV   Format = "tsv"
	CSV   Format = "csv"
	JSONL Format = "jsonl"
)

// Formats lists the formats.
func Formats() []Format { return []Format{Lines, TSV, CSV, JSONL} }

// Files are the files and columns of pairs. A column is a name in the header, or a
// number from 1.
type Files struct {
	Source       string `yaml:"source"`        // the file of the source sentences, or of both
	Target       string `yaml:"target"`        // the file of the target sentences; empty: Source has both
	Format       Format `yaml:"format"`        // empty: lines if there is Target, else by the ending of Source
	Header       bool   `yaml:"header"`        // the first line of a TSV file has the names of its columns, as it always does in a CSV file
	SourceColumn string `yaml:"source_column"` // empty: 1; in JSONL: prompt
	TargetColumn string `yaml:"target_column"` // empty: 2; in JSONL: completion
}

// Validate returns an error for the first invalid setting.
func (f Files) Validate() error {
	format, err := f.format()
	switch {
	case f.Source == "":
		return errors.New("pairs: no file of source sentences: give one")
	case err != nil:
		return err
	case format == Lines && f.Target == "":
		return fmt.Errorf("pairs: %s is one side of the pairs: give the file of the other side too", f.Source)
	case format != Lines && f.Target != "":
		return fmt.Errorf("pairs: a %s file has both sides, but %s is given for the target: leave one out", format, f.Target)
	case format == JSONL && f.Header:
		return errors.New("pairs: a JSONL file names its texts itself: leave the header out")
	case format == Lines && (f.Header || f.SourceColumn != "" || f.TargetColumn != ""):
		return errors.New("pairs: files of lines have neither a header nor columns: leave these settings out")
	}
	return nil
}

func (f Files) format() (Format, error) {
	name := strings.TrimSuffix(strings.ToLower(f.Source), ".gz")
	switch {
	case slices.Contains(Formats(), f.Format):
		return f.Format, nil
	case f.Format != "":
		return "", fmt.Errorf("pairs: format %q; use %s, %s, %s or %s", f.Format, Lines, TSV, CSV, JSONL)
	case f.Target != "":
		return Lines, nil
	case strings.HasSuffix(name, ".csv"):
		return CSV, nil
	case strings.HasSuffix(name, ".tsv"):
		return TSV, nil
	case strings.HasSuffix(name, ".jsonl"):
		return JSONL, nil
	}
	return "", fmt.Errorf("pairs: %s does not end in .csv, .tsv or .jsonl: give the file of its other side, or a format", f.Source)
}

// row is the content of a line of input, not yet checked.
type row struct {
	line    int    // from 1, the first one of a row with line breaks
	missing string // why sentences are missing, or "", and the reason to count
	reason  Reason
	sides   [2]string
	origin  string // the source sentence that decides the pair's part; empty: its own
}

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

// newRows reads the header of a file, if there is one.
func newRows(f Files, inputs []*input) (rows, error) {
	format, err := f.format()
	if err != nil {
		return nil, err
	}
	switch format {
	case Lines:
		return &parallel{source: inputs[0], target: inputs[1]}, nil
	case TSV:
		t := &tabbed{in: inputs[0]}
		var header []string
		if f.Header {
			line, err := t.in.line()
			if err != nil && err != io.EOF {
				return nil, err
			}
			header = strings.Split(line, "\t")
		}
		t.columns, err = findColumns(f, header)
		return t, err
	case JSONL:
		return newJSONLines(f, inputs[0])
	default:
		t := newTable(inputs[0])
		header, err := t.read()
		if err != nil && err != io.EOF {
			return nil, err
		}
		t.columns, err = findColumns(f, header)
		return t, err
	}
}

// findColumns returns the places of both columns. Without a header they must be
// numbers.
func findColumns(f Files, header []string) (columns [2]int, err error) {
	for i := range header {
		header[i] = strings.TrimSpace(header[i])
	}
	for i, name := range []string{f.SourceColumn, f.TargetColumn} {
		if name == "" {
			columns[i] = i
			continue
		}
		if columns[i] = slices.Index(header, name); columns[i] >= 0 {
			continue
		}
		n, err := strconv.Atoi(name)
		if err != nil || n < 1 || n > MaxLine {
			if header == nil {
				return columns, fmt.Errorf("pairs: %s: %w: column %q: without a header, give a number from 1", f.Source, ErrColumns, name)
			}
			return columns, fmt.Errorf("pairs: %s: %w: no column %q among %s: give one of them, or a number from 1",
				f.Source, ErrColumns, name, clip(fmt.Sprintf("%q", header)))
		}
		columns[i] = n - 1
	}
	if columns[0] == columns[1] {
		return columns, fmt.Errorf("pairs: %s: source and target are both column %d: give two columns", f.Source, columns[0]+1)
	}
	for _, c := range columns {
		if header != nil && c >= len(header) {
			return columns, fmt.Errorf("pairs: %s: %w: column %d, and there are %d: %s; give the right columns or format",
				f.Source, ErrColumns, c+1, len(header), clip(fmt.Sprintf("%q", header)))
		}
	}
	return columns, nil
}

// pick sets the sentences of r to the columns of fields.
func (r *row) pick(fields []string, columns [2]int) {
	for i, c := range columns {
		if c >= len(fields) {
			r.missing = fmt.Sprintf("it has %d of the columns %d and %d", len(fields), columns[0]+1, columns[1]+1)
			r.sides = [2]string{}
			return
		}
		r.sides[i] = fields[c]
	}
}

// input is an open file, unpacked and without a byte order mark.
type input struct {
	*textfile.Reader
	path string
	file *os.File
	size int64 // of the file
}

func openInput(path string) (*input, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, fmt.Errorf("pairs: %w", err)
	}
	in := newInput(path, f)
	if _, err := in.Packed(); err != nil { // a folder, say, is found before the first pair
		f.Close()
		return nil, in.wrong(err)
	}
	in.file = f
	if info, err := f.Stat(); err == nil {
		in.size = info.Size()
	}
	return in, nil
}

func newInput(path string, r io.Reader) *input {
	return &input{Reader: textfile.New(r, textfile.Options{}), path: path}
}

// line returns the next line without its end, or io.EOF.
func (in *input) line() (string, error) {
	line, err := in.Line()
	switch {
	case err == io.EOF:
		return "", err
	case err == textfile.ErrTooLong:
		err = fmt.Errorf("line %d is %w: at most %d bytes; is this text, a sentence a line?", in.Lines()+1, ErrTooLong, MaxLine)
	}
	if err != nil {
		return "", in.wrong(err)
	}
	return string(textfile.Trim(line)), nil
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
type parallel struct{ source, target *input }

func (p *parallel) next() (r row, err error) {
	var ends int
	for i, side := range []*input{p.source, p.target} {
		r.line = side.Lines() + 1
		if r.sides[i], err = side.line(); err == io.EOF {
			ends++
		} else if err != nil {
			return row{}, err
		}
	}
	if ends == 0 {
		return r, nil
	}
	for _, side := range []*input{p.source, p.target} { // to the end of the longer one
		for err = nil; err == nil; _, err = side.line() {
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

// tabbed are the lines of a TSV file.
type tabbed struct {
	in      *input
	columns [2]int
}

func (t *tabbed) next() (r row, err error) {
	line, err := t.in.line()
	if err != nil {
		return row{}, err
	}
	r.line = t.in.Lines()
	r.pick(strings.Split(line, "\t"), t.columns)
	return r, nil
}

// table are the rows of a CSV file.
type table struct {
	in      *input
	bound   *bounded
	csv     *csv.Reader
	columns [2]int
}

func newTable(in *input) *table {
	bound := &bounded{r: in}
	t := &table{in: in, bound: bound, csv: csv.NewReader(bound)}
	t.csv.FieldsPerRecord = -1
	t.csv.ReuseRecord = true
	return t
}

func (t *table) read() ([]string, error) {
	t.bound.left = MaxLine
	fields, err := t.csv.Read()
	var bad *csv.ParseError
	switch {
	case err == nil || err == io.EOF:
		return fields, err
	case errors.Is(err, ErrTooLong):
		return nil, t.in.wrong(fmt.Errorf("a row is %w: at most %d bytes; a quotation mark may be missing before byte %d", ErrTooLong, MaxLine, t.csv.InputOffset()))
	case errors.As(err, &bad):
		return nil, t.in.wrong(fmt.Errorf("%w: line %d, column %d: %v: quote the field and double the marks inside", ErrFormat, bad.Line, bad.Column, bad.Err))
	}
	return nil, t.in.wrong(err)
}

func (t *table) next() (r row, err error) {
	fields, err := t.read()
	if err != nil {
		return row{}, err
	}
	r.line, _ = t.csv.FieldPos(0)
	r.pick(fields, t.columns)
	return r, nil
}

// bounded is a reader that fails after a number of bytes.
type bounded struct {
	r    io.Reader
	left int
}

func (b *bounded) Read(p []byte) (int, error) {
	if b.left == 0 {
		return 0, ErrTooLong
	}
	n, err := b.r.Read(p[:min(len(p), b.left)])
	b.left -= n
	return n, err
}
