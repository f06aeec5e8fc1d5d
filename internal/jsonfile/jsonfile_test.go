package jsonfile

import (
	"encoding/json"
	"errors"
	"reflect"
	"strings"
	"testing"
	"unicode/utf16"

	"github.com/bdia-go/bdia/internal/testkit"
)

type settings struct {
	Layers int             `json:"n_layer"`
	Eps    float64         `json:"eps"`
	Name   string          `json:"name"`
	On     bool            `json:"on"`
	Inner  *int            `json:"n_inner"`
	List   []int32         `json:"list"`
	Rest   json.RawMessage `json:"rest"`
	Args   struct {
		Depth int `json:"depth"`
	} `json:"args"`
	By map[string]float64 `json:"by"`
}

// TestLenient reads what Python's tools write.
func TestLenient(t *testing.T) {
	t.Parallel()
	three := 3
	for text, want := range map[string]settings{
		`{}`:                                 {},
		"\ufeff{\"n_layer\": 2}":             {Layers: 2},
		`{"n_layer": 32.0, "eps": "1e-05"}`:  {Layers: 32, Eps: 1e-5},
		`{"n_layer": "2", "on": 1}`:          {Layers: 2, On: true},
		`{"on": "True", "n_inner": 3}`:       {On: true, Inner: &three},
		`{"n_inner": null, "n_layer": null}`: {},
		`{"loss": NaN, "a": [-Infinity,Infinity], "name": "NaN \" NaN"}`: {Name: `NaN " NaN`},
		`{"list": [1, "2", 3.0], "by": {"a": 1}}`:                        {List: []int32{1, 2, 3}, By: map[string]float64{"a": 1}},
		`{"args": {"depth": 4}, "N_LAYER": 1}`: {Args: struct {
			Depth int `json:"depth"`
		}{4}},
		`{"n_layer": 1, "n_layer": 2, "rest": {"a":1}}`: {Layers: 2, Rest: json.RawMessage(`{"a":1}`)},
		utf16le(`{"n_layer": 2, "name": "é𝄞"}`):         {Layers: 2, Name: "é𝄞"},
	} {
		clean, err := Clean([]byte(text))
		var got settings
		if err == nil {
			err = Unmarshal(clean, &got)
		}
		if err != nil || !reflect.DeepEqual(got, want) {
			t.Errorf("%q: %+v, %v; want %+v", text, got, err, want)
		}
	}
}

func utf16le(s string) string {
	out := []byte{0xff, 0xfe}
	for _, u := range utf16.Encode([]rune(s)) {
		out = append(out, byte(u), byte(u>>8))
	}
	return string(out)
}

// TestErrors: an error names key or line and the remedy, and no type of Go.
func TestErrors(t *testing.T) {
	t.Parallel()
	for text, says := range map[string]string{
		`{"n_layer": "two"}`:             `n_layer is the text "two", and must be a whole number`,
		`{"n_layer": 2.5}`:               `n_layer is 2.5, and must be a whole number`,
		`{"n_layer": [2]}`:               `n_layer is a list, and must be a whole number`,
		`{"eps": NaN}`:                   `eps is the text "NaN", and must be a number`,
		`{"name": 7}`:                    `name is 7, and must be a text`,
		`{"on": "perhaps"}`:              `on is the text "perhaps", and must be true or false`,
		`{"list": {"a": 1}}`:             `list is an object, and must be a list`,
		`{"list": [1, "b"]}`:             `list[1] is the text "b", and must be a whole number`,
		`{"list": [5000000000]}`:         `list[0] is 5000000000`,
		`{"args": {"depth": "x"}}`:       `args.depth is the text "x"`,
		`{"args": 1}`:                    `args is 1, and must be an object`,
		`[1]`:                            `it is a list, and must be an object`,
		"{\"a\": 1,\n}":                  `line 1: a comma before "}"; remove the comma`,
		"{\"a\": [1,\n2,\n]}":            `line 2: a comma before "]"`,
		"{\n// layers\n\"a\": 1}":        `line 2: a comment`,
		"{\"a\": 1 # one\n}":             `line 1: a comment`,
		"{'a': 1}":                       `single quotation marks`,
		`{"a": True}`:                    `JSON has true`,
		`{"a": 1`:                        `it is cut short, in line 1`,
		"{\"a\":\n x}":                   `line 2: "x" is out of place`,
		``:                               `it is empty`,
		"\n<!DOCTYPE html><html></html>": `web page: the download failed`,
		"version https://git-lfs.github.com/spec/v1\n": `Git LFS pointer`,
		"{\"a\": \"\xff\"}":                            `not UTF-8`,
	} {
		clean, err := Clean([]byte(text))
		if err == nil {
			err = Unmarshal(clean, &settings{})
		} else if !errors.Is(err, ErrSyntax) {
			t.Errorf("%q: %v is no ErrSyntax", text, err)
		}
		if err == nil || !strings.Contains(err.Error(), says) || strings.Contains(err.Error(), "Go ") || strings.Contains(err.Error(), "\n") {
			t.Errorf("%q: %v, want %q", text, err, says)
		}
	}
}

func TestUnknown(t *testing.T) {
	t.Parallel()
	got, err := Unknown([]byte(`{"n_layer": 1, "x": [1], "y": null}`), settings{})
	if want := map[string]json.RawMessage{"x": json.RawMessage("[1]"), "y": json.RawMessage("null")}; err != nil || !reflect.DeepEqual(got, want) {
		t.Errorf("%s, %v", got, err)
	}
}

// FuzzClean: whatever is accepted is JSON, and what is JSON stays what it is.
func FuzzClean(f *testing.F) {
	for _, s := range []string{`{"a": NaN}`, `["\\", -Infinity]`, "\ufeff{}", `{"a":"\"NaN"}`, utf16le("[1]"), `{,}`} {
		f.Add([]byte(s))
	}
	for _, s := range []string{`{"a": NaN, "b": 1, "c": }`, `{"a": [nul], "b": Infinit}`, `{"name": {"x": 1}, "size": "y", "list": [1, "z"], "other": 3}`, `<p>text</p>`, `{"size": 1`} {
		for _, longer := range testkit.Longer([]byte(s)) {
			f.Add(longer)
		}
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		clean, err := Clean(text)
		testkit.Refused(t, err)
		if err == nil && !json.Valid(clean) {
			t.Errorf("%q became %q", text, clean)
		}
		if err == nil {
			testkit.Refused(t, Unmarshal(clean, &settings{}))
		}
	})
}
