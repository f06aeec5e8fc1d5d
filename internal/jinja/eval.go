package jinja

import (
	"errors"
	"fmt"
	"strings"
)

// scope holds names. Loops, macros and blocks have one of their own.
type scope struct {
	names map[string]any
	outer *scope
}

func (s *scope) get(id string) (any, bool) {
	for ; s != nil; s = s.outer {
		if v, ok := s.names[id]; ok {
			return v, true
		}
	}
	return nil, false
}

// set gives a name a value in s.
func (s *scope) set(id string, v any) {
	if s.names == nil {
		s.names = map[string]any{}
	}
	s.names[id] = v
}

// run is a rendering.
type run struct {
	budget
	scope *scope
	out   *strings.Builder
	line  int // that is at work
}

var errBreak, errContinue = errors.New("break"), errors.New("continue")

// wrong is an error in the line at work.
func (r *run) wrong(format string, args ...any) error {
	return &Error{Line: r.line, Text: fmt.Sprintf(format, args...)}
}

// value evaluates an expression, a level deeper.
func (r *run) value(e expr) (any, error) {
	if r.depth++; r.depth > maxDepth {
		return nil, &LimitError{"levels of nesting", maxDepth}
	}
	v, err := e.eval(r)
	r.depth--
	if err == nil {
		err = r.work(0)
	}
	return v, err
}

func (l literal) eval(*run) (any, error) { return l.value, nil }

func (n name) eval(r *run) (any, error) {
	if v, ok := r.scope.get(n.id); ok {
		return v, nil
	}
	if f, ok := globals[n.id]; ok {
		return f, nil
	}
	return undefined{fmt.Sprintf("%q", n.id)}, nil
}

func (l *listExpr) eval(r *run) (any, error) {
	v := &List{Tuple: l.tuple, Items: make([]any, 0, len(l.items))}
	for _, e := range l.items {
		item, err := r.value(e)
		if err != nil {
			return nil, err
		}
		v.Items = append(v.Items, item)
	}
	return v, r.take(16 * len(v.Items))
}

func (d *dictExpr) eval(r *run) (any, error) {
	v := NewDict()
	for i := range d.keys {
		key, err := r.value(d.keys[i])
		if err != nil {
			return nil, err
		}
		value, err := r.value(d.values[i])
		if err != nil {
			return nil, err
		}
		text, ok := key.(string)
		if !ok {
			return nil, r.wrong("a key is a text, not %s", typeName(key))
		}
		v.Set(text, value)
	}
	return v, r.take(64 * len(d.keys))
}

func (g *getExpr) eval(r *run) (any, error) {
	of, err := r.value(g.of)
	if err != nil {
		return nil, err
	}
	r.line = g.line
	if g.key == nil {
		return r.attribute(of, g.attr)
	}
	key, err := r.value(g.key)
	if err != nil {
		return nil, err
	}
	r.line = g.line
	return r.item(of, key)
}

// attribute is a.b: a method, or else an item.
func (r *run) attribute(of any, attr string) (any, error) {
	switch v := of.(type) {
	case undefined:
		return nil, r.wrong("%s is undefined, and has no %q", v.what, attr)
	case *namespace:
		if value, ok := v.Get(attr); ok {
			return value, nil
		}
	case *loop:
		if value, ok := v.attribute(attr); ok {
			return value, nil
		}
	default:
		if m := method(of, attr); m != nil {
			return m, nil
		}
	}
	if d, ok := of.(*Dict); ok {
		if value, ok := d.Get(attr); ok {
			return value, nil
		}
	}
	return undefined{fmt.Sprintf("%q of %s", attr, typeName(of))}, nil
}

// item is a[b].
func (r *run) item(of, key any) (any, error) {
	missing := undefined{fmt.Sprintf("an item of %s", typeName(of))}
	text, isText := key.(string)
	switch v := of.(type) {
	case undefined:
		return nil, r.wrong("%s is undefined, and has no items", v.what)
	case *Dict:
		if value, ok := v.values[text]; ok && isText {
			return value, nil
		}
		if isText {
			missing.what = fmt.Sprintf("%q of dict", text)
		}
	case *List:
		if n, ok := integer(key); ok {
			if n < 0 {
				n += int64(len(v.Items))
			}
			if n >= 0 && n < int64(len(v.Items)) {
				return v.Items[n], nil
			}
			return missing, nil
		}
	case string:
		if n, ok := integer(key); ok {
			all, err := r.runes(v)
			if n < 0 {
				n += int64(len(all))
			}
			if err == nil && n >= 0 && n < int64(len(all)) {
				return string(all[n]), nil
			}
			return missing, err
		}
	}
	if isText {
		return r.attribute(of, text)
	}
	return missing, nil
}

// runes are the characters of a text.
func (r *run) runes(s string) ([]rune, error) {
	if err := r.take(4 * len(s)); err != nil {
		return nil, err
	}
	return []rune(s), nil
}

func (s *sliceExpr) eval(r *run) (any, error) {
	of, err := r.value(s.of)
	if err != nil {
		return nil, err
	}
	var bounds [3]*int64
	for i, e := range []expr{s.start, s.stop, s.step} {
		if e == nil {
			continue
		}
		v, err := r.value(e)
		if err != nil {
			return nil, err
		}
		if v == nil {
			continue
		}
		n, ok := integer(v)
		if !ok {
			return nil, r.wrong("a place in a list is an integer, not %s", typeName(v))
		}
		bounds[i] = &n
	}
	r.line = s.line
	switch v := of.(type) {
	case *List:
		at, err := r.places(bounds, len(v.Items))
		if err != nil {
			return nil, err
		}
		part := &List{Tuple: v.Tuple, Items: make([]any, len(at))}
		for i, n := range at {
			part.Items[i] = v.Items[n]
		}
		return part, nil
	case string:
		all, err := r.runes(v)
		if err != nil {
			return nil, err
		}
		at, err := r.places(bounds, len(all))
		part := make([]rune, len(at))
		for i, n := range at {
			part[i] = all[n]
		}
		return string(part), err
	case undefined:
		return nil, r.wrong("%s is undefined, and has no items", v.what)
	}
	return nil, r.wrong("%s has no items", typeName(of))
}

// places are the places of a slice of n items.
func (r *run) places(bounds [3]*int64, n int) ([]int, error) {
	size, step := int64(n), int64(1)
	if bounds[2] != nil {
		step = *bounds[2]
	}
	if step == 0 {
		return nil, r.wrong("the step of a slice is 0")
	}
	first, last := int64(0), size // as far as a bound may be
	if step < 0 {
		first, last = -1, size-1
	}
	bound := func(b *int64, open int64) int64 {
		if b == nil {
			return open
		}
		if *b < 0 {
			return max(*b+size, first)
		}
		return min(*b, last)
	}
	start, stop := bound(bounds[0], first), bound(bounds[1], last)
	if step < 0 {
		start, stop = bound(bounds[0], last), bound(bounds[1], first)
	}
	var at []int
	for i := start; step > 0 && i < stop || step < 0 && i > stop; {
		at = append(at, int(i))
		if step > 0 && step > stop-i || step < 0 && step < stop-i {
			break
		}
		i += step
	}
	return at, r.take(24 * len(at))
}

func (c *callExpr) eval(r *run) (any, error) { return r.call(c, nil) }

// call calls what c names, with more named arguments.
func (r *run) call(c *callExpr, more map[string]any) (any, error) {
	f, err := r.value(c.of)
	if err != nil {
		return nil, err
	}
	args, named, err := r.arguments(c.args)
	if err != nil {
		return nil, err
	}
	for key, value := range more {
		if named == nil {
			named = map[string]any{}
		}
		named[key] = value
	}
	r.line = c.line
	switch f := f.(type) {
	case function:
		return f(r, args, named)
	case undefined:
		return nil, r.wrong("%s is undefined, and cannot be called", f.what)
	}
	return nil, r.wrong("%s cannot be called", typeName(f))
}

func (r *run) arguments(a arguments) (args []any, named map[string]any, err error) {
	for i, e := range a.list {
		v, err := r.value(e)
		if err != nil {
			return nil, nil, err
		}
		first := len(a.list) - len(a.names)
		if _, ok := e.(spread); ok {
			items, err := r.items(v)
			if err == nil {
				err = r.take(16 * len(items))
			}
			if err != nil {
				return nil, nil, err
			}
			args = append(args, items...)
		} else if i < first {
			args = append(args, v)
		} else {
			if named == nil {
				named = map[string]any{}
			}
			named[a.names[i-first]] = v
		}
	}
	return args, named, nil
}

func (f *filterExpr) eval(r *run) (any, error) {
	var of any
	if f.of != nil {
		var err error
		if of, err = r.value(f.of); err != nil {
			return nil, err
		}
	} else if v, ok := r.scope.get(filteredName); ok {
		of = v
	}
	args, named, err := r.arguments(f.args)
	if err != nil {
		return nil, err
	}
	r.line = f.line
	return filters[f.id](r, of, args, named)
}

// filteredName is where a block's text is for its filter. No name in a template is empty.
const filteredName = ""

func (t *testExpr) eval(r *run) (any, error) {
	of, err := r.value(t.of)
	if err != nil {
		return nil, err
	}
	args, _, err := r.arguments(t.args)
	if err != nil {
		return nil, err
	}
	r.line = t.line
	holds, err := tests[t.id](r, of, args)
	return holds != t.negated, err
}
