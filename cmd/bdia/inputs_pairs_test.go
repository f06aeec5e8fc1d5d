package main

import (
	"encoding/binary"
	"fmt"
	"path/filepath"
	"strings"
	"testing"
	"unicode/utf16"

	"github.com/bdia-go/bdia/train"
	"github.com/bdia-go/bdia/train/text"
)

// prepared is the picture of what bdia finetune learns of a file, with every pair in training.
func prepared(t *testing.T, name, content string, flags ...string) (train.Picture, error) {
	t.Helper()
	o := overrides{"from": baseModel(t), "data": write(t, t.TempDir(), name, content), "val-fraction": "0", "keep-duplicates": "true", "window": "64"}
	for i := 0; i < len(flags); i += 2 {
		o[flags[i]] = flags[i+1]
	}
	task, err := o.tuned()
	if err != nil {
		return train.Picture{}, err
	}
	if _, ok := task.(*text.Task); ok {
		t.Fatalf("%s is text", name)
	}
	if task, err = o.settle(task); err != nil {
		return train.Picture{}, err
	}
	r, err := train.Create(t.Context(), filepath.Join(t.TempDir(), "run"), task, nil)
	if err != nil {
		return train.Picture{}, err
	}
	defer r.Close()
	return task.(train.Pictured).Picture(100)
}

// learned is a picture in short: its samples, prompt and completion apart, then what was left out, then its notes.
func learned(p train.Picture) string {
	var b strings.Builder
	for _, s := range p.Samples {
		var sides [2]string
		for _, piece := range s.Pieces {
			side := 0
			if piece.Counts {
				side = 1
			}
			sides[side] += piece.Text
		}
		fmt.Fprintf(&b, "%q -> %q\n", strings.TrimSuffix(sides[0], "\n"), strings.TrimSuffix(sides[1], "<|endoftext|>"))
	}
	for _, l := range p.LeftOut {
		_, place, _ := strings.Cut(l.First, ", ")
		fmt.Fprintf(&b, "%d %s: %s\n", l.Count, l.Reason, place)
	}
	for _, note := range p.Notes {
		b.WriteString("# " + note + "\n")
	}
	return b.String()
}

func inUTF16(order binary.AppendByteOrder, text string) string {
	var b []byte
	for _, u := range utf16.Encode([]rune("\ufeff" + text)) {
		b = order.AppendUint16(b, u)
	}
	return string(b)
}

// TestPairInputs: files as people have them are read as they mean them, and what was taken is said.
func TestPairInputs(t *testing.T) {
	t.Parallel()
	const rows = "How are you today?,\"Fine, thanks.\"\nWhat is it?,A \"\"small\"\" test.\n"
	const two = `"How are you today?" -> "Fine, thanks."` + "\n" + `"What is it?" -> "A \"\"small\"\" test."` + "\n"
	objects := func(f string) string { return fmt.Sprintf(f, "q0", "a0") + fmt.Sprintf(f, "q1", "a1") }
	const q = `"q0" -> "a0"` + "\n" + `"q1" -> "a1"` + "\n"
	for _, c := range []struct {
		name, content string
		flags         []string
		want          string
	}{
		// Tables: names before places.
		{"names.csv", "prompt,completion\n" + rows, nil, two + "# columns \"prompt\" (1) and \"completion\" (2), by the header\n"},
		{"swapped.csv", "completion,prompt\na.,q\nb.,r\n", nil, "\"q\" -> \"a.\"\n\"r\" -> \"b.\"\n# columns \"prompt\" (2) and \"completion\" (1), by the header\n"},
		{"id.csv", "id,Question , ANSWER,topic\n7,q,a,x\n9,r,b,y\n", nil,
			"\"q\" -> \"a\"\n\"r\" -> \"b\"\n# columns \"Question\" (2) and \"ANSWER\" (3), by the header\n# columns that are not used: \"id\" (1), \"topic\" (4)\n"},
		{"index.csv", ",prompt,completion\n0,q,a\n1,r,b\n", nil, "\"q\" -> \"a\"\n\"r\" -> \"b\"\n# columns \"prompt\" (2) and \"completion\" (3), by the header\n# columns that are not used: \"\" (1)\n"},
		{"unnamed.csv", "Unnamed: 0,note,remark\n0,q,a\n1,r,b\n", nil, "\"q\" -> \"a\"\n\"r\" -> \"b\"\n# columns \"note\" (2) and \"remark\" (3), by place\n# columns that are not used: \"Unnamed: 0\" (1)\n# the first line is a header, not a pair\n"},
		{"alpaca.csv", "instruction,input,output\nAdd.,1 2,3\nGo.,,No.\n", nil,
			"\"Add.\\n\\n1 2\" -> \"3\"\n\"Go.\" -> \"No.\"\n# columns \"instruction\" (1), followed by \"input\" (2), and \"output\" (3), by the header\n"},
		{"e2e.csv", "mr,ref\n\"name[A], food[B]\",A has B.\n", nil, "\"name[A], food[B]\" -> \"A has B.\"\n# columns \"mr\" (1) and \"ref\" (2), by the header\n"},
		{"label.csv", "text,label\nVery good,1\nBad,0\n", nil, "\"Very good\" -> \"1\"\n\"Bad\" -> \"0\"\n# columns \"text\" (1) and \"label\" (2), by the header\n"},
		{"same.csv", "text,text\nq,a\nr,b\n", nil, "\"q\" -> \"a\"\n\"r\" -> \"b\"\n# columns \"text\" (1) and \"text\" (2), by place\n# the first line is a header, not a pair\n"},
		{"languages.csv", "fr,en\nun,one\ndeux,two\n", nil, "\"un\" -> \"one\"\n\"deux\" -> \"two\"\n# columns \"fr\" (1) and \"en\" (2), by the header\n"},
		{"flags.csv", "a b c,x,y\nq,1,a\nr,2,b\n", []string{"prompt-column", "A B C", "completion-column", "3"},
			"\"q\" -> \"a\"\n\"r\" -> \"b\"\n# columns \"a b c\" (1) and \"y\" (3), as asked for\n# columns that are not used: \"x\" (2)\n"},
		{"one-flag.csv", "body,n,answer\nq,1,a\nr,2,b\n", []string{"prompt-column", "body"},
			"\"q\" -> \"a\"\n\"r\" -> \"b\"\n# columns \"body\" (1) and \"answer\" (3), by the header\n# columns that are not used: \"n\" (2)\n"},
		{"header.tsv", "prompt\tcompletion\nq\ta\nr\tb\n", nil, "\"q\" -> \"a\"\n\"r\" -> \"b\"\n# columns \"prompt\" (1) and \"completion\" (2), by the header\n"},
		// A header, or none.
		{"none.csv", rows, nil, two + "# columns 1 and 2, by place\n# the first line is a pair, not a header\n"},
		{"none.tsv", "one\tun\ntwo\tdeux\n", nil, "\"one\" -> \"un\"\n\"two\" -> \"deux\"\n# columns 1 and 2, by place\n# the first line is a pair, not a header\n"},
		{"unknown.csv", "customer message,our words\n" + rows, nil, two + "# columns \"customer message\" (1) and \"our words\" (2), by place\n# the first line is a header, not a pair\n"},
		{"said.csv", "prompt,completion\nq,a\n", []string{"header", "none"}, "\"prompt\" -> \"completion\"\n\"q\" -> \"a\"\n# columns 1 and 2, by place\n"},
		{"said.tsv", "one\tun\ntwo\tdeux\n", []string{"header", "yes"}, "\"two\" -> \"deux\"\n# columns \"one\" (1) and \"un\" (2), by place\n"},
		{"numbered.csv", "0,one thing,un\n1,two things,deux\n", nil, "\"one thing\" -> \"un\"\n\"two things\" -> \"deux\"\n# columns 2 and 3, by place\n# columns that are not used: 1\n# the first line is a pair, not a header\n"},
		// Delimiters and quotation marks.
		{"semicolon.csv", "prompt;completion\nq, with comma;\"a; b\"\n", nil, "\"q, with comma\" -> \"a; b\"\n# columns \"prompt\" (1) and \"completion\" (2), by the header\n# fields are separated by semicolons\n"},
		{"pipe.csv", "Hello, you there|Fine\nWhat, how?|So, so\n", nil,
			"\"Hello, you there\" -> \"Fine\"\n\"What, how?\" -> \"So, so\"\n# columns 1 and 2, by place\n# the first line is a pair, not a header\n# fields are separated by pipes\n"},
		{"tab.csv", "question\tanswer\nq, r\ta\n", nil, "\"q, r\" -> \"a\"\n# columns \"question\" (1) and \"answer\" (2), by the header\n# fields are separated by tabs\n"},
		{"delimiter.txt", "prompt|completion\nq|a\n", []string{"format", "csv", "delimiter", "pipe"}, "\"q\" -> \"a\"\n# columns \"prompt\" (1) and \"completion\" (2), by the header\n"},
		{"bare.csv", "prompt,completion\na 5\" pipe,costs 3\"\n\"a\" b,\"he said \"\"no\"\".\"\n", nil,
			"\"a 5\\\" pipe\" -> \"costs 3\\\"\"\n\"a b\" -> \"he said \\\"no\\\".\"\n# columns \"prompt\" (1) and \"completion\" (2), by the header\n"},
		{"open.csv", "prompt,completion\n\"q,a\nr,b\n\"s\",c\n", nil,
			"\"r\" -> \"b\"\n\"s\" -> \"c\"\n1 with a quotation mark that has no end: line 2: double a mark that is part of the text, or close its field\n# columns \"prompt\" (1) and \"completion\" (2), by the header\n"},
		{"open-end.csv", "prompt,completion\nq,a\n\"r,b\ns,c\n", nil,
			"\"q\" -> \"a\"\n\"s\" -> \"c\"\n1 with a quotation mark that has no end: line 3: double a mark that is part of the text, or close its field\n# columns \"prompt\" (1) and \"completion\" (2), by the header\n"},
		{"lines.csv", "prompt,completion\r\n\"one\r\n\r\ntwo\",a\r\n", nil, "\"one\\n\\ntwo\" -> \"a\"\n# columns \"prompt\" (1) and \"completion\" (2), by the header\n"},
		{"ragged.csv", "prompt,completion\nq,a,extra\nr\ns,c\n", nil,
			"\"s\" -> \"c\"\n1 with a column missing: line 3: it has 1 of the columns 1 and 2\n1 with more fields than the header: line 2: it has 3 fields, the header 2; put text with the delimiter in it in quotation marks\n# columns \"prompt\" (1) and \"completion\" (2), by the header\n"},
		{"spaced.csv", "prompt, completion\n\"q, r\", \"a, b\"\ns, \"t\" u\n", nil,
			"\"q, r\" -> \"a, b\"\n\"s\" -> \" \\\"t\\\" u\"\n# columns \"prompt\" (1) and \"completion\" (2), by the header\n"},
		{"sep.csv", "sep=;\r\nprompt;completion\r\nq;a\r\n", nil, "\"q\" -> \"a\"\n# columns \"prompt\" (1) and \"completion\" (2), by the header\n# fields are separated as its first line says, by semicolons\n"},
		{"quoted.tsv", "prompt\tcompletion\n\"say \"\"a\"\"\"\t\"b\"\n", nil, "\"say \\\"a\\\"\" -> \"b\"\n# columns \"prompt\" (1) and \"completion\" (2), by the header\n# fields are in quotation marks\n"},
		{"marks.tsv", "\"Go,\" he said.\t\"Va\"\n\"Hi.\"\tx\n", nil, "\"\\\"Go,\\\" he said.\" -> \"\\\"Va\\\"\"\n\"\\\"Hi.\\\"\" -> \"x\"\n# columns 1 and 2, by place\n# the first line is a pair, not a header\n"},
		// Encodings.
		{"bom.csv", "\ufeffprompt,completion\r\nq,a\r\n", nil, "\"q\" -> \"a\"\n# columns \"prompt\" (1) and \"completion\" (2), by the header\n"},
		{"excel.csv", inUTF16(binary.LittleEndian, "prompt\tcompletion\r\nq é\ta\r\n"), nil, "\"q é\" -> \"a\"\n# columns \"prompt\" (1) and \"completion\" (2), by the header\n# fields are separated by tabs\n# the file is UTF-16\n"},
		{"big.json", inUTF16(binary.BigEndian, `[{"prompt": "q", "completion": "a"}]`), nil, "\"q\" -> \"a\"\n# keys \"prompt\" and \"completion\"\n# the file is UTF-16\n"},
		{"cp1252.csv", "prompt,completion\ncaf\xe9,a\nr,b\n", nil, "\"r\" -> \"b\"\n1 not UTF-8: line 2: byte 0xe9\n# columns \"prompt\" (1) and \"completion\" (2), by the header\n"},
		// JSON.
		{"bom.jsonl", "\ufeff" + objects("{\"prompt\": \"%s\", \"completion\": \"%s\"}\r\n"), nil, q + "# keys \"prompt\" and \"completion\"\n"},
		{"a.ndjson", objects("{\"question\": \"%s\", \"answer\": \"%s\"}\n"), nil, q + "# keys \"question\" and \"answer\"\n"},
		{"lines.json", objects("{\"Query\": \"%s\", \"Response\": \"%s\"}\n"), nil, q + "# keys \"Query\" and \"Response\"\n"},
		{"array.json", "\ufeff[\n  {\n    \"instruction\": \"Add.\",\n    \"input\": \"1 2\",\n    \"output\": \"3\"\n  },\n  {\"instruction\": \"Go.\", \"input\": null, \"output\": \"No.\"}\n]\n", nil,
			"\"Add.\\n\\n1 2\" -> \"3\"\n\"Go.\" -> \"No.\"\n# keys \"instruction\", followed by \"input\", and \"output\"\n"},
		{"array.jsonl", "[" + strings.TrimSuffix(objects("{\"prompt\": \"%s\", \"completion\": \"%s\"}, "), ", ") + "]", nil, q + "# keys \"prompt\" and \"completion\"\n"},
		{"array.txt", "[" + strings.TrimSuffix(objects("{\"prompt\": \"%s\", \"completion\": \"%s\"},"), ",") + "]", nil, q + "# keys \"prompt\" and \"completion\"\n"},
		{"data.json", `{"version": "1", "meta": {"n": [1]}, "data": [` + strings.TrimSuffix(objects("{\"input\": \"%s\", \"output\": \"%s\"},\n"), ",\n") + "],\n\"end\": 1}", nil,
			q + "# keys \"input\" and \"output\"\n# the list under \"data\"\n"},
		{"pretty.json", "{\n \"prompt\": \"q0\",\n \"completion\": \"a0\"\n}\n{\n \"prompt\": \"q1\",\n \"completion\": \"a1\"\n}\n", nil, q + "# keys \"prompt\" and \"completion\"\n"},
		{"dolly.jsonl", `{"instruction": "Who?", "context": "A did.", "response": "A", "category": "closed_qa"}`, nil,
			"\"Who?\\n\\nA did.\" -> \"A\"\n# keys \"instruction\", followed by \"context\", and \"response\"\n# keys that are not used: \"category\"\n"},
		{"opus.jsonl", `{"translation": {"en": "one", "de": "eins"}}`, nil, "\"one\" -> \"eins\"\n# keys \"en\" and \"de\"\n"},
		{"values.jsonl", "{\"prompt\": \"q\", \"completion\": 1}\n{\"prompt\": 2.50, \"completion\": true}\n{\"prompt\": \"r\", \"completion\": null}\nnull\n{\"prompt\": \"r\", \"completion\": [\"a\"]}\n", nil,
			"\"q\" -> \"1\"\n\"2.50\" -> \"true\"\n1 with a column missing: line 3: its \"completion\" is null\n1 not a JSON object: line 4: it is a JSON null\n1 with messages that cannot be read: line 5: its \"completion\": message 1 is a JSON string, not an object with a role and a content\n# keys \"prompt\" and \"completion\"\n"},
		{"space.jsonl", "{\"prompt\": \"The capital is\", \"completion\": \" Paris\\n\"}\n{\"prompt\": \" \\n\", \"completion\": \"x\"}\n", nil,
			"\"The capital is\" -> \" Paris\\n\"\n1 empty: line 2: \" \\n\", \"x\"\n# keys \"prompt\" and \"completion\"\n"},
		{"surrogate.jsonl", "{\"prompt\": \"q \\ud83d\", \"completion\": \"a\"}\n{\"prompt\": \"r \\ud83d\\ude00\", \"completion\": \"b\", \"meta\": \"\\ud83d\"}\n", nil,
			"\"r 😀\" -> \"b\"\n1 not UTF-8: line 1: its \"prompt\" has \\ud83d, half of a character\n# keys \"prompt\" and \"completion\"\n# keys that are not used: \"meta\"\n"},
		{"u2028.jsonl", "{\"prompt\": \"q\u2028\u0085r\", \"completion\": \"a\"}\n", nil, "\"q\\u2028\\u0085r\" -> \"a\"\n# keys \"prompt\" and \"completion\"\n"},
		{"broken.jsonl", "{\"prompt\": \"q\", \"completion\": \"a\"},\n// no\n{\"prompt\": \"r\", \"completion\": \"b\"}\n", nil,
			"\"q\" -> \"a\"\n\"r\" -> \"b\"\n1 not a JSON object: line 2: invalid character '/' looking for beginning of value\n# lines end in commas, which are not part of them\n# keys \"prompt\" and \"completion\"\n"},
		// Conversations.
		{"chat.jsonl", `{"messages": [{"role": "developer", "content": "Go."}, {"role": "user", "content": [{"type": "text", "text": "Hi"}]}, {"role": "assistant", "content": "Hello"}, ` +
			`{"role": "user", "content": "2+2?"}, {"role": "assistant", "content": "4"}]}`, nil,
			"\"developer: Go.\\nuser: Hi\\nassistant:\" -> \"Hello\"\n\"developer: Go.\\nuser: Hi\\nassistant:\\nHello\\nuser: 2+2?\\nassistant:\" -> \"4\"\n" +
				"# conversations under \"messages\": a pair for each turn of the assistant\n"},
		{"sharegpt.json", `[{"id": "c", "system": "Be brief.", "conversations": [{"from": "human", "value": "Hi"}, {"from": "gpt", "value": "Hello"}]}]`, nil,
			"\"system: Be brief.\\nuser: Hi\\nassistant:\" -> \"Hello\"\n# conversations under \"conversations\": a pair for each turn of the assistant\n"},
		{"trl.jsonl", `{"prompt": [{"role": "user", "content": "Hi"}, {"role": "assistant", "content": "Yes?"}, {"role": "user", "content": "q"}], "completion": [{"role": "assistant", "content": "a"}]}`, nil,
			"\"user: Hi\\nassistant:\\nYes?\\nuser: q\\nassistant:\" -> \"a\"\n# keys \"prompt\" and \"completion\"\n# messages under \"prompt\" and \"completion\": a pair for each turn of the assistant in the second\n"},
		{"history.json", `[{"instruction": "And 3?", "input": "", "output": "5", "system": "Add 2.", "history": [["And 1?", "3"]]}]`, nil,
			"\"system: Add 2.\\nuser: And 1?\\nassistant:\\n3\\nuser: And 3?\\nassistant:\" -> \"5\"\n# keys \"instruction\", followed by \"input\", and \"output\"\n# instructions with \"system\" or \"history\" are conversations\n"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			p, err := prepared(t, c.name, c.content, c.flags...)
			if err != nil {
				t.Fatal(err)
			}
			if got := learned(p); got != c.want {
				t.Errorf("it learns\n%swant\n%s", got, c.want)
			}
		})
	}
}

// TestPairInputsRefused: what cannot be read says what it is, and how to go on.
func TestPairInputsRefused(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name, content string
		flags         []string
		want          string
	}{
		{"three.csv", "a,b,c\nq u e.,r.,s.\n", nil, `of its columns "a", "b", "c", none of their names is known as a source with its target: choose two; choose them with --prompt-column`},
		{"two.csv", "prompt,completion,question,answer\nq,a,r,b\n", nil, "more than two of these can be the source and the target"},
		{"three.tsv", "one\tun\tCC-BY\ntwo\tdeux\tCC-BY\n", nil, `it has 3 columns without a header, and its first row is "one", "un", "CC-BY": choose two by number`},
		{"one.csv", "text\nonly this\n", nil, "it has one column"},
		{"no.csv", "prompt,completion\nq,a\n", []string{"prompt-column", "body"}, `no column "body" among "prompt", "completion"`},
		{"bad.csv", "prompt,completion\nq,a\n\"r,b\n", []string{"on-bad", "fatal"}, "line 3: unusable sentence: a quotation mark has no end"},
		{"cp1252.csv", "prompt,completion\ncaf\xe9,a\n", nil, "iconv -f cp1252 -t utf-8"},
		{"two.json", `{"train": [{"prompt": "q", "completion": "a"}], "test": [{"prompt": "q", "completion": "a"}]}`, nil, `two lists of objects, under "train" and "test": put each in a file of its own`},
		{"cut.json", `[{"prompt": "q", "completion": "a"}, {"prompt": "r"`, nil, "has no end; is the file whole?"},
		{"columns.json", `{"prompt": {"0": "q", "1": "r"}, "completion": {"0": "a", "1": "b"}}`, nil, `it has columns, not records`},
		{"a.jsonl", `{"head": "q", "tail": "a"}`, nil, `it has no "prompt" among ["head" "tail"]`},
		{"a.parquet", "PAR1\x15\x04", nil, "Parquet"},
		{"a.xlsx", "PK\x03\x04\x14\x00", nil, "CSV"},
		{"a.jsonl.zst", "\x28\xb5\x2f\xfdzstd", nil, "zstd -d"},
		{"long.jsonl", `{"prompt": "` + strings.Repeat("word ", 90) + `", "completion": "a"}`, nil, "99 %"},
		{"d.jsonl", "", []string{"delimiter", "comma"}, "a delimiter, and jsonl files have none"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			_, err := prepared(t, c.name, c.content, c.flags...)
			if err == nil {
				t.Fatal("no error")
			}
			if got := explain(newFinetune(), err); !strings.Contains(got, c.want) || strings.Contains(got, "\n") {
				t.Errorf("it says %s", got)
			}
		})
	}
}

// TestFolderOfPairs: a folder of tables is not text, and its files are named.
func TestFolderOfPairs(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	for _, name := range []string{"train.jsonl", "test.jsonl"} {
		write(t, dir, name, `{"prompt": "q", "completion": "a"}`)
	}
	_, err := overrides{"from": baseModel(t), "data": dir}.tuned()
	if err == nil || !strings.Contains(err.Error(), `name one to train on, and perhaps one for validation, of "test.jsonl", "train.jsonl"`) {
		t.Errorf("error %v", err)
	}
	write(t, dir, "book.txt", "Some text.\n")
	if _, err := (overrides{"from": baseModel(t), "data": dir}).tuned(); err != nil {
		t.Errorf("with a text: %v", err)
	}
}

// TestTextInputs: {"text": ..} and plain files are text, not pairs.
func TestTextInputs(t *testing.T) {
	t.Parallel()
	for name, content := range map[string]string{
		"corpus.jsonl": "{\"text\": \"some text\", \"meta\": {\"id\": 1}}\n", "corpus.json": "[{\"text\": \"some text\"}]", "book.txt": "[He said]\n{nothing}\n", "notes.md": "{\n}",
	} {
		o := overrides{"from": baseModel(t), "data": write(t, t.TempDir(), name, content)}
		task, err := o.tuned()
		if err != nil {
			t.Fatal(err)
		}
		if _, ok := task.(*text.Task); !ok {
			t.Errorf("%s is pairs", name)
		}
	}
}
