package jinja

import (
	"errors"
	"fmt"
	"strings"
)

// body executes statements in the scope at hand.
func (r *run) body(list []stmt) error {
	up, err := r.nested()
	if err != nil {
		return err
	}
	defer up()
	for _, s := range list {
		if err := s.exec(r); err != nil {
			return err
		}
	}
	return nil
}

// inner executes statements in a scope of its own.
func (r *run) inner(s *scope, list []stmt) error {
	was := r.scope
	r.scope = s
	err := r.body(list)
	r.scope = was
	return err
}

// captured executes statements in a scope of its own, and returns what they write.
func (r *run) captured(s *scope, list []stmt) (string, error) {
	was := r.out
	r.out = &strings.Builder{}
	err := r.inner(s, list)
	text := r.out.String()
	r.out = was
	return text, err
}

// printValue adds the text of v to the output.
func (r *run) printValue(v any) error {
	text, err := r.text(v)
	if err != nil {
		return err
	}
	return r.print(text)
}

// print writes a text. What a macro writes is counted again where that is written.
func (r *run) print(text string) error {
	if err := r.write(len(text)); err != nil {
		return err
	}
	r.out.WriteString(text)
	return r.work(len(text))
}

func (t textStmt) exec(r *run) error { return r.print(t.text) }

func (p printStmt) exec(r *run) error {
	v, err := r.value(p.value)
	if err != nil {
		return err
	}
	return r.printValue(v)
}

func (s ifStmt) exec(r *run) error {
	for i, e := range s.conds {
		cond, err := r.value(e)
		if err != nil {
			return err
		}
		if truth(cond) {
			return r.body(s.bodies[i])
		}
	}
	if len(s.bodies) > len(s.conds) {
		return r.body(s.bodies[len(s.conds)])
	}
	return nil
}

// loop is the loop of {% for %} as the template sees it.
type loop struct {
	items []any
	at    int
	depth int
	last  any // of loop.changed
	begun bool
}

func (l *loop) attribute(attr string) (any, bool) {
	n := len(l.items)
	switch attr {
	case "index":
		return int64(l.at + 1), true
	case "index0":
		return int64(l.at), true
	case "revindex":
		return int64(n - l.at), true
	case "revindex0":
		return int64(n - l.at - 1), true
	case "first":
		return l.at == 0, true
	case "last":
		return l.at == n-1, true
	case "length":
		return int64(n), true
	case "depth":
		return int64(l.depth), true
	case "depth0":
		return int64(l.depth - 1), true
	case "previtem":
		if l.at == 0 {
			return undefined{"what is before the first item"}, true
		}
		return l.items[l.at-1], true
	case "nextitem":
		if l.at == n-1 {
			return undefined{"what is after the last item"}, true
		}
		return l.items[l.at+1], true
	case "cycle":
		return function(func(r *run, args []any, _ map[string]any) (any, error) {
			if len(args) == 0 {
				return nil, r.wrong("loop.cycle has nothing to choose from")
			}
			return args[l.at%len(args)], nil
		}), true
	case "changed":
		return function(func(r *run, args []any, _ map[string]any) (any, error) {
			now := list(args...)
			same, err := r.equal(l.last, now)
			changed := !l.begun || !same
			l.last, l.begun = now, true
			return changed, err
		}), true
	}
	return nil, false
}

// iteration is what a turn of a loop counts, for its scope: as much as going through so many bytes.
const iteration = 512

func (s forStmt) exec(r *run) error {
	over, err := r.value(s.over)
	if err != nil {
		return err
	}
	r.line = s.line
	items, err := r.items(over)
	if err != nil {
		return err
	}
	if s.cond != nil {
		if items, err = s.filter(r, items); err != nil {
			return err
		}
	}
	l := &loop{items: items, depth: 1}
	if v, ok := r.scope.get("loop"); ok {
		if outer, ok := v.(*loop); ok {
			l.depth = outer.depth + 1
		}
	}
	for i, item := range items {
		l.at = i
		if err := r.work(iteration); err != nil {
			return err
		}
		inner := &scope{outer: r.scope}
		inner.set("loop", l)
		if err := r.assign(inner, s.target, item, s.line); err != nil {
			return err
		}
		if err := r.inner(inner, s.body); errors.Is(err, errBreak) {
			break
		} else if err != nil && !errors.Is(err, errContinue) {
			return err
		}
	}
	if len(items) == 0 {
		return r.inner(&scope{outer: r.scope}, s.none)
	}
	return nil
}

// filter are the items for which the loop's condition holds.
func (s forStmt) filter(r *run, items []any) (kept []any, err error) {
	was := r.scope
	defer func() { r.scope = was }()
	for _, item := range items {
		r.scope = &scope{outer: was}
		if err := r.assign(r.scope, s.target, item, s.line); err != nil {
			return nil, err
		}
		cond, err := r.value(s.cond)
		if err != nil {
			return nil, err
		}
		if truth(cond) {
			kept = append(kept, item)
		}
	}
	return kept, r.take(16 * len(kept))
}

// assign gives a target its value in s.
func (r *run) assign(s *scope, t target, v any, line int) error {
	r.line = line
	if t.attr != "" {
		of, _ := r.scope.get(t.names[0])
		space, ok := of.(*namespace)
		if !ok {
			return r.wrong("attributes are set of a namespace only, and %q is %s", t.names[0], typeName(of))
		}
		space.Set(t.attr, v)
		return r.take(64)
	}
	if !t.tuple {
		s.set(t.names[0], v)
		return nil
	}
	items, err := r.items(v)
	if err != nil {
		return err
	}
	if len(items) != len(t.names) {
		return r.wrong("%d values for %d names", len(items), len(t.names))
	}
	for i, id := range t.names {
		s.set(id, items[i])
	}
	return nil
}

func (s setStmt) exec(r *run) error {
	v, err := r.value(s.value)
	if err != nil {
		return err
	}
	return r.assign(r.scope, s.target, v, s.line)
}

func (s setBlock) exec(r *run) error {
	text, err := r.captured(&scope{outer: r.scope}, s.body)
	if err != nil {
		return err
	}
	var v any = text
	if s.filter != nil {
		was := r.scope
		r.scope = &scope{outer: was}
		r.scope.set(filteredName, text)
		v, err = r.value(s.filter)
		r.scope = was
		if err != nil {
			return err
		}
	}
	if s.id != "" {
		r.scope.set(s.id, v)
		return nil
	}
	if text, err = r.text(v); err != nil {
		return err
	}
	return r.print(text)
}

// exec defines a macro, which sees the names that are around it.
func (m *macroStmt) exec(r *run) error {
	r.scope.set(m.id, m.function(r.scope))
	return nil
}

func (m *macroStmt) function(outer *scope) function {
	return func(r *run, args []any, named map[string]any) (any, error) {
		if len(args) > len(m.params) {
			return nil, r.wrong("macro %q takes %d arguments, and has %d", m.id, len(m.params), len(args))
		}
		inner := &scope{outer: outer}
		if caller, ok := named["caller"]; ok {
			inner.set("caller", caller)
		}
		was := r.scope
		defer func() { r.scope = was }()
		r.scope = inner
		for i, param := range m.params {
			v, ok := named[param]
			switch d := i - (len(m.params) - len(m.defaults)); {
			case i < len(args):
				v = args[i]
			case ok:
			case d >= 0:
				var err error
				if v, err = r.value(m.defaults[d]); err != nil {
					return nil, err
				}
			default:
				v = undefined{fmt.Sprintf("parameter %q", param)}
			}
			inner.set(param, v)
		}
		return r.captured(inner, m.body)
	}
}

func (s callStmt) exec(r *run) error {
	v, err := r.call(s.call, map[string]any{"caller": s.caller.function(r.scope)})
	if err != nil {
		return err
	}
	return r.printValue(v)
}

func (g group) exec(r *run) error { return r.body(g.body) }

func (j jump) exec(*run) error { return j.err }
