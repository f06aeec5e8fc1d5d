package main

import (
	"archive/zip"
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/text/encoding/charmap"
	"golang.org/x/text/encoding/unicode"

	"github.com/bdia-go/bdia/cmd/bdia/internal/cli"
	"github.com/bdia-go/bdia/train"
)

// cafes is some text of n lines.
func cafes(n int) string {
	var b strings.Builder
	for i := range n {
		fmt.Fprintf(&b, "Line %d of the café by the river, where all is well.\n", i)
	}
	return b.String()
}

// TestMoreText: a run that has learned its text names the command that learns more.
func TestMoreText(t *testing.T) {
	t.Parallel()
	r := call("train", "--resume", trainedRun(t), "--data", "more/")
	if r.code != cli.ExitUsage || !strings.Contains(r.err, "bdia finetune --from RUN/best --data more/") {
		t.Errorf("exit code %d: %s", r.code, r.err)
	}
}

// windows1252 and encodedUTF16 are text in other encodings.
func windows1252(t *testing.T, text string) string {
	t.Helper()
	s, err := charmap.Windows1252.NewEncoder().String(text)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func encodedUTF16(t *testing.T, text string, order unicode.Endianness, mark unicode.BOMPolicy) string {
	t.Helper()
	s, err := unicode.UTF16(order, mark).NewEncoder().String(text)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func zipped(t *testing.T, files map[string]string) string {
	t.Helper()
	var b bytes.Buffer
	z := zip.NewWriter(&b)
	for name, text := range files {
		w, err := z.Create(name)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := w.Write([]byte(text)); err != nil {
			t.Fatal(err)
		}
	}
	if err := z.Close(); err != nil {
		t.Fatal(err)
	}
	return b.String()
}

// rowsOf returns n lines made by a format with the number of the line.
func rowsOf(n int, format string) string {
	var b strings.Builder
	for i := range n {
		fmt.Fprintf(&b, format, i)
	}
	return b.String()
}

// TestTextsAsTheyAre: text as people have it is understood, counted, or refused with the place and the remedy.
func TestTextsAsTheyAre(t *testing.T) {
	t.Parallel()
	plain := cafes(40)
	list := "[" + strings.TrimSuffix(rowsOf(12, `"document %d is a string",`), ",") + "]"
	for _, c := range []struct {
		name  string
		files map[string]string // by path; one is the data itself, many are a folder
		args  string
		docs  int64    // that are learned from
		shows []string // in the picture
		fails []string // in the error
	}{
		{name: "mark and line ends of Windows", files: map[string]string{"book.txt": "\ufeff" + strings.ReplaceAll(plain, "\n", "\r\n")}, docs: 1,
			shows: []string{"40 line ends of Windows (CR LF), read as LF", "there are 32 different ones"}},
		{name: "UTF-16 of Notepad", files: map[string]string{"a.txt": encodedUTF16(t, plain, unicode.LittleEndian, unicode.UseBOM)}, docs: 1, shows: []string{"1 file of UTF-16, decoded"}},
		{name: "UTF-16 big-endian", files: map[string]string{"a.txt": encodedUTF16(t, plain, unicode.BigEndian, unicode.UseBOM)}, docs: 1, shows: []string{"1 file of UTF-16"}},
		{name: "UTF-16 without a mark", files: map[string]string{"a.txt": encodedUTF16(t, plain, unicode.LittleEndian, unicode.IgnoreBOM)}, docs: 1, shows: []string{"1 file of UTF-16"}},
		{name: "UTF-32", files: map[string]string{"a.txt": "\xff\xfe\x00\x00a\x00\x00\x00"}, fails: []string{"a.txt", "UTF-32", "iconv"}},
		{name: "Windows-1252", files: map[string]string{"a.txt": "fine\n" + windows1252(t, plain)},
			fails: []string{"a.txt: line 2: byte 0xe9 at byte 22 is not UTF-8; it may be Windows-1252", "iconv -f cp1252 -t utf-8", "--on-bad skip"}},
		{name: "Windows-1252 with bytes as tokens", files: map[string]string{"a.txt": windows1252(t, plain)}, args: "--tokenizer bpe --bpe-vocab 300", fails: []string{"a.txt: line 1: byte 0xe9"}},
		{name: "one bad file", files: map[string]string{"1.txt": plain, "2.txt": windows1252(t, plain), "3.txt": plain}, fails: []string{"2.txt: line 1: byte 0xe9 at byte 17"}},
		{name: "one bad file left out", files: map[string]string{"1.txt": plain, "2.txt": windows1252(t, plain), "3.txt": plain}, args: "--on-bad skip", docs: 2,
			shows: []string{"3 files (2 used)", "1 file not UTF-8", "2.txt: line 1"}},
		{name: "zero bytes", files: map[string]string{"a.txt": plain + "\x00\x00\x00"}, docs: 1, shows: []string{"3 zero bytes left out"}},
		{name: "binary", files: map[string]string{"a.txt": strings.Repeat("\x00\x01", 100)}, fails: []string{"a.txt", "it is binary"}},
		{name: "empty", files: map[string]string{"a.txt": ""}, fails: []string{"a.txt", "it is empty"}},
		{name: "short", files: map[string]string{"a.txt": "to be"}, fails: []string{"5 tokens", "context of 16 needs at least 17"}},
		{name: "PDF", files: map[string]string{"a.pdf": "%PDF-1.7 ..."}, fails: []string{"a.pdf", "pdftotext"}},
		{name: "a pointer of Git LFS", files: map[string]string{"a.txt": "version https://git-lfs.github.com/spec/v1\noid sha256:4d7a\nsize 12345\n"}, fails: []string{"a.txt", "git lfs pull"}},
		{name: "a notebook among texts", files: map[string]string{"a.txt": plain, "b.ipynb": `{"cells": []}`}, docs: 1, shows: []string{"of Jupyter notebook", "nbconvert"}},
		{name: "a folder with all kinds", files: map[string]string{"a.txt": plain, ".hidden": plain, "b.pdf": "%PDF-1.7", "c.bin": "\x00\x00\x00\x00", "d.txt": "", "e.html": "<!DOCTYPE html><p>" + plain,
			"meta.json": `{"id": 3}`, "Thumbs.db": "x", ".git/x": "x", "f.zip": zipped(t, map[string]string{"in/g.txt": plain, "__MACOSX/g": "x"})}, docs: 3,
			shows: []string{"3 files hidden", "1 file of PDF", "1 file binary", "1 file empty", "1 file of HTML, read with its marks", "1 file without a text among their keys", "1 folder hidden"}},
		{name: "a zip archive", files: map[string]string{"a.zip": zipped(t, map[string]string{"one.txt": plain, "two.txt": plain})}, docs: 2},
		{name: "a Word document", files: map[string]string{"a.docx": zipped(t, map[string]string{"[Content_Types].xml": "", "word/document.xml": plain})}, fails: []string{"a.docx", "Word", "plain text"}},
		{name: "an empty folder", files: map[string]string{"d/": ""}, fails: []string{"no text", "folder is empty"}},
		{name: "lines of JSON", files: map[string]string{"a.jsonl": rowsOf(20, `{"text": "document %d\n is here", "meta": 1}`+"\n")}, docs: 20,
			shows: []string{`key "text"`, "2 of the 20 documents, drawn by chance"}},
		{name: "other keys, a mark, line ends of Windows", files: map[string]string{"a.ndjson": "\ufeff" + rowsOf(20, `{"id": 1, "Content": "document %d is here"}`+"\r\n")}, docs: 20, shows: []string{`key "Content"`}},
		{name: "broken lines", files: map[string]string{"a.jsonl": rowsOf(20, `{"text": "document %d is here"}`+"\n") + "{broken\n" + `{"text": null}` + "\n" + `{"other": "x"}` + "\n" + `{"text": "half \ud83d."}` + "\n"}, docs: 21,
			shows: []string{"1 row not JSON; first:", "a.jsonl, line 21", "2 rows without a text", "1 row with half a UTF-16 pair"}},
		{name: "U+2028 in a line", files: map[string]string{"a.jsonl": rowsOf(12, "{\"text\": \"document %d\u2028is here\"}\n")}, docs: 12},
		{name: "lines of JSON named .txt", files: map[string]string{"a.txt": rowsOf(12, `{"text": "document %d is here"}`+"\n")}, docs: 12},
		{name: "a JSON list", files: map[string]string{"a.json": "[\n" + strings.TrimSuffix(rowsOf(12, `{"story": "once, %d"},`+"\n"), ",\n") + "]"}, docs: 12, shows: []string{`key "story"`}},
		{name: "a list of strings", files: map[string]string{"a.json": list}, docs: 12},
		{name: "a list in an object", files: map[string]string{"a.json": `{"version": "1", "data": ` + list + `}`}, docs: 12},
		{name: "a broken list", files: map[string]string{"a.json": `[{"text": "a"}, {"text": `}, fails: []string{"a.json", "after", "is the file whole?"}},
		{name: "a table", files: map[string]string{"a.csv": "id,text\n" + rowsOf(12, `%d,"one, two
three"`+"\n")}, docs: 12, shows: []string{`column "text"`}},
		{name: "a table with semicolons", files: map[string]string{"a.csv": "id;body\n" + rowsOf(12, "%d;a body, it is\n")}, docs: 12, shows: []string{`column "body"`}},
		{name: "pairs", files: map[string]string{"a.jsonl": rowsOf(12, `{"prompt": "p%d", "completion": "c"}`+"\n")}, fails: []string{"a.jsonl", `"completion", "prompt"`, "bdia finetune learns such pairs"}},
		{name: "a column that is named", files: map[string]string{"a.csv": "id,words\n" + rowsOf(12, "%d,these are words\n")}, args: "--text-key words", docs: 12},
		{name: "a table without a text", files: map[string]string{"a.csv": "id,words\n1,a\n"}, fails: []string{"a.csv", `"id", "words"`, "--text-key", "--as-text"}},
		{name: "a table as it is", files: map[string]string{"a.csv": "id,words\n" + rowsOf(12, "%d,these are words\n")}, args: "--as-text", docs: 1},
		{name: "one long line", files: map[string]string{"a.txt": strings.Repeat("acgt", 1<<18)}, args: "--tokenizer char", docs: 1},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			dir := t.TempDir()
			data := dir
			for name, text := range c.files {
				path := filepath.Join(dir, name)
				parent := filepath.Dir(path)
				if strings.HasSuffix(name, "/") {
					data, parent = path, path
				}
				if err := os.MkdirAll(parent, 0o777); err != nil {
					t.Fatal(err)
				}
				if parent == path {
					continue
				}
				if err := os.WriteFile(path, []byte(text), 0o666); err != nil {
					t.Fatal(err)
				}
				if len(c.files) == 1 {
					data = path
				}
			}
			args := strings.Fields("train text --layers 1 --heads 1 --width 8 --context 16 --batch 1 --steps 1 --threads 1 --dry-run --json " + c.args)
			got := call(append(args, "--data", data)...)
			for _, want := range c.fails {
				if got.code == cli.ExitOK || !strings.Contains(got.err, want) {
					t.Errorf("exit code %d\n%s\ndoes not say %q", got.code, got.err, want)
				}
			}
			if len(c.fails) > 0 {
				return
			}
			if got.code != cli.ExitOK {
				t.Fatal(got.err)
			}
			var shown struct{ Data train.Picture }
			if err := json.Unmarshal([]byte(got.out), &shown); err != nil {
				t.Fatalf("error %v: %s%s", err, got.out, got.err)
			}
			var picture strings.Builder
			cli.PrintPicture(&picture, shown.Data, 1<<16)
			for _, want := range c.shows {
				if !strings.Contains(picture.String(), want) {
					t.Errorf("it does not show %q:\n%s", want, picture.String())
				}
			}
			if n := len(shown.Data.Counts); n == 0 || shown.Data.Counts[n-1].Used != c.docs {
				t.Errorf("counts %v, want %d documents", shown.Data.Counts, c.docs)
			}
		})
	}
}

// TestSeveralTexts: --data may be given several times, with files, folders and archives. The run keeps them in their
// order, goes on with the same, and with no others.
func TestSeveralTexts(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	first := write(t, dir, "first.txt", prose(900))
	if err := os.Mkdir(filepath.Join(dir, "folder"), 0o777); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"b", "a"} {
		write(t, dir, filepath.Join("folder", name+".txt"), "FOLDER "+name+" "+prose(900))
	}
	archive := write(t, dir, "more.zip", zipped(t, map[string]string{"in.txt": "ARCHIVE " + prose(900)}))
	run := filepath.Join(dir, "run")
	flags := []string{"--data", first, "--data", filepath.Join(dir, "folder"), "--data", archive}
	r := mustCall(t, append(append([]string{"train", "text"}, tiny(flags...)...), "--steps", "2", "--out", run)...)
	if !strings.Contains(r.err, "4 files, 4 documents") {
		t.Errorf("it says:\n%s", r.err)
	}
	yaml := string(must(os.ReadFile(filepath.Join(run, "bdia.yaml"))))
	if want := fmt.Sprintf("  path: %s\n  more:\n  - %s\n  - %s\n", first, filepath.Join(dir, "folder"), archive); !strings.Contains(yaml, want) {
		t.Errorf("settings\n%s\nlack\n%s", yaml, want)
	}
	mustCall(t, append([]string{"train", "resume", run, "--steps", "3"}, flags...)...)
	if r := call("train", "resume", run, "--steps", "4", "--data", first); r.code != cli.ExitUsage || !strings.Contains(r.err, "data.more") {
		t.Errorf("other texts: exit code %d: %s", r.code, r.err)
	}
	pairs := write(t, dir, "pairs.csv", "prompt,completion\na,b\nc,d\n")
	if r := call("finetune", "--from", run, "--data", first, "--data", pairs); r.code != cli.ExitUsage || !strings.Contains(r.err, "2 times") {
		t.Errorf("pairs: exit code %d: %s", r.code, r.err)
	}
	limited := filepath.Join(dir, "limited")
	mustCall(t, append(append([]string{"train", "text"}, tiny(flags...)...), "--steps", "2", "--warmup", "0", "--out", limited, "--max-bytes", "1000")...)
}
