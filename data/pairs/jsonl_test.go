package pairs

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
)

func TestJSONL(t *testing.T) {
	t.Parallel()
	text := `{"prompt": "A dog.", "completion": "Un \"chien\".\nOui.", "id": 7}

{"completion": "deux", "prompt": "two"}
`
	want := []Pair{{"A dog.", "Un \"chien\".\nOui.", Train, 1, 0, 0, nil}, {"two", "deux", Train, 3, 0, 0, nil}}
	for name, f := range map[string]Files{
		"by name":  {Source: write(t, "a.jsonl", text)},
		"packed":   {Source: write(t, "a.JSONL.gz", packed(t, "\ufeff"+strings.ReplaceAll(text, "\n", "\r\n")))},
		"format":   {Source: write(t, "a", text), Format: JSONL},
		"columns":  {Source: write(t, "a.jsonl", strings.NewReplacer("prompt", "in", "completion", "out").Replace(text)), SourceColumn: "in", TargetColumn: "out"},
		"swapping": {Source: write(t, "a.jsonl", strings.NewReplacer("prompt", "completion", "completion", "prompt").Replace(text)), SourceColumn: "completion", TargetColumn: "prompt"},
	} {
		all, err := readAll(newReader(t, Options{Files: f}))
		if err != nil || !slices.Equal(undrawn(all), want) {
			t.Errorf("%s: %+v, error %v", name, all, err)
		}
	}
}

// An assistant answers all that was said before; each of its turns is a pair.
func TestConversation(t *testing.T) {
	t.Parallel()
	text := `{"messages": [{"role": "system", "content": "Be short."}, {"role": "user", "content": " Hi!\n"}, {"role": "assistant", "content": "Hello."},
 {"role": "user", "content": [{"type": "text", "text": "2+"}, {"text": "2?", "type": "text"}]}, {"role": "assistant", "content": "4"}, {"role": "user", "content": "Thanks."}]}`
	text = strings.ReplaceAll(text, "\n ", " ") + "\n" + `{"prompt": "x", "completion": "y"}`
	all, err := readAll(newReader(t, Options{Files: Files{Source: write(t, "a.jsonl", text)}}))
	want := []Pair{
		{"system: Be short.\nuser: Hi!\nassistant:", "Hello.", Train, 1, 0, 0, nil},
		{"system: Be short.\nuser: Hi!\nassistant: Hello.\nuser: 2+2?\nassistant:", "4", Train, 1, 0, 0, nil},
		{"x", "y", Train, 2, 0, 0, nil},
	}
	if err != nil || !slices.Equal(undrawn(all), want) {
		t.Errorf("%+v, error %v", all, err)
	}
}

// Later turns of a conversation repeat the earlier ones, so all are in one part.
func TestConversationsAreSplitWhole(t *testing.T) {
	t.Parallel()
	var text strings.Builder
	for i := range 200 {
		fmt.Fprintf(&text, `{"messages": [{"role": "user", "content": "%d"}, {"role": "assistant", "content": "a"}, {"role": "user", "content": "b"}, {"role": "assistant", "content": "c"}]}`+"\n", i)
	}
	all, err := readAll(newReader(t, Options{Files: Files{Source: write(t, "a.jsonl", text.String())}, Split: Split{Val: 0.5, Seed: 1}}))
	if err != nil || len(all) != 400 {
		t.Fatalf("%d pairs, error %v", len(all), err)
	}
	var parts [Test]int
	for i := 0; i < len(all); i += 2 {
		if all[i].Part != all[i+1].Part {
			t.Fatalf("line %d is in %v and %v", all[i].Line, all[i].Part, all[i+1].Part)
		}
		if want := (Split{Seed: 1}).Draw(all[i].Source); all[i].Draw != want || all[i+1].Draw != want {
			t.Errorf("line %d has the draws %v and %v, its first source %v", all[i].Line, all[i].Draw, all[i+1].Draw, want)
		}
		parts[all[i].Part]++
	}
	if parts[Train] != 100 || parts[Val] != 100 {
		t.Errorf("%d conversations to train on, %d for validation", parts[Train], parts[Val])
	}
}

// What is no pair is counted with its line, or ends the reading and is named.
func TestBadJSONL(t *testing.T) {
	t.Parallel()
	many := `{"messages": [` + strings.Repeat(`{"role": "assistant", "content": "a"},`, maxTurns) + `{"role": "user", "content": ""}]}`
	for _, c := range []struct {
		line, says string
		why        Reason
	}{
		{`{"prompt": "a"}`, `it has no "completion" or "output" to go with its "prompt" among ["prompt"]`, Incomplete},
		{`{"instruction": "a", "input": "b"}`, `it has no "completion" or "output" to go with its "instruction" among ["input" "instruction"]`, Incomplete},
		{`{"Output": "a"}`, `it has no "prompt" or "instruction" to go with its "Output" among ["Output"]`, Incomplete},
		{`{"Question": "a"}`, `it has no "completion" or "output" to go with its "Question" among ["Question"]`, Incomplete},
		{`{"src": "a"}`, `it has no "tgt" or "trg" to go with its "src" among ["src"]`, Incomplete},
		{`{"mr": "a"}`, `it has no "ref" to go with its "mr" among ["mr"]`, Incomplete},
		{`{"head": "a", "tail": "b"}`, `it has no "prompt" among ["head" "tail"]`, Incomplete},
		{`{"prompt": {}, "completion": "b"}`, `its "prompt" is an object, not a text`, Incomplete},
		{`{"prompt": "a", "completion": "b"} x`, "invalid character 'x' after top-level value", NotJSON},
		{`["a", "b"]`, "it is a JSON array", NotJSON},
		{`not json`, "invalid character", NotJSON},
		{`{"messages":`, "unexpected end", NotJSON},
		{strings.Repeat("[", 100_000), "exceeded max depth", NotJSON},
		{`{"messages": {"role": "assistant"}}`, "not a list of roles and contents", NoTalk},
		{`{"messages": [{"role": "assistant", "content": [1]}]}`, "message 1 has a content with a part that has no type and text", NoTalk},
		{`{"messages": [{"role": "assistant", "content": [{"type": "image_url", "text": "a"}]}]}`, `a part of type "image_url", and only text is read`, NoTalk},
		{`{"messages": [{"role": "assistant", "content": [{"type": "text"}]}]}`, `a part of type text without one`, NoTalk},
		{`{"messages": [{"role": "user", "content": "a"}]}`, `it has no message of role "assistant"`, NoAnswer},
		{`{"messages": null}`, `it has no message of role "assistant"`, NoAnswer},
		{many, "it has 1001 messages; cut it into conversations of at most 1000", LongTalk},
		{"{\"prompt\": \"a\xff\", \"completion\": \"b\"}", "not both UTF-8", NotUTF8},
		{`{"prompt": null, "completion": "b"}`, `its "prompt" is null`, Incomplete},
		{"null", "it is a JSON null", NotJSON},
		{`{"prompt": "a \ud83d", "completion": "b"}`, `its "prompt" has \ud83d, half of a character`, NotUTF8},
		{`{"prompt": "a", "completion": "b", "question": "c", "answer": "d"}`, "more than one source with its target", Incomplete},
		{`{"messages": [{"role": "assistant", "content": null}]}`, "neither a content nor calls of tools", NoTalk},
		{`{"messages": [{"role": "assistant", "content": []}]}`, "", Empty},
	} {
		o := Options{Files: Files{Source: write(t, "a.jsonl", c.line+"\n"+`{"prompt": "x", "completion": "y"}`)}}
		r := newReader(t, o)
		all, err := readAll(r)
		if err != nil || len(all) != 1 || all[0].Line != 2 || r.Report().Why[c.why].Count != 1 || r.Report().Read != 2 {
			t.Errorf("%.60s: %+v, error %v, report %v", c.line, all, err, r.Report())
		}
		if c.says == "" {
			continue
		}
		o.OnBad = Fatal
		_, err = readAll(newReader(t, o))
		if !errors.Is(err, ErrText) || !strings.Contains(err.Error(), "line 1: ") || !strings.Contains(err.Error(), c.says) {
			t.Errorf("%.60s: error %v", c.line, err)
		}
	}
	for name, f := range map[string]Files{
		"header":         {Header: HeaderYes},
		"one name twice": {SourceColumn: "completion", TargetColumn: "completion"},
		"two files":      {Target: "b"},
	} {
		f.Source, f.Format = write(t, "a.jsonl", ""), JSONL
		if r, err := NewReader(Options{Files: f}); err == nil {
			r.Close()
			t.Errorf("%s is no error", name)
		}
	}
}

// A long conversation takes memory for one of its pairs at a time: all of these
// together would have 200 MB.
func TestConversationMemory(t *testing.T) {
	text := `{"messages": [` + strings.Repeat(`{"role": "user", "content": "`+strings.Repeat("x", 800)+`"}, {"role": "assistant", "content": "a"},`, maxTurns/2-1) +
		`{"role": "assistant", "content": "b"}]}`
	r := newReader(t, Options{Files: Files{Source: write(t, "a.jsonl", text)}})
	if _, err := r.Next(); err != nil {
		t.Fatal(err)
	}
	if got := testing.AllocsPerRun(10, func() {
		if _, err := r.Next(); err != nil {
			t.Fatal(err)
		}
	}); got > 40 {
		t.Errorf("a turn takes %v allocations", got)
	}
	if n := len(r.rows.(*jsonLines).talk.turns); n < 900 {
		t.Errorf("%d of 999 turns are left after a dozen pairs", n)
	}
}

// tokensOf are the tokens of a byteEncoder.
func tokensOf(text string) []int32 {
	ids, _ := byteEncoder{}.Encode([]byte(text))
	return ids
}

// Positions are those of both sides together.
func TestEncodePositions(t *testing.T) {
	t.Parallel()
	path := write(t, "a.tsv", "one\tun\nseven\tsept\nabcdefgh\tABCDEFGH\nx\tABCDEFGH\n")
	for _, c := range []struct {
		onLong    Policy
		positions int
		want      string
		begin     string
	}{
		{Skip, 6, "one|un | 4 pairs read, 1 kept; 3 of too many tokens (first in line 2: both sides have 9 tokens, over the limit of 5)", ""},
		{Skip, 10, "one|un seven|sept x|ABCDEFGH | 4 pairs read, 3 kept; 1 of too many tokens (first in line 3: both sides have 16 tokens, over the limit of 9)", ""},
		{Truncate, 6, "one|un n|sept h|ABCD x|ABCD | 4 pairs read, 4 kept; 3 truncated (first in line 2: both sides have 9 tokens, over the limit of 5)", ""},
		{Truncate, 12, "one|un seven|sept fgh|ABCDEFGH x|ABCDEFGH | 4 pairs read, 4 kept; 1 truncated (first in line 3: both sides have 16 tokens, over the limit of 11)", ""},
		{Fatal, 10, "one|un seven|sept | line 3 is too long: both sides have 16 tokens, over the limit of 9; raise it, or skip or truncate long ones", ""},
		{Truncate, 6, "one|un n|sept abh|AB x|ABCD | 4 pairs read, 4 kept; 3 truncated (first in line 2: both sides have 9 tokens, over the limit of 5)", "ab"},
		{Truncate, 2, "e| n| h| x| | 4 pairs read, 4 kept; 4 truncated (first in line 1: both sides have 5 tokens, over the limit of 1)", "o"},
	} {
		r := newReader(t, Options{Files: Files{Source: path}})
		var got strings.Builder
		err := r.Encode(t.Context(), EncodeOptions{Source: byteEncoder{}, Target: byteEncoder{}, Positions: c.positions, OnLong: c.onLong, Begin: tokensOf(c.begin)},
			func(_ Part, source, target []int32) error {
				for i, ids := range [][]int32{source, target} {
					for _, id := range ids {
						got.WriteByte(byte(id))
					}
					got.WriteByte("| "[i])
				}
				return nil
			})
		if err != nil {
			fmt.Fprintf(&got, "| %s", strings.TrimPrefix(err.Error(), "pairs: "+path+": "))
		} else {
			fmt.Fprintf(&got, "| %v", r.Report())
		}
		if got.String() != c.want {
			t.Errorf("%s, %d positions: %s", c.onLong, c.positions, got.String())
		}
		if c.onLong == Fatal && !errors.Is(err, ErrTooLong) {
			t.Errorf("error %v", err)
		}
	}
}

// Where no row has the columns, the error says which there are.
func TestOtherColumns(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		text, says string
		want       error
	}{
		"a.jsonl": {strings.Repeat(`{"head": "a", "tail": "b"}`+"\n", 9), `9 with a column missing (first in line 1: it has no "prompt" among ["head" "tail"])`, ErrColumns},
		"a.tsv":   {"a b\nc d\n", "it has one column, which begins with \"a b\"", ErrColumns},
		"b.jsonl": {"{}\nx\n", "1 with a column missing", ErrNoPairs},
	} {
		r, err := NewReader(Options{Files: Files{Source: write(t, name, c.text)}})
		if err == nil {
			defer r.Close()
			err = r.Encode(t.Context(), EncodeOptions{Source: byteEncoder{}, Target: byteEncoder{}}, nil)
		}
		if !errors.Is(err, c.want) || !strings.Contains(err.Error(), c.says) {
			t.Errorf("%s: error %v", name, err)
		}
	}
}
