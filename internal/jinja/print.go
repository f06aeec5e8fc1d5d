package jinja

import (
	"encoding/json"
	"fmt"
	"math"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"
)

// text is Python's str of a value.
func (r *run) text(v any) (string, error) {
	switch v := v.(type) {
	case string:
		return v, nil
	case undefined:
		return "", nil
	}
	var b strings.Builder
	err := r.repr(&b, v)
	return b.String(), err
}

// repr writes Python's repr of a value.
func (r *run) repr(b *strings.Builder, v any) error {
	up, err := r.nested()
	if err != nil {
		return err
	}
	defer up()
	before := b.Len()
	switch v := v.(type) {
	case nil:
		b.WriteString("None")
	case bool:
		b.WriteString(map[bool]string{true: "True", false: "False"}[v])
	case int64:
		b.WriteString(strconv.FormatInt(v, 10))
	case json.Number:
		b.WriteString(string(v))
	case float64:
		b.WriteString(pythonFloat(v))
	case string:
		b.WriteString(pythonQuoted(v))
	case undefined:
		b.WriteString("Undefined")
	case *List:
		open, end := "[", "]"
		if v.Tuple {
			open, end = "(", ")"
		}
		b.WriteString(open)
		for i, item := range v.Items {
			if i > 0 {
				b.WriteString(", ")
			}
			if err := r.repr(b, item); err != nil {
				return err
			}
		}
		if v.Tuple && len(v.Items) == 1 {
			b.WriteString(",")
		}
		b.WriteString(end)
		return nil
	case *Dict:
		b.WriteString("{")
		for i, key := range v.keys {
			if i > 0 {
				b.WriteString(", ")
			}
			b.WriteString(pythonQuoted(key) + ": ")
			if err := r.repr(b, v.values[key]); err != nil {
				return err
			}
		}
		b.WriteString("}")
		return r.take(16 * len(v.keys))
	default:
		fmt.Fprintf(b, "<%s>", typeName(v))
	}
	return r.take(b.Len() - before)
}

// pythonFloat is Python's repr of a float.
func pythonFloat(f float64) string {
	switch {
	case math.IsNaN(f):
		return "nan"
	case math.IsInf(f, 0):
		return strings.ToLower(strings.TrimPrefix(strconv.FormatFloat(f, 'g', -1, 64), "+"))
	}
	if size := math.Abs(f); f != 0 && (size < 1e-4 || size >= 1e16) {
		return strconv.FormatFloat(f, 'e', -1, 64)
	}
	s := strconv.FormatFloat(f, 'f', -1, 64)
	if !strings.Contains(s, ".") {
		s += ".0"
	}
	return s
}

// pythonQuoted is Python's repr of a text.
func pythonQuoted(s string) string {
	quote := byte('\'')
	if strings.Contains(s, "'") && !strings.Contains(s, `"`) {
		quote = '"'
	}
	var b strings.Builder
	b.WriteByte(quote)
	for _, c := range s {
		switch {
		case c == rune(quote) || c == '\\':
			b.WriteByte('\\')
			b.WriteRune(c)
		case c == '\n':
			b.WriteString(`\n`)
		case c == '\r':
			b.WriteString(`\r`)
		case c == '\t':
			b.WriteString(`\t`)
		case c < ' ' || c == 0x7f || c >= 0x80 && c <= 0xff && !unicode.IsPrint(c):
			fmt.Fprintf(&b, `\x%02x`, c)
		case c > 0xff && c <= 0xffff && !unicode.IsPrint(c):
			fmt.Fprintf(&b, `\u%04x`, c)
		case c > 0xffff && !unicode.IsPrint(c):
			fmt.Fprintf(&b, `\U%08x`, c)
		default:
			b.WriteRune(c)
		}
	}
	b.WriteByte(quote)
	return b.String()
}

// layout is how JSON is written.
type layout struct {
	item, key string // separators
	indent    string // of a level; with indented
	indented  bool
	ascii     bool
	sorted    bool
}

// json writes a value as Python's json.dumps does.
func (r *run) json(b *strings.Builder, v any, l layout, level int) error {
	up, err := r.nested()
	if err != nil {
		return err
	}
	defer up()
	before := b.Len()
	line := func(level int) error {
		if l.indented {
			if err := r.take(len(l.indent)*level + 1); err != nil {
				return err
			}
			b.WriteString("\n" + strings.Repeat(l.indent, level))
		}
		return nil
	}
	switch v := v.(type) {
	case nil:
		b.WriteString("null")
	case bool:
		b.WriteString(strconv.FormatBool(v))
	case float64:
		switch {
		case math.IsNaN(v):
			b.WriteString("NaN")
		case math.IsInf(v, 1):
			b.WriteString("Infinity")
		case math.IsInf(v, -1):
			b.WriteString("-Infinity")
		default:
			b.WriteString(pythonFloat(v))
		}
	case int64, json.Number:
		fmt.Fprint(b, v)
	case string:
		jsonQuoted(b, v, l.ascii)
	case *List:
		b.WriteByte('[')
		for i, item := range v.Items {
			if i > 0 {
				b.WriteString(l.item)
			}
			if err := line(level + 1); err != nil {
				return err
			}
			if err := r.json(b, item, l, level+1); err != nil {
				return err
			}
		}
		if len(v.Items) > 0 {
			err = line(level)
		}
		b.WriteByte(']')
		return err
	case *Dict:
		b.WriteByte('{')
		keys := v.keys
		if l.sorted {
			keys = sortedTexts(keys)
		}
		for i, key := range keys {
			if i > 0 {
				b.WriteString(l.item)
			}
			if err := line(level + 1); err != nil {
				return err
			}
			if err := r.take(2*len(key) + len(l.key)); err != nil {
				return err
			}
			jsonQuoted(b, key, l.ascii)
			b.WriteString(l.key)
			if err := r.json(b, v.values[key], l, level+1); err != nil {
				return err
			}
		}
		if len(keys) > 0 {
			err = line(level)
		}
		b.WriteByte('}')
		return err
	default:
		return r.wrong("%s cannot be written as JSON", describe(v))
	}
	return r.take(b.Len() - before)
}

// jsonQuoted writes a text as a JSON string.
func jsonQuoted(b *strings.Builder, s string, ascii bool) {
	b.WriteByte('"')
	for _, c := range s {
		switch at := strings.IndexRune("\"\\\n\r\t\b\f", c); {
		case at >= 0:
			b.WriteByte('\\')
			b.WriteByte(`"\nrtbf`[at])
		case c < ' ' || ascii && c > '~' && c <= 0xffff:
			fmt.Fprintf(b, `\u%04x`, c)
		case ascii && c > 0xffff:
			c -= 0x10000
			fmt.Fprintf(b, `\u%04x\u%04x`, 0xd800+c>>10, 0xdc00+c&0x3ff)
		default:
			b.WriteRune(c)
		}
	}
	b.WriteByte('"')
}

// length is the number of characters of a text.
func length(s string) int64 { return int64(utf8.RuneCountInString(s)) }
