package tokenizer

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
)

// withParts returns a tokenizer.json with these parts in it; names such as model.ignore_merges are parts of the model.
func withParts(t testing.TB, text []byte, parts map[string]string) []byte {
	t.Helper()
	var file, model map[string]json.RawMessage
	err := errors.Join(json.Unmarshal(text, &file), json.Unmarshal(file["model"], &model))
	if err == nil {
		err = json.Unmarshal(file["model"], &model)
	}
	for name, text := range parts {
		if key, ok := strings.CutPrefix(name, "model."); ok {
			model[key] = json.RawMessage(text)
		} else {
			file[name] = json.RawMessage(text)
		}
	}
	if err == nil {
		file["model"], err = json.Marshal(model)
	}
	if err == nil {
		text, err = json.Marshal(file)
	}
	if err != nil {
		t.Fatal(err)
	}
	return text
}

// Parts of pipelines.
const (
	levelOnly   = `{"type":"ByteLevel","add_prefix_space":false,"trim_offsets":true,"use_regex":false}`
	levelRegex  = `{"type":"ByteLevel","add_prefix_space":false,"trim_offsets":true,"use_regex":true}`
	llamaMarks  = `{"type":"Sequence","normalizers":[{"type":"Prepend","prepend":"▁"},{"type":"Replace","pattern":{"String":" "},"content":"▁"}]}`
	metaFirst   = `{"type":"Metaspace","replacement":"▁","prepend_scheme":"first","split":false}`
	llamaDecode = `{"type":"Sequence","decoders":[{"type":"Replace","pattern":{"String":"▁"},"content":" "},{"type":"ByteFallback"},{"type":"Fuse"},{"type":"Strip","content":" ","start":1,"stop":0}]}`
	gemmaDecode = `{"type":"Sequence","decoders":[{"type":"Replace","pattern":{"String":"▁"},"content":" "},{"type":"ByteFallback"},{"type":"Fuse"}]}`
	beginText   = `{"type":"TemplateProcessing","single":[{"SpecialToken":{"id":"E","type_id":0}},{"Sequence":{"id":"A","type_id":0}}],"special_tokens":{"E":{"id":"E","ids":[1],"tokens":["E"]}}}`
)

// splitBy is a pre-tokenizer of words that a regular expression matches.
func splitBy(regex string) string {
	text, _ := json.Marshal(regex)
	return fmt.Sprintf(`{"type":"Sequence","pretokenizers":[{"type":"Split","pattern":{"Regex":%s},"behavior":"Isolated","invert":false},%s]}`, text, levelOnly)
}

// sentence returns a tokenizer.json with a small vocabulary of characters, as SentencePiece's. If wide, its merges reach
// across a mark.
func sentence(t testing.TB, wide bool, parts map[string]string) []byte {
	t.Helper()
	vocab := map[string]int{"<unk>": 0, "<s>": 1, "</s>": 2}
	add := func(s string) {
		if _, ok := vocab[s]; !ok {
			vocab[s] = len(vocab)
		}
	}
	for c := range 256 {
		add(fmt.Sprintf("<0x%02X>", c))
	}
	merges := []string{"▁ t", "h e", "▁t he", "▁ ▁", "s i", "si s", "▁ a", "a a", "i n", "▁▁ ▁▁", "1 2", "▁a a"}
	if wide {
		merges = append(merges, "> ▁", "e ▁")
	}
	for _, m := range merges {
		left, right, _ := strings.Cut(m, " ")
		for _, r := range left + right {
			add(string(r))
		}
	}
	for _, m := range merges {
		add(strings.ReplaceAll(m, " ", ""))
	}
	v, _ := json.Marshal(vocab)
	m, _ := json.Marshal(merges)
	return withParts(t, []byte(`{"added_tokens":[{"id":0,"content":"<unk>","special":true},{"id":1,"content":"<s>","special":true},{"id":2,"content":"</s>","special":true}],
		"normalizer":`+llamaMarks+`,"decoder":`+llamaDecode+`,"model":{"type":"BPE","unk_token":"<unk>","fuse_unk":true,"byte_fallback":true,"vocab":`+string(v)+`,"merges":`+string(m)+`}}`), parts)
}

// smallFamilies are tokenizers with every part of a pipeline that is read.
func smallFamilies(t testing.TB) map[string][]byte {
	t.Helper()
	toy := saved(t)[tokenizerFile]
	files := map[string][]byte{"missing": bytes.Replace(toy, []byte(`"Ą":`), []byte(`"ĄĄ":`), 1)}
	for name, parts := range map[string]map[string]string{
		"gpt2":       {},
		"llama3":     {"pre_tokenizer": splitBy(llama3Words), "model.ignore_merges": "true", "post_processor": beginText},
		"qwen":       {"normalizer": `{"type":"NFC"}`, "pre_tokenizer": splitBy(qwenWords)},
		"tekken":     {"pre_tokenizer": splitBy(tekkenWords), "model.ignore_merges": "true"},
		"smollm":     {"pre_tokenizer": `{"type":"Sequence","pretokenizers":[{"type":"Digits","individual_digits":true},` + levelRegex + `]}`},
		"digit runs": {"pre_tokenizer": `{"type":"Sequence","pretokenizers":[{"type":"Digits"},` + levelRegex + `]}`},
		"twice":      {"pre_tokenizer": strings.Replace(splitBy(llama3Words), `"use_regex":false`, `"use_regex":true`, 1)},
		"whole":      {"pre_tokenizer": levelOnly},
		"normalized": {"normalizer": `{"type":"NFC"}`, "added_tokens": `[{"id":279,"content":"<|endoftext|>","special":true},{"id":280,"content":"e\u0301n","normalized":true},{"id":281,"content":"<l>","lstrip":true},{"id":282,"content":"<r>","rstrip":true,"normalized":true}]`},
	} {
		files[name] = withParts(t, toy, parts)
	}
	for name, parts := range map[string]map[string]string{
		"llama2":       {},
		"metaspace":    {"normalizer": "null", "pre_tokenizer": metaFirst},
		"always":       {"normalizer": "null", "pre_tokenizer": `{"type":"Metaspace","replacement":"▁"}`, "decoder": `{"type":"Metaspace","replacement":"▁"}`},
		"unknown":      {"model.byte_fallback": "false"},
		"unknown each": {"model.byte_fallback": "false", "model.fuse_unk": "false"},
		"left out":     {"model.byte_fallback": "false", "model.unk_token": "null"},
		"old llama":    {"added_tokens": `[{"id":0,"content":"<unk>","normalized":true,"special":true},{"id":1,"content":"<s>","normalized":true,"special":true},{"id":2,"content":"</s>","special":true}]`},
		"ignoring":     {"model.ignore_merges": "true"},
	} {
		files[name] = sentence(t, false, parts)
	}
	files["wide"] = sentence(t, true, nil)
	files["gemma"] = sentence(t, true, map[string]string{"normalizer": `{"type":"Replace","pattern":{"String":" "},"content":"▁"}`,
		"pre_tokenizer": `{"type":"Split","pattern":{"String":" "},"behavior":"MergedWithPrevious","invert":false}`, "decoder": gemmaDecode})
	return files
}

func mustParse(t testing.TB, text []byte) *BPE {
	t.Helper()
	b, err := parseTokenizerJSON(text)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// familyPieces are what the texts of these tests are made of.
var familyPieces = slices.Concat(nasty, []string{"<s>", "</s>", "<unk>", "▁", "▁t", " the", "the", "sis", "<0x41>", "e\u0301n", "e\u0301", "é",
	"<l>", "<r>", "가", "\u1100\u1161\u11a8", "\u0344", "\x04", "> ", "aa", " "})

func familyText(r *rand.Rand, n int) []byte {
	var s strings.Builder
	for range r.IntN(n) {
		s.WriteString(familyPieces[r.IntN(len(familyPieces))])
	}
	return []byte(s.String())
}

// TestSmallFamilies: a text gives the same ids as a whole, in parts and by the definition.
func TestSmallFamilies(t *testing.T) {
	t.Parallel()
	n := 1500
	if testing.Short() {
		n = 200
	}
	for name, file := range smallFamilies(t) {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b, r := mustParse(t, file), rand.New(rand.NewPCG(31, 32))
			for _, tok := range []*BPE{b, Raw(b).(*BPE)} {
				for range n {
					checkFamily(t, tok, familyText(r, 30), func(int) int { return r.IntN(1 + r.IntN(20)) })
				}
			}
		})
	}
}

// checkFamily compares one text.
func checkFamily(t *testing.T, b *BPE, text []byte, end func(int) int) {
	t.Helper()
	ids := mustEncode(t, b, text)
	if want := newSlow(b).encode(t, text); !slices.Equal(ids, want) {
		t.Fatalf("%q: got %v, want %v", text, ids, want)
	}
	if got := cutInParts(t, b, text, end); !slices.Equal(got, ids) {
		t.Fatalf("%q: in parts %v, want %v", text, got, ids)
	}
	back, err := b.Decode(ids)
	if err != nil {
		t.Fatal(err)
	}
	d, parts := NewDecoder(b), []byte(nil)
	for _, id := range ids {
		if parts, err = d.Append(parts, id); err != nil {
			t.Fatal(err)
		}
	}
	if parts = d.Rest(parts); !bytes.Equal(parts, back) {
		t.Fatalf("%q: decoded token by token %q, want %q", text, parts, back)
	}
	if len(b.pipe.normal) == 0 && len(Missing(b)) == 0 && !b.chars && !bytes.Equal(back, text) {
		t.Fatalf("%q came back as %q", text, back)
	}
}

// TestLost counts what no token stands for.
func TestLost(t *testing.T) {
	t.Parallel()
	files := smallFamilies(t)
	for name, c := range map[string]struct {
		missing int
		lost    int64
		back    string
	}{
		"gpt2":     {0, 0, "the\x04 the\x04 日"},
		"missing":  {1, 2, "the the 日"},
		"llama2":   {0, 0, "the\x04 the\x04 日"},
		"unknown":  {119, 5, "the<unk> the<unk> <unk>"},
		"left out": {119, 5, "the the "},
	} {
		b := mustParse(t, files[name])
		var lost atomic.Int64
		tok := CountLost(Raw(b), &lost)
		for range 2 { // the second time from the cache
			ids := mustEncode(t, tok, []byte("the\x04 the\x04 日"))
			if back, err := tok.Decode(ids); err != nil || string(back) != c.back {
				t.Errorf("%s: came back as %q, %v", name, back, err)
			}
		}
		if n := len(Missing(b)); n != c.missing || lost.Load() != 2*c.lost {
			t.Errorf("%s: %d bytes are missing, %d lost; want %d, %d", name, n, lost.Load(), c.missing, 2*c.lost)
		}
	}
}

// FuzzFamilies: any text, by any pipeline, as a whole and in parts.
func FuzzFamilies(f *testing.F) {
	var names []string
	files := map[string]*BPE{}
	for name, file := range smallFamilies(f) {
		names = append(names, name)
		files[name] = mustParse(f, file)
	}
	slices.Sort(names)
	for i := range names {
		f.Add([]byte("I'LL <s>the e\u0301n  12\n\n\xff日\x04"), uint8(i), uint8(3))
	}
	f.Fuzz(func(t *testing.T, text []byte, which, part uint8) {
		if b := files[names[int(which)%len(names)]]; len(text) < 1000 {
			checkFamily(t, b, text, func(int) int { return int(part) })
		}
	})
}
