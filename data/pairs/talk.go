package pairs

import (
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"unicode/utf8"
)

// message is one turn of a conversation.
type message struct {
	role, content string
	calls         json.RawMessage // of tools, a list; nil: none
	unlearned     bool            // it is marked as one that is not learned
	object        json.RawMessage // all of it; nil: it has no object of its own
}

// readMessage reads a message, under the names of OpenAI or of ShareGPT. Only one that calls tools may be without a
// content.
func readMessage(object json.RawMessage) (message, error) {
	var m struct {
		Role    string          `json:"role"`
		From    string          `json:"from"`
		Content *content        `json:"content"`
		Value   *content        `json:"value"`
		Weight  json.RawMessage `json:"weight"` // of OpenAI: 0 is not learned
		Train   json.RawMessage `json:"train"`  // of axolotl: false is not learned
		Calls   json.RawMessage `json:"tool_calls"`
	}
	if err := json.Unmarshal(object, &m); err != nil {
		if wrong := new(json.UnmarshalTypeError); errors.As(err, &wrong) {
			if wrong.Field == "" {
				return message{}, fmt.Errorf("is a JSON %s, not an object with a role and a content", wrong.Value)
			}
			return message{}, fmt.Errorf("has a %s that is a JSON %s, not a text", wrong.Field, wrong.Value)
		}
		return message{}, fmt.Errorf("has %w", err)
	}
	role := cmp.Or(m.Role, m.From)
	role = cmp.Or(roles[strings.ToLower(role)], role)
	said := message{role: role, object: object, unlearned: string(m.Weight) == "0" || string(m.Weight) == "0.0" || string(m.Train) == "false"}
	if len(m.Calls) > 2 && m.Calls[0] == '[' {
		said.calls = m.Calls
	}
	for _, c := range []*content{m.Value, m.Content} {
		if c != nil && *c != "" {
			said.content = string(*c)
		}
	}
	switch none := m.Content == nil && m.Value == nil; {
	case role == "":
		return message{}, errors.New("has no role")
	case none && role == assistant && said.calls == nil:
		return message{}, errors.New("is the assistant's and has neither a content nor calls of tools")
	case none && role != assistant:
		return message{}, fmt.Errorf("is of role %.40q and has no content", role)
	}
	return said, nil
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

// content is the text of a message: a string, or OpenAI's list of its parts,
// [{"type": "text", "text": ..}, ..].
type content string

// UnmarshalJSON reads either form.
func (c *content) UnmarshalJSON(b []byte) error {
	if b[0] == '"' {
		return json.Unmarshal(b, (*string)(c))
	}
	if b[0] != '[' {
		return errors.New("a content that is neither a text nor a list of parts")
	}
	var parts []struct {
		Type string  `json:"type"`
		Text *string `json:"text"`
	}
	if json.Unmarshal(b, &parts) != nil {
		return errors.New("a content with a part that has no type and text")
	}
	var text strings.Builder
	for _, p := range parts {
		if p.Type != "text" {
			return fmt.Errorf("a part of type %.40q, and only text is read", p.Type)
		}
		if p.Text == nil {
			return errors.New("a part of type text without one")
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
	var objects []json.RawMessage
	if json.Unmarshal(list, &objects) != nil {
		return nil, errors.New("they are not a list of roles and contents")
	}
	turns := make([]message, len(objects))
	for i, object := range objects {
		var err error
		if turns[i], err = readMessage(object); err != nil {
			return nil, fmt.Errorf("message %d %w", i+1, err)
		}
	}
	return turns, nil
}

// ReadTalk reads what is said from a JSON object, as conversations of JSONL files are read: of a conversation all
// messages and tools, or else one message. Whole reports a conversation.
func ReadTalk(text []byte) (t Talk, whole bool, err error) {
	var object map[string]json.RawMessage
	switch {
	case !utf8.Valid(text):
		return t, false, fmt.Errorf("pairs: byte 0x%02x is not UTF-8", firstInvalid(string(text)))
	case json.Unmarshal(text, &object) != nil || object == nil:
		return t, false, errors.New("pairs: it is no JSON object")
	case loneSurrogate(text) != "":
		return t, false, fmt.Errorf("pairs: %s is half of a character", loneSurrogate(text))
	}
	turns, key, err := talkOf(object)
	if err == nil && key == "" {
		turns = make([]message, 1)
		if turns[0], err = readMessage(text); err != nil {
			err = fmt.Errorf("the message %w", err)
		}
	}
	if err != nil {
		return t, false, fmt.Errorf("pairs: %w", err)
	}
	for _, turn := range turns {
		t.Turns = append(t.Turns, turn.turn())
	}
	t.Tools = toolsOf(object)
	return t, key != "", nil
}

// turn is the message as a template sees it.
func (m message) turn() Turn {
	return Turn{cmp.Or(templateRoles[m.role], m.role), m.content, m.object}
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
	for i := range t.turns {
		turn := &t.turns[i]
		if whole {
			t.whole = append(t.whole, turn.turn())
			turn.role = t.whole[i].Role
		}
		if turn.role != assistant {
			fmt.Fprintf(&all, "%s:%s\n", turn.role, turn.content)
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
		text, gap := turn.content, " "
		if turn.role == assistant {
			gap = t.separator
			if ok = t.given <= 0; ok {
				r.sides = [2]string{t.said.String() + assistant + ":", text}
				r.begins = t.first == ""
				t.first = cmp.Or(t.first, r.sides[0])
				r.origin, r.whole = t.first, t.asked
				if t.whole != nil {
					r.talk = &Talk{t.whole[:t.at:t.at], t.tools}
					if text == "" && turn.calls != nil { // an answer that is nothing but calls of tools
						r.sides[1] = string(turn.calls)
					}
				}
				if turn.unlearned {
					r.missing, r.reason = "by its weight", Unlearned
				}
			}
		}
		t.given--
		fmt.Fprintf(&t.said, "%s:%s%s\n", turn.role, gap, strings.TrimSpace(text))
	}
	return ok
}

// maxTurns is the largest number of messages in a conversation. It limits the time
// for a line.
const maxTurns = 1000
