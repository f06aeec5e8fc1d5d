package jinja

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"slices"
	"strconv"
)

// Values of templates are nil (none), bool, int64, float64, string, json.Number (an integer beyond 64 bits), *List,
// *Dict, and inside this package undefined, function, *namespace and *loop.

// List is a list or a tuple.
type List struct {
	Items []any
	Tuple bool
}

// Dict is a dictionary with texts as keys, in the order in which they were set.
type Dict struct {
	keys   []string
	values map[string]any
}

// NewDict returns a dictionary of keys and values in turn. A key that is no text is a mistake of the programmer.
func NewDict(pairs ...any) *Dict {
	d := &Dict{values: map[string]any{}}
	for i := 0; i < len(pairs); i += 2 {
		d.Set(pairs[i].(string), pairs[i+1])
	}
	return d
}

// Set sets a key's value.
func (d *Dict) Set(key string, value any) {
	if _, ok := d.values[key]; !ok {
		d.keys = append(d.keys, key)
	}
	d.values[key] = value
}

// Get returns a key's value, and whether it has one.
func (d *Dict) Get(key string) (any, bool) {
	v, ok := d.values[key]
	return v, ok
}

// Delete removes a key.
func (d *Dict) Delete(key string) {
	if _, ok := d.values[key]; ok {
		delete(d.values, key)
		d.keys = slices.DeleteFunc(d.keys, func(k string) bool { return k == key })
	}
}

// Keys are the keys in order. They belong to d.
func (d *Dict) Keys() []string { return d.keys }

// Clone returns a copy of d with the same values.
func (d *Dict) Clone() *Dict {
	c := NewDict()
	for _, key := range d.keys {
		c.Set(key, d.values[key])
	}
	return c
}

// FromJSON returns the value of a JSON text, with keys in their order.
func FromJSON(text []byte) (any, error) {
	d := json.NewDecoder(bytes.NewReader(text))
	d.UseNumber()
	v, err := decode(d, 0)
	if err == nil {
		if _, err := d.Token(); err != io.EOF {
			return nil, fmt.Errorf("there is something after the JSON value")
		}
	}
	return v, err
}

func decode(d *json.Decoder, depth int) (any, error) {
	if depth > maxDepth {
		return nil, &LimitError{What: "levels of nesting", Most: maxDepth}
	}
	t, err := d.Token()
	if err != nil {
		return nil, err
	}
	switch t := t.(type) {
	case json.Number:
		if n, err := strconv.ParseInt(string(t), 10, 64); err == nil {
			return n, nil
		}
		if bytes.ContainsAny([]byte(t), ".eE") {
			return t.Float64()
		}
		return t, nil
	case json.Delim:
		if t == '[' {
			list := &List{}
			for d.More() {
				v, err := decode(d, depth+1)
				if err != nil {
					return nil, err
				}
				list.Items = append(list.Items, v)
			}
			_, err = d.Token()
			return list, err
		}
		dict := NewDict()
		for d.More() {
			key, err := d.Token()
			if err != nil {
				return nil, err
			}
			v, err := decode(d, depth+1)
			if err != nil {
				return nil, err
			}
			dict.Set(key.(string), v)
		}
		_, err = d.Token()
		return dict, err
	}
	return t, nil
}

// undefined is what a name without a value is.
type undefined struct{ what string }

// namespace is what namespace() makes: its attributes can be set.
type namespace struct{ *Dict }

// function is what can be called.
type function func(r *run, args []any, named map[string]any) (any, error)

// list returns a list of items.
func list(items ...any) *List { return &List{Items: items} }

// typeName is Python's name of a value's type.
func typeName(v any) string {
	switch v := v.(type) {
	case nil:
		return "NoneType"
	case bool:
		return "bool"
	case int64, json.Number:
		return "int"
	case float64:
		return "float"
	case string:
		return "str"
	case *List:
		if v.Tuple {
			return "tuple"
		}
		return "list"
	case *Dict:
		return "dict"
	case *namespace:
		return "Namespace"
	case undefined:
		return "Undefined"
	case *loop:
		return "LoopContext"
	}
	return "function"
}

// truth is Python's truth of a value.
func truth(v any) bool {
	switch v := v.(type) {
	case nil, undefined:
		return false
	case bool:
		return v
	case int64:
		return v != 0
	case float64:
		return v != 0
	case string:
		return v != ""
	case *List:
		return len(v.Items) > 0
	case *Dict:
		return len(v.keys) > 0
	}
	return true
}

// integer is a value as an integer: one, or true or false.
func integer(v any) (int64, bool) {
	switch v := v.(type) {
	case int64:
		return v, true
	case bool:
		if v {
			return 1, true
		}
		return 0, true
	}
	return 0, false
}

// float is a number as a float.
func float(v any) (float64, bool) {
	switch v := v.(type) {
	case float64:
		return v, true
	case json.Number:
		f, err := v.Float64()
		return f, err == nil
	}
	n, ok := integer(v)
	return float64(n), ok
}

// equal reports Python's ==.
func (r *run) equal(a, b any) (bool, error) {
	up, err := r.nested()
	if err != nil {
		return false, err
	}
	defer up()
	if x, ok := integer(a); ok {
		if y, ok := integer(b); ok {
			return x == y, nil
		}
	}
	if x, ok := float(a); ok {
		y, ok := float(b)
		return ok && x == y, nil
	}
	switch a := a.(type) {
	case nil:
		return b == nil, nil
	case string:
		b, ok := b.(string)
		return ok && a == b, r.work(len(a))
	case undefined:
		_, ok := b.(undefined)
		return ok, nil
	case *List:
		b, ok := b.(*List)
		if !ok || a.Tuple != b.Tuple || len(a.Items) != len(b.Items) {
			return false, nil
		}
		for i := range a.Items {
			if same, err := r.equal(a.Items[i], b.Items[i]); !same || err != nil {
				return false, err
			}
		}
		return true, nil
	case *Dict:
		b, ok := b.(*Dict)
		if !ok || len(a.keys) != len(b.keys) {
			return false, nil
		}
		for _, key := range a.keys {
			other, ok := b.values[key]
			if !ok {
				return false, nil
			}
			if same, err := r.equal(a.values[key], other); !same || err != nil {
				return false, err
			}
		}
		return true, nil
	case *namespace:
		b, ok := b.(*namespace)
		return ok && a == b, nil
	}
	return false, nil // functions are not compared
}

// order compares numbers, texts or lists.
func (r *run) order(a, b any) (int, error) {
	up, err := r.nested()
	if err != nil {
		return 0, err
	}
	defer up()
	if x, ok := float(a); ok {
		if y, ok := float(b); ok {
			switch {
			case x < y:
				return -1, nil
			case x > y:
				return 1, nil
			}
			return 0, nil
		}
	}
	switch x := a.(type) {
	case string:
		if y, ok := b.(string); ok {
			return bytes.Compare([]byte(x), []byte(y)), r.work(len(x))
		}
	case *List:
		y, ok := b.(*List)
		if !ok {
			break
		}
		for i := range min(len(x.Items), len(y.Items)) {
			if n, err := r.order(x.Items[i], y.Items[i]); n != 0 || err != nil {
				return n, err
			}
		}
		return len(x.Items) - len(y.Items), nil
	}
	return 0, r.wrong("%s and %s have no order", typeName(a), typeName(b))
}

// items are the values that a loop over v goes through.
func (r *run) items(v any) ([]any, error) {
	switch v := v.(type) {
	case *List:
		return v.Items, nil
	case undefined:
		return nil, nil
	case *Dict:
		all := make([]any, len(v.keys))
		for i, key := range v.keys {
			all[i] = key
		}
		return all, r.take(16 * len(all))
	case string:
		if err := r.take(32 * len(v)); err != nil {
			return nil, err
		}
		var all []any
		for _, c := range v {
			all = append(all, string(c))
		}
		return all, nil
	}
	return nil, r.wrong("%s has no items to go through", typeName(v))
}
