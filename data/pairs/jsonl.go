package pairs

import (
	"cmp"
	"encoding/json"
	"fmt"
	"strings"
	"unicode/utf8"
)

// jsonLines are the objects of a JSONL file, one a line: {"prompt": ..,
// "completion": ..}, under these names or those that the columns have, or a
// conversation, {"messages": [{"role": .., "content": ..}, ..]}. A conversation
// gives a pair for each turn of its assistant: what was said before, and the turn.
type jsonLines struct {
	lines   *lines
	columns [2]string
	talk    talk // of a conversation that has been read
}

// message is one turn of a conversation.
type message struct {
	Role    string `json:"role"`
	Content string `json:"content"`
}

// talk are the turns of a conversation that have not been read. What an assistant
// answers is made when it is asked for: all of them together would grow with the
// square of the line.
type talk struct {
	turns []message
	said  strings.Builder // a line "role: content" for each turn before
	first string          // source: those after it repeat it and its target, so all belong to one part
}

// next completes r by the next turn of the assistant, and what it answers: what was
// said before, and the assistant's name. ok is false after the last one.
func (t *talk) next(r *row) (ok bool) {
	for len(t.turns) > 0 && !ok {
		turn := t.turns[0]
		t.turns = t.turns[1:]
		if ok = turn.Role == assistant; ok {
			r.sides = [2]string{t.said.String() + assistant + ":", turn.Content}
			t.first = cmp.Or(t.first, r.sides[0])
			r.origin = t.first
		}
		fmt.Fprintf(&t.said, "%s: %s\n", turn.Role, strings.TrimSpace(turn.Content))
	}
	return ok
}

// maxTurns is the most messages of a conversation. It bounds the time that a line
// takes.
const maxTurns = 1000

const (
	assistant    = "assistant"
	messagesName = "messages"
)

func newJSONLines(f Files, in *input) (*jsonLines, error) {
	j := &jsonLines{lines: newLines(in), columns: [2]string{"prompt", "completion"}}
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
	if r := (row{line: j.lines.n}); j.talk.next(&r) {
		return r, nil
	}
	j.talk = talk{}
	for {
		text, err := j.lines.next()
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
	r := row{line: j.lines.n}
	missing := func(format string, args ...any) row {
		return row{line: r.line, missing: fmt.Sprintf(format, args...)}
	}
	if !utf8.ValidString(text) { // which JSON's reader would mend in silence
		r.sides = [2]string{text, text}
		return r
	}
	var object map[string]json.RawMessage
	if err := json.Unmarshal([]byte(text), &object); err != nil {
		return missing("it is not a JSON object (%v)", err)
	}
	if messages, ok := object[messagesName]; ok {
		var turns []message
		if err := json.Unmarshal(messages, &turns); err != nil {
			return missing("its %q are not a list of roles and contents", messagesName)
		}
		if len(turns) > maxTurns {
			return missing("it has %d messages; cut it into conversations of at most %d", len(turns), maxTurns)
		}
		j.talk = talk{turns: turns}
		if !j.talk.next(&r) {
			return missing("none of its %d messages is of role %q", len(turns), assistant)
		}
		return r
	}
	for i, name := range j.columns {
		if err := json.Unmarshal(object[name], &r.sides[i]); err != nil {
			return missing("it has no text %q", name)
		}
	}
	return r
}
