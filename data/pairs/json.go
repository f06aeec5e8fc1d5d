package pairs

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/bdia-go/bdia/internal/delimited"
)

// jsonLines are the objects of a JSONL file, one a line.
type jsonLines struct {
	*records
	in *input
}

func (j *jsonLines) next() (row, error) {
	if r, ok := j.rest(j.in.Lines()); ok {
		return r, nil
	}
	for {
		text, err := j.in.line()
		if err == delimited.ErrTooLong {
			return tooLong(j.in.Lines() + 1), nil
		}
		if err != nil {
			return row{}, err
		}
		if text = strings.TrimSpace(text); text == "" {
			continue
		}
		if cut, comma := strings.CutSuffix(text, ","); comma && strings.HasSuffix(strings.TrimSpace(cut), "}") { // lines of a list
			text = cut
			j.note("lines end in commas, which are not part of them")
		}
		return j.read([]byte(text), j.in.Lines()), nil
	}
}

// jsonList are the objects of a JSON file: a list of them; an object with one such list in it, {"data": [..]}; or
// objects one after the other over any lines. They are read one by one.
type jsonList struct {
	*records
	in     *input
	text   *bufio.Reader
	lines  int    // line breaks before the next character
	line   int    // of the object at hand
	object []byte // the object at hand
	long   bool   // it is too long, and not whole
	begun  bool
	inList bool   // the objects are the elements of a list
	key    string // of the list, if it is in an object
	err    error
}

func newJSONList(records *records, in *input) *jsonList {
	return &jsonList{records: records, in: in, text: bufio.NewReaderSize(in, headBytes)}
}

func (j *jsonList) next() (row, error) {
	if r, ok := j.rest(j.line); ok {
		return r, nil
	}
	if !j.begun {
		j.begun = true
		j.err = j.begin()
	}
	if j.err == nil {
		j.err = j.element()
	}
	if j.err != nil {
		return row{}, j.err
	}
	if j.long {
		return tooLong(j.line), nil
	}
	return j.read(j.object, j.line), nil
}

// wrong is an error about the place that was reached.
func (j *jsonList) wrong(format string, args ...any) error {
	return j.in.wrong(fmt.Errorf("%w: line %d: %s", ErrFormat, j.lines+1, fmt.Sprintf(format, args...)))
}

// get returns the next character, or io.EOF.
func (j *jsonList) get() (byte, error) {
	c, err := j.text.ReadByte()
	if err != nil && err != io.EOF {
		err = j.in.wrong(err)
	}
	if c == '\n' {
		j.lines++
	}
	return c, err
}

// peek returns the next character that is not white space, without taking it; 0 at the end.
func (j *jsonList) peek() (byte, error) {
	for {
		c, err := j.get()
		if err == io.EOF {
			return 0, nil
		}
		if err != nil {
			return 0, err
		}
		if !isSpace(c) {
			return c, j.text.UnreadByte()
		}
	}
}

func isSpace(c byte) bool { return c == ' ' || c == '\n' || c == '\r' || c == '\t' }

// begin goes to the first object.
func (j *jsonList) begin() error {
	c, err := j.peek()
	switch {
	case err != nil:
		return err
	case c == '[':
		j.inList = true
		_, err = j.get()
		return err
	case c != '{':
		return nil // element says what is wrong
	}
	// One object: with a list in it, or the first of several.
	head, err := j.text.Peek(j.text.Size())
	if err != nil && err != io.EOF && !errors.Is(err, bufio.ErrBufferFull) {
		return j.in.wrong(err)
	}
	if !holdsList(head) {
		return nil
	}
	if _, err := j.get(); err != nil {
		return err
	}
	_, err = j.find()
	return err
}

// find goes to the next list of objects in the object around it, after its key. It reports whether there is one.
func (j *jsonList) find() (bool, error) {
	for {
		c, err := j.peek()
		if err != nil {
			return false, err
		}
		switch c {
		case ',':
			if _, err := j.get(); err != nil {
				return false, err
			}
			continue
		case '}', 0:
			return false, nil
		case '"':
		default:
			return false, j.wrong("%q is no key of an object", c)
		}
		if err := j.value(); err != nil {
			return false, err
		}
		if j.long {
			return false, j.in.wrong(fmt.Errorf("%w: line %d: a key is %w: at most %d bytes", ErrFormat, j.lines+1, ErrTooLong, MaxLine))
		}
		key := strings.Trim(string(j.object), `"`)
		if c, err = j.peek(); err != nil {
			return false, err
		}
		if c != ':' {
			return false, j.wrong("there is no value of %s", quoted(key))
		}
		if _, err = j.get(); err != nil {
			return false, err
		}
		if c, err = j.peek(); err != nil {
			return false, err
		}
		if c != '[' && c != '{' {
			if err := j.value(); err != nil {
				return false, err
			}
			continue
		}
		open := c
		if _, err = j.get(); err != nil {
			return false, err
		}
		if c, err = j.peek(); err != nil {
			return false, err
		}
		if open == '[' && c == '{' {
			j.inList, j.key = true, key
			return true, nil
		}
		if err := j.skip(1); err != nil {
			return false, err
		}
	}
}

// element reads the next object, or returns io.EOF.
func (j *jsonList) element() error {
	for {
		c, err := j.peek()
		if err != nil {
			return err
		}
		switch {
		case c == ',':
			if _, err := j.get(); err != nil {
				return err
			}
		case c == ']' && j.inList:
			if _, err := j.get(); err != nil {
				return err
			}
			j.inList = false
			return j.end()
		case c == 0 && j.inList:
			return j.wrong("the list has no end; is the file whole?")
		case c == 0:
			return io.EOF
		case c == ']' || c == '}' || c == ':':
			return j.wrong("%q is out of place", c)
		default:
			j.line = j.lines + 1
			return j.value()
		}
	}
}

// end reads what follows the list.
func (j *jsonList) end() error {
	first := j.key
	if first != "" {
		j.note(fmt.Sprintf("the list under %s", quoted(first)))
		more, err := j.find()
		if err != nil {
			return err
		}
		if more {
			return j.wrong("there are two lists of objects, under %s and %s: put each in a file of its own", quoted(first), quoted(j.key))
		}
		if c, err := j.peek(); err != nil || c != '}' {
			return errors.Join(err, j.wrong("the object has no end; is the file whole?"))
		}
		if _, err := j.get(); err != nil {
			return err
		}
	}
	c, err := j.peek()
	if err == nil && c != 0 {
		if c == '{' && first != "" { // objects, a line each
			return j.wrong("the key %s of its objects is none that is known, for a conversation \"messages\" or \"conversations\": rename it", quoted(first))
		}
		err = j.wrong("there is %q after the end of the list", c)
	}
	if err == nil {
		err = io.EOF
	}
	return err
}

// value reads a value into j.object: an object or list with all that is in it, a text, or else what stands up to the
// next comma, bracket or space. Of one that is too long it keeps the beginning.
func (j *jsonList) value() error {
	j.object, j.long = j.object[:0], false
	depth, quoted := 0, false
	for {
		c, err := j.get()
		if err == io.EOF {
			if depth > 0 || quoted {
				return j.wrong("%.80q has no end; is the file whole?", clip(string(bytes.TrimSpace(j.object))))
			}
			return nil
		}
		if err != nil {
			return err
		}
		plain := depth == 0 && !quoted
		if plain && len(j.object) > 0 && (isSpace(c) || strings.IndexByte(",]}:", c) >= 0) {
			if c == '\n' {
				j.lines--
			}
			return j.text.UnreadByte()
		}
		j.keep(c)
		switch {
		case quoted && c == '\\':
			if c, err = j.get(); err == nil {
				j.keep(c)
			}
		case c == '"':
			if quoted = !quoted; !quoted && depth == 0 {
				return nil
			}
		case quoted:
		case c == '{' || c == '[':
			depth++
		case c == '}' || c == ']':
			if depth--; depth <= 0 {
				return nil
			}
		}
	}
}

// keep adds a character to the object at hand, if it is not too long.
func (j *jsonList) keep(c byte) {
	if j.long = j.long || len(j.object) == MaxLine; !j.long {
		j.object = append(j.object, c)
	}
}

// skip reads to the end of a list or object that is open so many times, without keeping it.
func (j *jsonList) skip(depth int) error {
	for quoted := false; depth > 0; {
		c, err := j.get()
		switch {
		case err == io.EOF:
			return j.wrong("a list has no end; is the file whole?")
		case err != nil:
			return err
		case quoted && c == '\\':
			_, _ = j.get() // the end comes again
		case c == '"':
			quoted = !quoted
		case quoted:
		case c == '{' || c == '[':
			depth++
		case c == '}' || c == ']':
			depth--
		}
	}
	return nil
}
