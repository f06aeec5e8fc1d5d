package jinja

import (
	"math"
	"slices"
	"strconv"
	"strings"

	"github.com/bdia-go/bdia/internal/pmath"
)

// filter is what follows a pipe.
type filter = func(r *run, of any, args []any, named map[string]any) (any, error)

// filters are Jinja2's that templates of conversations use.
var filters map[string]filter

func init() {
	texted := func(id string) filter { // a method of texts, of any value
		return func(r *run, of any, args []any, named map[string]any) (any, error) {
			s, err := r.text(of)
			if err != nil {
				return nil, err
			}
			return textMethods[id](r, s, bound{r, id, args, named})
		}
	}
	filters = map[string]filter{
		"tojson": tojson, "string": func(r *run, of any, _ []any, _ map[string]any) (any, error) { return r.text(of) },
		"safe": func(r *run, of any, _ []any, _ map[string]any) (any, error) { return of, nil },
		"trim": texted("strip"), "upper": texted("upper"), "lower": texted("lower"), "title": texted("title"),
		"capitalize": texted("capitalize"), "replace": texted("replace"),
		"length": size, "count": size, "items": itemPairs, "list": toList, "first": first, "last": last, "reverse": reversed,
		"join": join, "default": orDefault, "d": orDefault, "indent": indent, "escape": escape, "e": escape,
		"int": toInt, "float": toFloat, "abs": abs, "round": round, "sort": sortItems, "unique": unique, "dictsort": dictsort,
		"map": mapItems, "min": extreme(-1), "max": extreme(1), "sum": sum,
		"select": chosen(false, true), "reject": chosen(false, false), "selectattr": chosen(true, true), "rejectattr": chosen(true, false),
	}
}

// tojson is Python's json.dumps, without its escapes of HTML in Jinja2.
func tojson(r *run, of any, args []any, named map[string]any) (any, error) {
	a := bound{r, "tojson", args, named}
	l := layout{item: ", ", key: ": ", ascii: truth(a.get(0, "ensure_ascii", false)), sorted: truth(a.get(3, "sort_keys", false))}
	switch v := a.get(1, "indent", nil).(type) {
	case nil:
	case string:
		l.indented, l.indent, l.item = true, v, ","
	default:
		n, err := a.integer(1, "indent", 0)
		if err != nil {
			return nil, err
		}
		if n = max(n, 0); n > 1000 {
			return nil, r.wrong("tojson with an indent of %d", n)
		}
		l.indented, l.indent, l.item = true, strings.Repeat(" ", n), ","
	}
	if v, ok := a.get(2, "separators", nil).(*List); ok {
		if len(v.Items) != 2 {
			return nil, r.wrong("tojson takes two separators")
		}
		item, ok1 := v.Items[0].(string)
		key, ok2 := v.Items[1].(string)
		if !ok1 || !ok2 || len(item)+len(key) > 100 {
			return nil, r.wrong("tojson takes two short separators")
		}
		l.item, l.key = item, key
	}
	var b strings.Builder
	err := r.json(&b, of, l, 0)
	return b.String(), err
}

func size(r *run, of any, _ []any, _ map[string]any) (any, error) {
	switch v := of.(type) {
	case string:
		return length(v), r.work(len(v))
	case *List:
		return int64(len(v.Items)), nil
	case *Dict:
		return int64(len(v.keys)), nil
	case undefined:
		return int64(0), nil
	}
	return nil, r.wrong("%s has no length", typeName(of))
}

func itemPairs(r *run, of any, _ []any, _ map[string]any) (any, error) {
	switch v := of.(type) {
	case undefined:
		return list(), nil
	case *Dict:
		return dictMethod(v, "items")(r, nil, nil)
	}
	return nil, r.wrong("items takes a dictionary, not %s", typeName(of))
}

func toList(r *run, of any, _ []any, _ map[string]any) (any, error) {
	items, err := r.items(of)
	if err != nil {
		return nil, err
	}
	return list(slices.Clone(items)...), r.take(16 * len(items))
}

func first(r *run, of any, _ []any, _ map[string]any) (any, error) {
	items, err := r.items(of)
	if err == nil && len(items) > 0 {
		return items[0], nil
	}
	return undefined{"the first of no items"}, err
}

func last(r *run, of any, _ []any, _ map[string]any) (any, error) {
	items, err := r.items(of)
	if err == nil && len(items) > 0 {
		return items[len(items)-1], nil
	}
	return undefined{"the last of no items"}, err
}

func reversed(r *run, of any, _ []any, _ map[string]any) (any, error) {
	if s, ok := of.(string); ok {
		all, err := r.runes(s)
		slices.Reverse(all)
		return string(all), err
	}
	v, err := toList(r, of, nil, nil)
	if err == nil {
		slices.Reverse(v.(*List).Items)
	}
	return v, err
}

func join(r *run, of any, args []any, named map[string]any) (any, error) {
	a := bound{r, "join", args, named}
	items, err := r.items(of)
	if err != nil {
		return nil, err
	}
	between, err := r.text(a.get(0, "d", ""))
	if err != nil {
		return nil, err
	}
	if attr := a.get(1, "attribute", nil); attr != nil {
		if items, err = r.attributes(items, attr, nil); err != nil {
			return nil, err
		}
	}
	return r.joined(items, between)
}

// attributes are an attribute of each item: a name, or several with points between them.
func (r *run) attributes(items []any, attr, other any) ([]any, error) {
	all := make([]any, len(items))
	for i, item := range items {
		v, err := r.attributeOf(item, attr)
		if err != nil {
			return nil, err
		}
		if _, ok := v.(undefined); ok && other != nil {
			v = other
		}
		all[i] = v
	}
	return all, r.take(16 * len(items))
}

func (r *run) attributeOf(of, attr any) (any, error) {
	path, ok := attr.(string)
	if !ok {
		return r.item(of, attr)
	}
	for _, part := range strings.SplitN(path, ".", maxDepth) {
		key := any(part)
		if n, err := strconv.ParseInt(part, 10, 64); err == nil {
			key = n
		}
		var err error
		if of, err = r.item(of, key); err != nil {
			return nil, err
		}
	}
	return of, r.work(len(path))
}

func orDefault(r *run, of any, args []any, named map[string]any) (any, error) {
	a := bound{r, "default", args, named}
	_, missing := of.(undefined)
	if missing || truth(a.get(1, "boolean", false)) && !truth(of) {
		return a.get(0, "default_value", ""), nil
	}
	return of, nil
}

func indent(r *run, of any, args []any, named map[string]any) (any, error) {
	a := bound{r, "indent", args, named}
	s, err := r.text(of)
	if err != nil {
		return nil, err
	}
	by, ok := a.get(0, "width", int64(4)).(string)
	if !ok {
		n, err := a.integer(0, "width", 4)
		if err != nil {
			return nil, err
		}
		if n > 1000 {
			return nil, r.wrong("indent by %d", n)
		}
		by = strings.Repeat(" ", max(n, 0))
	}
	lines := strings.Split(s, "\n")
	if len(by) > maxMade/len(lines) {
		return nil, &LimitError{"bytes of texts and lists", r.mostMade}
	}
	if err := r.take(len(s) + (len(by)+16)*len(lines)); err != nil {
		return nil, err
	}
	for i, line := range lines {
		if (i > 0 || truth(a.get(1, "first", false))) && (line != "" || truth(a.get(2, "blank", false))) {
			lines[i] = by + line
		}
	}
	return strings.Join(lines, "\n"), nil
}

func escape(r *run, of any, _ []any, _ map[string]any) (any, error) {
	s, err := r.text(of)
	if err != nil {
		return nil, err
	}
	if err := r.take(6 * len(s)); err != nil {
		return nil, err
	}
	return strings.NewReplacer("&", "&amp;", "<", "&lt;", ">", "&gt;", `"`, "&#34;", "'", "&#39;").Replace(s), nil
}

func toInt(_ *run, of any, args []any, _ map[string]any) (any, error) {
	var other any = int64(0)
	if len(args) > 0 {
		other = args[0]
	}
	if n, ok := integer(of); ok {
		return n, nil
	}
	f, ok := float(of)
	if s, isText := of.(string); isText {
		s = strings.TrimFunc(s, isSpace)
		if n, err := strconv.ParseInt(s, 10, 64); err == nil {
			return n, nil
		}
		var err error
		f, err = strconv.ParseFloat(s, 64)
		ok = err == nil
	}
	if ok && math.Abs(f) < 1<<62 {
		return int64(f), nil
	}
	return other, nil
}

func toFloat(_ *run, of any, args []any, _ map[string]any) (any, error) {
	if f, ok := float(of); ok {
		return f, nil
	}
	if s, ok := of.(string); ok {
		if f, err := strconv.ParseFloat(strings.TrimFunc(s, isSpace), 64); err == nil {
			return f, nil
		}
	}
	if len(args) > 0 {
		return args[0], nil
	}
	return 0., nil
}

func abs(r *run, of any, _ []any, _ map[string]any) (any, error) {
	if n, ok := integer(of); ok {
		if n < 0 {
			n = -n
		}
		return n, nil
	}
	if f, ok := float(of); ok {
		return math.Abs(f), nil
	}
	return nil, r.wrong("abs of %s", describe(of))
}

func round(r *run, of any, args []any, named map[string]any) (any, error) {
	a := bound{r, "round", args, named}
	f, ok := float(of)
	digits, err := a.integer(0, "precision", 0)
	if !ok || err != nil || digits < -300 || digits > 300 {
		return nil, r.wrong("round of %s", describe(of))
	}
	by := pmath.Pow(10, float64(digits))
	switch a.get(1, "method", "common") {
	case "ceil":
		return math.Ceil(f*by) / by, nil
	case "floor":
		return math.Floor(f*by) / by, nil
	}
	return math.RoundToEven(f*by) / by, nil
}
