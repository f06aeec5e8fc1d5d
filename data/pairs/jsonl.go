package pairs

import (
	"encoding/json"
	"fmt"
	"strings"
)

// jsonLines are the objects of a JSONL file, one a line: {"prompt": ..,
// "completion": ..}, under these names or those that the columns have, or a
// conversation, {"messages": [{"role": .., "content": ..}, ..]}. A conversation
// gives a pair for each turn of its assistant: what was said before (see
// Conversation), and the turn.
type jsonLines struct {
	lines   *lines
	columns [2]string
	waiting []row // of a conversation that has been read
}

// message is one turn of a conversation.
type message struct {
	Role    string `json:"role"`
	Content string `json:"content"`
}

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
	for len(j.waiting) == 0 {
		text, err := j.lines.next()
		if err != nil {
			return row{}, err
		}
		if strings.TrimSpace(text) != "" {
			j.waiting = j.read(text)
		}
	}
	r := j.waiting[0]
	j.waiting = j.waiting[1:]
	return r, nil
}

// read returns the rows of one line.
func (j *jsonLines) read(text string) []row {
	at := j.lines.n
	missing := func(format string, args ...any) []row {
		return []row{{line: at, missing: fmt.Sprintf(format, args...)}}
	}
	var object map[string]json.RawMessage
	if err := json.Unmarshal([]byte(text), &object); err != nil {
		return missing("it is not a JSON object (%v)", err)
	}
	if talk, ok := object[messagesName]; ok {
		var turns []message
		if err := json.Unmarshal(talk, &turns); err != nil {
			return missing("its %q are not a list of roles and contents", messagesName)
		}
		var rows []row
		for i, turn := range turns {
			if turn.Role == assistant {
				rows = append(rows, row{line: at, sides: [2]string{conversation(turns[:i]), turn.Content}})
			}
		}
		if rows == nil {
			return missing("none of its %d messages is of role %q", len(turns), assistant)
		}
		return rows
	}
	r := row{line: at}
	for i, name := range j.columns {
		if err := json.Unmarshal(object[name], &r.sides[i]); err != nil {
			return missing("it has no text %q", name)
		}
	}
	return []row{r}
}

// conversation is the text that an assistant answers: a line "role: content" for
// each turn before, and the assistant's name.
func conversation(turns []message) string {
	var b strings.Builder
	for _, t := range turns {
		fmt.Fprintf(&b, "%s: %s\n", t.Role, strings.TrimSpace(t.Content))
	}
	return b.String() + assistant + ":"
}
