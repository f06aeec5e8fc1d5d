package pairs

import (
	"fmt"
	"strings"
	"testing"
)

// TestConversationsAlike: conversations that begin alike are held out together, unless nearly all do: then what is asked
// later decides, and each conversation is still of one part.
func TestConversationsAlike(t *testing.T) {
	t.Parallel()
	talk := func(first string, i int) string {
		return fmt.Sprintf(`{"messages": [{"role": "user", "content": %q}, {"role": "assistant", "content": "Hello!"}, {"role": "user", "content": "What is %d?"}, {"role": "assistant", "content": "A number."}]}`+"\n", first, i)
	}
	for name, c := range map[string]struct {
		first     func(i int) string
		val, most int
	}{
		"a greeting":    {func(int) string { return "Hi" }, 4, 40},
		"own questions": {func(i int) string { return fmt.Sprint("Question ", i) }, 4, 40},
		"four alike":    {func(i int) string { return fmt.Sprint("Question ", i/4) }, 4, 10},
	} {
		var text strings.Builder
		for i := range 40 {
			text.WriteString(talk(c.first(i), i))
		}
		all, err := readAll(newReader(t, Options{Files: Files{Source: write(t, "a.jsonl", text.String())}, Filter: Filter{KeepDuplicates: true}, Split: Split{Val: 0.1}}))
		if err != nil {
			t.Fatal(err)
		}
		parts, held := map[int]Part{}, 0
		for _, p := range all {
			if was, ok := parts[p.Line]; ok && was != p.Part {
				t.Errorf("%s: the conversation of line %d is in two parts", name, p.Line)
			}
			parts[p.Line] = p.Part
		}
		for _, part := range parts {
			if part == Val {
				held++
			}
		}
		if want := map[bool]int{true: c.val, false: c.val * 40 / c.most / 4}[c.most == 40]; held != want {
			t.Errorf("%s: %d conversations held out, want %d", name, held, want)
		}
	}
}

// TestUnlearned: turns that are marked as not to be learned are said in what follows, and counted.
func TestUnlearned(t *testing.T) {
	t.Parallel()
	text := `{"messages": [{"role": "user", "content": "a"}, {"role": "assistant", "content": "bad", "weight": 0}, {"role": "user", "content": "b"}, {"role": "assistant", "content": "good", "weight": 1}]}
{"conversations": [{"from": "human", "value": "c"}, {"from": "gpt", "value": "bad too", "train": false}, {"from": "human", "value": "d"}, {"from": "gpt", "value": "fine"}]}`
	r := newReader(t, Options{Files: Files{Source: write(t, "a.jsonl", text)}, OnBad: Fatal})
	all, err := readAll(r)
	if got := fmt.Sprint(texts(all)); err != nil || got != fmt.Sprint([]string{"user: a\nassistant: bad\nuser: b\nassistant:", "good", "user: c\nassistant: bad too\nuser: d\nassistant:", "fine"}) {
		t.Errorf("%s, error %v", got, err)
	}
	if n := r.Report().Why[Unlearned].Count; n != 2 || r.Report().Conversations != 2 {
		t.Errorf("%d turns left out of %d conversations, want 2 of 2", n, r.Report().Conversations)
	}
}

// TestRowsBesideTheHeader: rows that are longer than the header are cut in the wrong place and left out, but not for
// delimiters at their ends; a header that comes again is none.
func TestRowsBesideTheHeader(t *testing.T) {
	t.Parallel()
	text := "prompt,completion\none,un\nWell, then two,deux\nthree,trois,,\nprompt,completion\nfour,quatre\n"
	r := newReader(t, Options{Files: Files{Source: write(t, "a.csv", text)}})
	all, err := readAll(r)
	if got := fmt.Sprint(texts(all)); err != nil || got != "[one un three trois four quatre]" {
		t.Errorf("%s, error %v", got, err)
	}
	if w := r.Report().Why; w[MoreFields].Count != 1 || w[MoreFields].First[0].Line != 3 || w[Repeated].Count != 1 || w[Repeated].First[0].Line != 5 {
		t.Errorf("%v", r.Report())
	}
}

// TestLineEndsOfOthers: CR CR LF ends a line, CR alone is named, and a pointer of Git LFS is no data.
func TestLineEndsOfOthers(t *testing.T) {
	t.Parallel()
	all, err := readAll(newReader(t, Options{Files: Files{Source: write(t, "a.csv", "prompt,completion\r\r\none,un\r\r\n")}}))
	if got := fmt.Sprint(texts(all)); err != nil || got != "[one un]" {
		t.Errorf("%s, error %v", got, err)
	}
	for file, want := range map[string]string{
		write(t, "b.csv", "prompt,completion\rone,un\rtwo,deux\r"):                                        "CR alone",
		write(t, "c.jsonl", "version https://git-lfs.github.com/spec/v1\noid sha256:4d7a\nsize 12345\n"):  "git lfs pull",
		write(t, "d.jsonl", "{\"segments\": [{\"text\": \"a\"}]}\n{\"segments\": [{\"text\": \"b\"}]}\n"): `the key "segments"`,
	} {
		r, err := NewReader(Options{Files: Files{Source: file}})
		if err == nil {
			_, err = readAll(r)
		}
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: error %v, want %q", file, err, want)
		}
	}
}
