package pairs

import (
	"errors"
	"slices"
	"strings"
	"testing"
)

// TestLongRows: a row of more than MaxLine bytes is a bad row in every format: counted, with its line, while reading goes
// on; or an error, if bad rows are.
func TestLongRows(t *testing.T) {
	t.Parallel()
	long := strings.Repeat("x", MaxLine)
	object := func(a, b string) string { return `{"prompt": "` + a + `", "completion": "` + b + `"}` }
	for name, c := range map[string]struct {
		files       Files
		line, count int
	}{
		"lines":        {Files{Source: write(t, "a", "1\n2\n"+long+"x\n4\n5"), Target: write(t, "b", "a\n"+long+"x\nc\nd\ne\n")}, 2, 2},
		"tsv":          {Files{Source: write(t, "a.tsv", "1\ta\n"+long+"\tb\n4\td\n5\te\n")}, 2, 1},
		"csv":          {Files{Source: write(t, "a.csv", "prompt,completion\n1,a\n2,"+long+"\n4,d\n5,e\n")}, 3, 1},
		"csv by lines": {Files{Source: write(t, "a.csv", long+",x\nprompt,completion\n1,a\n4,d\n5,e\n"), Header: HeaderYes}, 1, 1},
		"jsonl":        {Files{Source: write(t, "a.jsonl", object("1", "a")+"\n"+object("2", long)+"\n"+object("4", "d")+"\n"+object("5", "e"))}, 2, 1},
		"json":         {Files{Source: write(t, "a.json", "["+object("1", "a")+",\n"+object("2", long+`\"]}`)+",\n"+object("4", "d")+","+object("5", "e")+"]")}, 2, 1},
		"json objects": {Files{Source: write(t, "a.json", object("1", "a")+"\n"+object("4", "d")+"\n"+object("2", long)+"\n"+object("5", "e"))}, 3, 1},
		"json in data": {Files{Source: write(t, "a.json", `{"data": [`+object("1", "a")+", "+object("4", "d")+", "+object("5", "e")+",\n"+object("2", long)+"]}")}, 2, 1},
		"only one":     {Files{Source: write(t, "a.jsonl", object("2", long))}, 1, 1},
	} {
		r := newReader(t, Options{Files: c.files})
		all, err := readAll(r)
		want := "1 a 4 d 5 e"
		if name == "only one" {
			want = ""
		}
		if got := strings.Join(texts(all), " "); err != nil || got != want {
			t.Errorf("%s: %.80q, error %v", name, got, err)
		}
		if w := r.Report().Why[LongRow]; w.Count != c.count || w.First[0].Line != c.line || r.Report().Skipped() != c.count {
			t.Errorf("%s: %v", name, r.Report())
		}
		_, err = readAll(newReader(t, Options{Files: c.files, OnBad: Fatal}))
		if !errors.Is(err, ErrTooLong) || !strings.Contains(err.Error(), "line "+string(rune('0'+c.line))+" is too long") {
			t.Errorf("%s: error %v", name, err)
		}
	}
	// A header is the first row that is whole.
	r := newReader(t, Options{Files: Files{Source: write(t, "a.csv", "prompt,\"completion\n"+long+"x\nprompt,completion\n1,a\n")}})
	all, err := readAll(r)
	if got := strings.Join(texts(all), " "); err != nil || got != "1 a" || r.Report().Why[OpenQuote].Count != 1 || r.Report().Why[LongRow].Count != 1 {
		t.Errorf("%q, %v, error %v", got, r.Report(), err)
	}
}

// TestLongField: a field of several lines that is longer than a row may be is named with what to do, be it one or a mark
// without an end.
func TestLongField(t *testing.T) {
	t.Parallel()
	r := newReader(t, Options{Files: Files{Source: write(t, "a.csv", "prompt,completion\n1,a\n2,\"b\n"+strings.Repeat("b,b\n", MaxLine/2)+"\"\n4,d\n")}})
	all, err := readAll(r)
	if w := r.Report().Why[LongRow]; err != nil || strings.Join(texts(all), " ") != "1 a 4 d" || w.Count != 1 || w.First[0].Line != 3 || r.Report().Read != 3 {
		t.Errorf("%.80q, %v, error %v", texts(all), r.Report(), err)
	}
	for lines, want := range map[int]string{1: "double a mark that is part of the text, or close its field", MaxLine / 2: "double a mark that is part of the text, close its field, or cut a row that is too long"} {
		r := newReader(t, Options{Files: Files{Source: write(t, "a.csv", "prompt,completion\n1,a\n2,\"b\n"+strings.Repeat("b\n", lines)+"4,d\n")}})
		_, err := readAll(r)
		if w := r.Report().Why[OpenQuote]; err != nil || w.Count != 1 || w.First[0].Line != 3 || w.Detail != want {
			t.Errorf("%d lines: %v, error %v", lines, r.Report(), err)
		}
	}
}

// TestNoContent: a message without a content is none, unless the assistant calls tools; the conversation is left out and
// counted, with the reason of the first, whether its turns are wanted or not.
func TestNoContent(t *testing.T) {
	t.Parallel()
	for message, want := range map[string]string{
		`{"role": "assistant", "content": null}`:                   "message 2 is the assistant's and has neither a content nor calls of tools",
		`{"role": "assistant"}`:                                    "message 2 is the assistant's and has neither a content nor calls of tools",
		`{"role": "assistant", "content": null, "tool_calls": []}`: "message 2 is the assistant's and has neither a content nor calls of tools",
		`{"from": "gpt", "value": null}`:                           "message 2 is the assistant's and has neither a content nor calls of tools",
		`{"role": "user", "content": null}`:                        `message 2 is of role "user" and has no content`,
		`{"role": "tool", "tool_calls": [{"function": {}}]}`:       `message 2 is of role "tool" and has no content`,
		`{"content": "a"}`:                                         "message 2 has no role",
		`{"role": 7, "content": "a"}`:                              "message 2 has a role that is a JSON number, not a text",
		`{"role": "user", "content": 7}`:                           "message 2 has a content that is neither a text nor a list of parts",
		`{"role": "user", "content": [{"type": "image_url"}]}`:     `message 2 has a part of type "image_url", and only text is read`,
		`{"role": "user", "content": [7]}`:                         "message 2 has a content with a part that has no type and text",
		`7`:                                                        "message 2 is a JSON number, not an object with a role and a content",
		`null`:                                                     "message 2 has no role",
		`{"role": "assistant", "content": null, "tool_calls": [{"function": {"name": "f"}}]}`: "",
		`{"role": "assistant", "content": [{"type": "text", "text": "b"}]}`:                   "",
	} {
		text := `{"messages": [{"role": "user", "content": "a"}, {"role": "assistant", "content": "b"}]}` + "\n" +
			`{"messages": [{"role": "user", "content": "a"}, ` + message + `, {"role": "assistant", "content": "c"}]}`
		for _, turns := range []bool{false, true} {
			r := newReader(t, Options{Files: Files{Source: write(t, "a.jsonl", text)}, Turns: turns})
			_, err := readAll(r)
			w := r.Report().Why[NoTalk]
			if err != nil || w.Detail != want || (w.Count == 1) != (want != "") || want != "" && (w.First[0].Line != 2 || r.Report().Skipped() != 1) {
				t.Errorf("%s: %v, error %v", message, r.Report(), err)
			}
		}
	}
}

// TestReadTalk: a message or a conversation in one object is read as files of them are.
func TestReadTalk(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{
		`{"role": "user", "content": [{"type": "text", "text": "a"}, {"type": "text", "text": "b"}]}`: "user:ab ",
		`{"from": "human", "value": "a"}`: "user:a ",
		`{"conversations": [{"from": "function_call", "value": "a"}, {"from": "observation", "value": "b"}], "tools": "[1]", "system": "s"}`: "system:s assistant:a tool:b [1] whole",
		`{"messages": []}`:                            " whole",
		`{"role": "user"}`:                            "pairs: the message is of role \"user\" and has no content",
		`{"messages": [{"role": "user"}]}`:            "pairs: message 1 is of role \"user\" and has no content",
		`{"role": "user", "content": "\ud83d"}`:       `pairs: \ud83d is half of a character`,
		"{\"role\": \"user\", \"content\": \"\xe9\"}": "pairs: byte 0xe9 is not UTF-8",
		`[]`:   "pairs: it is no JSON object",
		`null`: "pairs: it is no JSON object",
	} {
		talk, whole, err := ReadTalk([]byte(text))
		got := ""
		for _, turn := range talk.Turns {
			got += turn.Role + ":" + turn.Content + " "
		}
		if got += string(talk.Tools); whole {
			got += " whole"
		}
		if err != nil {
			got = err.Error()
		}
		if got != want {
			t.Errorf("%s: %q, want %q", text, got, want)
		}
	}
}

// TestCommasAndNothing: lines of JSON with a comma at the end are read, and a file without any pair says so.
func TestCommasAndNothing(t *testing.T) {
	t.Parallel()
	r := newReader(t, Options{Files: Files{Source: write(t, "a.jsonl", `{"prompt": "a", "completion": "b,"},`+"\n"+`{"prompt": "c", "completion": "d"} , `+"\n"+`{"prompt": "e", "completion": "f"},x`)}})
	all, err := readAll(r)
	if got := strings.Join(texts(all), " "); err != nil || got != "a b, c d" || r.Report().Why[NotJSON].Count != 1 || !slices.Contains(r.Report().Notes, "lines end in commas, which are not part of them") {
		t.Errorf("%q, %v, %q, error %v", got, r.Report(), r.Report().Notes, err)
	}
	for _, name := range []string{"a.jsonl", "a.json", "a.csv"} {
		text := map[string]string{"a.json": "[]", "a.csv": "prompt,completion\n"}[name]
		r := newReader(t, Options{Files: Files{Source: write(t, name, text)}})
		err := r.Encode(t.Context(), EncodeOptions{Source: byteEncoder{}, Target: byteEncoder{}}, nil)
		if !errors.Is(err, ErrNoPairs) || !strings.Contains(err.Error(), "the file is empty, or has nothing but a header") {
			t.Errorf("%s: %v", name, err)
		}
	}
}
