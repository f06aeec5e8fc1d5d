package data

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"path"
	"slices"
	"strings"
)

// form is how the text of a file is kept in it.
type form uint8

const (
	plain     form = iota // the file is the text
	jsonLines             // JSON objects or strings, one a line
	jsonList              // a list of them, an object with such a list, or one object
	table                 // a column of a CSV or TSV file
)

// MaxDocument is the largest length of a row in bytes: a line of JSON, an element of a JSON list, or a row of a table.
const MaxDocument = 64 << 20

// textKeys are the names of keys and columns that hold a text, the likeliest first.
var textKeys = []string{"text", "content", "document", "body", "story", "article", "passage", "raw_content", "markdown", "review", "sentence", "chapter", "lyrics", "poem"}

// listKeys are the names of lists of texts in an object.
var listKeys = []string{"data", "rows", "documents", "examples", "items", "records", "texts", "train"}

// formOf tells the form of a file by its name and its first bytes.
func formOf(name string, head []byte) form {
	name = strings.TrimSuffix(strings.ToLower(name), ".gz")
	switch path.Ext(name) {
	case ".csv", ".tsv", ".tab":
		return table
	case ".jsonl", ".ndjson", ".json", ".txt", ".text", "":
	default:
		return plain
	}
	head = bytes.TrimSpace(head)
	line, more, _ := bytes.Cut(head, []byte("\n"))
	isJSON := strings.HasPrefix(path.Ext(name), ".json") || path.Ext(name) == ".ndjson"
	object := len(line) > 0 && line[0] == '{' && json.Valid(line) && (path.Ext(name) != ".json" || bytes.HasPrefix(bytes.TrimSpace(more), []byte("{")))
	list := len(head) > 0 && head[0] == '[' && (isJSON || bytes.HasPrefix(bytes.TrimSpace(head[1:]), []byte("{")))
	switch {
	case list:
		return jsonList
	case object || isJSON && path.Ext(name) != ".json":
		return jsonLines
	case isJSON:
		return jsonList
	}
	return plain
}

// row is a document among others in a file.
type row struct {
	text   string
	line   int64 // from 1; 0: it has a number instead
	number int64 // from 1
	bad    string
	detail string // more about what is bad
}

func (r row) place(path string) string {
	if r.line > 0 {
		return fmt.Sprintf("%s, line %d", path, r.line)
	}
	return fmt.Sprintf("%s, row %d", path, r.number)
}

// rows are the rows of a file; after the last one next returns io.EOF.
type rows interface {
	next() (row, error)
	// keys are the keys of the first object, or the columns.
	keys() []string
}

// texts finds the text in JSON values.
type texts struct {
	key   string // asked for; empty: a known one
	first []string
	found []string // keys that hold text
}

func (t *texts) keys() []string { return t.first }

// Reasons for a row to be left out, or to be used and counted.
const (
	notJSON  = "not JSON"
	noText   = "without a text"
	halfChar = "with half a UTF-16 pair, which is read as U+FFFD"
)

// read sets the text of r to the one in a JSON value.
func (t *texts) read(value []byte, r *row) {
	value = bytes.TrimSpace(value)
	var object map[string]json.RawMessage
	switch {
	case len(value) == 0:
		r.bad = notJSON
		return
	case value[0] == '"':
		if err := json.Unmarshal(value, &r.text); err != nil {
			r.bad, r.detail = notJSON, err.Error()
		}
	case value[0] != '{':
		r.bad, r.detail = noText, "it is no object"
		if !json.Valid(value) {
			r.bad, r.detail = notJSON, fmt.Sprintf("it begins with %.20q", value)
		}
		return
	default:
		if err := json.Unmarshal(value, &object); err != nil {
			r.bad, r.detail = notJSON, err.Error()
			return
		}
		keys := slices.Sorted(maps.Keys(object)) // so that every reading finds the same one
		if t.first == nil {
			t.first = keys
		}
		key, ok := keyOf(keys, t.key)
		if !ok {
			r.bad, r.detail = noText, "its keys are "+quoted(keys)
			return
		}
		t.take(key, object[key], r)
	}
	if r.bad == "" && r.text == "" {
		r.bad = noText
	}
	if r.bad == "" && strings.ContainsRune(r.text, '\ufffd') && bytes.Contains(bytes.ToLower(value), []byte(`\ud`)) {
		r.detail = halfChar
	}
}

// take sets the text of r to the value of a key.
func (t *texts) take(key string, value []byte, r *row) {
	if value[0] != '"' || json.Unmarshal(value, &r.text) != nil {
		r.bad, r.detail = noText, fmt.Sprintf("its %q is no text", key)
	} else if !slices.Contains(t.found, key) {
		t.found = append(t.found, key)
	}
}

// keyOf returns the one of names that holds the text: the one asked for, or else the first that is known.
func keyOf(names []string, asked string) (string, bool) {
	known := textKeys
	if asked != "" {
		known = []string{asked}
	}
	for _, k := range known {
		if slices.Contains(names, k) {
			return k, true
		}
		if i := slices.IndexFunc(names, func(n string) bool { return strings.EqualFold(strings.TrimSpace(n), k) }); i >= 0 {
			return names[i], true
		}
	}
	return "", false
}

// lines reads a text line by line.
type lines struct {
	path string
	r    *bufio.Reader
	line int64 // lines that were read
	long []byte
}

// following returns the next line with its end, until the next call, or io.EOF.
func (l *lines) following() ([]byte, error) {
	line, err := l.r.ReadSlice('\n')
	if err == bufio.ErrBufferFull {
		for l.long = l.long[:0]; err == bufio.ErrBufferFull; line, err = l.r.ReadSlice('\n') {
			if l.long = append(l.long, line...); len(l.long) > MaxDocument {
				return nil, tooLong(l.path, l.line+1)
			}
		}
		l.long = append(l.long, line...)
		line = l.long
	}
	if err != nil && (err != io.EOF || len(line) == 0) {
		return nil, err
	}
	l.line++
	return line, nil
}

// lineRows are JSON values, one a line.
type lineRows struct {
	texts
	lines
	at int64 // bytes before the next line
}

func (l *lineRows) next() (row, error) {
	for {
		line, err := l.following()
		if err != nil {
			return row{}, err
		}
		start := l.at
		l.at += int64(len(line))
		if len(bytes.TrimSpace(line)) == 0 {
			continue
		}
		r := row{line: l.line}
		if bad := invalid(line); bad >= 0 {
			return r, &EncodingError{Path: l.path, Line: l.line, Offset: start + int64(bad), Byte: line[bad], Guess: guess(line[bad:])}
		}
		l.texts.read(line, &r)
		return r, nil
	}
}

func tooLong(path string, line int64) error {
	return fmt.Errorf("data: %s: line %d: a row is longer than %d MiB; is this one document a row?", path, line, MaxDocument>>20)
}

// listRows are the elements of a JSON list.
type listRows struct {
	texts
	path   string
	bound  *bounded
	d      *json.Decoder
	depth  int // lists that are open: 0 or 1
	object bool
	number int64
}

func newListRows(t texts, path string, r io.Reader) *listRows {
	bound := &bounded{r: r}
	return &listRows{texts: t, path: path, bound: bound, d: json.NewDecoder(bound)}
}

func (l *listRows) next() (row, error) {
	r, err := l.element()
	if err != nil && err != io.EOF {
		var bad *EncodingError
		if !errors.As(err, &bad) {
			err = fmt.Errorf("data: %s: after %d rows, at byte %d: %w; is the file whole?", l.path, l.number, l.d.InputOffset(), err)
		}
	}
	return r, err
}

// element returns the next element of the list that is open, or opens one.
func (l *listRows) element() (row, error) {
	l.bound.left = MaxDocument
	for {
		if l.depth > 0 && l.d.More() {
			l.number++
			r := row{number: l.number}
			var value json.RawMessage
			err := l.d.Decode(&value)
			if err == nil {
				l.texts.read(value, &r)
			}
			return r, whole(err)
		}
		if l.depth > 0 {
			l.depth--
			if _, err := l.d.Token(); err != nil {
				return row{}, whole(err)
			}
		}
		if r, found, err := l.open(); found || err != nil {
			return r, err
		}
	}
}

// open goes to the next list, in an object or not, and opens it. A text in an object is found at once.
func (l *listRows) open() (r row, found bool, err error) {
	if !l.object {
		t, err := l.d.Token()
		switch {
		case err != nil:
			return r, false, err
		case t == json.Delim('['):
			l.depth++
			return r, false, nil
		case t != json.Delim('{'):
			l.number++
			return row{number: l.number, bad: noText, detail: "it is no object"}, true, nil
		}
		l.object = true
	}
	for l.d.More() {
		t, err := l.d.Token()
		if err != nil {
			return r, false, whole(err)
		}
		key, _ := t.(string)
		if l.key == "" && slices.Contains(listKeys, strings.ToLower(key)) {
			if t, err = l.d.Token(); err != nil {
				return r, false, whole(err)
			}
			if t == json.Delim('[') {
				l.depth++
				return r, false, nil
			}
			if d, ok := t.(json.Delim); ok {
				if err := skip(l.d, d); err != nil {
					return r, false, whole(err)
				}
			}
			continue
		}
		var value json.RawMessage
		if err := l.d.Decode(&value); err != nil {
			return r, false, whole(err)
		}
		if l.number == 0 {
			l.first = append(l.first, key)
		}
		if _, ok := keyOf([]string{key}, l.key); ok && value[0] == '"' {
			l.number++
			r.number = l.number
			l.texts.take(key, value, &r)
			return r, true, nil
		}
	}
	l.object = false
	_, err = l.d.Token()
	return r, false, whole(err)
}

// maxDepth is how deep lists and objects may be nested, as encoding/json has it.
const maxDepth = 10_000

// skip reads to the end of what d opened.
func skip(d *json.Decoder, open json.Delim) error {
	for depth := 1; depth > 0; {
		t, err := d.Token()
		if err != nil {
			return err
		}
		switch t {
		case json.Delim('['), json.Delim('{'):
			if depth++; depth > maxDepth {
				return fmt.Errorf("lists and objects are nested more than %d deep", maxDepth)
			}
		case json.Delim(']'), json.Delim('}'):
			depth--
		}
	}
	return nil
}

// whole is err, where the end of a file is too early.
func whole(err error) error {
	if err == io.EOF {
		return io.ErrUnexpectedEOF
	}
	return err
}

// bounded is a reader that fails after a number of bytes.
type bounded struct {
	r    io.Reader
	left int
}

func (b *bounded) Read(p []byte) (int, error) {
	if b.left == 0 {
		return 0, fmt.Errorf("a row is longer than %d MiB", MaxDocument>>20)
	}
	n, err := b.r.Read(p[:min(len(p), b.left)])
	b.left -= n
	return n, err
}
