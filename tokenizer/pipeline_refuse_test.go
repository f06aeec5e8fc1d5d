package tokenizer

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/bdia-go/bdia/internal/testkit"
)

// TestPipelinesRefused: a part of a pipeline that is not known, or that makes no sense, is refused by name.
func TestPipelinesRefused(t *testing.T) {
	t.Parallel()
	toy := saved(t)[tokenizerFile]
	long := strings.Repeat("x", 10_000)
	decoders := func(list string) map[string]string {
		return map[string]string{"decoder": `{"type":"Sequence","decoders":[` + list + `]}`}
	}
	metaspace := func(fields string) map[string]string {
		return map[string]string{"pre_tokenizer": `{"type":"Metaspace",` + fields + `}`}
	}
	for _, c := range []struct {
		chars bool
		parts map[string]string
		want  string
	}{
		{false, map[string]string{"normalizer": `{"type":"Replace","pattern":{"Regex":"a+"},"content":"b"}`}, `replaces the regular expression "a+"`},
		{false, map[string]string{"normalizer": `{"type":"Replace","pattern":{"String":""},"content":"b"}`}, `Replace has no pattern`},
		{false, map[string]string{"normalizer": `{"type":"Replace"}`}, `Replace has no pattern`},
		{false, map[string]string{"normalizer": `{"type":"Sequence","normalizers":[{"type":"NFC"},{"type":"` + long + `"}]}`}, `a normalizer (xxx`},
		{false, map[string]string{"pre_tokenizer": `{"type":"` + long + `"}`}, `the pre-tokenizer xxx`},
		{false, map[string]string{"pre_tokenizer": splitBy(long)}, `the word pattern "xxx`},
		{false, map[string]string{"pre_tokenizer": strings.Replace(splitBy(qwenWords), "Isolated", "MergedWithNext", 1)}, `behavior MergedWithNext`},
		{false, map[string]string{"pre_tokenizer": strings.Replace(splitBy(qwenWords), "Isolated", "Removed", 1)}, `behavior Removed`},
		{true, map[string]string{"pre_tokenizer": `{"type":"Split","pattern":{"String":"-"},"behavior":"Isolated"}`}, `splits at the text "-"`},
		{true, metaspace(`"replacement":"_"`), `a Metaspace of "_"`},
		{true, metaspace(`"prepend_scheme":"last"`), `prepend_scheme "last"`},
		{false, metaspace(`"replacement":"▁"`), `the decoder is ByteLevel, and the pre-tokenizer is not`},
		{true, map[string]string{"pre_tokenizer": levelRegex}, `(Replace) beside a ByteLevel pre-tokenizer`},
		{true, map[string]string{"decoder": "null"}, `there is no decoder`},
		{true, decoders(`{"type":"Fuse"},{"type":"ByteFallback"}`), `this ByteFallback`},
		{true, decoders(`{"type":"ByteFallback"},{"type":"Replace","pattern":{"String":"▁"},"content":" "}`), `this Replace`},
		{true, decoders(`{"type":"Strip","content":" ","start":1,"stop":0}`), `this Strip`},
		{true, decoders(`{"type":"Fuse"},{"type":"Strip","content":" ","start":1,"stop":1}`), `this Strip`},
		{true, decoders(`{"type":"Fuse"},{"type":"Strip","content":" ","start":1000000000}`), `this Strip`},
		{true, decoders(`{"type":"WordPiece"}`), `this WordPiece`},
		{true, map[string]string{"model.unk_token": `"<none>"`}, `unk_token is "<none>"`},
		{true, map[string]string{"model.dropout": `0.5`}, `dropout`},
		{true, map[string]string{"model.merges": `["a a","a a"]`}, `merge 2, "a" and "a", occurs twice`},
		{true, map[string]string{"model.merges": `["a ` + long + `"]`}, `merge 1, "a" and "xxx`},
		{true, map[string]string{"model.vocab": `{"":0,"<unk>":1,"<s>":2,"</s>":3}`, "added_tokens": "[]"}, `the token with id 0 is empty`},
		{true, map[string]string{"model.vocab": `{"a":0,"b":0,"<unk>":1}`, "added_tokens": "[]"}, `both have id 0`},
		{true, map[string]string{"model.vocab": `{"a":0,"<unk>":2147483647}`, "added_tokens": "[]"}, `without holes`},
		{true, map[string]string{"added_tokens": `[{"id":-1,"content":"<x>"}]`}, `has id -1`},
		{true, map[string]string{"added_tokens": `[{"id":2000000000,"content":"<x>"}]`}, `has id 2000000000`},
		{true, map[string]string{"post_processor": `{"type":"TemplateProcessing","single":[],"special_tokens":{}}`}, `not one text`},
		{true, map[string]string{"post_processor": `{"type":"TemplateProcessing","single":1}`}, `TemplateProcessing: it is 1`},
		{true, map[string]string{"post_processor": strings.Replace(beginText, `"ids":[1]`, `"ids":[`+strings.Repeat("1,", 100)+`1]`, 1)}, `more than 64 tokens`},
		{true, map[string]string{"post_processor": strings.Replace(beginText, `"ids":[1]`, `"ids":[-1]`, 1)}, `adds the token -1`},
		{true, map[string]string{"post_processor": strings.Replace(beginText, `"ids":[1]`, `"ids":[99999]`, 1)}, `adds the token 99999`},
	} {
		text := withParts(t, toy, c.parts)
		if c.chars {
			text = sentence(t, false, c.parts)
		}
		_, err := Load(write(t, map[string][]byte{tokenizerFile: text}))
		if !errors.Is(err, ErrFormat) || !strings.Contains(err.Error(), c.want) {
			t.Errorf("got %.300v, want %q", err, c.want)
		}
		testkit.Refused(t, err)
	}
}

// TestDeepPipeline: sequences in sequences end somewhere.
func TestDeepPipeline(t *testing.T) {
	t.Parallel()
	part := `{"type":"NFC"}`
	for range 1500 {
		part = `{"type":"Sequence","normalizers":[` + part + `]}`
	}
	if _, err := parseTokenizerJSON(withParts(t, saved(t)[tokenizerFile], map[string]string{"normalizer": part})); err != nil && !errors.Is(err, ErrFormat) {
		t.Error(err)
	}
}

// TestManyMerges: a file of nothing but merges is refused before they are all there.
func TestManyMerges(t *testing.T) {
	t.Parallel()
	if testing.Short() {
		t.Skip("makes a file of 25 MB")
	}
	text := withParts(t, saved(t)[tokenizerFile], map[string]string{"model.merges": `[` + strings.Repeat(`"a b",`, 2*maxVocab) + `"a b"]`})
	if _, err := parseTokenizerJSON(text); !errors.Is(err, ErrFormat) || !strings.Contains(err.Error(), "more than 2097152 merges") {
		t.Errorf("got %v", err)
	}
}

// TestOnlySentencePiece: the model file of SentencePiece is not read, and the error says what to do.
func TestOnlySentencePiece(t *testing.T) {
	t.Parallel()
	_, err := Load(write(t, map[string][]byte{modelFile: {1}}))
	if !errors.Is(err, ErrNotFound) || !strings.Contains(err.Error(), "save_pretrained") {
		t.Errorf("got %v", err)
	}
}

// TestFrames: what is around a text is what the file says, or what the tokenizer's class makes of it.
func TestFrames(t *testing.T) {
	t.Parallel()
	sides := strings.Replace(beginText, `{"Sequence":{"id":"A","type_id":0}}`, `{"Sequence":{"id":"A","type_id":0}},{"SpecialToken":{"id":"E","type_id":0}}`, 1)
	for _, c := range []struct {
		post, config  string
		before, after []int32
	}{
		{"null", `{}`, nil, nil},
		{beginText, `{}`, []int32{1}, nil},
		{sides, `{}`, []int32{1}, []int32{1}},
		{`{"type":"Sequence","processors":[{"type":"ByteLevel"},` + beginText + `,` + sides + `]}`, `{}`, []int32{1, 1}, []int32{1}},
		{sides, `{"tokenizer_class":"PreTrainedTokenizerFast","add_bos_token":false,"bos_token":"<s>"}`, []int32{1}, []int32{1}},
		{sides, `{"tokenizer_class":"LlamaTokenizer","bos_token":"<s>","eos_token":"</s>"}`, []int32{1}, nil},
		{"null", `{"tokenizer_class":"LlamaTokenizerFast"}`, []int32{1}, nil},
		{"null", `{"tokenizer_class":"LlamaTokenizer","add_bos_token":false,"add_eos_token":true}`, nil, []int32{2}},
		{"null", `{"tokenizer_class":"LlamaTokenizer","add_eos_token":true,"bos_token":"</s>","eos_token":"<s>"}`, []int32{2}, []int32{1}},
	} {
		tok, err := Load(write(t, map[string][]byte{tokenizerFile: sentence(t, false, map[string]string{"post_processor": c.post}), configFile: []byte(c.config)}))
		if err != nil {
			t.Fatal(err)
		}
		if before, after := Around(tok); !slices.Equal(before, c.before) || !slices.Equal(after, c.after) {
			t.Errorf("%s, %s: %v and %v around a text, want %v and %v", c.post, c.config, before, after, c.before, c.after)
		}
	}
	_, err := Load(write(t, map[string][]byte{tokenizerFile: sentence(t, false, nil), configFile: []byte(`{"tokenizer_class":"LlamaTokenizer","bos_token":null}`)}))
	if !errors.Is(err, ErrFormat) || !strings.Contains(err.Error(), "bos_token around a text") {
		t.Errorf("got %v", err)
	}
}

// TestContinue: what follows a prompt keeps its space, and what follows special tokens is the start of a text.
func TestContinue(t *testing.T) {
	t.Parallel()
	b := mustParse(t, sentence(t, false, nil))
	ids := mustEncode(t, b, []byte("the the"))
	for _, c := range []struct {
		before []int32
		want   string
	}{{nil, "the the"}, {[]int32{1}, "the the"}, {[]int32{1, ids[0]}, " the the"}} {
		d := NewDecoder(b)
		d.Continue(c.before)
		var text []byte
		for _, id := range ids {
			text, _ = d.Append(text, id)
		}
		if got := string(d.Rest(text)); got != c.want {
			t.Errorf("after %v: %q, want %q", c.before, got, c.want)
		}
	}
	if _, err := NewDecoder(b).Append(nil, int32(b.VocabSize())); !errors.Is(err, ErrID) {
		t.Errorf("got %v", err)
	}
}

// TestBytesThatAreNoText: tokens of bytes that are not UTF-8 are one U+FFFD each.
func TestBytesThatAreNoText(t *testing.T) {
	t.Parallel()
	b := mustParse(t, sentence(t, false, nil))
	id := func(c byte) int32 { return 3 + int32(c) }
	for _, c := range []struct {
		ids  []int32
		want string
	}{
		{[]int32{id(0xe6), id(0x97), id(0xa5)}, "日"},
		{[]int32{id(0xe6), id(0x97)}, "\ufffd\ufffd"},
		{[]int32{id('a'), id(0xe6), id('b')}, "\ufffd\ufffd\ufffd"},
		{[]int32{id('a'), 1, id('b')}, "a<s>b"},
		{[]int32{id(' '), id('b')}, "b"},
	} {
		if got, err := b.Decode(c.ids); err != nil || string(got) != c.want {
			t.Errorf("%v: %q, %v, want %q", c.ids, got, err, c.want)
		}
	}
}

// TestCarried: files that are not understood go along, and a template of conversations is changed in them.
func TestCarried(t *testing.T) {
	t.Parallel()
	files := map[string][]byte{tokenizerFile: sentence(t, false, nil), configFile: []byte("{ \"b\": 1,\n\"a\": [NaN], \"chat_template\": \"old\"}"),
		specialFile: []byte(`{ }`), addedFile: []byte(`{"<s>": 1}`), templateFile: []byte("new"), modelFile: []byte("\x00\x01")}
	tok, err := Load(write(t, files))
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	if err := tok.Save(dir); err != nil {
		t.Fatal(err)
	}
	for name, want := range files {
		if got, err := os.ReadFile(filepath.Join(dir, name)); err != nil || !bytes.Equal(got, want) {
			t.Errorf("%s came back as %q, %v", name, got, err)
		}
	}
	other := WithChatTemplate(tok, "{{ other }}")
	if ChatTemplate(tok) != "new" || ChatTemplate(other) != "{{ other }}" {
		t.Errorf("templates %q, %q", ChatTemplate(tok), ChatTemplate(other))
	}
	dir = t.TempDir()
	if err := other.Save(dir); err != nil {
		t.Fatal(err)
	}
	again, err := Load(dir)
	if err != nil || ChatTemplate(again) != "{{ other }}" || Fingerprint(again) != Fingerprint(tok) {
		t.Errorf("read again: %q, %v", ChatTemplate(again), err)
	}
}

// TestFingerprints: the same tokens cut in another way are another tokenizer.
func TestFingerprints(t *testing.T) {
	t.Parallel()
	seen := map[[32]byte]string{}
	for name, file := range smallFamilies(t) {
		tok, err := Load(write(t, map[string][]byte{tokenizerFile: file}))
		if err != nil {
			t.Fatal(err)
		}
		sum := Fingerprint(tok)
		if other, ok := seen[sum]; ok {
			t.Errorf("%s and %s have one fingerprint", name, other)
		}
		seen[sum] = name
	}
}

// TestLimitedFamilies: tokens beyond the model's are left out, if they are added ones.
func TestLimitedFamilies(t *testing.T) {
	t.Parallel()
	for name, file := range smallFamilies(t) {
		b := mustParse(t, file)
		n := b.VocabSize()
		if _, err := Limit(b, n-1); name == "llama2" && !errors.Is(err, ErrFormat) {
			t.Errorf("%s: got %v", name, err)
		}
		limited, err := Limit(b, n-1)
		if err != nil {
			continue
		}
		if got, want := mustEncode(t, limited, []byte("the thesis")), mustEncode(t, b, []byte("the thesis")); !slices.Equal(got, want) {
			t.Errorf("%s: got %v, want %v", name, got, want)
		}
	}
	add := `[{"id":0,"content":"<unk>","special":true},{"id":1,"content":"<s>","special":true},{"id":%d,"content":"<pad>","special":true}]`
	b := mustParse(t, sentence(t, false, nil))
	more := mustParse(t, sentence(t, false, map[string]string{"added_tokens": fmt.Sprintf(add, b.VocabSize())}))
	limited, err := Limit(more, b.VocabSize())
	if err != nil {
		t.Fatal(err)
	}
	if _, err := limited.Encode([]byte("a<pad>")); !errors.As(err, new(*BeyondError)) {
		t.Errorf("got %v", err)
	}
}
