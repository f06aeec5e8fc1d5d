package generate

import (
	"bytes"
	"cmp"
	"slices"
	"unicode/utf8"

	"github.com/bdia-go/bdia/model"
)

// Vocabulary turns tokens into text, as a tokenizer.Tokenizer does. The text of
// several is that of each, one after another. Ids from VocabSize on have none.
type Vocabulary interface {
	VocabSize() int
	Decode(ids []int32) ([]byte, error)
}

// Finish says what ended a text.
type Finish string

// The ends of a text.
const (
	Length Finish = "length" // MaxTokens
	End    Finish = "end"    // a token of StopIDs
	Stop   Finish = "stop"   // a text of Stop
	Cut    Finish = "cut"    // emit asked for it
)

// Written is what a model wrote after a prompt.
type Written struct {
	IDs    []int32 // without a token of StopIDs; with those that hold a text of Stop
	Text   []byte  // up to a text of Stop
	Finish Finish
}

// Stream continues prompt as Tokens does and hands the text to emit, a piece for each
// token, which may be empty, until emit returns false. A piece ends with a whole
// character, if the model writes UTF-8. What may be the beginning of a text of Stop is held back until that is
// known: neither Stop nor what follows it is ever handed out. Of several, the one
// that is complete first ends the text, in whatever tokens it comes. The prompt is
// not looked at. Only tokens that tok has are chosen.
func Stream(m *model.GPT, tok Vocabulary, prompt []int32, o Options, emit func(text []byte) bool) (Written, error) {
	w, err := StreamEach(m, tok, [][]int32{prompt}, o, func(_ int, text []byte) bool { return emit(text) })
	return w[0], err
}

// StreamEach continues several prompts at a time, as TokensEach does, and hands the
// text of each to emit, as Stream does.
func StreamEach(m *model.GPT, tok Vocabulary, prompts [][]int32, o Options, emit func(i int, text []byte) bool) ([]Written, error) {
	o.Vocab = tok.VocabSize()
	written, held := make([]Written, len(prompts)), make([]pieces, len(prompts))
	for i := range prompts {
		written[i].Finish, held[i].stop = End, o.Stop
	}
	hand := func(i int, text []byte) bool {
		written[i].Text = append(written[i].Text, text...)
		return emit(i, text)
	}
	var failed error
	err := TokensEach(m, prompts, o, func(i int, id int32) bool {
		w := &written[i]
		w.IDs = append(w.IDs, id)
		text, err := tok.Decode([]int32{id})
		if failed = cmp.Or(failed, err); failed != nil {
			return false
		}
		piece, found := held[i].add(text)
		switch {
		case !hand(i, piece):
			w.Finish = Cut
		case found:
			w.Finish = Stop
		case len(w.IDs) == o.MaxTokens:
			w.Finish = Length
		default:
			return true
		}
		return false
	})
	if err = cmp.Or(err, failed); err != nil {
		return written, err
	}
	for i, w := range written {
		if rest := held[i].held; len(rest) > 0 && (w.Finish == End || w.Finish == Length) {
			hand(i, rest)
		}
	}
	return written, nil
}

// Text continues prompt and returns the text of both.
func Text(m *model.GPT, tok Vocabulary, prompt []int32, o Options) (string, error) {
	text, err := tok.Decode(prompt)
	if err != nil {
		return "", err
	}
	w, err := Stream(m, tok, prompt, o, func([]byte) bool { return true })
	return string(text) + string(w.Text), err
}

// pieces holds text back while it may be the beginning of a text to stop at, or of
// a character.
type pieces struct {
	stop []string
	held []byte
}

// add takes more text and returns what need not be held back: all up to a text to
// stop at, where that was found.
func (p *pieces) add(text []byte) (piece []byte, found bool) {
	p.held = append(p.held, text...)
	from, to := len(p.held), len(p.held)+1 // of the text to stop at that ends first
	for _, s := range p.stop {
		if at := bytes.Index(p.held, []byte(s)); at >= 0 && (at+len(s) < to || at+len(s) == to && at < from) {
			from, to = at, at+len(s)
		}
	}
	if to <= len(p.held) {
		return p.held[:from], true
	}
	keep := unfinished(p.held)
	for _, s := range p.stop {
		for n := min(len(s)-1, len(p.held)); n > keep; n-- {
			if bytes.HasSuffix(p.held, []byte(s[:n])) {
				keep = n
			}
		}
	}
	from = len(p.held) - keep
	piece, p.held = p.held[:from], slices.Clone(p.held[from:])
	return piece, false
}

// unfinished returns how many bytes at the end of text begin a character.
func unfinished(text []byte) int {
	for n := 1; n < utf8.UTFMax && n <= len(text); n++ {
		if tail := text[len(text)-n:]; utf8.RuneStart(tail[0]) {
			if utf8.FullRune(tail) {
				return 0
			}
			return n
		}
	}
	return 0
}
