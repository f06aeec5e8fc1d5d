package pairs

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/bdia-go/bdia/internal/textfile"
)

// Kind is what a file holds.
type Kind string

const (
	KindText  Kind = "text"  // plain text, a folder, or JSON objects with nothing but a text: {"text": ..}
	KindPairs Kind = "pairs" // a table, or JSON objects with two sides or a conversation
)

// Sniff says whether the file at path holds text or pairs: by its name if that says it (.csv, .tsv), else by its first
// lines. A file that is neither, a workbook for example, is an ErrFormat that says how to make it one. It reads
// ordinary files only; of others, a pipe for example, it looks at the name.
func Sniff(path string) (Kind, error) {
	if files, err := os.ReadDir(path); err == nil {
		return KindText, folderOfPairs(path, files)
	}
	format, text, err := sniff(path)
	if err != nil || text || format == "" {
		return KindText, err
	}
	return KindPairs, nil
}

// folderOfPairs is the error of a folder in which files of pairs stand, and no text.
func folderOfPairs(path string, files []os.DirEntry) error {
	var names []string
	for _, f := range files {
		if f.IsDir() || strings.HasPrefix(f.Name(), ".") {
			continue
		}
		format, text, err := sniff(filepath.Join(path, f.Name()))
		if err != nil || format == "" || text {
			return nil
		}
		names = append(names, f.Name())
	}
	if len(names) == 0 {
		return nil
	}
	return fmt.Errorf("pairs: %s: %w: it is a folder of them: name one to train on, and perhaps one for validation, of %s", path, ErrFormat, quotedList(names))
}

// headBytes are read of a file to see what it is.
const headBytes = 64 << 10

// sniff returns the format of a file of pairs; empty: it is not known, or text. Text reports JSON objects with a text
// alone.
func sniff(path string) (format Format, text bool, err error) {
	format = formatOf(path)
	if format == CSV || format == TSV {
		return format, false, foreign(path, nil)
	}
	head, rows, err := headOf(path)
	if err != nil {
		return "", false, err
	}
	if err := foreign(path, head); err != nil {
		return "", false, err
	}
	if byContent := jsonFormat(head); rows {
		format = JSONL
	} else if byContent != "" {
		format = byContent
	}
	return format, format != "" && holdsText(head), nil
}

// formatOf returns the format that a name stands for; empty: none.
func formatOf(path string) Format {
	name := strings.TrimSuffix(strings.ToLower(path), ".gz")
	for ending, format := range map[string]Format{".csv": CSV, ".tsv": TSV, ".tab": TSV, ".jsonl": JSONL, ".ndjson": JSONL, ".json": JSON} {
		if strings.HasSuffix(name, ending) {
			return format
		}
	}
	return ""
}

// headOf returns the beginning of an ordinary file, unpacked, and whether it is of rows; nothing of others.
func headOf(path string) (head []byte, rows bool, err error) {
	info, err := os.Stat(path)
	if err != nil {
		return nil, false, fmt.Errorf("pairs: %w", err)
	}
	if !info.Mode().IsRegular() {
		return nil, false, nil
	}
	f, err := textfile.OpenFile(path)
	if err != nil {
		return nil, false, fmt.Errorf("pairs: %w", err)
	}
	defer f.Close()
	text := textfile.New(f, textfile.Options{})
	for _, more := range []int{headBytes, MaxLine} {
		part := make([]byte, more)
		n, err := io.ReadFull(text, part)
		head = append(head, part[:n]...)
		switch {
		case err == io.EOF || err == io.ErrUnexpectedEOF:
			return head, f.HasRows(), nil
		case err != nil:
			return nil, false, newInput(path, nil).wrong(err)
		}
		if _, cut := firstObject(head); !cut || jsonFormat(head) == "" {
			break
		}
	}
	return head, f.HasRows(), nil
}

// firstObject returns the keys of the first JSON object in head, with their values, and whether head ends in it. Then
// the last value may be cut short.
func firstObject(head []byte) (object map[string]json.RawMessage, cut bool) {
	start := bytes.IndexByte(head, '{')
	if start < 0 {
		return nil, false
	}
	head = head[start:]
	d, ended := json.NewDecoder(bytes.NewReader(head)), func(err error) bool { return err == io.EOF || err == io.ErrUnexpectedEOF }
	_, err := d.Token()
	object = map[string]json.RawMessage{}
	for err == nil && d.More() {
		var key json.Token
		if key, err = d.Token(); err != nil {
			break
		}
		name, _ := key.(string)
		from := d.InputOffset()
		var value json.RawMessage
		if err = d.Decode(&value); ended(err) {
			value = bytes.TrimLeft(head[from:], ": \t\r\n")
		}
		object[name] = value
	}
	if err == nil {
		_, err = d.Token()
	}
	if err != nil && !ended(err) {
		return nil, false
	}
	return object, err != nil
}

// jsonFormat returns JSONL or JSON if a file that begins with head holds JSON objects, else nothing.
func jsonFormat(head []byte) Format {
	head = bytes.TrimSpace(head)
	if len(head) < 2 {
		return ""
	}
	after := bytes.TrimSpace(head[1:])
	switch {
	case head[0] == '[' && len(after) > 0 && (after[0] == '{' || after[0] == ']'):
		return JSON
	case head[0] != '{' || len(after) == 0 || after[0] != '"':
		return ""
	}
	line, rest, several := bytes.Cut(head, []byte("\n"))
	next, _, _ := bytes.Cut(bytes.TrimSpace(rest), []byte("\n"))
	switch {
	case holdsList(head):
		return JSON
	case !several || json.Valid(bytes.TrimSuffix(bytes.TrimSpace(line), []byte(","))) || json.Valid(bytes.TrimSuffix(bytes.TrimSpace(next), []byte(","))) && bytes.HasPrefix(next, []byte("{")):
		return JSONL // its first line may be damaged
	}
	return JSON
}

// holdsList reports whether head begins with an object around a list of objects. An object with a conversation or with
// texts of known names is a sample itself, whatever other lists it has, for example of tools.
func holdsList(head []byte) (found bool) {
	d := json.NewDecoder(bytes.NewReader(head))
	if t, err := d.Token(); err != nil || t != json.Delim('{') {
		return false
	}
	for d.More() {
		key, err := d.Token()
		if err != nil {
			return found
		}
		name, _ := key.(string)
		if slices.Contains(talkKeys, name) || isKnown(name) {
			return false
		}
		value := bytes.TrimLeft(head[d.InputOffset():], ": \t\r\n")
		found = found || len(value) > 0 && value[0] == '[' && bytes.HasPrefix(bytes.TrimSpace(value[1:]), []byte("{"))
		if d.Decode(new(json.RawMessage)) != nil {
			return found // head may end here
		}
	}
	return found
}

// holdsText reports whether the first JSON object in head has a text and no sides of a pair. One that is longer than a
// pair may be is known by what head has of it.
func holdsText(head []byte) bool {
	object, cut := firstObject(head)
	if cut && len(head) <= MaxLine {
		return false
	}
	text := object["text"]
	if len(text) == 0 || text[0] != '"' {
		return false
	}
	for _, key := range talkKeys {
		if _, ok := object[key]; ok {
			return false
		}
	}
	records, _ := newRecords(Files{}, "")
	return !records.form(object, head).ok
}

// foreign is the error of a file that is not text, by the first bytes of what programs write.
func foreign(path string, head []byte) error {
	if head == nil {
		var err error
		if head, _, err = headOf(path); err != nil {
			return err
		}
	}
	f, known := others[textfile.Foreign(head)]
	if !known {
		return nil
	}
	return fmt.Errorf("pairs: %s: %w: it is %s: %s", path, ErrFormat, f.name, f.mend)
}

// others are formats that are no tables of text, and how to make them such.
var others = map[string]struct{ name, mend string }{
	textfile.Parquet:   {"a Parquet file", `write it as JSON lines, for example by pandas.read_parquet("in.parquet").to_json("out.jsonl", orient="records", lines=True)`},
	textfile.Arrow:     {"an Arrow file", "write it as JSON lines: to_json of the datasets library does"},
	textfile.Zip:       {"a workbook or a zip archive", "save its sheet as CSV UTF-8, or unpack it"},
	textfile.OldOffice: {"an old workbook", "save its sheet as CSV UTF-8"},
	textfile.Zstd:      {"packed by zstd", "unpack it with zstd -d, or pack it with gzip"},
	textfile.Bzip2:     {"packed by bzip2", "unpack it, or pack it with gzip"},
	textfile.XZ:        {"packed by xz", "unpack it, or pack it with gzip"},
	textfile.SevenZip:  {"packed by 7-zip", "unpack it"},
	textfile.RAR:       {"packed by RAR", "unpack it"},
	textfile.Tar:       {"a tar archive", "unpack it"},
	textfile.SQLite:    {"a database of SQLite", "write its table as CSV"},
	textfile.PDF:       {"a PDF file", "take its text out first"},
	textfile.RTF:       {"an RTF document", "save it as plain text"},
	textfile.LFS:       {"a pointer of Git LFS, not the data", "fetch the data with git lfs pull"},
}
