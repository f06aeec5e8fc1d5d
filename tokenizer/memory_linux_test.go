package tokenizer

import (
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"strconv"
	"strings"
	"testing"

	"github.com/bdia-go/bdia/internal/testkit"
)

// learns is set in a process that learns a vocabulary and tells what memory that took.
const learns = "TOKENIZER_LEARNS"

// TestMain learns a vocabulary from an odd text instead of testing, if asked to.
func TestMain(m *testing.M) {
	kind := os.Getenv(learns)
	if kind == "" {
		os.Exit(m.Run())
	}
	n, _ := strconv.Atoi(os.Args[1])
	vocab, _ := strconv.Atoi(os.Args[2])
	text, most := oddText(kind, n), int64(0)
	before := testkit.Resident()
	_, err := TrainBPE(context.Background(), strings.NewReader(text), TrainOptions{VocabSize: vocab, Fits: func(bytes int64) bool {
		most = max(most, bytes)
		return true
	}})
	if err != nil {
		fmt.Println(err)
		os.Exit(1)
	}
	fmt.Println(testkit.Resident()-before, most)
}

// oddText makes about n bytes of a text of a kind.
func oddText(kind string, n int) string {
	r := rand.New(rand.NewPCG(1, 2))
	var b strings.Builder
	b.Grow(n + 128)
	switch kind {
	case "base64":
		raw := make([]byte, n/4*3)
		for i := range raw {
			raw[i] = byte(r.Uint32())
		}
		return base64.StdEncoding.EncodeToString(raw)
	case "giant": // one word
		for b.Len() < n {
			b.WriteByte(byte('a' + r.IntN(26)))
		}
	case "repeated": // the pair that is joined touches itself
		for b.Len() < n {
			b.WriteString(strings.Repeat("a", 1+r.IntN(60)))
			b.WriteByte("\n "[r.IntN(2)])
		}
	case "han": // a language without spaces
		for b.Len() < n {
			b.WriteRune(rune(0x4e00 + r.IntN(20000)))
			if r.IntN(20) == 0 {
				b.WriteRune('。')
			}
		}
	case "languages":
		first := []rune{'a', 'а', 'α', 'ա', 'א', 'ا', 'अ', 'ক', 'ก', 'ა', 'ア', '가'}
		for b.Len() < n {
			script := first[r.IntN(len(first))]
			for range 2 + r.IntN(8) {
				b.WriteRune(script + rune(r.IntN(24)))
			}
			b.WriteByte(' ')
		}
	case "numbers":
		for b.Len() < n {
			fmt.Fprintln(&b, r.Uint64())
		}
	case "words": // all different, and short
		for i := range n / 5 {
			fmt.Fprintf(&b, "%c%c%c%c ", 'a'+i%26, 'a'+i/26%26, 'a'+i/676%26, 'A'+i/17576%26)
		}
	case "bytes":
		for b.Len() < n {
			b.WriteByte(byte(r.Uint32()))
		}
	}
	return b.String()
}

// TestLearningMemory: to learn a vocabulary takes at most what is asked for. Odd texts take most.
func TestLearningMemory(t *testing.T) {
	t.Parallel()
	if testkit.Race {
		t.Skip("the race detector takes memory of its own")
	}
	n := 4 << 20
	if testing.Short() {
		n = 1 << 20
	}
	for _, kind := range []string{"base64", "giant", "repeated", "han", "languages", "numbers", "words", "bytes"} {
		for _, vocab := range []int{300, 8_000} {
			real, promised := testkit.Memory(t, learns+"="+kind, strconv.Itoa(n), strconv.Itoa(vocab))
			t.Logf("%s, %d tokens: %.1f bytes for each of the text, %.1f counted", kind, vocab, float64(real)/float64(n), float64(promised)/float64(n))
			if real > promised+8<<20 || promised > int64(n)*60+16<<20 {
				t.Errorf("%s, %d tokens: %d bytes of text took %d, and %d are counted", kind, vocab, n, real, promised)
			}
		}
	}
}

// TestLearningThatDoesNotFit: learning ends with an error before it takes more than it may, in each of its parts.
func TestLearningThatDoesNotFit(t *testing.T) {
	t.Parallel()
	parts := map[string]bool{}
	text := oddText("base64", 1<<19)
	for most := int64(2 << 20); ; most += most / 8 {
		asked := int64(0)
		_, err := TrainBPE(t.Context(), strings.NewReader(text), TrainOptions{VocabSize: 600, Fits: func(bytes int64) bool {
			asked = max(asked, bytes)
			return bytes <= most
		}})
		if err == nil {
			break
		}
		if !errors.Is(err, ErrMemory) || asked > most+16<<20 || strings.Contains(err.Error(), "\n") {
			t.Errorf("%d bytes: %v, asked for %d", most, err, asked)
		}
		parts[strings.Split(err.Error(), ": ")[1]] = true
	}
	if len(parts) != 3 {
		t.Errorf("refused in %v", parts)
	}
}
