package jsonfile

import (
	"bytes"
	"encoding"
	"encoding/json"
	"fmt"
	"math"
	"reflect"
	"strconv"
	"strings"
)

// TypeError is the error for a value of another kind than its key must have.
type TypeError struct {
	Key  string // with the keys around it: "model_args.depth"
	Have string // a short form of the value
	Want string // what it must be: "a number"
}

// Error says which key has what, and must have what.
func (e *TypeError) Error() string {
	key := e.Key
	if key == "" {
		key = "it"
	}
	return fmt.Sprintf("%s is %s, and must be %s", key, e.Have, e.Want)
}

// Unmarshal reads JSON, which Clean has seen, into v as encoding/json does, by the tags of its fields, and is
// lenient: a whole number may be written 32.0 or "32", a number "1e-05", a switch 1 or "true". A null makes a pointer
// nil, and leaves any other value as it is. Keys are exact; unknown ones are skipped. A value of another kind is a
// TypeError. A type with UnmarshalJSON gets the JSON as it stands.
func Unmarshal(text []byte, v any) error {
	return set(reflect.ValueOf(v).Elem(), bytes.TrimSpace(text), "")
}

// Unknown returns the keys of a JSON object, and their values, that no field of v, a struct, has.
func Unknown(text []byte, v any) (map[string]json.RawMessage, error) {
	var all map[string]json.RawMessage
	if err := Unmarshal(text, &all); err != nil {
		return nil, err
	}
	t := reflect.TypeOf(v)
	for i := range t.NumField() {
		delete(all, keyOf(t.Field(i)))
	}
	return all, nil
}

// keyOf is the key of a field, empty for one without.
func keyOf(f reflect.StructField) string {
	key, _, _ := strings.Cut(f.Tag.Get("json"), ",")
	return key
}

var raw = reflect.TypeFor[json.RawMessage]()

func set(v reflect.Value, text []byte, key string) error {
	if v.Type() == raw {
		v.SetBytes(bytes.Clone(text))
		return nil
	}
	if v.CanAddr() {
		if u, ok := v.Addr().Interface().(json.Unmarshaler); ok {
			if err := u.UnmarshalJSON(text); err != nil {
				return under(key, err)
			}
			return nil
		}
	}
	if len(text) == 0 || string(text) == "null" {
		if v.Kind() == reflect.Pointer {
			v.SetZero()
		}
		return nil
	}
	if v.Kind() == reflect.Pointer {
		to := reflect.New(v.Type().Elem())
		if err := set(to.Elem(), text, key); err != nil {
			return err
		}
		v.Set(to)
		return nil
	}
	wrong := func(want string) error { return &TypeError{key, kind(text), want} }
	switch v.Kind() {
	case reflect.Struct, reflect.Map:
		return setObject(v, text, key)
	case reflect.Slice:
		var list []json.RawMessage
		if json.Unmarshal(text, &list) != nil {
			return wrong("a list")
		}
		to := reflect.MakeSlice(v.Type(), len(list), len(list))
		for i, one := range list {
			if err := set(to.Index(i), one, fmt.Sprintf("%s[%d]", key, i)); err != nil {
				return err
			}
		}
		v.Set(to)
	case reflect.String:
		var s string
		if json.Unmarshal(text, &s) != nil {
			return wrong("a text")
		}
		if u, ok := v.Addr().Interface().(encoding.TextUnmarshaler); ok {
			return u.UnmarshalText([]byte(s))
		}
		v.SetString(s)
	case reflect.Bool:
		switch strings.ToLower(strings.Trim(string(text), `"`)) {
		case "true", "1":
			v.SetBool(true)
		case "false", "0":
			v.SetBool(false)
		default:
			return wrong("true or false")
		}
	case reflect.Int, reflect.Int32, reflect.Int64:
		n, ok := whole(text)
		if !ok || v.OverflowInt(n) {
			return wrong("a whole number")
		}
		v.SetInt(n)
	case reflect.Float64:
		x, ok := number(text)
		if !ok {
			return wrong("a number")
		}
		v.SetFloat(x)
	default:
		panic(fmt.Sprintf("jsonfile: a field of type %v", v.Type()))
	}
	return nil
}

// setObject fills a struct, or a map by texts.
func setObject(v reflect.Value, text []byte, key string) error {
	var all map[string]json.RawMessage
	if json.Unmarshal(text, &all) != nil {
		return &TypeError{key, kind(text), "an object: keys and values in braces"}
	}
	inside := func(name string) string {
		if key == "" {
			return name
		}
		return key + "." + name
	}
	if v.Kind() == reflect.Map {
		to := reflect.MakeMapWithSize(v.Type(), len(all))
		for name, value := range all {
			one := reflect.New(v.Type().Elem()).Elem()
			if err := set(one, value, inside(name)); err != nil {
				return err
			}
			to.SetMapIndex(reflect.ValueOf(name).Convert(v.Type().Key()), one)
		}
		v.Set(to)
		return nil
	}
	for i := range v.NumField() {
		name := keyOf(v.Type().Field(i))
		if value, ok := all[name]; ok && name != "" {
			if err := set(v.Field(i), value, inside(name)); err != nil {
				return err
			}
		}
	}
	return nil
}

// under adds the key to an error of a value below it.
func under(key string, err error) error {
	if e, ok := err.(*TypeError); ok {
		e.Key = strings.TrimSuffix(key+"."+e.Key, ".")
		return e
	}
	if key == "" {
		return err
	}
	return fmt.Errorf("%s: %w", key, err)
}

// whole returns the whole number that JSON holds: 32, 32.0, 3.2e1 or "32".
func whole(text []byte) (int64, bool) {
	if n, err := strconv.ParseInt(unquote(text), 10, 64); err == nil {
		return n, true
	}
	x, ok := number(text)
	if !ok || x != math.Trunc(x) || math.Abs(x) > 1<<53 {
		return 0, false
	}
	return int64(x), true
}

func number(text []byte) (float64, bool) {
	x, err := strconv.ParseFloat(unquote(text), 64)
	return x, err == nil && !math.IsNaN(x) && !math.IsInf(x, 0)
}

// unquote drops quotation marks around a number.
func unquote(text []byte) string {
	s := strings.TrimSpace(string(text))
	if len(s) >= 2 && s[0] == '"' && s[len(s)-1] == '"' {
		s = strings.TrimSpace(s[1 : len(s)-1])
	}
	return s
}

// kind names a JSON value for people.
func kind(text []byte) string {
	switch text[0] {
	case '{':
		return "an object"
	case '[':
		return "a list"
	case '"':
		return fmt.Sprintf("the text %.40s", text)
	}
	return string(text[:min(len(text), 40)])
}
