// Package chat writes conversations as a language model's own template has them, and turns them into tokens: what the
// model saw in its training is what it sees when it learns on, and when it answers.
//
//	template, err := chat.New(folder.Tokenizer)
//	...
//	ids, err := template.Prompt([]chat.Message{{Role: "user", Content: "Hello"}}, nil)
//
// Only the template's own text makes special tokens. In what people say, and in roles, names and calls of tools, the
// spelling of a special token is ordinary text.
package chat

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/bdia-go/bdia/internal/jinja"
	"github.com/bdia-go/bdia/tokenizer"
)

var (
	// ErrNone is the error of a tokenizer without a template of conversations.
	ErrNone = errors.New("the model has no chat template")
	// ErrTemplate is wrapped by the error of a template that cannot be used: it cannot be read, or fails for a question
	// with its answer, or leaves one of them out.
	ErrTemplate = errors.New("the chat template cannot be used")
	// ErrRefused is wrapped by a RefusedError.
	ErrRefused = errors.New("the chat template refuses it")
)

// RefusedError is the error of a conversation that the template does not take, for example because roles have to
// alternate.
type RefusedError struct{ Err error } // why

// Error says that it is refused and why.
func (e *RefusedError) Error() string { return fmt.Sprintf("%v: %v", ErrRefused, e.Err) }

// Unwrap returns ErrRefused and Err.
func (e *RefusedError) Unwrap() []error { return []error{ErrRefused, e.Err} }

func refused(format string, args ...any) error { return &RefusedError{fmt.Errorf(format, args...)} }

// Template is a model's template of conversations with its tokenizer. Several goroutines may use it at once.
type Template struct {
	jinja     *jinja.Template
	tok       tokenizer.Tokenizer
	variables map[string]any // that are the same in every rendering
	special   special
	end       int32
	now       time.Time
	left      sync.Map // whether it leaves out messages of a role, by the role
}

// New returns the template that the folder of tok has: chat_template.jinja, or chat_template in tokenizer_config.json,
// of several the default one. Without one the error is ErrNone. What a template writes as today's date is the day of
// New.
func New(tok tokenizer.Tokenizer) (*Template, error) {
	source := tokenizer.ChatTemplate(tok)
	if source == "" {
		return nil, ErrNone
	}
	t := &Template{tok: tok, special: specialOf(tok), now: time.Now(),
		variables: map[string]any{"tools": nil, "documents": nil}}
	for key, spelling := range tokenizer.RoleTokens(tok) {
		t.variables[key] = spelling
	}
	var err error
	if t.jinja, err = jinja.Parse(source); err != nil {
		return nil, fmt.Errorf("%w: %w", ErrTemplate, err)
	}
	return t, t.findEnd()
}

// probe is a text that is in no template.
const probe = "u5Vd0q"

// findEnd finds the token that ends an answer: the last special one behind it, or else the one that ends a text.
func (t *Template) findEnd() error {
	talk := []Message{{Role: "user", Content: "Hello " + probe}, {Role: "assistant", Content: "Hi " + probe}}
	before, whole, mark, err := t.turn(talk, nil)
	switch {
	case err != nil:
		return fmt.Errorf("%w: for a question and its answer: %w", ErrTemplate, err)
	case !strings.Contains(before, probe):
		return fmt.Errorf("%w: it leaves out what the user says", ErrTemplate)
	case !strings.Contains(whole[len(before):], probe):
		return fmt.Errorf("%w: it leaves out what the assistant says", ErrTemplate)
	}
	end, known := tokenizer.EndOfText(t.tok)
	if at, spelling := t.special.last(whole[len(before):], mark); at >= 0 {
		end, known = t.special.ids[spelling], true
	}
	if !known {
		return fmt.Errorf("%w: nothing ends an answer: it writes no special token behind it, and the tokenizer has none for the end of a text", ErrTemplate)
	}
	t.end = end
	return nil
}

// End is the token that ends an answer.
func (t *Template) End() int32 { return t.end }

// Prompt returns the tokens of a conversation up to where the assistant is to answer. Tools is nil, or a list of tools
// in JSON.
func (t *Template) Prompt(talk []Message, tools []byte) ([]int32, error) {
	if err := t.check(talk); err != nil {
		return nil, err
	}
	values, mark, err := t.protected(talk, tools)
	if err != nil {
		return nil, err
	}
	text, err := t.render(values, len(talk), true)
	if err != nil {
		return nil, err
	}
	return t.encode(text, mark)
}

// Encode is Prompt of a text as the first message of a user.
func (t *Template) Encode(text []byte) ([]int32, error) {
	return t.Prompt([]Message{{Role: "user", Content: string(text)}}, nil)
}

// Turn returns the tokens before the last message of a conversation, which is an answer of the assistant, and the
// tokens of that answer without End, which comes behind it. Both are encoded as one text. A token with characters of
// both is the answer's. It refuses an answer of which the template writes nothing.
func (t *Template) Turn(talk []Message, tools []byte) (prompt, answer []int32, err error) {
	before, whole, mark, err := t.turn(talk, tools)
	if err != nil {
		return nil, nil, err
	}
	rest := whole[len(before):]
	if at, spelling := t.special.last(rest, mark); at >= 0 && t.special.ids[spelling] == t.end {
		whole = whole[:len(before)+at]
	}
	if err := t.heard(talk, tools, before, whole, mark); err != nil {
		return nil, nil, err
	}
	head, err := t.encode(before, mark)
	if err != nil {
		return nil, nil, err
	}
	ids, err := t.encode(whole, mark)
	if err != nil {
		return nil, nil, err
	}
	n, err := t.seam(head, ids)
	if err != nil {
		return nil, nil, err
	}
	switch {
	case n == 0:
		return nil, nil, refused("nothing stands before the answer")
	case n == len(ids):
		return nil, nil, refused("nothing of the answer is left")
	}
	return ids[:n], ids[n:], nil
}

// check refuses a conversation with messages of a role that the template silently leaves out.
func (t *Template) check(talk []Message) error {
	for i, m := range talk {
		if m.Role == "user" || m.Role == "assistant" {
			continue
		}
		left, known := t.left.Load(m.Role)
		if !known {
			left = t.leavesOut(m.Role)
			t.left.Store(m.Role, left)
		}
		if left.(bool) {
			return refused("it leaves out messages of role %.40q, as message %d is", m.Role, i+1)
		}
	}
	return nil
}

// leavesOut reports whether a message of a role is nowhere in what the template writes, wherever it stands.
func (t *Template) leavesOut(role string) bool {
	user, assistant, other := Message{Role: "user", Content: "Hello"}, Message{Role: "assistant", Content: "Hi"}, Message{Role: role, Content: probe}
	written := false
	for _, talk := range [][]Message{{other, user}, {user, other}, {user, assistant, other}} {
		values, _, err := t.protected(talk, nil)
		if err != nil {
			return false
		}
		text, err := t.render(values, len(talk), false)
		if err == nil && strings.Contains(text, probe) {
			return false
		}
		written = written || err == nil
	}
	return written // else it says by itself what is wrong
}

// turn returns the texts before the last message and up to its end. What follows the last special token is left out.
func (t *Template) turn(talk []Message, tools []byte) (before, whole string, mark rune, err error) {
	if err := t.check(talk); err != nil {
		return "", "", 0, err
	}
	values, mark, err := t.protected(talk, tools)
	if err != nil {
		return "", "", 0, err
	}
	if before, err = t.render(values, len(talk)-1, true); err != nil {
		return "", "", 0, err
	}
	if whole, err = t.render(values, len(talk), false); err != nil {
		return "", "", 0, err
	}
	if !strings.HasPrefix(whole, before) {
		return "", "", 0, refused("it writes a conversation in another way once it is answered")
	}
	if at, spelling := t.special.last(whole[len(before):], mark); at >= 0 {
		whole = whole[:len(before)+at+len(spelling)]
	}
	return before, whole, mark, nil
}

// heard refuses a conversation in which the last message makes no difference: neither its text nor its calls.
func (t *Template) heard(talk []Message, tools []byte, before, whole string, mark rune) error {
	last := talk[len(talk)-1]
	other := last
	if other.Content = probe; strings.TrimSpace(last.Content) == "" {
		if other = (Message{Role: last.Role, Content: last.Content}); last.JSON == nil {
			return nil
		}
	}
	unmarked := func(text string, mark rune) string {
		if mark == 0 {
			return text
		}
		return strings.ReplaceAll(text, string(mark), "")
	}
	said := unmarked(whole[len(before):], mark)
	for word := range strings.FieldsSeq(last.Content) {
		if strings.Contains(said, word) {
			return nil
		}
	}
	_, changed, mark2, err := t.turn(append(slices.Clone(talk[:len(talk)-1]), other), tools)
	if err == nil && strings.HasPrefix(unmarked(changed, mark2), unmarked(whole, mark)) {
		return refused("it writes nothing of what the assistant says")
	}
	return nil // it is written in another way
}

// seam returns how many tokens of a whole text are of its beginning, given the tokens of that alone.
func (t *Template) seam(head, ids []int32) (n int, err error) {
	for n < min(len(head), len(ids)) && head[n] == ids[n] {
		n++
	}
	left, err := t.tok.Decode(head[n:])
	for first := n; err == nil && len(left) > 0 && n < len(ids); n++ {
		var text []byte // all of it: a decoder may take a space off the beginning
		if text, err = t.tok.Decode(ids[first : n+1]); len(text) > len(left) {
			break
		}
	}
	return n, err
}

// render writes the first n messages.
func (t *Template) render(values conversation, n int, prompt bool) (string, error) {
	variables := map[string]any{"messages": &jinja.List{Items: values.messages[:n]}, "add_generation_prompt": prompt}
	for key, v := range t.variables {
		variables[key] = v
	}
	if values.tools != nil {
		variables["tools"] = values.tools
	}
	text, err := t.jinja.Render(variables, t.now)
	if err != nil {
		return "", refused("%w", err)
	}
	return text, nil
}

// encode returns the tokens of a rendered text. With marks in it, special tokens are cut out here, and what is between
// them is encoded without special tokens.
func (t *Template) encode(text string, mark rune) ([]int32, error) {
	if mark == 0 || !strings.ContainsRune(text, mark) {
		return t.tok.Encode([]byte(text))
	}
	var parts []tokenizer.Part
	var plain []byte
	flush := func() {
		if len(plain) > 0 {
			parts, plain = append(parts, tokenizer.Part{Text: plain}), nil
		}
	}
	sign := string(mark)
	for len(text) > 0 {
		if rest, ok := strings.CutPrefix(text, sign); ok {
			if rest != "" {
				plain = append(plain, rest[0])
				rest = rest[1:]
			}
			text = rest
			continue
		}
		if spelling := t.special.at(text); spelling != "" {
			flush()
			parts, text = append(parts, tokenizer.Part{ID: t.special.ids[spelling]}), text[len(spelling):]
			continue
		}
		plain, text = append(plain, text[0]), text[1:]
	}
	flush()
	ids, err := tokenizer.EncodeParts(t.tok, parts)
	return slices.Clip(ids), err
}
