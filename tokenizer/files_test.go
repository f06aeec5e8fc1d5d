package tokenizer

import (
	"bytes"
	"cmp"
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"testing/iotest"

	"github.com/bdia-go/bdia/internal/testkit"
)

// write fills a new folder with files.
func write(t testing.TB, files map[string][]byte) string {
	t.Helper()
	dir := t.TempDir()
	for name, text := range files {
		if err := os.WriteFile(filepath.Join(dir, name), text, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

// remove removes a file that may be gone already.
func remove(t testing.TB, dir, name string) {
	t.Helper()
	if err := os.Remove(filepath.Join(dir, name)); err != nil && !errors.Is(err, os.ErrNotExist) {
		t.Fatal(err)
	}
}

// saved returns the files that Save writes for the toy tokenizer.
func saved(t testing.TB) map[string][]byte {
	t.Helper()
	dir := t.TempDir()
	if err := toyBPE(t).Save(dir); err != nil {
		t.Fatal(err)
	}
	files := map[string][]byte{}
	list, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range list {
		if files[e.Name()], err = os.ReadFile(filepath.Join(dir, e.Name())); err != nil {
			t.Fatal(err)
		}
	}
	return files
}

func TestSaveLayout(t *testing.T) {
	t.Parallel()
	files := saved(t)
	if len(files) != 4 {
		t.Errorf("%d files", len(files))
	}
	var vocab map[string]int
	if err := json.Unmarshal(files[vocabFile], &vocab); err != nil {
		t.Fatal(err)
	}
	for token, id := range map[string]int{"!": 0, "~": 93, "¡": 94, "ÿ": 187, "Ā": 188, "Ġ": 220, "Ċ": 198, EndOfTextToken: 279} {
		if vocab[token] != id {
			t.Errorf("token %q has id %d, want %d", token, vocab[token], id)
		}
	}
	if !bytes.HasPrefix(files[mergesFile], []byte("#version: 0.2\n")) || bytes.Count(files[mergesFile], []byte("\n")) != 1+279-256 {
		t.Errorf("%s is %q", mergesFile, files[mergesFile])
	}
	for _, part := range []string{
		`"version":"1.0"`, `"content":"<|endoftext|>"`, `"pre_tokenizer":{"type":"ByteLevel","add_prefix_space":false,`, `"decoder":{"type":"ByteLevel"`,
		`"normalizer":null`, `"model":{"type":"BPE","dropout":null,"unk_token":null,`,
	} {
		if !bytes.Contains(files[tokenizerFile], []byte(part)) {
			t.Errorf("%s lacks %s", tokenizerFile, part)
		}
	}
	if !bytes.Contains(files[configFile], []byte(`"eos_token":"<|endoftext|>"`)) {
		t.Errorf("%s is %s", configFile, files[configFile])
	}
}

// TestLoadVariants checks that the other spellings of the same tokenizer give
// the same one.
func TestLoadVariants(t *testing.T) {
	t.Parallel()
	want := toyBPE(t)
	files := saved(t)
	j := string(files[tokenizerFile])
	merges := string(files[mergesFile])
	var lists []string
	for line := range strings.Lines(merges) {
		if left, right, ok := strings.Cut(strings.TrimSpace(line), " "); ok && left != "#version:" {
			pair, _ := json.Marshal([]string{left, right})
			lists = append(lists, string(pair))
		}
	}
	start := strings.Index(j, `"merges":`) + len(`"merges":`)
	end := start + strings.Index(j[start:], `]`) + 1
	for name, dir := range map[string]string{
		"all":          write(t, files),
		"json only":    write(t, map[string][]byte{tokenizerFile: files[tokenizerFile]}),
		"merge lists":  write(t, map[string][]byte{tokenizerFile: []byte(j[:start] + "[" + strings.Join(lists, ",") + "]" + j[end:])}),
		"untyped":      write(t, map[string][]byte{tokenizerFile: []byte(strings.Replace(j, `"type":"BPE",`, "", 1))}),
		"eot apart":    write(t, map[string][]byte{tokenizerFile: []byte(strings.Replace(j, `,"<|endoftext|>":279}`, "}", 1))}),
		"vocab":        write(t, map[string][]byte{vocabFile: files[vocabFile], mergesFile: files[mergesFile]}),
		"first names":  write(t, map[string][]byte{"encoder.json": files[vocabFile], "vocab.bpe": []byte(strings.ReplaceAll(merges, "\n", "\r\n"))}),
		"no end lines": write(t, map[string][]byte{vocabFile: files[vocabFile], mergesFile: []byte(strings.TrimSuffix(strings.TrimPrefix(merges, "#version: 0.2\n"), "\n"))}),
	} {
		got, err := Load(dir)
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		checkSame(t, name, got.(*BPE), want)
	}
}

func TestLoadRefuses(t *testing.T) {
	t.Parallel()
	files := saved(t)
	j, vocab, merges := string(files[tokenizerFile]), string(files[vocabFile]), string(files[mergesFile])
	edit := func(s, from, to string) []byte {
		if !strings.Contains(s, from) {
			t.Fatalf("nothing to edit: %s", from)
		}
		return []byte(strings.Replace(s, from, to, 1))
	}
	pair := func(vocab, merges []byte) map[string][]byte {
		return map[string][]byte{vocabFile: vocab, mergesFile: merges}
	}
	one := func(text []byte) map[string][]byte { return map[string][]byte{tokenizerFile: text} }
	v, m := []byte(vocab), []byte(merges)
	firstMerge := strings.Split(merges, "\n")[1]
	for _, c := range []struct {
		name  string
		files map[string][]byte
		want  string
	}{
		{"duplicate id", pair(edit(vocab, `"#":2,`, `"#":3,`), m), `both have id 3`},
		{"duplicate token", pair(edit(vocab, `"#":2,`, `"#":2,"#":2,`), m), `token "#" occurs twice`},
		{"hole", pair(edit(vocab, `:279}`, `:280}`), m), `without holes`},
		{"negative id", pair(edit(vocab, `"#":2,`, `"#":-2,`), m), `has id -2`},
		{"huge id", pair(edit(vocab, `"#":2,`, `"#":99999999999,`), m), `not an integer`},
		{"id is text", pair(edit(vocab, `"#":2,`, `"#":"2",`), m), `not an integer`},
		{"id is an object", pair(edit(vocab, `"#":2,`, `"#":{"a":2},`), m), `not an integer`},
		{"byte missing", pair(edit(vocab, `"#":2,`, `"日":2,`), m), `not spelt in GPT-2's byte alphabet`},
		{"byte missing 2", pair(edit(vocab, `"#":2,`, `"##":2,`), m), `lacks the token "#" of the byte 0x23`},
		{"empty token", pair(edit(vocab, `"#":2,`, `"":2,`), m), `not spelt`},
		{"list", pair([]byte("[1]"), m), `not an object`},
		{"no JSON", pair([]byte("{"), m), `it is cut short`},
		{"no vocabulary", pair([]byte("null"), m), `not an object`},
		{"unknown merge", pair(v, edit(merges, firstMerge, "q q")), `merge 1, "q" and "q", names a token`},
		{"merge twice", pair(v, edit(merges, firstMerge, firstMerge+"\n"+firstMerge)), `occurs twice`},
		{"merge of three", pair(v, edit(merges, firstMerge, "a b c")), `line 2: merge "a b c"`},
		{"merge of one", pair(v, edit(merges, firstMerge, "abc")), `line 2: merge "abc"`},
		{"merge in JSON of three", one(edit(j, `"`+firstMerge+`"`, `["a","b","c"]`)), `names 3 tokens`},
		{"merge in JSON a number", one(edit(j, `"`+firstMerge+`"`, `1`)), `a merge: it is 1, and must be a list`},
		{"unigram", one([]byte(`{"model":{"type":"Unigram","vocab":[["a",-1.5]]},"pre_tokenizer":null}`)), `"Unigram"`},
		{"metaspace", one(edit(j, `"pre_tokenizer":{"type":"ByteLevel"`, `"pre_tokenizer":{"type":"Metaspace"`)), `the decoder is ByteLevel, and the pre-tokenizer is not`},
		{"no pre-tokenizer", one(edit(j, `"pre_tokenizer"`, `"other"`)), `the decoder is ByteLevel, and the pre-tokenizer is not`},
		{"not UTF-8", one(edit(j, `"content":"<`, "\"content\":\"\xff<")), `not UTF-8`},
		{"prefix space", one(edit(j, `"add_prefix_space":false`, `"add_prefix_space":true`)), `add_prefix_space`},
		{"normalizer", one(edit(j, `"normalizer":null`, `"normalizer":{"type":"Lowercase"}`)), `a normalizer (Lowercase)`},
		{"decoder", one(edit(j, `"decoder":{"type":"ByteLevel"`, `"decoder":{"type":"BPEDecoder"`)), `decoder`},
		{"suffix", one(edit(j, `"end_of_word_suffix":""`, `"end_of_word_suffix":"</w>"`)), `end_of_word_suffix`},
		{"prefix", one(edit(j, `"continuing_subword_prefix":""`, `"continuing_subword_prefix":"##"`)), `continuing_subword_prefix`},
		{"byte fallback", one(edit(j, `"byte_fallback":false`, `"byte_fallback":true`)), `byte_fallback beside ByteLevel`},
		{"dropout", one(edit(j, `"dropout":null`, `"dropout":0.1`)), `dropout`},
		{"words of others", one(edit(j, `"pre_tokenizer":{`, `"pre_tokenizer":{"type":"Sequence","pretokenizers":[{"type":"Split","pattern":{"Regex":"\\s+"},"behavior":"Isolated"},{"type":"ByteLevel","add_prefix_space":false,"use_regex":false}]},"x":{`)), `the word pattern "\\s+" is not known`},
		{"digits apart", one(edit(j, `"pre_tokenizer":{`, `"pre_tokenizer":{"type":"Sequence","pretokenizers":[{"type":"ByteLevel","add_prefix_space":false},{"type":"Digits"}]},"x":{`)), `Digits together`},
		{"begin added", one(edit(j, `"post_processor":null`, `"post_processor":{"type":"TemplateProcessing","single":[{"SpecialToken":{"id":"<s>","type_id":0}},{"Sequence":{"id":"A","type_id":0}}]}`)), `no ids of the token "<s>"`},
		{"begin and end added", one(edit(j, `"post_processor":null`, `"post_processor":{"type":"Sequence","processors":[{"type":"ByteLevel"},{"type":"RobertaProcessing","sep":["</s>",1]}]}`)), `adds tokens (RobertaProcessing)`},
		{"long pipeline", one(edit(j, `"normalizer":null`, `"normalizer":{"type":"Sequence","normalizers":[`+strings.Repeat("{},", maxPart)+`{}]}`)), `part of the pipeline has`},
		{"added tokens no list", one(edit(j, `"added_tokens":[`, `"added_tokens":{},"x":[`)), `not a list`},
		{"added token no object", one(edit(j, `"added_tokens":[`, `"added_tokens":[1,`)), `added token 1: it is 1, and must be an object`},
		{"long configuration", map[string][]byte{tokenizerFile: []byte(j), configFile: make([]byte, maxSettings+1)}, `larger than 8 MiB`},
		{"added twice", one(edit(j, `"added_tokens":[`, `"added_tokens":[{"id":279,"content":"<|endoftext|>","special":true},`)), `occurs twice`},
		{"added and long", one(edit(j, `"content":"<`, `"content":"<`+strings.Repeat("a", maxAdded))), `525 bytes`},
		{"role of none", map[string][]byte{tokenizerFile: []byte(j), configFile: []byte(`{"eos_token":"</s>"}`)}, `eos_token is "</s>"`},
		{"prefix space in the configuration", map[string][]byte{tokenizerFile: []byte(j), configFile: []byte(`{"add_prefix_space":true}`)}, `add_prefix_space`},
		{"configuration of another kind", map[string][]byte{tokenizerFile: []byte(j), configFile: []byte(`{"eos_token":1}`)}, `eos_token`},
		{"no configuration", map[string][]byte{tokenizerFile: []byte(j), specialFile: []byte(`{`)}, specialFile},
		{"CLIP's", map[string][]byte{vocabFile: v, mergesFile: m, configFile: []byte(`{"tokenizer_class":"CLIPTokenizer"}`)}, `class CLIPTokenizer`},
		{"id in words", map[string][]byte{vocabFile: v, mergesFile: m, configFile: []byte(`{"added_tokens_decoder":{"one":{"content":"<s>"}}}`)}, `"one" is not an id`},
		{"added tokens differ", map[string][]byte{vocabFile: v, mergesFile: m, addedFile: []byte(`{"<s>":281}`), configFile: []byte(`{"added_tokens_decoder":{"280":{"content":"<s>"}}}`)}, `has id 280, but 281`},
		{"added with another id", one(edit(j, `{"id":279`, `{"id":278`)), `has id 278, but 279`},
		{"two tokenizers", map[string][]byte{charsFile: []byte(`{"version":1,"chars":"ab"}`), vocabFile: v, mergesFile: m}, `remove one`},
		{"character twice", map[string][]byte{charsFile: []byte(`{"version":1,"chars":"aa"}`)}, `character 1, 'a'`},
		{"no characters", map[string][]byte{charsFile: []byte(`{"version":1,"chars":""}`)}, `no characters`},
		{"characters of another version", map[string][]byte{charsFile: []byte(`{"version":2,"chars":"ab"}`)}, `version 2`},
		{"characters not UTF-8", map[string][]byte{charsFile: []byte("{\"version\":1,\"chars\":\"a\xff\"}")}, `not UTF-8`},
	} {
		tok, err := Load(write(t, c.files))
		if tok != nil {
			t.Errorf("%s: a tokenizer beside the error", c.name)
		}
		if !errors.Is(err, ErrFormat) || !strings.Contains(err.Error(), c.want) || !strings.HasPrefix(err.Error(), "tokenizer: ") || strings.Contains(err.Error(), "\n") {
			t.Errorf("%s: got %v, want %q", c.name, err, c.want)
		}
	}
	for name, files := range map[string]map[string][]byte{"empty": {}, "vocabulary only": {vocabFile: v}, "merges only": {mergesFile: m}} {
		if _, err := Load(write(t, files)); !errors.Is(err, ErrNotFound) {
			t.Errorf("%s: got %v", name, err)
		}
	}
}

// TestPipelines reads what comes to GPT-2's words and tokens, spelt otherwise.
func TestPipelines(t *testing.T) {
	t.Parallel()
	want := toyBPE(t)
	j := string(saved(t)[tokenizerFile])
	level := `{"type":"ByteLevel","add_prefix_space":false,"trim_offsets":true,"use_regex":true}`
	split := `{"type":"Split","pattern":{"Regex":"'s|'t|'re|'ve|'m|'ll|'d| ?\\p{L}+| ?\\p{N}+| ?[^\\s\\p{L}\\p{N}]+|\\s+(?!\\S)|\\s+"},"behavior":BEHAVIOR,"invert":INVERT}`
	apart := func(behavior, invert string) string {
		s := strings.NewReplacer("BEHAVIOR", behavior, "INVERT", invert).Replace(split)
		return `{"type":"Sequence","pretokenizers":[` + s + `,{"type":"ByteLevel","add_prefix_space":false,"use_regex":false}]}`
	}
	for name, edit := range map[string][2]string{
		"sequence of one":     {level, `{"type":"Sequence","pretokenizers":[` + level + `]}`},
		"nested":              {level, `{"type":"Sequence","pretokenizers":[{"type":"Sequence","pretokenizers":[` + level + `]}]}`},
		"split apart":         {level, apart(`"Isolated"`, "false")},
		"split by the rest":   {level, apart(`"Removed"`, "true")},
		"normalizer of none":  {`"normalizer":null`, `"normalizer":{"type":"Sequence","normalizers":[]}`},
		"offsets":             {`"post_processor":null`, `"post_processor":{"type":"ByteLevel","add_prefix_space":true,"trim_offsets":false}`},
		"template of nothing": {`"post_processor":null`, `"post_processor":{"type":"TemplateProcessing","single":[{"Sequence":{"id":"A","type_id":0}}],"pair":[],"special_tokens":{}}`},
		"decoders":            {`"decoder":{`, `"decoder":{"type":"Sequence","decoders":[{"type":"ByteLevel"}]},"x":{`},
		"truncation":          {`"truncation":null`, `"truncation":{"max_length":4}`},
	} {
		if !strings.Contains(j, edit[0]) {
			t.Fatalf("%s: nothing to edit", name)
		}
		got, err := Load(write(t, map[string][]byte{tokenizerFile: []byte(strings.Replace(j, edit[0], edit[1], 1))}))
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		checkSame(t, name, got.(*BPE), want)
	}
}

// TestRoles reads the parts of tokens and their flags from the files beside a
// vocabulary.
func TestRoles(t *testing.T) {
	t.Parallel()
	files := saved(t)
	end := AddedToken{ID: 279, Content: EndOfTextToken, Special: true}
	s := AddedToken{ID: 280, Content: "<s>", Lstrip: true, Special: true}
	plain := AddedToken{ID: 280, Content: "<s>", Normalized: true}
	for _, c := range []struct {
		name  string
		files map[string]string
		added []AddedToken
		roles roles
	}{
		{"none", nil, []AddedToken{end}, roles{279, 279, 279, -1}},
		{"configuration", map[string]string{
			configFile: `{"eos_token":"<s>","pad_token":{"content":"<s>","lstrip":true,"__type":"AddedToken"},"tokenizer_class":"GPT2Tokenizer",
				"added_tokens_decoder":{"280":{"content":"<s>","lstrip":true,"special":true}}}`,
		}, []AddedToken{end, s}, roles{279, 280, 279, 280}},
		{"older", map[string]string{addedFile: `{"<s>":280}`, specialFile: `{"bos_token":{"content":"<s>","lstrip":true},"unk_token":null}`},
			[]AddedToken{end, s}, roles{280, 279, -1, -1}},
		{"the configuration counts", map[string]string{addedFile: `{"<s>":280}`, specialFile: `{"bos_token":"<s>"}`, configFile: `{"bos_token":"<|endoftext|>"}`},
			[]AddedToken{end, plain}, roles{279, 279, 279, -1}},
		{"in the vocabulary", map[string]string{specialFile: `{"bos_token":null,"eos_token":"the","unk_token":null}`},
			nil, roles{-1, 258, -1, -1}},
	} {
		all := map[string][]byte{vocabFile: files[vocabFile], mergesFile: files[mergesFile]}
		for name, text := range c.files {
			all[name] = []byte(text)
		}
		tok, err := Load(write(t, all))
		if err != nil {
			t.Errorf("%s: %v", c.name, err)
			continue
		}
		b := tok.(*BPE)
		if c.added != nil && !slices.Equal(b.added, c.added) || b.roles != c.roles {
			t.Errorf("%s: got %+v, %v, want %+v, %v", c.name, b.added, b.roles, c.added, c.roles)
		}
		dir := t.TempDir()
		if err := b.Save(dir); err != nil {
			t.Fatal(err)
		}
		again, err := Load(dir)
		if err != nil {
			t.Errorf("%s, saved: %v", c.name, err)
			continue
		}
		checkSame(t, c.name, again.(*BPE), b)
	}
}

func TestLoadHuge(t *testing.T) {
	t.Parallel()
	dir := write(t, map[string][]byte{charsFile: nil})
	if err := os.Truncate(filepath.Join(dir, charsFile), maxFile+1); err != nil {
		t.Fatal(err)
	}
	if testing.Short() {
		t.Skip("reads 64 MiB")
	}
	if _, err := Load(dir); !errors.Is(err, ErrFormat) || !strings.Contains(err.Error(), "larger than 64 MiB") {
		t.Errorf("got %v", err)
	}
}

// TestMergeOrder checks a list in which a merge comes before the one that makes
// its left token: the pairs are joined one at a time, so "abab" becomes "aba"
// as soon as the first "ab" is there.
func TestMergeOrder(t *testing.T) {
	t.Parallel()
	vocab := map[string]int32{}
	for _, r := range alphabet {
		vocab[string(r)] = int32(len(vocab))
	}
	vocab["ab"], vocab["aba"] = 256, 257
	b, err := newBPE(vocab, nil, [][2]string{{"ab", "a"}, {"a", "b"}})
	if err != nil {
		t.Fatal(err)
	}
	for _, text := range []string{"abab", strings.Repeat("ab", longWordLen)} {
		got := mustEncode(t, b, []byte(text))
		if want := slowEncode(b, []byte(text)); !slices.Equal(got, want) || got[0] != 257 {
			t.Errorf("%q: got %v, want %v", text, got, want)
		}
	}
	if _, ok := b.EndOfText(); ok {
		t.Error("an end of text from nowhere")
	}
	dir := t.TempDir()
	if err := b.Save(dir); err != nil {
		t.Fatal(err)
	}
	got, err := Load(dir)
	if err != nil {
		t.Fatal(err)
	}
	checkSame(t, "without end of text", got.(*BPE), b)
}

func checkParsed(t *testing.T, b *BPE, err error) {
	testkit.Refused(t, err)
	if err != nil {
		if !errors.Is(err, ErrFormat) {
			t.Errorf("error without ErrFormat: %v", err)
		}
		return
	}
	text := []byte("the thesis  12 don't\xff\n e\u0301 <s>")
	ids := mustEncode(t, b, text)
	back, err := b.Decode(ids)
	if err != nil || b.pipe.gpt2 && b.whole && !bytes.Equal(back, text) {
		t.Errorf("%q came back as %q, %v", text, back, err)
	}
	if got := streamIDs(t, b, iotest.OneByteReader(bytes.NewReader(text))); !slices.Equal(got, ids) {
		t.Errorf("the stream gave %v, the whole %v", got, ids)
	}
	Missing(b)
	b.Words()
	for id := range int32(b.VocabSize()) {
		b.Spelling(id)
	}
}

func FuzzTokenizerJSON(f *testing.F) {
	f.Add(saved(f)[tokenizerFile])
	f.Add([]byte(`{"model":{"type":"WordPiece"}}`))
	for _, text := range testkit.Longer([]byte(`{"version":"1.0","normalizer":{"type":"NFC"},"pre_tokenizer":{"type":"Metaspace"},"post_processor":{"type":"P"},"decoder":{"type":"D"},` +
		`"added_tokens":[{"id":1,"content":"c"}],"model":{"type":"BPE","dropout":1,"unk_token":"u","continuing_subword_prefix":"p","vocab":{"a":0,"b":1,"c":3},"merges":["a b","d e"]}}`)) {
		f.Add(text)
		f.Add(bytes.Replace(bytes.Replace(text, []byte(`"normalizer"`), []byte(`"n"`), 1), []byte(`"pre_tokenizer"`), []byte(`"p"`), 1))
	}
	for _, text := range []string{`{"model":{"type":"BPE","vocab":{"a":0,"b":0},"merges":[]}}`, `{"model":{"type":"BPE","vocab":{"a":0,"b":1},"merges":["c d"]}}`,
		`{"model":{"type":"BPE","vocab":{"a":0,"b":1,"ab":2},"merges":["a b","a b"]}}`, `{"added_tokens":[{"id":0,"content":"a"},{"id":0,"content":"b"}],"model":{"vocab":{"a":0},"merges":[]}}`} {
		for _, longer := range testkit.Longer([]byte(`{"pre_tokenizer":` + levelOnly + `,` + text[1:])) {
			f.Add(longer)
		}
	}
	for _, text := range smallFamilies(f) {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		b, err := parseTokenizerJSON(text)
		checkParsed(t, b, err)
	})
}

func FuzzVocabMerges(f *testing.F) {
	files := saved(f)
	f.Add(files[vocabFile], files[mergesFile])
	f.Add([]byte(`{"a":0}`), []byte("a a\n"))
	for _, vocab := range testkit.Longer([]byte(`{"a":0,"b":0,"c":2}`)) {
		f.Add(vocab, []byte("#version: 0.2\na b\n"))
	}
	for _, merges := range testkit.Longer([]byte("#version: 0.2\na b\nc d\n")) {
		f.Add([]byte(`{"a":0,"b":1,"ab":2}`), merges)
		f.Add(files[vocabFile], merges)
	}
	f.Fuzz(func(t *testing.T, vocab, merges []byte) {
		b, err := parsePair(vocab, merges, settings{})
		checkParsed(t, b, err)
	})
}

func FuzzSettings(f *testing.F) {
	files := saved(f)
	f.Add(files[configFile])
	f.Add([]byte(`{"eos_token":{"content":"the"},"added_tokens_decoder":{"280":{"content":"<s>"}}}`))
	for _, text := range testkit.Longer([]byte(`{"tokenizer_class":"X","eos_token":{"content":"the"},"pad_token":"p","added_tokens_decoder":{"280":{"content":"<s>"},"a":{}},"chat_template":"{{x}}"}`)) {
		f.Add(text)
		f.Add(bytes.Replace(text, []byte(`,"a":{}`), nil, 1))
	}
	f.Add([]byte(`{"tokenizer_class":"LlamaTokenizer","add_bos_token":true,"add_eos_token":true,"bos_token":"<s>","eos_token":"</s>"}`))
	llama := sentence(f, false, nil)
	f.Fuzz(func(t *testing.T, text []byte) {
		s := settings{roles: map[string]*tokenName{}}
		if err := s.parse(configFile, text); err != nil {
			testkit.Refused(t, err)
			return
		}
		other := mustParse(t, llama)
		checkParsed(t, other, cmp.Or(s.check(other), s.assign(other), other.setFrame(&s)))
		b, err := parsePair(files[vocabFile], files[mergesFile], s)
		if err == nil {
			err = s.assign(b)
		}
		checkParsed(t, b, err)
	})
}
