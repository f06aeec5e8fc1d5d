package pairs

import (
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
)

// message is one turn of a conversation, under the names of OpenAI or of ShareGPT.
type message struct {
	Role    string  `json:"role"`
	Content content `json:"content"`
	From    string  `json:"from"`
	Value   content `json:"value"`

	Weight json.RawMessage `json:"weight"` // of OpenAI: 0 is not learned
	Train  json.RawMessage `json:"train"`  // of axolotl: false is not learned
	Calls  json.RawMessage `json:"tool_calls"`

	object json.RawMessage // all of it
}

// UnmarshalJSON reads a message and keeps it whole.
func (m *message) UnmarshalJSON(b []byte) error {
	type plain message
	m.object = slices.Clone(b)
	return json.Unmarshal(b, (*plain)(m))
}

// Talk is a conversation up to an answer of the assistant, which is its last turn.
type Talk struct {
	Turns []Turn
	Tools json.RawMessage // that it may call, a list; nil: none
}

// shorter is the talk without its first question and all up to the next, but with what the system says first; nil:
// there is one question only.
func (t *Talk) shorter() *Talk {
	first := 0
	for first < len(t.Turns) && t.Turns[first].Role != user && t.Turns[first].Role != assistant {
		first++
	}
	for next := first + 1; next < len(t.Turns)-1; next++ {
		if t.Turns[next].Role == user {
			return &Talk{append(slices.Clone(t.Turns[:first]), t.Turns[next:]...), t.Tools}
		}
	}
	return nil
}

// Turn is a message of a conversation.
type Turn struct {
	Role, Content string
	JSON          json.RawMessage // the message as its file has it; nil: it has no object of its own
}

// unlearned reports a turn that is marked as one that is not learned.
func (m message) unlearned() bool {
	return string(m.Weight) == "0" || string(m.Weight) == "0.0" || string(m.Train) == "false"
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

const (
	assistant = "assistant"
	user      = "user"
	system    = "system"
)

// roles are the names of ShareGPT's roles here.
var roles = map[string]string{"human": user, "gpt": assistant, "chatgpt": assistant, "bot": assistant, "bing": assistant, "bard": assistant, "model": assistant}

// templateRoles are the names that templates have for more roles of ShareGPT.
var templateRoles = map[string]string{"function_call": assistant, "observation": "tool", "function_response": "tool"}

// readTurns reads a list of messages.
func readTurns(list json.RawMessage) ([]message, error) {
	var turns []message
	if err := json.Unmarshal(list, &turns); err != nil {
		if wrong := new(json.UnmarshalTypeError); errors.As(err, &wrong) {
			err = errors.New("they are not a list of roles and contents")
		}
		return nil, err
	}
	for i, t := range turns {
		role := cmp.Or(t.Role, t.From)
		if role == "" {
			return nil, fmt.Errorf("message %d has no role", i+1)
		}
		t.Role, t.Content = cmp.Or(roles[strings.ToLower(role)], role), cmp.Or(t.Content, t.Value)
		turns[i] = t
	}
	return turns, nil
}

// talk holds the turns of a conversation not yet returned. Each source is made only
// when it is needed, since all sources together would grow with the square of the
// line.
type talk struct {
	turns     []message
	separator string // between "assistant:" and what it says
	given     int    // first turns that are not learned: a prompt in messages
	tools     json.RawMessage
	whole     []Turn // all turns, if rows get them
	at        int    // how many of them were returned
	said      strings.Builder
	first     string // the first source. Later sources begin with it, so all must go to one part
	asked     string // all that the others say, for conversations that begin alike
}

// begin notes what is asked in the conversation. With whole, its rows get their turns.
func (t *talk) begin(whole bool) {
	var all strings.Builder
	for i, turn := range t.turns {
		if role, ok := templateRoles[turn.Role]; ok && whole {
			t.turns[i].Role, turn.Role = role, role
		}
		if turn.Role != assistant {
			fmt.Fprintf(&all, "%s:%s\n", turn.Role, turn.Content)
		}
		if whole {
			t.whole = append(t.whole, Turn{turn.Role, string(turn.Content), turn.object})
		}
	}
	t.asked = all.String()
}

// next sets the sentences of r to the next pair: everything said before and the
// assistant's name; the assistant's turn. ok is false after the last one. What the
// assistant said is in later sources as it was learned: after its name and the separator.
func (t *talk) next(r *row) (ok bool) {
	for len(t.turns) > 0 && !ok {
		turn := t.turns[0]
		t.turns, t.at = t.turns[1:], t.at+1
		text, gap := string(turn.Content), " "
		if turn.Role == assistant {
			gap = t.separator
			if ok = t.given <= 0; ok {
				r.sides = [2]string{t.said.String() + assistant + ":", text}
				r.begins = t.first == ""
				t.first = cmp.Or(t.first, r.sides[0])
				r.origin, r.whole = t.first, t.asked
				if t.whole != nil {
					r.talk = &Talk{t.whole[:t.at:t.at], t.tools}
					if text == "" && len(turn.Calls) > 0 && turn.Calls[0] == '[' { // an answer that is nothing but calls of tools
						r.sides[1] = string(turn.Calls)
					}
				}
				if turn.unlearned() {
					r.missing, r.reason = "by its weight", Unlearned
				}
			}
		}
		t.given--
		fmt.Fprintf(&t.said, "%s:%s%s\n", turn.Role, gap, strings.TrimSpace(text))
	}
	return ok
}

// maxTurns is the largest number of messages in a conversation. It limits the time
// for a line.
const maxTurns = 1000
