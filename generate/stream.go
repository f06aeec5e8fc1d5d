package generate

import (
	"bytes"
	"slices"
	"unicode/utf8"

	"github.com/bdia-go/bdia/model"
)

// Vocabulary turns tokens into text, as a tokenizer.Tokenizer does. The text of
// several is that of each, one after another.
type Vocabulary interface {
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
// not looked at.
func Stream(m *model.GPT, tok Vocabulary, prompt []int32, o Options, emit func(text []byte) bool) (Written, error) {
	w, p := Written{Finish: End}, pieces{stop: o.Stop}
	var failed error
	hand := func(text []byte) bool {
		w.Text = append(w.Text, text...)
		return emit(text)
	}
	err := Tokens(m, prompt, o, func(id int32) bool {
		w.IDs = append(w.IDs, id)
		text, err := tok.Decode([]int32{id})
		if err != nil {
			failed = err
			return false
		}
		piece, found := p.add(text)
		switch {
		case !hand(piece):
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
	if err == nil {
		err = failed
	}
	if err == nil && (w.Finish == End || w.Finish == Length) && len(p.held) > 0 {
		hand(p.held)
	}
	return w, err
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
