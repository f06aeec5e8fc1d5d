package chat

import (
	"encoding/json"
	"fmt"
	"strings"

	"github.com/bdia-go/bdia/internal/jinja"
)

// Message is one message of a conversation.
type Message struct {
	Role, Content string
	// JSON is the message as an object, for what else a template may read of it: calls of tools, for example. Nil: there
	// is nothing else.
	JSON json.RawMessage
}

// own are keys of messages that say the same as Role and Content, or nothing to a template.
var own = map[string]bool{"role": true, "from": true, "value": true, "weight": true, "train": true}

// value is the message as templates see it.
func (m Message) value() (*jinja.Dict, error) {
	d := jinja.NewDict("role", m.Role)
	if m.JSON == nil {
		d.Set("content", m.Content)
		return d, nil
	}
	v, err := jinja.FromJSON(m.JSON)
	object, ok := v.(*jinja.Dict)
	if err != nil || !ok {
		return nil, refused("a message is no JSON object: %w", err)
	}
	if _, named := object.Get("content"); !named && m.Content != "" {
		d.Set("content", m.Content)
	}
	for _, key := range object.Keys() {
		value, _ := object.Get(key)
		switch {
		case own[key]:
			continue
		case key == "content" && value != nil:
			value = m.Content // of its parts
		case key == "tool_calls":
			parseArguments(value)
		}
		d.Set(key, value)
	}
	return d, nil
}

// parseArguments makes objects of the arguments of calls that are JSON in a text, as OpenAI has them: templates write
// objects.
func parseArguments(calls any) {
	list, ok := calls.(*jinja.List)
	if !ok {
		return
	}
	for _, call := range list.Items {
		d, ok := call.(*jinja.Dict)
		if !ok {
			continue
		}
		if f, ok := d.Get("function"); ok {
			if inner, ok := f.(*jinja.Dict); ok {
				d = inner
			}
		}
		text, _ := d.Get("arguments")
		if s, ok := text.(string); ok {
			if v, err := jinja.FromJSON([]byte(s)); err == nil {
				if object, ok := v.(*jinja.Dict); ok {
					d.Set("arguments", object)
				}
			}
		}
	}
}

// conversation is what a template is given.
type conversation struct {
	messages []any
	tools    any
}

// protected returns a conversation as a template sees it, with a mark before every spelling of a special token; 0: no
// mark was needed. A mark is one of Unicode's noncharacters that is nowhere in the conversation.
func (t *Template) protected(talk []Message, tools []byte) (c conversation, mark rune, err error) {
	for i, m := range talk {
		d, err := m.value()
		if err != nil {
			return c, 0, fmt.Errorf("message %d: %w", i+1, err)
		}
		c.messages = append(c.messages, d)
	}
	if len(tools) > 0 {
		if c.tools, err = jinja.FromJSON(tools); err != nil {
			return c, 0, refused("its tools: %w", err)
		}
	}
	all := &jinja.List{Items: []any{&jinja.List{Items: c.messages}, c.tools}}
	found := false
	each(all, func(s string) string { found = found || t.special.in(s); return s })
	if !found {
		return c, 0, nil
	}
	for mark = firstMark; ; mark++ {
		if mark > lastMark {
			return c, 0, refused("it has special tokens, and all of Unicode's noncharacters")
		}
		taken := false
		each(all, func(s string) string { taken = taken || strings.ContainsRune(s, mark); return s })
		if !taken {
			break
		}
	}
	marked := each(all, func(s string) string { return t.special.marked(s, mark) }).(*jinja.List)
	return conversation{marked.Items[0].(*jinja.List).Items, marked.Items[1]}, mark, nil
}

const firstMark, lastMark = '\ufdd0', '\ufdef'

// each is a value with every text in it, keys too, as f makes it.
func each(v any, f func(string) string) any {
	switch v := v.(type) {
	case string:
		return f(v)
	case *jinja.List:
		l := &jinja.List{Items: make([]any, len(v.Items))}
		for i, item := range v.Items {
			l.Items[i] = each(item, f)
		}
		return l
	case *jinja.Dict:
		d := jinja.NewDict()
		for _, key := range v.Keys() {
			value, _ := v.Get(key)
			d.Set(f(key), each(value, f))
		}
		return d
	}
	return v
}
