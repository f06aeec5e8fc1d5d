package pairs

import (
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"unicode/utf8"
)

// jsonLines are the objects of a JSONL file, one a line: {"prompt": ..,
// "completion": ..}, under these names or the names given as columns, or a
// conversation, {"messages": [{"role": .., "content": ..}, ..]}. A conversation
// gives one pair for each turn of the assistant: everything said before, and the
// turn.
type jsonLines struct {
	in      *input
	columns [2]string
	talk    talk // the rest of the current conversation
}

// message is one turn of a conversation.
type message struct {
	Role    string  `json:"role"`
	Content content `json:"content"`
}

// content is the text of a message: a string, or OpenAI's list of its parts,
// [{"type": "text", "text": ..}, ..].
type content string

// UnmarshalJSON reads either form; null is no text.
func (c *content) UnmarshalJSON(b []byte) error {
	if b[0] != '[' {
		return json.Unmarshal(b, (*string)(c))
	}
	var parts []struct {
		Type string  `json:"type"`
		Text *string `json:"text"`
	}
	if err := json.Unmarshal(b, &parts); err != nil {
		return err
	}
	var text strings.Builder
	for _, p := range parts {
		if p.Type != "text" || p.Text == nil {
			return fmt.Errorf("a part of type %.40q is no text", p.Type)
		}
		text.WriteString(*p.Text)
	}
	*c = content(text.String())
	return nil
}

// talk holds the turns of a conversation not yet returned. Each source is made only
// when it is needed, since all sources together would grow with the square of the
// line.
type talk struct {
	turns []message
	said  strings.Builder // a line "role: content" for each earlier turn
	first string          // the first source. Later sources begin with it, so all must go to one part
}

// next sets the sentences of r to the next pair: everything said before and the
// assistant's name; the assistant's turn. ok is false after the last one.
func (t *talk) next(r *row) (ok bool) {
	for len(t.turns) > 0 && !ok {
		turn := t.turns[0]
		t.turns = t.turns[1:]
		if ok = turn.Role == assistant; ok {
			r.sides = [2]string{t.said.String() + assistant + ":", string(turn.Content)}
			t.first = cmp.Or(t.first, r.sides[0])
			r.origin = t.first
		}
		fmt.Fprintf(&t.said, "%s: %s\n", turn.Role, strings.TrimSpace(string(turn.Content)))
	}
	return ok
}

// maxTurns is the largest number of messages in a conversation. It limits the time
// for a line.
const maxTurns = 1000

const (
	assistant    = "assistant"
	messagesName = "messages"
)

func newJSONLines(f Files, in *input) (*jsonLines, error) {
	j := &jsonLines{in: in, columns: [2]string{"prompt", "completion"}}
	for i, name := range []string{f.SourceColumn, f.TargetColumn} {
		if name != "" {
			j.columns[i] = name
		}
	}
	if j.columns[0] == j.columns[1] {
		return nil, fmt.Errorf("pairs: %s: source and target are both %q: give two names", f.Source, j.columns[0])
	}
	return j, nil
}

func (j *jsonLines) next() (row, error) {
	if r := (row{line: j.in.Lines()}); j.talk.next(&r) {
		return r, nil
	}
	j.talk = talk{}
	for {
		text, err := j.in.line()
		if err != nil {
			return row{}, err
		}
		if strings.TrimSpace(text) != "" {
			return j.read(text), nil
		}
	}
}

// read returns the first row of a line that is not empty.
func (j *jsonLines) read(text string) row {
	r := row{line: j.in.Lines()}
	missing := func(reason Reason, format string, args ...any) row {
		return row{line: r.line, reason: reason, missing: fmt.Sprintf(format, args...)}
	}
	if !utf8.ValidString(text) { // the JSON decoder would silently repair it
		r.sides = [2]string{text, text}
		return r
	}
	var object map[string]json.RawMessage
	if err := json.Unmarshal([]byte(text), &object); err != nil {
		if wrong := new(json.UnmarshalTypeError); errors.As(err, &wrong) {
			err = fmt.Errorf("it is a JSON %s", wrong.Value)
		}
		return missing(NotJSON, "%v", err)
	}
	if messages, ok := object[messagesName]; ok {
		var turns []message
		if err := json.Unmarshal(messages, &turns); err != nil {
			if wrong := new(json.UnmarshalTypeError); errors.As(err, &wrong) {
				err = errors.New("they are not a list of roles and contents")
			}
			return missing(NoTalk, "%v", err)
		}
		if len(turns) > maxTurns {
			return missing(LongTalk, "it has %d messages; cut it into conversations of at most %d", len(turns), maxTurns)
		}
		j.talk = talk{turns: turns}
		if !j.talk.next(&r) {
			return missing(NoAnswer, "none of its %d messages is of role %q", len(turns), assistant)
		}
		return r
	}
	for i, name := range j.columns {
		value, ok := object[name]
		if !ok {
			return missing(Incomplete, "it has no %q among %s", name, clip(fmt.Sprintf("%q", slices.Sorted(maps.Keys(object)))))
		}
		if err := json.Unmarshal(value, &r.sides[i]); err != nil {
			return missing(Incomplete, "its %q is no text", name)
		}
	}
	return r
}
