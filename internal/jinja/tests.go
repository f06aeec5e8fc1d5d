package jinja

import "strings"

// tests are what follows is.
var tests map[string]func(r *run, v any, args []any) (bool, error)

func init() {
	is := func(f func(v any) bool) func(*run, any, []any) (bool, error) {
		return func(_ *run, v any, _ []any) (bool, error) { return f(v), nil }
	}
	compared := func(op string) func(*run, any, []any) (bool, error) {
		return func(r *run, v any, args []any) (bool, error) {
			if len(args) != 1 {
				return false, r.wrong("a comparison needs something to compare with")
			}
			return r.holds(op, v, args[0])
		}
	}
	divisible := func(by, rest int64) func(*run, any, []any) (bool, error) {
		return func(r *run, v any, args []any) (bool, error) {
			by := by
			if len(args) == 1 && by == 0 {
				by, _ = integer(args[0])
			}
			n, ok := integer(v)
			if !ok || by == 0 {
				return false, r.wrong("%s is divided", describe(v))
			}
			return ((n%by)+by)%by == rest, nil
		}
	}
	tests = map[string]func(r *run, v any, args []any) (bool, error){
		"defined":   is(func(v any) bool { _, no := v.(undefined); return !no }),
		"undefined": is(func(v any) bool { _, yes := v.(undefined); return yes }),
		"none":      is(func(v any) bool { return v == nil }),
		"string":    is(func(v any) bool { _, yes := v.(string); return yes }),
		"boolean":   is(func(v any) bool { _, yes := v.(bool); return yes }),
		"integer":   is(func(v any) bool { _, yes := v.(int64); return yes || typeName(v) == "int" }),
		"float":     is(func(v any) bool { _, yes := v.(float64); return yes }),
		"number":    is(isNumber),
		"mapping":   is(func(v any) bool { _, yes := v.(*Dict); return yes }),
		"true":      is(func(v any) bool { yes, ok := v.(bool); return ok && yes }),
		"false":     is(func(v any) bool { yes, ok := v.(bool); return ok && !yes }),
		"callable":  is(func(v any) bool { _, yes := v.(function); return yes }),
		"iterable": is(func(v any) bool {
			switch v.(type) {
			case string, *List, *Dict, undefined:
				return true
			}
			return false
		}),
		"sequence": is(func(v any) bool {
			switch v.(type) {
			case string, *List, *Dict:
				return true
			}
			return false
		}),
		"lower":       is(func(v any) bool { s, ok := v.(string); return ok && s == strings.ToLower(s) && s != strings.ToUpper(s) }),
		"upper":       is(func(v any) bool { s, ok := v.(string); return ok && s == strings.ToUpper(s) && s != strings.ToLower(s) }),
		"odd":         divisible(2, 1),
		"even":        divisible(2, 0),
		"divisibleby": divisible(0, 0),
		"sameas": func(r *run, v any, args []any) (bool, error) {
			if len(args) != 1 || typeName(v) != typeName(args[0]) {
				return false, nil
			}
			return r.equal(v, args[0])
		},
		"in": compared("in"), "eq": compared("=="), "equalto": compared("=="), "ne": compared("!="),
		"lt": compared("<"), "lessthan": compared("<"), "le": compared("<="), "gt": compared(">"), "greaterthan": compared(">"), "ge": compared(">="),
		"==": compared("=="), "!=": compared("!="), "<": compared("<"), "<=": compared("<="), ">": compared(">"), ">=": compared(">="),
	}
}
