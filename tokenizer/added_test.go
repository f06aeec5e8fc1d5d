package tokenizer

import (
	"bytes"
	"errors"
	"math/rand/v2"
	"regexp"
	"slices"
	"strings"
	"testing"
	"testing/iotest"
	"unicode"
)

// flagged is the toy tokenizer with added tokens of every kind after its own.
func flagged(t testing.TB) *BPE {
	t.Helper()
	toy := toyBPE(t)
	vocab := map[string]int32{}
	for id := range int32(toy.VocabSize()) {
		name, _ := toy.Spelling(id)
		vocab[name] = id
	}
	var merges [][2]string
	for left, right := range toy.Merges() {
		merges = append(merges, [2]string{left, right})
	}
	added := append(toy.Added(),
		AddedToken{Content: "<l>", Lstrip: true, Special: true},
		AddedToken{Content: "<r>", Rstrip: true},
		AddedToken{Content: "<l><r>", Lstrip: true, Rstrip: true, Special: true},
		AddedToken{Content: "word", SingleWord: true},
		AddedToken{Content: "d<l>", Normalized: true},
		AddedToken{Content: "<n>", Lstrip: true, Rstrip: true, Normalized: true},
		AddedToken{Content: "-w", SingleWord: true, Normalized: true},
		AddedToken{Content: "日", Special: true, Normalized: true},
		AddedToken{Content: "<|end", Special: true},
	)
	for i := range added {
		added[i].ID = int32(toy.VocabSize() - 1 + i)
	}
	// One that the merges make too.
	added = append(added, AddedToken{ID: vocab["the"], Content: "the", SingleWord: true})
	b, err := newBPE(vocab, added, merges)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// flaggedPieces are what its texts are made of, besides the usual.
var flaggedPieces = append([]string{"<l>", "<r>", "<n>", "<l><r>", "word", "-w", "d<l>", "<|end", "<|endoftext|>", "  ", "\u3000", "_", "é"}, pieces...)

func flaggedText(r *rand.Rand, n int) []byte {
	var s strings.Builder
	for range r.IntN(n) {
		s.WriteString(flaggedPieces[r.IntN(len(flaggedPieces))])
	}
	return []byte(s.String())
}

var (
	wordAtEnd   = regexp.MustCompile(`[\p{L}\p{M}\p{Nd}\p{Nl}\p{Pc}\x{200c}\x{200d}]$`)
	wordAtStart = regexp.MustCompile(`^[\p{L}\p{M}\p{Nd}\p{Nl}\p{Pc}\x{200c}\x{200d}]`)
)

// slowCut is Hugging Face's AddedVocabulary taken literally. rest encodes a part of text, which begins at a byte of it.
func slowCut(b *BPE, text string, normalized bool, rest func(part string, at int) []int32) []int32 {
	var ids []int32
	from, skip := 0, 0
	white := func(r rune) bool { return unicode.Is(unicode.White_Space, r) }
	for start := 0; start < len(text); start++ {
		var t *AddedToken
		length := 0 // of the token as it is matched
		for i, a := range b.added {
			spelt := a.Content
			if normalized {
				spelt = b.pipe.normalForm(spelt)
			}
			if start >= skip && a.Normalized == normalized && strings.HasPrefix(text[start:], spelt) && len(spelt) > length {
				t, length = &b.added[i], len(spelt)
			}
		}
		if t == nil {
			continue
		}
		at, stop := start, start+length
		skip = stop
		if t.Special && b.raw {
			continue
		}
		if t.SingleWord && (wordAtEnd.MatchString(text[:start]) || wordAtStart.MatchString(text[stop:])) {
			continue
		}
		if t.Lstrip {
			at = max(from, len(strings.TrimRightFunc(text[:start], white)))
		}
		if t.Rstrip {
			stop = len(text) - len(strings.TrimLeftFunc(text[stop:], white))
			skip = stop
		}
		if from < at {
			ids = append(ids, rest(text[from:at], from)...)
		}
		ids = append(ids, t.ID)
		from = stop
	}
	if from < len(text) {
		ids = append(ids, rest(text[from:], from)...)
	}
	return ids
}

func slowAdded(b *BPE, text []byte) []int32 {
	return slowCut(b, string(text), false, func(part string, _ int) []int32 {
		return slowCut(b, part, true, func(part string, _ int) []int32 { return slowEncode(b, []byte(part)) })
	})
}

func TestAddedMatchesDefinition(t *testing.T) {
	t.Parallel()
	b := flagged(t)
	r := rand.New(rand.NewPCG(13, 14))
	for _, tok := range []*BPE{b, Raw(b).(*BPE)} {
		for range 3000 {
			text := flaggedText(r, 30)
			if got, want := mustEncode(t, tok, text), slowAdded(tok, text); !slices.Equal(got, want) {
				t.Fatalf("%q, raw %v: got %v, want %v", text, tok.raw, got, want)
			}
		}
	}
}

// cutInParts encodes text as a stream does whose buffer ends at the places that
// end chooses.
func cutInParts(t testing.TB, b *BPE, text []byte, end func(n int) int) []int32 {
	t.Helper()
	c := b.cutter()
	defer c.close(nil)
	done, n := 0, 0
	for n < len(text) {
		n += 1 + end(len(text)-n)
		n = min(n, len(text))
		k, err := c.first.take(text[done:n], false)
		if err != nil {
			t.Fatal(err)
		}
		done += k
	}
	if k, err := c.first.take(text[done:], true); err != nil || done+k != len(text) {
		t.Fatalf("%d bytes of %d, %v", done+k, len(text), err)
	}
	return slices.Clone(c.ids)
}

func TestAddedInParts(t *testing.T) {
	t.Parallel()
	b := flagged(t)
	r := rand.New(rand.NewPCG(15, 16))
	for _, tok := range []*BPE{b, Raw(b).(*BPE)} {
		for range 3000 {
			text := flaggedText(r, 60)
			want := mustEncode(t, tok, text)
			if got := cutInParts(t, tok, text, func(int) int { return r.IntN(1 + r.IntN(20)) }); !slices.Equal(got, want) {
				t.Fatalf("%q, raw %v: in parts %v, want %v", text, tok.raw, got, want)
			}
		}
	}
	text := append(bytes.Repeat([]byte("the <l> "), chunk/8), " \u3000 <l><r>  end"...)
	if got := streamIDs(t, b, iotest.HalfReader(bytes.NewReader(text))); !slices.Equal(got, mustEncode(t, b, text)) {
		t.Error("the stream differs")
	}
}

func TestRaw(t *testing.T) {
	t.Parallel()
	b := flagged(t)
	text := []byte("the theme<|endoftext|> <l> <r>")
	end, _ := b.EndOfText()
	if ids := mustEncode(t, b, text); !slices.Contains(ids, end) {
		t.Errorf("%v has no end of text", ids)
	}
	raw := Raw(b)
	ids := mustEncode(t, raw, text)
	if slices.Contains(ids, end) || ids[len(ids)-1] != end+2 {
		t.Errorf("raw: %v", ids)
	}
	if back, err := raw.Decode(ids); err != nil || !bytes.Equal(back, text) {
		t.Errorf("%q came back as %q, %v", text, back, err)
	}
	if id, ok := EndOfText(raw); id != end || !ok {
		t.Errorf("raw: EndOfText = %d, %v", id, ok)
	}
	c := newChar([]rune("ab"))
	if Raw(c) != Tokenizer(c) {
		t.Error("characters have another raw tokenizer")
	}
}

// TestWhiteSpaceWithoutEnd: a token that takes the white space before it along
// must not make a stream remember all of it.
func TestWhiteSpaceWithoutEnd(t *testing.T) {
	t.Parallel()
	if testing.Short() {
		t.Skip("reads 32 MiB")
	}
	if err := flagged(t).EncodeStream(&repeat{' ', 4 * MaxWord}, func([]int32) error { return nil }); !errors.Is(err, ErrLongWord) {
		t.Errorf("got %v", err)
	}
}

func TestAddedSaved(t *testing.T) {
	t.Parallel()
	want := flagged(t)
	dir := t.TempDir()
	if err := want.Save(dir); err != nil {
		t.Fatal(err)
	}
	for _, from := range []string{tokenizerFile, vocabFile} {
		got, err := Load(dir)
		if err != nil {
			t.Fatalf("%s: %v", from, err)
		}
		checkSame(t, from, got.(*BPE), want)
		remove(t, dir, tokenizerFile)
	}
}

// FuzzEncode: any bytes come back, in one piece and in parts.
func FuzzEncode(f *testing.F) {
	toy, b := toyBPE(f), flagged(f)
	f.Add([]byte("I'll <l> the<|endoftext|>\n\n 日\xff"), uint8(7))
	f.Fuzz(func(t *testing.T, text []byte, part uint8) {
		for _, tok := range []*BPE{toy, Raw(toy).(*BPE)} {
			if back, err := tok.Decode(mustEncode(t, tok, text)); err != nil || !bytes.Equal(back, text) {
				t.Fatalf("%q came back as %q, %v", text, back, err)
			}
		}
		want := mustEncode(t, b, text)
		if slow := slowAdded(b, text); !slices.Equal(want, slow) {
			t.Fatalf("%q: got %v, want %v", text, want, slow)
		}
		if got := cutInParts(t, b, text, func(int) int { return int(part) }); !slices.Equal(got, want) {
			t.Fatalf("%q: in parts %v, want %v", text, got, want)
		}
	})
}
