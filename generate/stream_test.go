package generate

import (
	"bytes"
	"errors"
	"slices"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/bdia-go/bdia"
)

// syllables is a vocabulary for newModel whose tokens part characters and the texts
// to stop at.
type syllables []string

func (s syllables) VocabSize() int { return len(s) }

func (s syllables) Decode(ids []int32) (text []byte, err error) {
	for _, id := range ids {
		if int(id) >= len(s) {
			return nil, errors.New("no such syllable")
		}
		text = append(text, s[id]...)
	}
	return text, nil
}

// boastful has fewer tokens than it says.
type boastful struct{ syllables }

func (boastful) VocabSize() int { return 12 }

// TestVocabulary: tokens that the vocabulary lacks are never chosen, however that is
// done; the others are those that the likeliest of them are.
func TestVocabulary(t *testing.T) {
	t.Parallel()
	m := newModel(t)
	prompts, tok := [][]int32{{3}, {11, 1, 9}, {0, 11, 5, 7, 2, 9, 3, 1, 4}}, words12[:4]
	every := func(int, []byte) bool { return true }
	for name, change := range map[string]func(*Options){
		"greedy":       func(o *Options) { o.Temperature = 0 },
		"all":          func(o *Options) { o.TopK = 0 },
		"top-k":        func(o *Options) { o.TopK = 3 },
		"top-p, min-p": func(o *Options) { o.TopK, o.TopP, o.MinP = 0, 0.9, 0.01 },
		"penalty":      func(o *Options) { o.RepetitionPenalty = 1.5 },
	} {
		o := DefaultOptions()
		o.MaxTokens, o.Temperature = 20, 2
		change(&o)
		together, err := StreamEach(m, tok, prompts, o, every)
		if err != nil {
			t.Fatal(name, err)
		}
		for i, prompt := range prompts {
			o.Samples, o.NoCache = []int{i}, true
			alone, err := StreamEach(m, tok, prompts[i:i+1], o, every)
			if err != nil || !slices.Equal(alone[0].IDs, together[i].IDs) || slices.Max(alone[0].IDs) >= 4 {
				t.Errorf("%s: %v alone, %v together, %v", name, alone[0].IDs, together[i].IDs, err)
			}
			text := slices.Clone(prompt)
			for _, id := range alone[0].IDs {
				if l := logits(m, text)[:4]; name == "greedy" && id != int32(slices.Index(l, slices.Max(l))) {
					t.Errorf("greedy: %d after %v, of logits %v", id, text, l)
				}
				text = append(text, id)
			}
			if slices.Max(tokens(t, m, prompt, o)) < 4 {
				t.Error("nothing else is likely: little was tested")
			}
			if len(prompt) > 5 {
				continue
			}
			for _, beam := range []int{1, 3} {
				best, err := Beam(m, prompt, 4, nil, 3, SearchOptions{beam, 1, beam}, bdia.DefaultGrid)
				if err != nil {
					t.Fatal(err)
				}
				for _, h := range best {
					if slices.Max(h.IDs) >= 4 || beam == 1 && name == "greedy" && !slices.Equal(h.IDs, alone[0].IDs[:3]) {
						t.Errorf("beam %d: %v, greedily %v", beam, h.IDs, alone[0].IDs)
					}
				}
			}
		}
	}
}

var words12 = syllables{"a", "b", "ab", "\xe2", "\x82\xac", "é", "\n", "ba", "\xf0\x9f", "\x98", "\x80", "b\n"}

// TestPieces feeds texts in every way that two cuts can part them: what comes out is
// the text up to the text to stop at that is complete first, in whole characters.
func TestPieces(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		text string
		stop []string
		want string
	}{
		{"a house\n", nil, "a house\n"},
		{"a house\n", []string{"\n"}, "a house"},
		{"aaab", []string{"aab"}, "a"},
		{"aaaa", []string{"aab"}, "aaaa"},
		{"abcd", []string{"bcd", "bc"}, "a"},
		{"abcd", []string{"abcde", "b"}, "a"},
		{"abc", []string{"c", "bc"}, "a"},
		{"€ and 😀.", nil, "€ and 😀."},
		{"€€😀x", []string{"😀"}, "€€"},
		{"€€😀x", []string{"\x98"}, "€€\xf0\x9f"},
		{"\xff\xe2\x82", nil, "\xff\xe2\x82"},
		{"xyxyxz", []string{"xyxz"}, "xy"},
	} {
		for i := range len(tc.text) + 1 {
			for j := i; j <= len(tc.text); j++ {
				p, got, stopped := pieces{stop: tc.stop}, "", false
				for _, part := range []string{tc.text[:i], tc.text[i:j], tc.text[j:]} {
					if stopped {
						break
					}
					var piece []byte
					piece, stopped = p.add([]byte(part))
					if !stopped && utf8.ValidString(tc.text) && !utf8.Valid(piece) {
						t.Errorf("%q: piece %q ends in a character", tc.text, piece)
					}
					got += string(piece)
				}
				if !stopped {
					got += string(p.held)
				}
				if got != tc.want || stopped != (len(tc.want) < len(tc.text)) {
					t.Errorf("%q to %q, cut at %d and %d: %q, stopped %v", tc.text, tc.stop, i, j, got, stopped)
				}
			}
		}
	}
	p := pieces{stop: []string{"END"}}
	for _, tc := range [][2]string{{"a", "a"}, {"bE", "b"}, {"N", ""}, {"E", "EN"}, {"x", "Ex"}} {
		if got, _ := p.add([]byte(tc[0])); string(got) != tc[1] {
			t.Errorf("after %q comes %q, want %q", tc[0], got, tc[1])
		}
	}
}

// FuzzPieces: it does not matter in what pieces a text comes.
func FuzzPieces(f *testing.F) {
	f.Add("aaab", "aab", "b", byte(2))
	f.Add("€€😀x", "\x98", "x", byte(3))
	f.Add("a house\n\n", "\n\n", "ou", byte(1))
	f.Fuzz(func(t *testing.T, text, a, b string, step byte) {
		if a == "" || b == "" || len(text)+len(a)+len(b) > 1000 {
			return
		}
		read := func(step int) (string, bool) {
			p, out := pieces{stop: []string{a, b}}, ""
			for from := 0; from < len(text); from += step {
				piece, found := p.add([]byte(text[from:min(from+step, len(text))]))
				if out += string(piece); found {
					return out, true
				}
			}
			return out + string(p.held), false
		}
		bytewise, found := read(1)
		if got, same := read(int(step) + 1); got != bytewise || same != found {
			t.Errorf("%q to %q or %q: %q, %v in steps of %d, %q, %v in bytes", text, a, b, got, same, int(step)+1, bytewise, found)
		}
		if strings.Contains(bytewise, a) || strings.Contains(bytewise, b) || !found && bytewise != text || found != (strings.Contains(text, a) || strings.Contains(text, b)) {
			t.Errorf("%q to %q or %q: %q, %v", text, a, b, bytewise, found)
		}
	})
}

// TestStream: pieces add up to the text, which is that of the tokens up to a text to
// stop at, and Finish says why it ended.
func TestStream(t *testing.T) {
	t.Parallel()
	m := newModel(t)
	o := DefaultOptions()
	o.MaxTokens, o.Temperature, o.TopK = 40, 3, 0
	whole := tokens(t, m, []int32{1}, o)
	text, err := words12.Decode(whole)
	if err != nil {
		t.Fatal(err)
	}
	write := func(o Options) (Written, string) {
		t.Helper()
		var pieces []byte
		w, err := Stream(m, words12, []int32{1}, o, func(piece []byte) bool {
			pieces = append(pieces, piece...)
			return true
		})
		if err != nil {
			t.Fatal(err)
		}
		if !bytes.Equal(pieces, w.Text) {
			t.Errorf("pieces %q of %q", pieces, w.Text)
		}
		return w, string(pieces)
	}
	if w, got := write(o); w.Finish != Length || got != string(text) || !slices.Equal(w.IDs, whole) {
		t.Errorf("%q, %s, want %q", got, w.Finish, text)
	}
	for from := range len(text) - 3 {
		stop := string(text[from:][:3])
		with := o
		with.Stop = []string{"nowhere", stop}
		at := strings.Index(string(text), stop)
		w, got := write(with)
		if w.Finish != Stop || got != string(text[:at]) {
			t.Errorf("up to %q: %q, %s, want %q", stop, got, w.Finish, text[:at])
		}
		if held, _ := words12.Decode(w.IDs); !bytes.HasPrefix(text, held) || !bytes.Contains(held, []byte(stop)) {
			t.Errorf("up to %q: tokens of %q", stop, held)
		}
	}
	o.StopIDs = []int32{whole[9]}
	if w, _ := write(o); w.Finish != End || !slices.Equal(w.IDs, whole[:slices.Index(whole, whole[9])]) {
		t.Errorf("up to token %d: %v, %s", whole[9], w.IDs, w.Finish)
	}
	o.StopIDs = nil
	n := 0
	if w, err := Stream(m, words12, []int32{1}, o, func([]byte) bool { n++; return n < 3 }); err != nil || n != 3 || w.Finish != Cut {
		t.Errorf("%d pieces, %s, %v", n, w.Finish, err)
	}
	if _, err := Stream(m, boastful{words12[:2]}, []int32{1}, o, func([]byte) bool { return true }); err == nil {
		t.Error("tokens without a text are passed over")
	}
	o.Stop = []string{string(text[5:8])}
	if got, err := Text(m, words12, []int32{1, 0}, o); err != nil || !strings.HasPrefix(got, "ba") || strings.Contains(got[2:], o.Stop[0]) {
		t.Errorf("%q, %v", got, err)
	}
}
