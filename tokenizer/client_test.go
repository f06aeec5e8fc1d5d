//go:build clients

package tokenizer

import (
	"bytes"
	"fmt"
	"io/fs"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"unicode"
	"unicode/utf8"

	"github.com/bdia-go/bdia/internal/testkit"
)

// What tokens.mjs is asked, and what it answers: ids of each file, and their text.
type (
	clientQuestion struct {
		Folder string   `json:"folder"`
		Files  []string `json:"files"`
	}
	clientAnswer struct {
		Rust, JS         [][]int32
		RustText, JSText []string
	}
)

// mixed are scripts, emoji, controls and white space of all sorts.
const mixed = `Pack my box with five dozen liquor jugs; I'll say we've they're DON'T it'd 'quoted' o''clock ' s 's
naïve façade Straße ŒUVRE ǅ ﬁ Ελληνικά πολυτονικό ᾳ Русский йё Українська ქართული ᏣᎳᎩ հայերեն
עִבְרִית שָׁלוֹם العربيّة ١٢٣ فارسی ۴۵۶ हिन्दी क्षत्रिय देवनागरी १२३ বাংলা தமிழ் ไทยไม่มีช่องว่าง ລາວ ខ្មែរ မြန်မာ བོད་ཡིག አማርኛ
中文字符 日本語ひらがなカタカナｶﾅ 한국어 한국어 ᠮᠣᠩᠭᠣᠯ 𐌰𐌱 𓀀𓀁 𝒳𝟙 𠀀𠀁 Ａ１
½ ² Ⅷ ① ٣ 〇 一二三 1234567890 3.14159 1,000,000 0xFF 1e-9 ∑∫√∞≠ €£¥₿ «» „“ ‚‘ — – … • § ¶
👍🏽 👩‍👩‍👧‍👦 🏳️‍🌈 🇪🇺🇫🇷🇩🇪 👨🏿‍🚀 ☺️ ☺ 🧑‍🤝‍🧑 1️⃣ #️⃣ 🏴󠁧󠁢󠁥󠁮󠁧󠁿 🫠😀😀😀 e` + "\u0301\u0302 a\u0308 \u200d \u200b\u200c x\u2060y \u00ad" + `
` + "two  three   four    spaces\ttab\t\ttabs \t mixed\t \n\n\n\nnewlines\r\n\r\ncarriage\rreturn \n \n  \n\ttrailing   \n" +
	"no\u00a0break\u00a0\u00a0space \u00a0 \u1680ogham\u2000\u2001\u2002\u2003\u2004\u2005\u2006\u2007\u2008\u2009\u200aquads\u202fnarrow\u205fmath\u3000\u3000wide \u3000x\n" +
	"line\u2028\u2028separator \u2028 paragraph\u2029\u2029 \u180e vertical\v\vtab form\f\ffeed \x1c\x1d\x1e\x1f\n" +
	"\x00\x01\x02\x07\x08\x1b[31m\x7f\u0080\u0081\u009f \ufffd \ufffe \uffff \U0010fffd \ue000 \u0378\n" +
	"<|endoftext|> a<|endoftext|>b <|endoftext|><|endoftext|> <|endoftext|\n   "

// notForJS are White_Space to Unicode, the library in Rust, and us, but not to
// JavaScript's \s, or the other way round: text with them has other tokens in
// transformers.js.
const notForJS = "\u0085\ufeff"

var withoutThose = strings.NewReplacer("\u0085", "", "\ufeff", "")

// everyCharacter has every assigned character, but of ideographs and syllables one
// in 64, in runs, between others, after a space and before one.
func everyCharacter() string {
	var s strings.Builder
	for r := rune(0); r <= unicode.MaxRune; r++ {
		if unicode.In(r, unicode.L, unicode.M, unicode.N, unicode.P, unicode.S, unicode.Z, unicode.Cc, unicode.Cf) && (r < 0x3500 || r > 0xd700 && r < 0x20000 || r >= 0xe0000 || r%64 == 0) {
			fmt.Fprintf(&s, "%c%ca%c1%c! %c", r, r, r, r, r)
		}
	}
	return s.String()
}

// goSource returns about n bytes of the Go source of this machine, from all over
// it.
func goSource(t *testing.T, n int64) (text []byte) {
	t.Helper()
	type file struct {
		path string
		size int64
	}
	var all []file
	var total int64
	root, err := exec.Command("go", "env", "GOROOT").Output()
	if err != nil {
		t.Fatal(err)
	}
	err = filepath.WalkDir(filepath.Join(strings.TrimSpace(string(root)), "src"), func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() || filepath.Ext(path) != ".go" {
			return err
		}
		info, err := d.Info()
		if err == nil {
			all = append(all, file{path, info.Size()})
			total += info.Size()
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	step := int(max(1, total/n))
	for i := 0; i < len(all); i += step {
		b, err := os.ReadFile(all[i].path)
		if err != nil {
			t.Fatal(err)
		}
		if utf8.Valid(b) {
			text = append(text, b...)
		}
	}
	return text
}

// compare saves b, encodes texts with it, and compares ids and decoded text with
// those of Hugging Face's libraries.
func compare(t *testing.T, what string, b *BPE, texts map[string]string) {
	t.Helper()
	q := clientQuestion{Folder: t.TempDir()}
	if err := b.Save(q.Folder); err != nil {
		t.Fatal(err)
	}
	var names []string
	for name, text := range texts {
		path := filepath.Join(q.Folder, fmt.Sprint(len(names)))
		if err := os.WriteFile(path, []byte(text), 0o666); err != nil {
			t.Fatal(err)
		}
		names, q.Files = append(names, name), append(q.Files, path)
	}
	var a clientAnswer
	testkit.Node(t, filepath.Join("testdata", "tokens.mjs"), q, &a)
	for i, name := range names {
		text := texts[name]
		ids := mustEncode(t, b, []byte(text))
		t.Logf("%s, %s: %d bytes, %d ids", what, name, len(text), len(ids))
		check := func(lib string, theirs []int32, decoded string) {
			if !slices.Equal(ids, theirs) {
				k := 0
				for k < min(len(ids), len(theirs)) && ids[k] == theirs[k] {
					k++
				}
				before, _ := b.Decode(ids[max(0, k-4):k])
				our, _ := b.Decode(ids[k:min(k+6, len(ids))])
				other, _ := b.Decode(theirs[k:min(k+6, len(theirs))])
				t.Errorf("%s, %s: %d ids, %s has %d; after %q, %v %q, there %v %q", what, name, len(ids), lib, len(theirs), before,
					ids[k:min(k+6, len(ids))], our, theirs[k:min(k+6, len(theirs))], other)
			}
			if decoded != text {
				t.Errorf("%s, %s: %s decodes another text", what, name, lib)
			}
		}
		check("tokenizers (Rust)", a.Rust[i], a.RustText[i])
		if !strings.ContainsAny(text, notForJS) {
			check("tokenizers (JavaScript)", a.JS[i], a.JSText[i])
		} else {
			t.Logf("%s, %s: the JavaScript library's ids are the same: %v", what, name, slices.Equal(ids, a.JS[i]))
		}
		if back, err := b.Decode(ids); err != nil || string(back) != text {
			t.Errorf("%s, %s: the text does not come back: %v", what, name, err)
		}
	}
}

// TestClientTokens: our ids are those of Hugging Face's tokenizers, which load the
// files that we write, with GPT-2's vocabulary and with one of our own.
func TestClientTokens(t *testing.T) {
	t.Parallel()
	testkit.Clients(t)
	code := goSource(t, 3<<20)
	every := everyCharacter()
	odd := "\u0085\u0085 \u0085x\u0085\u0085y \ufeff\ufeffz \ufeff1\u0085 \n" + mixed
	texts := map[string]string{"mixed": mixed, "every character": withoutThose.Replace(every), "odd white space": odd}

	// A vocabulary in which what is rare elsewhere has merges too.
	book := strings.Repeat(odd, 3) + every + string(code[:1<<19])
	trained, err := TrainBPE(t.Context(), strings.NewReader(book), TrainOptions{VocabSize: 6000})
	if err != nil {
		t.Fatal(err)
	}
	t.Logf("%d characters of mixed text", utf8.RuneCountInString(mixed))
	texts["Go's source"] = string(code[:1<<20])
	compare(t, "ours", trained, texts)
	t.Run("GPT-2", func(t *testing.T) {
		b := loadGPT2(t)
		play, err := os.ReadFile(testkit.SharedPath(t, "data", "tinyshakespeare", "input.txt"))
		if err != nil {
			t.Fatal(err)
		}
		texts["tinyshakespeare"], texts["Go's source"] = string(play), string(code)
		compare(t, "GPT-2", b, texts)
		if n := len(mustEncode(t, b, play)); n != 338025 {
			t.Errorf("%d ids of tinyshakespeare", n)
		}
	})
}

// TestClientAdded: added tokens with every flag are matched in text as Hugging
// Face's library in Rust does. (The one in JavaScript passes single_word over.)
func TestClientAdded(t *testing.T) {
	t.Parallel()
	testkit.Clients(t)
	b := flagged(t)
	r := rand.New(rand.NewPCG(17, 18))
	q := clientQuestion{Folder: t.TempDir()}
	if err := b.Save(q.Folder); err != nil {
		t.Fatal(err)
	}
	var texts [][]byte
	for i := range 400 {
		text := bytes.ToValidUTF8(flaggedText(r, 60), []byte("?"))
		path := filepath.Join(q.Folder, fmt.Sprint(i))
		if err := os.WriteFile(path, text, 0o666); err != nil {
			t.Fatal(err)
		}
		texts, q.Files = append(texts, text), append(q.Files, path)
	}
	var a clientAnswer
	testkit.Node(t, filepath.Join("testdata", "tokens.mjs"), q, &a)
	for i, text := range texts {
		if got := mustEncode(t, b, text); !slices.Equal(got, a.Rust[i]) {
			t.Errorf("%q: got %v, want %v", text, got, a.Rust[i])
		}
	}
}
