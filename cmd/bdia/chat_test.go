package main

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/bdia-go/bdia/cmd/bdia/internal/cli"
	"github.com/bdia-go/bdia/internal/testkit"
	"github.com/bdia-go/bdia/internal/traintest"
)

// answersOf reads the lines of JSON that bdia chat prints.
func answersOf(t *testing.T, out string) (list []answerJSON) {
	t.Helper()
	for line := range strings.Lines(out) {
		var a answerJSON
		testkit.OK(t, json.Unmarshal([]byte(line), &a))
		list = append(list, a)
	}
	return list
}

// TestChatLines: from a pipe each line is a message of one conversation, or a command. What is taken back leaves no
// trace, and the same seed gives the same answers.
func TestChatLines(t *testing.T) {
	t.Parallel()
	dir := traintest.ChatFolder(t)
	talk := func(stdin string, more ...string) result {
		return callWith(t.Context(), stdin, append([]string{"chat", dir, "--max-tokens", "4", "--threads", "1"}, more...)...)
	}
	want := talk("Hi\nHo\n", "--greedy")
	if want.code != 0 || strings.Count(want.out, "\n") < 2 {
		t.Fatalf("%+v", want)
	}
	once := call("chat", dir, "Hi", "--max-tokens", "4", "--threads", "1", "--greedy")
	if once.code != 0 || !strings.HasPrefix(want.out, once.out) || once.out == "" {
		t.Errorf("one question: %+v, want the beginning of %q", once, want.out)
	}
	for _, stdin := range []string{
		"\n Hi\r\n\n/undo\nHi\nWhat?\n/undo\nHo\n/exit\nno more\n",
		"/system Be brief.\nWhat?\n/reset\n/system\nHi\nHo",
	} {
		got := talk(stdin, "--greedy")
		if second := strings.TrimPrefix(want.out, once.out); got.code != 0 || !strings.HasSuffix(got.out, second) {
			t.Errorf("%q: %+v, want at last %q", stdin, got, second)
		}
	}
	if a, b := talk("Hi\n/retry\n", "--temperature", "2"), talk("Hi\n/retry\n", "--temperature", "2"); a.out != b.out {
		t.Errorf("%q and %q with one seed", a.out, b.out)
	}
	for stdin, want := range map[string]string{
		"Hi\n/nothing\n":                         "line 2: there is no command \"/nothing\"",
		"/retry\n":                               "line 1: nothing has been said yet",
		"/reset now\n":                           "takes no text",
		"a\n" + strings.Repeat("qz ", 99) + "\n": "line 2: generate: the last message makes a conversation of ",
	} {
		if got := talk(stdin); got.code == 0 || !strings.Contains(got.err, want) {
			t.Errorf("%.20q: %+v, want %q", stdin, got, want)
		}
	}
	if got := talk("//x\n/help\n", "--quiet"); got.code != 0 || !strings.Contains(got.err, "/retry") {
		t.Errorf("%+v", got)
	}
}

// TestChatJSON: a line is a message, or a conversation that begins anew. Only what a user says is answered.
func TestChatJSON(t *testing.T) {
	t.Parallel()
	dir := traintest.ChatFolder(t)
	talk := func(stdin string) result {
		return callWith(t.Context(), stdin, "chat", dir, "--json", "--greedy", "--max-tokens", "4", "--threads", "1", "--system", "S")
	}
	r := talk(`{"role":"user","content":"Hi\nthere"}` + "\n" + `{"messages":[{"role":"user","content":"A"},{"role":"assistant","content":"B"},{"role":"user","content":"C"}]}` + "\n" +
		`{"messages":[]}` + "\n" + `{"role":"assistant","content":"B"}` + "\n" + `{"role":"system","content":"S"}` + "\n" + `{"role":"user","content":"Hi\nthere"}`)
	list := answersOf(t, r.out)
	if r.code != 0 || len(list) != 3 {
		t.Fatalf("%+v", r)
	}
	for _, a := range list {
		if a.Role != "assistant" || a.Tokens != 4 || a.Finish != "length" || a.Prompt < 10 {
			t.Errorf("%+v", a)
		}
	}
	if list[0].Kept != 0 || list[1].Kept == 0 || list[2].Prompt <= list[0].Prompt {
		t.Errorf("%+v", list)
	}
	checkKeys(t, "bdia chat", object(t, result{out: strings.SplitAfter(r.out, "\n")[0]}))
	for _, line := range []string{"Hi", `{"role":"user","content":7}`, `{"messages":[7]}`, `{"content":"Hi"}`, `{"role":"user","content":"Hi"} x`, "[1]",
		`{"role":"user"}`, `{"role":"user","contents":"Hi"}`, `{"role":"system","content":null}`, `{"role":"user","content":[{"type":"image_url"}]}`, `{"messages":{}}`,
		`{"role":"assistant","content":null}`, `{"role":"user","content":"\ud83d"}`, "{\"role\":\"user\",\"content\":\"\xe9\"}"} {
		if r := talk(line); r.code != cli.ExitUsage || !strings.Contains(r.err, "line 1: ") || strings.Contains(r.err, "Go ") {
			t.Errorf("%s: %+v", line, r)
		}
	}
	if r := talk(`{"role":"user","content":"` + strings.Repeat("Hi ", 400_000) + `"}`); r.code != cli.ExitFailure || !strings.Contains(r.err, "line 1: it is longer than 1 MiB; shorten it") {
		t.Errorf("%+v", r)
	}
	parts := talk(`{"role":"user","content":[{"type":"text","text":"Hi\n"},{"type":"text","text":"there"}]}`)
	if whole := talk(`{"role":"user","content":"Hi\nthere"}`); parts.code != 0 || parts.out != whole.out {
		t.Errorf("%+v, want %+v", parts, whole)
	}
	for _, args := range [][]string{{"chat", dir, "--threads", "1"}, {"chat", dir, "a\xff", "--threads", "1"}} {
		if r := callWith(t.Context(), "a\xff\n", args...); r.code != cli.ExitUsage || !strings.Contains(r.err, "not UTF-8") || r.out != "" || strings.Count(r.err, "\n") != 1 {
			t.Errorf("%q: %+v", args, r)
		}
	}
	if r := talk(`{"messages":[{"role":"user","content":"A"},{"role":"system","content":"late"},{"role":"user","content":"B"}]}`); r.code == 0 || !strings.Contains(r.err, "the system speaks first") {
		t.Errorf("%+v", r)
	}
}

// TestChatRefused: a model that cannot talk says what it can do.
func TestChatRefused(t *testing.T) {
	t.Parallel()
	dir := traintest.ChatFolder(t)
	for args, want := range map[string]string{
		"--context 97":               "the model has 96",
		"--temperature 0 --top-k 5":  "--top-k is for choices by chance",
		"--greedy --temperature 0.5": "give one of them",
		"--grid x":                   "--grid",
		"--system " + "a --top-p 0":  "top-p",
		"--max-tokens 0":             "ask for 1 to",
	} {
		r := call(append([]string{"chat", dir, "--threads", "1"}, strings.Fields(args)...)...)
		if r.code != cli.ExitUsage || !strings.Contains(r.err, want) {
			t.Errorf("%s: %+v, want %q", args, r, want)
		}
	}
	testkit.OK(t, os.Remove(filepath.Join(dir, "chat_template.jinja")))
	if r := call("chat", dir, "Hi"); r.code != cli.ExitFailure || !strings.Contains(r.err, "has no chat template; bdia generate continues a text") {
		t.Errorf("%+v", r)
	}
}

// TestChatRuns: a run that learned conversations without a template gets them as it learned them, and a run of prompts
// gets each by itself.
func TestChatRuns(t *testing.T) {
	t.Parallel()
	from, root := traintest.ChatFolder(t), t.TempDir()
	var lines strings.Builder
	for i := range 20 {
		line, err := json.Marshal(map[string]any{"messages": talkMessages(i)})
		testkit.OK(t, err)
		lines.Write(append(line, '\n'))
	}
	data := write(t, root, "talk.jsonl", lines.String())
	pairs := write(t, root, "pairs.csv", "prompt,completion\n"+strings.Repeat("Where is it?,Here it is.\nWho are you?,Nobody.\n", 10))
	for name, c := range map[string]struct {
		data string
		more []string
	}{
		"template": {data, nil},
		"lines":    {data, []string{"--separator", " "}},
		"pairs":    {pairs, []string{"--separator", "=>"}},
	} {
		run := filepath.Join(root, name)
		finetunePairs(t, from, c.data, run, c.more...)
		for _, dir := range []string{run, filepath.Join(run, "best")} {
			if _, err := os.Stat(dir); err != nil {
				continue
			}
			r := callWith(t.Context(), `{"role":"user","content":"Hi"}`+"\n"+`{"role":"user","content":"Ho"}`, "chat", dir, "--json", "--greedy", "--max-tokens", "3", "--threads", "1")
			list := answersOf(t, r.out)
			if r.code != 0 || len(list) != 2 {
				t.Fatalf("%s: %+v", dir, r)
			}
			want := answersOf(t, callWith(t.Context(), `{"role":"user","content":"Ho"}`, "chat", dir, "--json", "--greedy", "--max-tokens", "3", "--threads", "1").out)
			if r := callWith(t.Context(), `{"messages":[{"role":"user","content":"Hi"},{"role":"tool","content":"7"}]}`, "chat", dir, "--json", "--max-tokens", "1", "--threads", "1"); name == "pairs" && !strings.Contains(r.err, `without a message of role "tool"`) {
				t.Errorf("%+v", r)
			}
			if alone := list[1].Prompt == want[0].Prompt; alone != (name == "pairs") {
				t.Errorf("%s: %+v, and for the second question alone %+v", dir, list, want)
			}
		}
	}
}
