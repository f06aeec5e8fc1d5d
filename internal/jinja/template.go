package jinja

import (
	"encoding/json"
	"strings"
	"time"
)

// Template is a template that was parsed. Several goroutines may render it at once.
type Template struct {
	body []stmt
}

// Parse parses a template. Its errors are *Error, or a LimitError of a template that is too large or nested too deeply.
func Parse(source string) (*Template, error) {
	if len(source) > maxSource {
		return nil, &LimitError{"bytes of template", maxSource}
	}
	tokens, err := lex(source)
	if err != nil {
		return nil, err
	}
	p := &parser{tokens: tokens}
	body, _, err := p.body()
	if err != nil {
		return nil, err
	}
	return &Template{body}, nil
}

// Render returns what the template makes of its variables: nil, bool, int64, float64, string, *List and *Dict by name.
// It never changes them. Now is the time for strftime_now. Errors are *Error or LimitError.
func (t *Template) Render(variables map[string]any, now time.Time) (string, error) {
	given := 0
	for _, v := range variables {
		given += weight(v, 0)
	}
	r := &run{scope: &scope{names: map[string]any{}}, out: &strings.Builder{}, budget: budget{
		mostSteps: maxSteps, mostMade: maxMade + perByte*given, mostOutput: maxOutput + perByte/8*given}}
	for id, v := range variables {
		r.scope.set(id, v)
	}
	r.scope.set("strftime_now", strftimeNow(now))
	if err := r.body(t.body); err != nil {
		return "", err
	}
	return r.out.String(), nil
}

// weight is about how many bytes of text a value has.
func weight(v any, depth int) (n int) {
	if depth > maxDepth {
		return 0
	}
	switch v := v.(type) {
	case string:
		return len(v)
	case json.Number:
		return len(v)
	case *List:
		for _, item := range v.Items {
			n += 16 + weight(item, depth+1)
		}
	case *Dict:
		for key, value := range v.values {
			n += 16 + len(key) + weight(value, depth+1)
		}
	}
	return n
}

// globals are the functions that every template has.
var globals = map[string]function{
	"raise_exception": func(r *run, args []any, named map[string]any) (any, error) {
		text, err := r.text(bound{r, "raise_exception", args, named}.get(0, "message", ""))
		if err == nil {
			err = &Error{Line: r.line, Text: text, Raised: true}
		}
		return nil, err
	},
	"namespace": func(r *run, args []any, named map[string]any) (any, error) {
		d, err := newDict(r, args, named)
		return &namespace{d}, err
	},
	"dict": func(r *run, args []any, named map[string]any) (any, error) {
		d, err := newDict(r, args, named)
		return d, err
	},
	"range":  rangeOf,
	"joiner": joiner,
	"cycler": cycler,
}

func newDict(r *run, args []any, named map[string]any) (*Dict, error) {
	d := NewDict()
	if len(args) > 0 {
		from, ok := args[0].(*Dict)
		if !ok {
			return nil, r.wrong("a dictionary is made of one, not of %s", typeName(args[0]))
		}
		d = from.Clone()
	}
	names := make([]string, 0, len(named))
	for key := range named {
		names = append(names, key)
	}
	for _, key := range sortedTexts(names) {
		d.Set(key, named[key])
	}
	return d, r.take(64 * len(d.keys))
}

func rangeOf(r *run, args []any, _ map[string]any) (any, error) {
	bounds := [3]int64{0, 0, 1}
	for i, v := range args {
		n, ok := integer(v)
		if !ok || i > 2 {
			return nil, r.wrong("range takes up to three integers")
		}
		bounds[i] = n
	}
	start, stop, step := bounds[0], bounds[1], bounds[2]
	switch {
	case len(args) == 0 || step == 0:
		return nil, r.wrong("range takes up to three integers, and a step that is not 0")
	case len(args) == 1:
		start, stop = 0, start
	}
	l := &List{}
	for i := start; step > 0 && i < stop || step < 0 && i > stop; {
		if len(l.Items) == maxRange {
			return nil, &LimitError{"numbers in a range", maxRange}
		}
		l.Items = append(l.Items, i)
		next := i + step
		if (next > i) != (step > 0) {
			break
		}
		i = next
	}
	return l, r.take(24 * len(l.Items))
}

func joiner(r *run, args []any, named map[string]any) (any, error) {
	between, used := bound{r, "joiner", args, named}.get(0, "sep", ", "), false
	return function(func(*run, []any, map[string]any) (any, error) {
		if !used {
			used = true
			return "", nil
		}
		return between, nil
	}), nil
}

func cycler(r *run, args []any, _ map[string]any) (any, error) {
	if len(args) == 0 {
		return nil, r.wrong("cycler has nothing to go through")
	}
	at := 0
	space := &namespace{NewDict("current", args[0])}
	to := func(i int) any {
		was := args[at]
		at = i % len(args)
		space.Set("current", args[at])
		return was
	}
	space.Set("next", function(func(*run, []any, map[string]any) (any, error) { return to(at + 1), nil }))
	space.Set("reset", function(func(*run, []any, map[string]any) (any, error) { to(0); return nil, nil }))
	return space, nil
}

// strftimeNow formats a time as Python's strftime does.
func strftimeNow(now time.Time) function {
	return func(r *run, args []any, named map[string]any) (any, error) {
		format, err := bound{r, "strftime_now", args, named}.text(0, "format")
		if err != nil {
			return nil, err
		}
		if err := r.take(16 * len(format)); err != nil {
			return nil, err
		}
		var b strings.Builder
		for i := 0; i < len(format); i++ {
			if format[i] != '%' || i+1 == len(format) {
				b.WriteByte(format[i])
				continue
			}
			i++
			if layout, ok := layouts[format[i]]; ok {
				b.WriteString(now.Format(layout))
			} else if format[i] == '%' {
				b.WriteByte('%')
			} else {
				return nil, r.wrong("strftime_now does not know %%%c", format[i])
			}
		}
		return b.String(), nil
	}
}

// layouts are Go's for the letters of strftime.
var layouts = map[byte]string{'Y': "2006", 'y': "06", 'm': "01", 'd': "02", 'e': "_2", 'H': "15", 'I': "03", 'M': "04", 'S': "05", 'p': "PM",
	'B': "January", 'b': "Jan", 'A': "Monday", 'a': "Mon", 'j': "002", 'Z': "MST", 'z': "-0700", 'F': "2006-01-02", 'T': "15:04:05", 'D': "01/02/06"}
