package jinja

import (
	"strings"
	"unicode"
)

// method is a method of a value; nil: it has none of that name. As in the immutable sandbox, none changes its value.
func method(of any, id string) any {
	var f function
	switch v := of.(type) {
	case string:
		if m := textMethods[id]; m != nil {
			f = func(r *run, args []any, named map[string]any) (any, error) { return m(r, v, bound{r, id, args, named}) }
		}
	case *Dict:
		f = dictMethod(v, id)
	case *List:
		switch id {
		case "index", "count":
			f = func(r *run, args []any, _ map[string]any) (any, error) {
				n := int64(0)
				for i, item := range v.Items {
					same, err := r.equal(item, bound{r, id, args, nil}.at(0))
					switch {
					case err != nil:
						return nil, err
					case same && id == "index":
						return int64(i), nil
					case same:
						n++
					}
				}
				if id == "index" {
					return nil, r.wrong("the list does not have it")
				}
				return n, nil
			}
		case "append", "extend", "insert", "pop", "remove", "clear", "sort", "reverse":
			f = unsafe("list", id)
		}
	}
	if f == nil {
		return nil
	}
	return f
}

// unsafe is a method that would change a value.
func unsafe(of, id string) function {
	return func(r *run, _ []any, _ map[string]any) (any, error) {
		return nil, r.wrong("%s of a %s changes it, which templates may not", id, of)
	}
}

func dictMethod(d *Dict, id string) function {
	switch id {
	case "get":
		return func(r *run, args []any, named map[string]any) (any, error) {
			a := bound{r, id, args, named}
			key, err := a.text(0, "key")
			if err != nil {
				return nil, err
			}
			if v, ok := d.Get(key); ok {
				return v, nil
			}
			return a.at(1), nil
		}
	case "items", "keys", "values":
		return func(r *run, _ []any, _ map[string]any) (any, error) {
			all := &List{}
			for _, key := range d.keys {
				switch id {
				case "keys":
					all.Items = append(all.Items, key)
				case "values":
					all.Items = append(all.Items, d.values[key])
				default:
					all.Items = append(all.Items, &List{[]any{key, d.values[key]}, true})
				}
			}
			return all, r.take(64 * len(d.keys))
		}
	case "copy":
		return func(r *run, _ []any, _ map[string]any) (any, error) { return d.Clone(), r.take(64 * len(d.keys)) }
	case "pop", "popitem", "update", "clear", "setdefault":
		return unsafe("dict", id)
	}
	return nil
}

// bound are the arguments of a call.
type bound struct {
	r     *run
	id    string
	args  []any
	named map[string]any
}

// at is argument i; nil: there is none.
func (b bound) at(i int) any {
	if i < len(b.args) {
		return b.args[i]
	}
	return nil
}

// get is argument i, or the one with a name; else what stands in.
func (b bound) get(i int, name string, other any) any {
	if i < len(b.args) {
		return b.args[i]
	}
	if v, ok := b.named[name]; ok {
		return v
	}
	return other
}

// text is a text that is argument i, or has a name.
func (b bound) text(i int, name string) (string, error) {
	v := b.get(i, name, undefined{"argument"})
	if s, ok := v.(string); ok {
		return s, nil
	}
	return "", b.r.wrong("%s takes a text, not %s", b.id, describe(v))
}

// integer is an integer that is argument i, or has a name; else what stands in.
func (b bound) integer(i int, name string, other int64) (int, error) {
	v := b.get(i, name, other)
	n, ok := integer(v)
	if !ok || n > maxMade || n < -maxMade {
		return 0, b.r.wrong("%s takes an integer, not %s", b.id, describe(v))
	}
	return int(n), nil
}

// textMethods are the methods of texts. Each counts what it makes.
var textMethods map[string]func(r *run, s string, a bound) (any, error)

func init() {
	change := func(f func(string) string) func(*run, string, bound) (any, error) {
		return func(r *run, s string, _ bound) (any, error) { return f(s), r.take(len(s)) }
	}
	all := func(is func(rune) bool) func(*run, string, bound) (any, error) {
		return func(r *run, s string, _ bound) (any, error) {
			return s != "" && !strings.ContainsFunc(s, func(c rune) bool { return !is(c) }), r.work(len(s))
		}
	}
	textMethods = map[string]func(r *run, s string, a bound) (any, error){
		"strip": stripped, "lstrip": stripped, "rstrip": stripped,
		"split": split, "rsplit": split, "splitlines": func(r *run, s string, _ bound) (any, error) {
			lines := strings.Split(strings.NewReplacer("\r\n", "\n", "\r", "\n").Replace(s), "\n")
			if lines[len(lines)-1] == "" {
				lines = lines[:len(lines)-1]
			}
			return texts(r, lines)
		},
		"startswith": fix(strings.HasPrefix), "endswith": fix(strings.HasSuffix),
		"removeprefix": cut(strings.TrimPrefix), "removesuffix": cut(strings.TrimSuffix),
		"replace": replaced, "find": found(strings.Index), "rfind": found(strings.LastIndex), "join": joinMethod,
		"count": func(r *run, s string, a bound) (any, error) {
			part, err := a.text(0, "sub")
			return int64(strings.Count(s, part)), firstError(err, r.work(len(s)))
		},
		"upper": change(strings.ToUpper), "lower": change(strings.ToLower), "title": change(title), "capitalize": change(capitalized),
		"isdigit": all(unicode.IsDigit), "isalpha": all(unicode.IsLetter), "isspace": all(isSpace),
		"isalnum": all(func(c rune) bool { return unicode.IsLetter(c) || unicode.IsNumber(c) }),
		"isupper": func(r *run, s string, _ bound) (any, error) {
			return s == strings.ToUpper(s) && s != strings.ToLower(s), r.take(2 * len(s))
		},
		"islower": func(r *run, s string, _ bound) (any, error) {
			return s == strings.ToLower(s) && s != strings.ToUpper(s), r.take(2 * len(s))
		},
	}
}

func firstError(errs ...error) error {
	for _, err := range errs {
		if err != nil {
			return err
		}
	}
	return nil
}

// texts is a list of texts.
func texts(r *run, parts []string) (any, error) {
	l := &List{Items: make([]any, len(parts))}
	for i, p := range parts {
		l.Items[i] = p
	}
	return l, r.take(32 * len(parts))
}

func stripped(r *run, s string, a bound) (any, error) {
	is := isSpace
	if v := a.get(0, "chars", nil); v != nil {
		set, err := a.text(0, "chars")
		if err != nil {
			return nil, err
		}
		is = func(c rune) bool { return strings.ContainsRune(set, c) }
		if err := r.work(len(s) * min(len(set), 64)); err != nil {
			return nil, err
		}
	}
	if a.id != "rstrip" {
		s = strings.TrimLeftFunc(s, is)
	}
	if a.id != "lstrip" {
		s = strings.TrimRightFunc(s, is)
	}
	return s, r.work(len(s))
}

func split(r *run, s string, a bound) (any, error) {
	most, err := a.integer(1, "maxsplit", -1)
	if err != nil {
		return nil, err
	}
	if err := r.take(32 + 16*min(len(s), 1+len(s)/2)); err != nil { // as many parts as there can be, nearly
		return nil, err
	}
	if a.get(0, "sep", nil) == nil {
		if most >= 0 {
			return nil, r.wrong("%s at white space at most so often is not supported", a.id)
		}
		return texts(r, strings.FieldsFunc(s, isSpace))
	}
	sep, err := a.text(0, "sep")
	switch {
	case err != nil:
		return nil, err
	case sep == "":
		return nil, r.wrong("%s at an empty text", a.id)
	case a.id == "split" && most >= 0:
		return texts(r, strings.SplitN(s, sep, most+1))
	}
	parts := strings.Split(s, sep)
	if n := len(parts) - 1 - most; a.id == "rsplit" && most >= 0 && n > 0 {
		parts = append([]string{strings.Join(parts[:n+1], sep)}, parts[n+1:]...)
	}
	return texts(r, parts)
}

// fix is startswith or endswith, of a text or of one of several.
func fix(has func(s, part string) bool) func(*run, string, bound) (any, error) {
	return func(r *run, s string, a bound) (any, error) {
		if several, ok := a.at(0).(*List); ok {
			for _, v := range several.Items {
				if part, ok := v.(string); ok && has(s, part) {
					return true, nil
				}
			}
			return false, r.work(64 * len(several.Items))
		}
		part, err := a.text(0, "prefix")
		return has(s, part), err
	}
}

func cut(f func(s, part string) string) func(*run, string, bound) (any, error) {
	return func(_ *run, s string, a bound) (any, error) {
		part, err := a.text(0, "prefix")
		return f(s, part), err
	}
}

func replaced(r *run, s string, a bound) (any, error) {
	from, err := a.text(0, "old")
	if err != nil {
		return nil, err
	}
	to, err := a.text(1, "new")
	if err != nil {
		return nil, err
	}
	most, err := a.integer(2, "count", -1)
	if err != nil {
		return nil, err
	}
	n := strings.Count(s, from)
	if most >= 0 {
		n = min(n, most)
	}
	if n > 0 && len(to) > maxMade/n {
		return nil, &LimitError{"bytes of texts and lists", r.mostMade}
	}
	if err := r.take(len(s) + n*max(0, len(to)-len(from))); err != nil {
		return nil, err
	}
	return strings.Replace(s, from, to, most), nil
}

// found is find or rfind, in characters.
func found(index func(s, part string) int) func(*run, string, bound) (any, error) {
	return func(r *run, s string, a bound) (any, error) {
		part, err := a.text(0, "sub")
		if err != nil {
			return nil, err
		}
		at := index(s, part)
		if at > 0 {
			return length(s[:at]), r.work(len(s))
		}
		return int64(at), r.work(len(s))
	}
}

func joinMethod(r *run, s string, a bound) (any, error) {
	items, err := r.items(a.at(0))
	if err != nil {
		return nil, err
	}
	for _, item := range items {
		if _, ok := item.(string); !ok {
			return nil, r.wrong("join takes texts, not %s", describe(item))
		}
	}
	return r.joined(items, s)
}

// joined are the texts of items with a text between them.
func (r *run) joined(items []any, between string) (any, error) {
	parts, n := make([]string, len(items)), 0
	for i, item := range items {
		var err error
		if parts[i], err = r.text(item); err != nil {
			return nil, err
		}
		n += len(parts[i])
	}
	if len(items) > 1 && len(between) > maxMade/len(items) {
		return nil, &LimitError{"bytes of texts and lists", r.mostMade}
	}
	if err := r.take(n + len(between)*len(items)); err != nil {
		return nil, err
	}
	return strings.Join(parts, between), nil
}

// title begins every word with a capital.
func title(s string) string {
	inWord := false
	return strings.Map(func(c rune) rune {
		letter := unicode.IsLetter(c)
		was := inWord
		inWord = letter
		if letter && !was {
			return unicode.ToTitle(c)
		}
		return unicode.ToLower(c)
	}, s)
}

// capitalized begins with a capital, and goes on without.
func capitalized(s string) string {
	for i, c := range s {
		if i > 0 {
			return strings.ToUpper(s[:i]) + strings.ToLower(s[i:])
		}
		_ = c
	}
	return strings.ToUpper(s)
}
