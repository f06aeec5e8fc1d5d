package jinja

import (
	"encoding/json"
	"math"
	"strings"

	"github.com/bdia-go/bdia/internal/pmath"
)

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
	return pmath.Pow(f, g), nil
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
		if f := pmath.Pow(float64(x), float64(y)); y < 0 {
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
