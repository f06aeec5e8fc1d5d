package pairs

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"
)

// records turns JSON objects into rows: {"prompt": .., "completion": ..}, under these names, other known ones, or the
// ones given as columns; or a conversation, {"messages": [{"role": .., "content": ..}, ..]}. A conversation gives one
// pair for each turn of the assistant: everything said before, and the turn.
type records struct {
	asked     [2]string // keys of both sides; empty: they are found
	separator string    // of a conversation, after "assistant:"
	turns     bool      // rows of conversations get their turns
	talk      talk      // the rest of the current conversation
	notes     []string  // the forms seen
	found     map[string]form
}

// form is where the sides of objects with the same keys are.
type form struct {
	source, target, more string
	ok, ambiguous        bool
}

// talkKeys are the keys of conversations.
var talkKeys = []string{"messages", "conversations", "conversation", "dialog", "dialogue", "turns"}

func newRecords(f Files, separator string) (*records, error) {
	j := &records{asked: [2]string{f.SourceColumn, f.TargetColumn}, separator: separator, found: map[string]form{}}
	if j.asked[0] != "" && j.asked[0] == j.asked[1] {
		return nil, fmt.Errorf("pairs: %s: source and target are both %q: give two names", f.Source, j.asked[0])
	}
	return j, nil
}

// rest returns the next row of the conversation at hand.
func (j *records) rest(line int) (row, bool) {
	r := row{line: line}
	ok := j.talk.next(&r)
	if !ok {
		j.talk = talk{}
	}
	return r, ok
}

// read returns the first row of an object.
func (j *records) read(text []byte, line int) row {
	r := row{line: line}
	missing := func(reason Reason, format string, args ...any) row {
		return row{line: line, reason: reason, missing: fmt.Sprintf(format, args...)}
	}
	if !utf8.Valid(text) { // the JSON decoder would silently repair it
		r.sides = [2]string{string(text), string(text)}
		return r
	}
	var object map[string]json.RawMessage
	if err := json.Unmarshal(text, &object); err != nil {
		if wrong := new(json.UnmarshalTypeError); errors.As(err, &wrong) {
			err = fmt.Errorf("it is a JSON %s", wrong.Value)
		}
		return missing(NotJSON, "%v", err)
	}
	if object == nil {
		return missing(NotJSON, "it is a JSON null")
	}
	f := j.form(object, text)
	if inner, ok := object["translation"]; ok && !f.ok && inner[0] == '{' { // of Hugging Face: {"translation": {"en": .., "fr": ..}}
		return j.read(inner, line)
	}
	if loneSurrogate(text) != "" {
		for _, key := range append([]string{f.source, f.target, f.more, system, "history"}, talkKeys...) {
			if half := loneSurrogate(object[key]); half != "" {
				return missing(NotUTF8, "its %.80q has %s, half of a character", key, half)
			}
		}
	}
	if t, bad := j.conversation(object, f); bad != nil {
		return missing(bad.reason, "%s", bad.missing)
	} else if t != nil {
		return j.begin(t, r)
	}
	switch {
	case f.ambiguous:
		return missing(Incomplete, "more than one source with its target is among %s", keysOf(object))
	case !f.ok:
		return missing(Incomplete, "%s", j.lacks(object))
	}
	if a, b := object[f.source], object[f.target]; len(a) > 0 && len(b) > 0 && a[0] == '{' && b[0] == '{' {
		return missing(Incomplete, "it has columns, not records: write a list of objects, as pandas does with to_json(.., orient=\"records\")")
	}
	for i, name := range []string{f.source, f.target} {
		value, ok := object[name]
		if !ok {
			return missing(Incomplete, "it has no %.80q among %s", name, keysOf(object))
		}
		var why string
		if r.sides[i], why = textOf(value); why != "" {
			return missing(Incomplete, "its %.80q is %s", name, why)
		}
	}
	if f.more != "" {
		if more, why := textOf(object[f.more]); why == "" {
			r.sides[0] = joined(r.sides[0], more)
		}
	}
	if history := j.history(object, r); history != nil {
		return j.begin(history, r)
	}
	return r
}

// begin starts a conversation.
func (j *records) begin(t *talk, r row) row {
	turns := len(t.turns)
	if turns > maxTurns {
		return row{line: r.line, reason: LongTalk, missing: fmt.Sprintf("it has %d messages; cut it into conversations of at most %d", turns, maxTurns)}
	}
	j.talk = *t
	j.talk.separator = j.separator
	j.talk.begin(j.turns)
	if !j.talk.next(&r) {
		j.talk = talk{}
		return row{line: r.line, reason: NoAnswer, missing: fmt.Sprintf("it has no message of role %q", assistant)}
	}
	return r
}

// conversation returns the turns of an object, if it is one, or why they are none.
func (j *records) conversation(object map[string]json.RawMessage, f form) (*talk, *row) {
	if f.ok {
		if t, bad := j.promptAndAnswer(object, f); t != nil || bad != nil {
			return t, bad
		}
		if j.asked != [2]string{} {
			return nil, nil
		}
	}
	turns, key, err := talkOf(object)
	switch {
	case err != nil:
		return nil, &row{reason: NoTalk, missing: err.Error()}
	case key == "":
		return nil, nil
	}
	j.note(fmt.Sprintf("conversations under %q: a pair for each turn of the assistant", key))
	return &talk{turns: turns, tools: toolsOf(object)}, nil
}

// talkOf returns the messages of an object that is a conversation, after what "system" says, and the key that they are
// under; empty: it is none.
func talkOf(object map[string]json.RawMessage) (turns []message, key string, err error) {
	for _, key := range talkKeys {
		list, ok := object[key]
		if !ok || key != talkKeys[0] && list[0] != '[' {
			continue
		}
		if turns, err = readTurns(list); err != nil {
			return nil, key, err
		}
		if first, why := textOf(object[system]); why == "" && first != "" && (len(turns) == 0 || turns[0].role != system) {
			turns = append([]message{{role: system, content: first}}, turns...)
		}
		return turns, key, nil
	}
	return nil, "", nil
}

// toolsOf is the list of tools of a conversation, also if it is JSON in a text; nil: it has none.
func toolsOf(object map[string]json.RawMessage) json.RawMessage {
	list := object["tools"]
	if text, why := textOf(list); why == "" && json.Valid([]byte(text)) {
		list = json.RawMessage(text)
	}
	if len(list) == 0 || list[0] != '[' {
		return nil
	}
	return list
}

// promptAndAnswer returns the turns of a prompt and a completion, if one of them is a list of messages.
func (j *records) promptAndAnswer(object map[string]json.RawMessage, f form) (*talk, *row) {
	keys := [2]string{f.source, f.target}
	prompt, answer := object[keys[0]], object[keys[1]]
	isList := func(b json.RawMessage) bool { return len(b) > 0 && b[0] == '[' }
	if len(prompt) == 0 || len(answer) == 0 || !isList(prompt) && !isList(answer) {
		return nil, nil
	}
	var sides [2][]message
	for i, value := range []json.RawMessage{prompt, answer} {
		if !isList(value) {
			text, why := textOf(value)
			if why != "" {
				return nil, &row{reason: Incomplete, missing: fmt.Sprintf("its %.80q is %s", keys[i], why)}
			}
			sides[i] = []message{{role: []string{user, assistant}[i], content: text}}
			continue
		}
		var err error
		if sides[i], err = readTurns(value); err != nil {
			return nil, &row{reason: NoTalk, missing: fmt.Sprintf("its %.80q: %v", keys[i], err)}
		}
	}
	j.note(fmt.Sprintf("messages under %q and %q: a pair for each turn of the assistant in the second", keys[0], keys[1]))
	return &talk{turns: append(sides[0], sides[1]...), given: len(sides[0]), tools: toolsOf(object)}, nil
}

// history returns an instruction after a system's text or earlier turns, as in LLaMA-Factory's files: "history":
// [["hello", "hi"], ..].
func (j *records) history(object map[string]json.RawMessage, r row) *talk {
	var before [][2]string
	said, _ := textOf(object[system])
	if json.Unmarshal(object["history"], &before) != nil {
		before = nil
	}
	if said == "" && len(before) == 0 || j.asked != [2]string{} {
		return nil
	}
	t := &talk{}
	if said != "" {
		t.turns = append(t.turns, message{role: system, content: said})
	}
	for _, b := range before {
		t.turns = append(t.turns, message{role: user, content: b[0]}, message{role: assistant, content: b[1]})
	}
	t.turns = append(t.turns, message{role: user, content: r.sides[0]})
	t.given = len(t.turns)
	t.turns = append(t.turns, message{role: assistant, content: r.sides[1]})
	j.note(`instructions with "system" or "history" are conversations`)
	return t
}

// form finds the sides of an object by its keys.
func (j *records) form(object map[string]json.RawMessage, text []byte) form {
	keys := slices.Sorted(maps.Keys(object))
	id := strings.Join(keys, "\x00")
	if f, ok := j.found[id]; ok {
		return f
	}
	f := j.find(keys, text)
	const most = 1000
	if len(j.found) < most {
		j.found[id] = f
		if f.ok {
			more := ""
			if f.more != "" {
				more = fmt.Sprintf(", followed by %q,", f.more)
			}
			j.note(fmt.Sprintf("keys %q%s and %q", f.source, more, f.target))
			unused := slices.DeleteFunc(keys, func(k string) bool {
				return k == f.source || k == f.target || k == f.more || k == system || k == "history"
			})
			if len(unused) > 0 {
				j.note("keys that are not used: " + quotedList(unused))
			}
		}
	}
	return f
}

func (j *records) find(keys []string, text []byte) form {
	at := [2]int{-1, -1}
	for i, name := range j.asked {
		if name == "" {
			continue
		}
		if at[i] = nameAt(keys, name); at[i] < 0 {
			return form{}
		}
	}
	if at[0] >= 0 && at[1] >= 0 {
		return form{source: keys[at[0]], target: keys[at[1]], ok: true}
	}
	if c, ok, ambiguous := choose(keys, at[0], at[1]); ok {
		f := form{source: keys[c.source], target: keys[c.target], ok: !ambiguous, ambiguous: ambiguous}
		if c.more >= 0 {
			f.more = keys[c.more]
		}
		return f
	}
	switch {
	case len(keys) == 2 && isLanguage(keys[0]) && isLanguage(keys[1]):
		if bytes.Index(text, []byte(strconv.Quote(keys[0]))) > bytes.Index(text, []byte(strconv.Quote(keys[1]))) { // the first in the file is the source
			slices.Reverse(keys)
		}
		return form{source: keys[0], target: keys[1], ok: true}
	case len(keys) == 2 && at[0] >= 0:
		return form{source: keys[at[0]], target: keys[1-at[0]], ok: true}
	case len(keys) == 2 && at[1] >= 0:
		return form{source: keys[1-at[1]], target: keys[at[1]], ok: true}
	}
	return form{}
}

// lacks says what an object without sides lacks.
func (j *records) lacks(object map[string]json.RawMessage) string {
	if own, others := unpaired(slices.Sorted(maps.Keys(object))); own != "" && j.asked == [2]string{} {
		return fmt.Sprintf("it has no %s to go with its %q among %s", others, own, keysOf(object))
	}
	for i, name := range [2]string{"prompt", "completion"} {
		if j.asked[i] != "" {
			name = j.asked[i]
		}
		if nameAt(slices.Collect(maps.Keys(object)), name) < 0 {
			return fmt.Sprintf("it has no %.80q among %s", name, keysOf(object))
		}
	}
	return "it lacks one of its sides"
}

func keysOf(object map[string]json.RawMessage) string {
	return clip(fmt.Sprintf("%q", slices.Sorted(maps.Keys(object))))
}

// said returns the notes.
func (j *records) said() []string { return j.notes }

// note adds a note, once.
func (j *records) note(text string) {
	const most = 20
	if len(j.notes) < most && !slices.Contains(j.notes, text) {
		j.notes = append(j.notes, text)
	}
}

// textOf returns the text of a value: a string, or the digits of a number, true or false. Else it says what the value
// is.
func textOf(value json.RawMessage) (text, why string) {
	switch {
	case len(value) == 0:
		return "", "not there"
	case value[0] == '"':
		if err := json.Unmarshal(value, &text); err != nil {
			return "", "no text"
		}
		return text, ""
	case value[0] == '{':
		return "", "an object, not a text"
	case value[0] == '[':
		return "", "a list, not a text"
	case bytes.Equal(value, []byte("null")):
		return "", "null"
	}
	return string(value), ""
}

// loneSurrogate returns the first escape of half a UTF-16 pair in JSON, as in "\ud83d", which is no character; empty:
// there is none. The JSON decoder would silently replace it.
func loneSurrogate(text []byte) string {
	for i := 0; i < len(text)-1; i++ {
		next := bytes.IndexByte(text[i:], '\\')
		if next < 0 {
			break
		}
		i += next + 1
		if i+5 > len(text) || text[i] != 'u' {
			continue
		}
		n, err := strconv.ParseUint(string(text[i+1:i+5]), 16, 16)
		if err != nil || n < 0xd800 || n > 0xdfff {
			continue
		}
		end := i + 5
		if n < 0xdc00 && end+6 <= len(text) && text[end] == '\\' && text[end+1] == 'u' {
			if low, err := strconv.ParseUint(string(text[end+2:end+6]), 16, 16); err == nil && low >= 0xdc00 && low <= 0xdfff {
				i = end + 5
				continue
			}
		}
		return string(text[i-1 : end])
	}
	return ""
}
