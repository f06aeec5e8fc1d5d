package jinja

import (
	"encoding/json"
	"errors"
	"fmt"
	"math"
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

func (u *unary) eval(r *run) (any, error) {
	v, err := r.value(u.of)
	if err != nil {
		return nil, err
	}
	if u.op == "not" {
		return !truth(v), nil
	}
	r.line = u.line
	if n, ok := integer(v); ok && (u.op == "+" || n != math.MinInt64) {
		if u.op == "-" {
			n = -n
		}
		return n, nil
	}
	if f, ok := v.(float64); ok {
		if u.op == "-" {
			f = -f
		}
		return f, nil
	}
	return nil, r.wrong("%s of %s", u.op, describe(v))
}

// describe is a value in an error.
func describe(v any) string {
	if u, ok := v.(undefined); ok {
		return u.what + ", which is undefined"
	}
	return typeName(v)
}

func (c *chain) eval(r *run) (any, error) {
	v, err := r.value(c.first)
	if err != nil {
		return nil, err
	}
	for i, op := range c.ops {
		right, err := r.value(c.rest[i])
		if err != nil {
			return nil, err
		}
		r.line = c.line
		if v, err = r.operate(op, v, right); err != nil {
			return nil, err
		}
	}
	return v, nil
}

// operate is a op b.
func (r *run) operate(op string, a, b any) (any, error) {
	if op == "~" {
		x, err := r.text(a)
		if err != nil {
			return nil, err
		}
		y, err := r.text(b)
		if err != nil {
			return nil, err
		}
		return x + y, r.take(len(x) + len(y))
	}
	switch x := a.(type) {
	case string:
		if y, ok := b.(string); ok && op == "+" {
			return x + y, r.take(len(x) + len(y))
		}
		if n, ok := integer(b); ok && op == "*" {
			return r.repeated(x, n)
		}
	case *List:
		if y, ok := b.(*List); ok && op == "+" && x.Tuple == y.Tuple {
			return &List{append(append(make([]any, 0, len(x.Items)+len(y.Items)), x.Items...), y.Items...), x.Tuple}, r.take(16 * (len(x.Items) + len(y.Items)))
		}
	}
	if y, ok := b.(string); ok && op == "*" {
		if n, ok := integer(a); ok {
			return r.repeated(y, n)
		}
	}
	x, isInt := integer(a)
	y, alsoInt := integer(b)
	if isInt && alsoInt && op != "/" {
		return r.integers(op, x, y)
	}
	f, isNumber := float(a)
	g, alsoNumber := float(b)
	if !isNumber || !alsoNumber {
		return nil, r.wrong("%s %s %s", describe(a), op, describe(b))
	}
	if g == 0 && (op == "/" || op == "//" || op == "%") {
		return nil, r.wrong("division by zero")
	}
	switch op {
	case "+":
		return f + g, nil
	case "-":
		return f - g, nil
	case "*":
		return f * g, nil
	case "/":
		return f / g, nil
	case "//":
		return math.Floor(f / g), nil
	case "%":
		return f - g*math.Floor(f/g), nil
	}
	return math.Pow(f, g), nil
}

// repeated is a text n times.
func (r *run) repeated(s string, n int64) (any, error) {
	if n <= 0 || s == "" {
		return "", nil
	}
	if n > int64(r.mostMade/len(s)) {
		return nil, &LimitError{"bytes of texts and lists", r.mostMade}
	}
	if err := r.take(len(s) * int(n)); err != nil {
		return nil, err
	}
	return strings.Repeat(s, int(n)), nil
}

// integers is x op y. Integers beyond 64 bits are not supported.
func (r *run) integers(op string, x, y int64) (any, error) {
	large := r.wrong("%d %s %d is beyond 64 bits", x, op, y)
	switch op {
	case "+":
		if n := x + y; (n > x) == (y > 0) || y == 0 {
			return n, nil
		}
		return nil, large
	case "-":
		if n := x - y; (n < x) == (y > 0) || y == 0 {
			return n, nil
		}
		return nil, large
	case "*":
		n := x * y
		if x != 0 && (n/x != y || x == -1 && y == math.MinInt64) {
			return nil, large
		}
		return n, nil
	case "**":
		if f := math.Pow(float64(x), float64(y)); y < 0 {
			return f, nil
		} else if math.Abs(f) >= 1<<53 {
			return nil, large
		} else {
			return int64(f), nil
		}
	}
	switch {
	case y == 0:
		return nil, r.wrong("division by zero")
	case y == -1 && x == math.MinInt64:
		return nil, large
	}
	quotient, rest := x/y, x%y
	if rest != 0 && (rest < 0) != (y < 0) {
		quotient, rest = quotient-1, rest+y
	}
	if op == "//" {
		return quotient, nil
	}
	return rest, nil
}

func (c *compare) eval(r *run) (any, error) {
	left, err := r.value(c.first)
	if err != nil {
		return nil, err
	}
	for i, op := range c.ops {
		right, err := r.value(c.rest[i])
		if err != nil {
			return nil, err
		}
		r.line = c.line
		if holds, err := r.holds(op, left, right); !holds || err != nil {
			return false, err
		}
		left = right
	}
	return true, nil
}

// holds is a op b, a comparison.
func (r *run) holds(op string, a, b any) (bool, error) {
	switch op {
	case "==":
		return r.equal(a, b)
	case "!=":
		same, err := r.equal(a, b)
		return !same, err
	case "in":
		return r.contains(b, a)
	case "not in":
		has, err := r.contains(b, a)
		return !has, err
	}
	n, err := r.order(a, b)
	switch op {
	case "<":
		return n < 0, err
	case "<=":
		return n <= 0, err
	case ">":
		return n > 0, err
	}
	return n >= 0, err
}

// contains reports whether an item is in a list, a key in a dictionary, or a text in a text.
func (r *run) contains(of, item any) (bool, error) {
	switch v := of.(type) {
	case string:
		s, ok := item.(string)
		if !ok {
			return false, r.wrong("in a text there can be a text, not %s", describe(item))
		}
		return strings.Contains(v, s), r.work(len(v))
	case *List:
		for _, one := range v.Items {
			if same, err := r.equal(one, item); same || err != nil {
				return same, err
			}
		}
		return false, nil
	case *Dict:
		key, ok := item.(string)
		if _, has := v.values[key]; !has {
			ok = false
		}
		return ok, nil
	case undefined:
		return false, nil
	}
	return false, r.wrong("nothing can be in %s", describe(of))
}

func (l *logic) eval(r *run) (any, error) {
	var v any
	for _, e := range l.items {
		var err error
		if v, err = r.value(e); err != nil || truth(v) != l.and {
			return v, err
		}
	}
	return v, nil
}

func (c *conditional) eval(r *run) (any, error) {
	cond, err := r.value(c.cond)
	switch {
	case err != nil:
		return nil, err
	case truth(cond):
		return r.value(c.then)
	case c.other == nil:
		return undefined{"the value of an if without else"}, nil
	}
	return r.value(c.other)
}

// isNumber reports a number; true and false are some, as in Python.
func isNumber(v any) bool {
	if _, ok := v.(json.Number); ok {
		return true
	}
	_, ok := float(v)
	return ok
}
