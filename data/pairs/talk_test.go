package pairs

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
)

// talkLines are conversations in the shapes that people have.
const talkLines = `{"messages": [{"role": "system", "content": "S"}, {"role": "user", "content": "a"}, {"role": "assistant", "content": null, "tool_calls": [{"function": {"name": "f"}}]}, {"role": "tool", "content": "1"}, {"role": "assistant", "content": "b"}], "tools": [{"type": "function"}]}
{"conversations": [{"from": "human", "value": "c"}, {"from": "gpt", "value": "d"}], "system": "T", "tools": "[{\"type\": \"x\"}]"}
{"instruction": "e", "input": "f", "output": "g"}
{"prompt": [{"role": "user", "content": "h"}], "completion": [{"role": "assistant", "content": "i"}]}
{"instruction": "j", "output": "k", "history": [["l", "m"]]}
{"prompt": "n", "completion": "o"}
{"conversations": [{"from": "human", "value": "p"}, {"from": "function_call", "value": "q"}, {"from": "observation", "value": "r"}, {"from": "gpt", "value": "s"}]}
`

// TestTalk: with Turns, pairs of conversations have their messages up to the answer, in every shape of them.
func TestTalk(t *testing.T) {
	t.Parallel()
	for _, file := range []string{write(t, "a.jsonl", talkLines), write(t, "a.json", "["+strings.ReplaceAll(strings.TrimSpace(talkLines), "\n", ",\n")+"]")} {
		all, err := readAll(newReader(t, Options{Files: Files{Source: file}, Turns: true}))
		if err != nil {
			t.Fatal(err)
		}
		var got []string
		for _, p := range all {
			if p.Talk == nil {
				got = append(got, p.Source+" > "+p.Target)
				continue
			}
			var b strings.Builder
			for _, turn := range p.Talk.Turns {
				fmt.Fprintf(&b, "%.1s:%s ", turn.Role, turn.Content)
			}
			got = append(got, fmt.Sprintf("%s%s", b.String(), p.Talk.Tools))
		}
		want := []string{`s:S u:a a: [{"type": "function"}]`, `s:S u:a a: t:1 a:b [{"type": "function"}]`, `s:T u:c a:d [{"type": "x"}]`,
			"e\n\nf > g", "u:h a:i ", "u:l a:m u:j a:k ", "n > o", "u:p a:q ", "u:p a:q t:r a:s "}
		if !slices.Equal(got, want) {
			t.Errorf("%q, want %q", got, want)
		}
		if calls := all[0].Talk.Turns[2].JSON; !strings.Contains(string(calls), `"tool_calls"`) || all[0].Target != `[{"function": {"name": "f"}}]` {
			t.Errorf("%s: %s", all[0].Target, calls)
		}
	}
	// Without, nothing changes: an answer without text is empty.
	r := newReader(t, Options{Files: Files{Source: write(t, "a.jsonl", talkLines)}})
	all, err := readAll(r)
	if err != nil || len(all) != 7 || all[0].Talk != nil || r.Report().Why[Empty].Count != 1 {
		t.Errorf("%d pairs, %v, error %v", len(all), r.Report(), err)
	}
}

// TestRefused: pairs that a joint encoding refuses are counted, with the first reason; if it refuses all, the error says
// what to do.
func TestRefused(t *testing.T) {
	t.Parallel()
	refuse := errors.New("roles must alternate")
	options := func(every bool) EncodeOptions {
		return EncodeOptions{Source: byteEncoder{}, Target: byteEncoder{}, Positions: 10, Joint: func(p Pair) (source, target []int32, err error) {
			if every || p.Line == 2 {
				return nil, nil, refuse
			}
			return []int32{1}, []int32{2, 3}, nil
		}}
	}
	none := func(Part, []int32, []int32) error { return nil }
	r := newReader(t, Options{Files: Files{Source: write(t, "a.jsonl", talkLines)}, Turns: true})
	err := r.Encode(t.Context(), options(false), none)
	if got := r.Report().String(); err != nil || got != "9 pairs read, 8 kept; 1 that the chat template refuses (first in line 2: roles must alternate)" {
		t.Errorf("%s, error %v", got, err)
	}
	r = newReader(t, Options{Files: Files{Source: write(t, "a.jsonl", talkLines)}, Turns: true})
	if err := r.Encode(t.Context(), options(true), none); !errors.Is(err, ErrNoPairs) || !strings.Contains(err.Error(), "9 that the chat template refuses (first in line 1: roles must alternate): write the conversations") {
		t.Errorf("%v", err)
	}
	r = newReader(t, Options{Files: Files{Source: write(t, "a.jsonl", talkLines)}, Turns: true, OnBad: Fatal})
	if err := r.Encode(t.Context(), options(false), none); !errors.Is(err, refuse) || !errors.Is(err, ErrText) || !strings.Contains(err.Error(), "line 2") {
		t.Errorf("%v", err)
	}
}

// TestLongTalk: of a conversation that is too long, the first questions are left out, and what the system says stays.
func TestLongTalk(t *testing.T) {
	t.Parallel()
	const line = `{"messages": [{"role": "system", "content": "S"}, {"role": "user", "content": "a"}, {"role": "assistant", "content": "b"}, {"role": "user", "content": "c"}, {"role": "assistant", "content": "d"}, {"role": "user", "content": "e"}, {"role": "assistant", "content": "f"}]}`
	for limit, want := range map[int]string{7: "Sa>b Sabc>d Sabcde>f", 6: "Sa>b Sabc>d Scde>f", 3: "Sa>b Sc>d Se>f", 2: "a>b c>d e>f"} {
		r := newReader(t, Options{Files: Files{Source: write(t, "a.jsonl", line)}, Turns: true})
		var got []string
		o := EncodeOptions{Source: byteEncoder{}, Target: byteEncoder{}, Positions: limit + 1, OnLong: Truncate, Joint: func(p Pair) (source, target []int32, err error) {
			last := len(p.Talk.Turns) - 1
			for _, turn := range p.Talk.Turns[:last] {
				source = append(source, int32(turn.Content[0]))
			}
			return source, []int32{int32(p.Talk.Turns[last].Content[0])}, nil
		}}
		err := r.Encode(t.Context(), o, func(_ Part, source, target []int32) error {
			text := ""
			for _, id := range source {
				text += string(rune(id))
			}
			got = append(got, text+">"+string(rune(target[0])))
			return nil
		})
		if text := strings.Join(got, " "); err != nil || text != want {
			t.Errorf("%d: %s, error %v; want %s", limit, text, err, want)
		}
	}
}
