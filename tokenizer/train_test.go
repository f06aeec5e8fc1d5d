package tokenizer

import (
	"context"
	"errors"
	"math/rand/v2"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/bdia-go/bdia/internal/testkit"
)

// slowMerges learns merges by counting every pair of every word anew for each.
func slowMerges(text []byte, vocabSize, minFrequency int) [][2]string {
	var words [][]string
	for _, w := range slowWords(text) {
		var parts []string
		for _, c := range []byte(w) {
			parts = append(parts, string(alphabet[c]))
		}
		words = append(words, parts)
	}
	ids := map[string]int{}
	letters := slices.Clone(alphabet[:])
	slices.Sort(letters)
	for i, r := range letters {
		ids[string(r)] = i
	}
	var merges [][2]string
	for len(ids) < vocabSize-1 {
		counts := map[[2]string]int{}
		for _, w := range words {
			for i := 1; i < len(w); i++ {
				counts[[2]string{w[i-1], w[i]}]++
			}
		}
		var best [2]string
		for p, n := range counts {
			before := ids[p[0]] < ids[best[0]] || p[0] == best[0] && ids[p[1]] < ids[best[1]]
			if n > counts[best] || n == counts[best] && before {
				best = p
			}
		}
		if counts[best] < minFrequency {
			break
		}
		merges = append(merges, best)
		token := best[0] + best[1]
		if _, ok := ids[token]; !ok {
			ids[token] = len(ids)
		}
		for k, w := range words {
			for i := 0; i+1 < len(w); i++ {
				if w[i] == best[0] && w[i+1] == best[1] {
					w = slices.Replace(w, i, i+2, token)
				}
			}
			words[k] = w
		}
	}
	return merges
}

func spelledMerges(b *BPE) [][2]string {
	var out [][2]string
	for _, m := range b.merges {
		out = append(out, [2]string{spell(b.token(m.left)), spell(b.token(m.right))})
	}
	return out
}

func TestTrainMatchesDefinition(t *testing.T) {
	t.Parallel()
	r := rand.New(rand.NewPCG(21, 22))
	texts := [][]byte{
		[]byte("aaaa aaa aaaaaaa aa aaaaa aaaaaaaaaaa"),
		[]byte("abcabcabc bcabca abc bc ab cab"),
		[]byte("low low low low low lower lower newest newest newest newest newest newest widest widest widest"),
	}
	for range 20 {
		texts = append(texts, randomText(r, 400))
		few := make([]byte, 300)
		for i := range few {
			few[i] = "aabc "[r.IntN(5)]
		}
		texts = append(texts, few)
	}
	for _, text := range texts {
		for _, min := range []int{1, 2, 5} {
			b, err := TrainBPE(t.Context(), strings.NewReader(string(text)), TrainOptions{VocabSize: 320, MinFrequency: min})
			if len(text) == 0 {
				continue
			}
			if err != nil {
				t.Fatal(err)
			}
			if got, want := spelledMerges(b), slowMerges(text, 320, min); !slices.Equal(got, want) {
				t.Fatalf("%q, at least %d times:\ngot  %q\nwant %q", text, min, got, want)
			}
		}
	}
}

// TestTrainOrder: the places of each pair that is joined are in the order of the text, and every merge makes another
// token.
func TestTrainOrder(t *testing.T) {
	t.Parallel()
	r := rand.New(rand.NewPCG(1, 2))
	for range 1000 {
		text := make([]byte, 1+r.IntN(300))
		for i := range text {
			text[i] = "aaaabbbbccc "[r.IntN(12)]
		}
		trainer := newTrainer(TrainOptions{VocabSize: 300, MinFrequency: 1})
		testkit.OK(t, trainer.count(t.Context(), strings.NewReader(string(text))))
		testkit.OK(t, trainer.countPairs(t.Context()))
		for {
			key, ok := trainer.mostFrequent()
			if !ok {
				break
			}
			p, _ := trainer.pairs.find(key)
			for at, before := trainer.places.all.at(int(p.places)).next, uint32(0); ; {
				place := trainer.places.all.at(int(at))
				if place.at <= before {
					t.Fatalf("%q: a pair at %d, and then at %d", text, before, place.at)
				}
				if before = place.at; at == p.places {
					break
				}
				at = place.next
			}
			testkit.OK(t, trainer.join(t.Context(), key))
		}
		if len(trainer.ids) != len(trainer.tokens) {
			t.Fatalf("%q: %d merges make %d tokens", text, len(trainer.tokens)-256, len(trainer.ids)-256)
		}
	}
}

func TestTrain(t *testing.T) {
	t.Parallel()
	text, err := os.ReadFile(testkit.SharedPath(t, "data", "tinyshakespeare", "input.txt"))
	if err != nil {
		t.Fatal(err)
	}
	const size = 1000
	last, wanted := 0, 0
	train := func() *BPE {
		b, err := TrainBPE(t.Context(), strings.NewReader(string(text)), TrainOptions{
			VocabSize: size,
			Progress:  func(merges, total int) { last, wanted = merges, total },
		})
		if err != nil {
			t.Fatal(err)
		}
		return b
	}
	b := train()
	if last != size-257 || wanted != size-257 {
		t.Errorf("the last progress was %d of %d", last, wanted)
	}
	if id, ok := b.EndOfText(); b.VocabSize() != size || id != size-1 || !ok {
		t.Errorf("%d ids, end of text %d, %v", b.VocabSize(), id, ok)
	}
	checkSame(t, "trained again", train(), b)
	ids := mustEncode(t, b, text)
	if n := float64(len(text)) / float64(len(ids)); n < 2.2 {
		t.Errorf("only %.2f bytes per id", n)
	}
	if back, err := b.Decode(ids); err != nil || string(back) != string(text) {
		t.Errorf("the text did not come back: %v", err)
	}
	dir := t.TempDir()
	if err := b.Save(dir); err != nil {
		t.Fatal(err)
	}
	got, err := Load(dir)
	if err != nil {
		t.Fatal(err)
	}
	checkSame(t, "loaded", got.(*BPE), b)
	if !slices.Equal(mustEncode(t, got, text), ids) {
		t.Error("the loaded tokenizer gives other ids")
	}
}

func TestTrainRefuses(t *testing.T) {
	t.Parallel()
	text := func() *strings.Reader { return strings.NewReader("some text") }
	for _, o := range []TrainOptions{{}, {VocabSize: 256}, {VocabSize: maxVocab + 1}, {VocabSize: 300, MinFrequency: -1}} {
		if _, err := TrainBPE(t.Context(), text(), o); err == nil {
			t.Errorf("%+v: no error", o)
		}
	}
	if _, err := TrainBPE(t.Context(), strings.NewReader(""), TrainOptions{VocabSize: 300}); err == nil {
		t.Error("empty text: no error")
	}
	ctx, cancel := context.WithCancel(t.Context())
	o := TrainOptions{VocabSize: 300, MinFrequency: 1, Progress: func(merges, _ int) {
		if merges == 3 {
			cancel()
		}
		if merges > 3 {
			t.Error("went on after the cancellation")
		}
	}}
	if _, err := TrainBPE(ctx, text(), o); !errors.Is(err, context.Canceled) {
		t.Errorf("cancelled: got %v", err)
	}
	if _, err := TrainBPE(ctx, text(), o); !errors.Is(err, context.Canceled) {
		t.Errorf("cancelled before: got %v", err)
	}
	b, err := TrainBPE(t.Context(), text(), TrainOptions{VocabSize: 257})
	if err != nil || b.VocabSize() != 257 || len(b.merges) != 0 {
		t.Errorf("bytes only: %v", err)
	}
}

func BenchmarkTrain(b *testing.B) {
	text, err := os.ReadFile(testkit.SharedPath(b, "data", "tinyshakespeare", "input.txt"))
	if err != nil {
		b.Fatal(err)
	}
	b.SetBytes(int64(len(text)))
	for b.Loop() {
		if _, err := TrainBPE(b.Context(), strings.NewReader(string(text)), TrainOptions{VocabSize: 4096}); err != nil {
			b.Fatal(err)
		}
	}
}
