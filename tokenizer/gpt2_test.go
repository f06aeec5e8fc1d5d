package tokenizer

import (
	"bytes"
	"encoding/json"
	"os"
	"slices"
	"testing"

	"github.com/bdia-go/bdia/internal/testkit"
)

// loadGPT2 returns GPT-2's tokenizer, or skips the test where its files are not
// at hand.
func loadGPT2(t testing.TB) *BPE {
	t.Helper()
	tok, err := Load(testkit.SharedPath(t, "data", "gpt2-bpe"))
	if err != nil {
		t.Fatal(err)
	}
	return tok.(*BPE)
}

func TestGPT2Known(t *testing.T) {
	t.Parallel()
	b := loadGPT2(t)
	if n := b.VocabSize(); n != 50257 {
		t.Errorf("vocabulary of %d, want 50257", n)
	}
	if id, ok := b.EndOfText(); id != 50256 || !ok {
		t.Errorf("EndOfText = %d, %v", id, ok)
	}
	if got, err := b.Decode([]int32{15496, 995, 50256}); err != nil || string(got) != "Hello world<|endoftext|>" {
		t.Errorf("Decode = %q, %v", got, err)
	}
}

// TestGPT2Golden compares with ids from another implementation; the file says
// which.
func TestGPT2Golden(t *testing.T) {
	t.Parallel()
	b := loadGPT2(t)
	text, err := os.ReadFile("testdata/gpt2.json")
	if err != nil {
		t.Fatal(err)
	}
	var golden struct {
		Cases []struct {
			Text string
			IDs  []int32
		}
	}
	if err := json.Unmarshal(text, &golden); err != nil {
		t.Fatal(err)
	}
	if len(golden.Cases) < 100 {
		t.Fatalf("only %d cases", len(golden.Cases))
	}
	for _, c := range golden.Cases {
		got, err := Raw(b).Encode([]byte(c.Text))
		if err != nil || !slices.Equal(got, c.IDs) {
			t.Errorf("%q: got %v, %v, want %v", c.Text, got, err, c.IDs)
		}
		if back, err := b.Decode(got); err != nil || string(back) != c.Text {
			t.Errorf("%q came back as %q, %v", c.Text, back, err)
		}
	}
}

func TestGPT2Shakespeare(t *testing.T) {
	t.Parallel()
	b := loadGPT2(t)
	text, err := os.ReadFile(testkit.SharedPath(t, "data", "tinyshakespeare", "input.txt"))
	if err != nil {
		t.Fatal(err)
	}
	ids, err := b.Encode(text)
	if err != nil {
		t.Fatal(err)
	}
	if len(ids) != 338025 {
		t.Errorf("%d ids, want 338025", len(ids))
	}
	if back, err := b.Decode(ids); err != nil || !bytes.Equal(back, text) {
		t.Errorf("the text did not come back: %v", err)
	}
	var streamed []int32
	err = b.EncodeStream(bytes.NewReader(text), func(batch []int32) error {
		streamed = append(streamed, batch...)
		return nil
	})
	if err != nil || !slices.Equal(streamed, ids) {
		t.Errorf("the stream gave %d ids, %v", len(streamed), err)
	}
}

// TestGPT2Save checks that the files written from encoder.json and vocab.bpe
// give the same tokenizer, read as tokenizer.json and as vocab.json with
// merges.txt.
func TestGPT2Save(t *testing.T) {
	t.Parallel()
	b := loadGPT2(t)
	dir := t.TempDir()
	if err := b.Save(dir); err != nil {
		t.Fatal(err)
	}
	for _, from := range []string{tokenizerFile, vocabFile} {
		got, err := Load(dir)
		if err != nil {
			t.Fatalf("%s: %v", from, err)
		}
		checkSame(t, from, got.(*BPE), b)
		remove(t, dir, tokenizerFile)
	}
}

func checkSame(t *testing.T, what string, got, want *BPE) {
	t.Helper()
	if !bytes.Equal(got.text, want.text) || !slices.Equal(got.ends, want.ends) || !slices.Equal(got.merges, want.merges) ||
		!slices.Equal(got.added, want.added) || got.roles != want.roles || got.bytes != want.bytes {
		t.Errorf("%s: the tokenizer read differs from the one written", what)
	}
}

func BenchmarkGPT2Encode(b *testing.B) {
	benchmark(b, loadGPT2(b))
}
