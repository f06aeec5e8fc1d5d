package tokenizer

import (
	"bytes"
	"errors"
	"io"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/iotest"
	"time"
)

// slowEncode merges the pair of the lowest rank, the leftmost first, one at a
// time, looking it up in a list.
func slowEncode(b *BPE, text []byte) []int32 {
	var out []int32
	for _, w := range slowWords(text) {
		var ids []int32
		for _, c := range []byte(w) {
			ids = append(ids, b.bytes[c])
		}
		for {
			at, rank := -1, len(b.merges)
			for i := 1; i < len(ids); i++ {
				r := slices.IndexFunc(b.merges, func(m merge) bool { return m.left == ids[i-1] && m.right == ids[i] })
				if r >= 0 && r < rank {
					at, rank = i-1, r
				}
			}
			if at < 0 {
				break
			}
			ids = slices.Replace(ids, at, at+2, b.merges[rank].id)
		}
		out = append(out, ids...)
	}
	return out
}

func mustEncode(t testing.TB, tok Tokenizer, text []byte) []int32 {
	t.Helper()
	ids, err := tok.Encode(text)
	if err != nil {
		t.Fatal(err)
	}
	return ids
}

func TestEncodeMatchesDefinition(t *testing.T) {
	t.Parallel()
	b := Raw(toyBPE(t)).(*BPE)
	r := rand.New(rand.NewPCG(3, 4))
	for range 3000 {
		text := randomText(r, 30)
		got := mustEncode(t, b, text)
		if want := slowEncode(b, text); !slices.Equal(got, want) {
			t.Fatalf("%q: got %v, want %v", text, got, want)
		}
		if back, err := b.Decode(got); err != nil || !bytes.Equal(back, text) {
			t.Fatalf("%q came back as %q, %v", text, back, err)
		}
	}
}

// TestMergeLong compares the two ways to merge a word, on words of every
// length up to well past the one where they change over.
func TestMergeLong(t *testing.T) {
	t.Parallel()
	b := toyBPE(t)
	s := newScratch()
	r := rand.New(rand.NewPCG(5, 6))
	for n := 2; n < 3*longWordLen; n++ {
		word := make([]byte, n)
		for i := range word {
			word[i] = "aaathesim12 "[r.IntN(12)]
		}
		s.ids = b.appendUnits(s.ids[:0], word, s)
		long := b.mergeLong(nil, s)
		if short := b.mergeShort(nil, s); !slices.Equal(long, short) {
			t.Fatalf("%q: %v with the heap, %v without", word, long, short)
		}
	}
}

func TestLongRunIsFast(t *testing.T) {
	t.Parallel()
	b := toyBPE(t)
	text := bytes.Repeat([]byte("a"), 1<<20)
	start := time.Now()
	ids := mustEncode(t, b, text)
	if d := time.Since(start); d > 20*time.Second {
		t.Errorf("1 MiB of one letter took %v", d)
	}
	if back, err := b.Decode(ids); err != nil || !bytes.Equal(back, text) {
		t.Errorf("the run did not come back: %v", err)
	}
}

func streamIDs(t testing.TB, tok Tokenizer, r io.Reader) []int32 {
	t.Helper()
	var ids []int32
	err := tok.EncodeStream(r, func(batch []int32) error {
		if len(batch) == 0 {
			t.Error("an empty batch")
		}
		ids = append(ids, batch...)
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return ids
}

// TestStreamMatchesEncode puts words, runs and cut characters across the ends
// of the buffer.
func TestStreamMatchesEncode(t *testing.T) {
	t.Parallel()
	b := toyBPE(t)
	r := rand.New(rand.NewPCG(7, 8))
	for _, tail := range []string{"the end", "\u3000\u3000\u3000\u3000x", "'ll're'", strings.Repeat(" ", 40) + "x", "\xe6\x97", ""} {
		for shift := range 12 {
			text := randomText(r, 200)
			for len(text) < chunk-shift {
				text = append(text, "the 12 "...)
			}
			text = append(text[:chunk-shift], tail...)
			text = append(text, randomText(r, 200)...)
			want := mustEncode(t, b, text)
			if got := streamIDs(t, b, iotest.HalfReader(bytes.NewReader(text))); !slices.Equal(got, want) {
				t.Fatalf("tail %.20q, shift %d: the stream differs", tail, shift)
			}
		}
	}
	long := []byte("the " + strings.Repeat("日", chunk) + " end")
	if got := streamIDs(t, b, bytes.NewReader(long)); !slices.Equal(got, mustEncode(t, b, long)) {
		t.Error("a word longer than the buffer: the stream differs")
	}
	text := bytes.Repeat(randomText(r, 2000), 50)
	if got := streamIDs(t, b, iotest.OneByteReader(bytes.NewReader(text))); !slices.Equal(got, mustEncode(t, b, text)) {
		t.Error("byte by byte, the stream differs")
	}
	if got := streamIDs(t, b, iotest.DataErrReader(bytes.NewReader(text))); !slices.Equal(got, mustEncode(t, b, text)) {
		t.Error("with data beside the end, the stream differs")
	}
	if got := streamIDs(t, b, strings.NewReader("")); len(got) != 0 {
		t.Errorf("no text gave %v", got)
	}
}

// TestWordsSettled checks that a word taken before the end of the text is
// certain: no text that follows changes it.
func TestWordsSettled(t *testing.T) {
	t.Parallel()
	r := rand.New(rand.NewPCG(9, 10))
	for range 20000 {
		text := randomText(r, 20)
		all := fastWords(t, newScanner(), text)
		got, _, err := wordsOf(newScanner(), text[:r.IntN(len(text)+1)], false)
		if err != nil {
			t.Fatal(err)
		}
		if len(got) > len(all) || !slices.Equal(got, all[:len(got)]) {
			t.Fatalf("%q: %q of a part, %q of the whole", text, got, all)
		}
	}
}

func TestStreamErrors(t *testing.T) {
	t.Parallel()
	b := toyBPE(t)
	bad := errors.New("bad")
	if err := b.EncodeStream(iotest.ErrReader(bad), func([]int32) error { return nil }); !errors.Is(err, bad) {
		t.Errorf("reader's error: got %v", err)
	}
	calls := 0
	err := b.EncodeStream(strings.NewReader(strings.Repeat("the ", chunk)), func([]int32) error { calls++; return bad })
	if !errors.Is(err, bad) || calls != 1 {
		t.Errorf("emit's error: got %v after %d calls", err, calls)
	}
	if err := b.EncodeStream(stuck{}, nil); !errors.Is(err, io.ErrNoProgress) {
		t.Errorf("a reader that gives nothing: got %v", err)
	}
}

type stuck struct{}

func (stuck) Read([]byte) (int, error) { return 0, nil }

func TestDecodeRange(t *testing.T) {
	t.Parallel()
	b := toyBPE(t)
	for _, id := range []int32{-1, int32(b.VocabSize()), 1 << 30} {
		if _, err := b.Decode([]int32{0, id}); !errors.Is(err, ErrID) || !strings.Contains(err.Error(), "position 1") {
			t.Errorf("id %d: got %v", id, err)
		}
	}
}

func TestConcurrentEncode(t *testing.T) {
	t.Parallel()
	b := toyBPE(t)
	text := bytes.Repeat(randomText(rand.New(rand.NewPCG(11, 12)), 3000), 5)
	want := mustEncode(t, b, text)
	var wg sync.WaitGroup
	for range 4 {
		wg.Go(func() {
			for range 5 {
				if got, err := b.Encode(text); err != nil || !slices.Equal(got, want) {
					t.Errorf("encoding at the same time differs: %v", err)
				}
			}
		})
	}
	wg.Wait()
}

// TestEncodeAllocates checks that nothing is allocated for a word.
func TestEncodeAllocates(t *testing.T) {
	b := toyBPE(t)
	text := bytes.Repeat([]byte("the thesis of 1234 strange-looking words, incomprehensibilities-of-them "+strings.Repeat("=", 200)+"\n"), 50)
	c := b.cutter()
	encode := func() {
		c.ids = c.ids[:0]
		_, _ = c.first.take(text, true)
	}
	encode()
	if n := testing.AllocsPerRun(10, encode); n > 2 {
		t.Errorf("%v allocations for 50 lines", n)
	}
}

func FuzzRoundTrip(f *testing.F) {
	b := toyBPE(f)
	f.Add([]byte("the thesis\n\n don't \xff\xfe 1234 日"))
	f.Fuzz(func(t *testing.T, text []byte) {
		ids := mustEncode(t, b, text)
		if back, err := b.Decode(ids); err != nil || !bytes.Equal(back, text) {
			t.Fatalf("%q came back as %q, %v", text, back, err)
		}
		if got := streamIDs(t, b, iotest.OneByteReader(bytes.NewReader(text))); !slices.Equal(got, ids) {
			t.Fatalf("%q: the stream gave %v, the whole %v", text, got, ids)
		}
	})
}
