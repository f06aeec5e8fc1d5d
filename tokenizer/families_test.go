package tokenizer

import (
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"testing/iotest"
	"unicode/utf8"

	"github.com/bdia-go/bdia/internal/testkit"
)

// vectors are texts with the ids and the decoded text of Hugging Face's library in Rust.
type vectors struct {
	Cases []struct {
		Text    string
		IDs     []int32
		Special int // tokens that the library puts around the text
		Decoded string
	}
	Whole map[string]struct {
		N      int
		First  []int32
		SHA256 string `json:"sha256_int32le"`
	}
}

func readJSON(t testing.TB, path string, v any) {
	t.Helper()
	text, err := os.ReadFile(path)
	if err == nil {
		err = json.Unmarshal(text, v)
	}
	if err != nil {
		t.Fatal(err)
	}
}

// families lists the tokenizers at hand: small ones, and the real ones unpacked.
func families(t testing.TB) map[string]string {
	t.Helper()
	dirs := map[string]string{}
	mini := testkit.SharedPath(t, "llm", "tokenizers_mini")
	list, err := filepath.Glob(filepath.Join(mini, "*", tokenizerFile))
	if err != nil || len(list) == 0 {
		t.Fatal(list, err)
	}
	for _, path := range list {
		dirs[filepath.Base(filepath.Dir(path))] = filepath.Dir(path)
	}
	return dirs
}

// rustLossy is a text with U+FFFD in place of bytes that are not UTF-8, as Rust's libraries have it: one for each run
// that could begin a character.
func rustLossy(text []byte) string {
	var s strings.Builder
	for len(text) > 0 {
		r, n := utf8.DecodeRune(text)
		if r != utf8.RuneError || n > 1 {
			s.WriteRune(r)
			text = text[n:]
			continue
		}
		s.WriteRune(utf8.RuneError)
		for n = 1; n < len(text) && n < utf8.UTFMax && !utf8.RuneStart(text[n]) && !utf8.FullRune(text[:n]) && !utf8.FullRune(text[:n+1]); n++ {
		}
		text = text[n:]
	}
	return s.String()
}

// checkVectors compares with what Hugging Face's library gives.
func checkVectors(t *testing.T, dir, vectorFile string) {
	tok, err := Load(dir)
	if err != nil {
		t.Fatal(err)
	}
	var v vectors
	readJSON(t, vectorFile, &v)
	if len(v.Cases) < 100 {
		t.Fatalf("only %d texts", len(v.Cases))
	}
	before, after := Around(tok)
	for _, c := range v.Cases {
		ids, err := tok.Encode([]byte(c.Text))
		if err != nil || !slices.Equal(ids, c.IDs) {
			t.Errorf("%q: got %v, %v, want %v", c.Text, ids, err, c.IDs)
		}
		if got := streamIDs(t, tok, iotest.OneByteReader(strings.NewReader(c.Text))); !slices.Equal(got, c.IDs) {
			t.Errorf("%q as a stream: got %v, want %v", c.Text, got, c.IDs)
		}
		if n := len(before) + len(after); n != c.Special {
			t.Fatalf("%d tokens around a text, want %d", n, c.Special)
		}
		text, err := tok.Decode(c.IDs)
		if err != nil || rustLossy(text) != c.Decoded {
			t.Errorf("%v: decoded %q, %v, want %q", c.IDs, text, err, c.Decoded)
		}
		d, parts := NewDecoder(tok), []byte(nil)
		for _, id := range c.IDs {
			if parts, err = d.Append(parts, id); err != nil {
				t.Fatal(err)
			}
		}
		if parts = d.Rest(parts); string(parts) != string(text) {
			t.Errorf("%v: decoded token by token %q, want %q", c.IDs, parts, text)
		}
	}
	var texts map[string]string
	readJSON(t, testkit.SharedPath(t, "llm", "tokenizer_vectors", "whole_texts.json"), &texts)
	for name, w := range v.Whole {
		ids := mustEncode(t, tok, []byte(texts[name]))
		h := sha256.New()
		if err := binary.Write(h, binary.LittleEndian, ids); err != nil {
			t.Fatal(err)
		}
		if sum := hex.EncodeToString(h.Sum(nil)); len(ids) != w.N || sum != w.SHA256 {
			t.Errorf("%s: %d ids that begin with %v, want %d that begin with %v", name, len(ids), ids[:min(8, len(ids))], w.N, w.First)
		}
		if got := streamIDs(t, tok, strings.NewReader(texts[name])); !slices.Equal(got, ids) {
			t.Errorf("%s as a stream: %d ids, want %d", name, len(got), len(ids))
		}
	}
}

func TestFamilies(t *testing.T) {
	t.Parallel()
	for name, dir := range families(t) {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			checkVectors(t, dir, filepath.Join(dir, "vectors.json"))
		})
	}
}

// TestRealFamilies compares the published tokenizers.
func TestRealFamilies(t *testing.T) {
	t.Parallel()
	for _, name := range []string{"SmolLM2", "llama2", "llama3_1", "mistral_v01", "qwen3"} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			checkVectors(t, testkit.RealTokenizer(t, name), testkit.SharedPath(t, "llm", "tokenizer_vectors", name+".json"))
		})
	}
}

// TestFamiliesSaved: what was read is written again, byte for byte.
func TestFamiliesSaved(t *testing.T) {
	t.Parallel()
	for name, from := range families(t) {
		tok, err := Load(from)
		if err != nil {
			t.Fatal(err)
		}
		to := t.TempDir()
		if err := tok.Save(to); err != nil {
			t.Fatal(err)
		}
		for _, file := range []string{tokenizerFile, configFile} {
			want, err := os.ReadFile(filepath.Join(from, file))
			if err != nil {
				t.Fatal(err)
			}
			if got, err := os.ReadFile(filepath.Join(to, file)); err != nil || string(got) != string(want) {
				t.Errorf("%s: %s came back with %d bytes of %d, %v", name, file, len(got), len(want), err)
			}
		}
	}
}

// benchmark encodes the tiny Shakespeare, or reports its absence.
func benchmark(b *testing.B, tok *BPE) {
	b.Helper()
	text, err := os.ReadFile(testkit.SharedPath(b, "data", "tinyshakespeare", "input.txt"))
	if err != nil {
		b.Fatal(err)
	}
	b.SetBytes(int64(len(text)))
	b.ReportAllocs()
	c := tok.cutter()
	for b.Loop() {
		c.ids = c.ids[:0]
		_, _ = c.first.take(text, true)
	}
}

func BenchmarkFamilies(b *testing.B) {
	for _, name := range []string{"SmolLM2", "llama3_1", "qwen3", "llama2"} {
		b.Run(name, func(b *testing.B) {
			tok, err := Load(testkit.RealTokenizer(b, name))
			if err != nil {
				b.Fatal(err)
			}
			benchmark(b, tok.(*BPE))
		})
	}
}
