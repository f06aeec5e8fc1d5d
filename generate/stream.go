package generate

import (
	"bytes"
	"cmp"
	"slices"
	"unicode/utf8"

	"github.com/bdia-go/bdia/model"
	"github.com/bdia-go/bdia/tokenizer"
)

// Vocabulary turns tokens into text. The text of several tokens is their texts joined, or what a tokenizer.Decoder
// makes of them if it is a tokenizer. Ids from VocabSize on have no text.
type Vocabulary interface {
	VocabSize() int
	Decode(ids []int32) ([]byte, error)
}

// Finish is the reason why a text ended.
type Finish string

// The ends of a text.
const (
	Length Finish = "length" // MaxTokens
	End    Finish = "end"    // a token of StopIDs
	Stop   Finish = "stop"   // a text of Stop
	Cut    Finish = "cut"    // emit returned false
)

// Written is a model's continuation of a prompt.
type Written struct {
	IDs    []int32 // without a token of StopIDs, but with the tokens of a text of Stop
	Text   []byte  // up to a text of Stop
	Finish Finish
}

// Stream is Tokens with text: it calls emit with a piece of text for each token, which may be empty, until
// emit returns false. If the model writes UTF-8, a piece ends with a whole character. A possible beginning of
// a text of Stop is held back until it is decided, so a stop text and the text after it are never passed to
// emit. The stop text that is complete first ends the text, however it is split into tokens. Stop texts in the
// prompt do not count. Only tokens of tok are chosen.
func Stream(m *model.GPT, tok Vocabulary, prompt []int32, o Options, emit func(text []byte) bool) (Written, error) {
	w, err := StreamEach(m, tok, [][]int32{prompt}, o, func(_ int, text []byte) bool { return emit(text) })
	return w[0], err
}

// StreamEach is Stream for several prompts at a time; see TokensEach.
func StreamEach(m *model.GPT, tok Vocabulary, prompts [][]int32, o Options, emit func(i int, text []byte) bool) ([]Written, error) {
	o.Vocab = tok.VocabSize()
	texts := make([]*writing, len(prompts))
	for i, prompt := range prompts {
		texts[i] = newWriting(tok, prompt, o, func(text []byte) bool { return emit(i, text) })
	}
	var failed error
	err := TokensEach(m, prompts, o, func(i int, id int32) bool {
		goesOn, err := texts[i].add(id)
		failed = cmp.Or(failed, err)
		return goesOn && failed == nil
	})
	err = cmp.Or(err, failed)
	written := make([]Written, len(prompts))
	for i, w := range texts {
		if err == nil {
			w.end()
		}
		written[i] = w.Written
	}
	return written, err
}

// writing makes text of the tokens of one continuation, as they come.
type writing struct {
	Written
	decoder *tokenizer.Decoder
	pieces  pieces
	most    int // tokens
	emit    func(text []byte) bool
}

// newWriting is for up to o.MaxTokens tokens after prompt.
func newWriting(tok Vocabulary, prompt []int32, o Options, emit func(text []byte) bool) *writing {
	w := &writing{Written: Written{Finish: End}, decoder: tokenizer.NewDecoder(tok), pieces: pieces{stop: o.Stop}, most: o.MaxTokens, emit: emit}
	if !o.Answer {
		w.decoder.Continue(prompt)
	}
	return w
}

// add takes the next token, and reports whether the text goes on.
func (w *writing) add(id int32) (goesOn bool, err error) {
	w.IDs = append(w.IDs, id)
	text, err := w.decoder.Append(nil, id)
	if err != nil {
		return false, err
	}
	piece, found := w.pieces.add(text)
	switch {
	case !w.hand(piece):
		w.Finish = Cut
	case found:
		w.Finish = Stop
	case len(w.IDs) == w.most:
		w.Finish = Length
	default:
		return true, nil
	}
	return false, nil
}

func (w *writing) hand(text []byte) bool {
	w.Text = append(w.Text, text...)
	return w.emit(text)
}

// end hands on the text that was held back, unless the text has ended before it.
func (w *writing) end() {
	if w.Finish != End && w.Finish != Length {
		return
	}
	rest, found := w.pieces.add(w.decoder.Rest(nil))
	if found {
		w.Finish = Stop
	} else {
		rest = append(rest, w.pieces.held...)
	}
	if len(rest) > 0 {
		w.hand(rest)
	}
}

// Text continues prompt and returns prompt and continuation as text, without the tokens that begin any text.
func Text(m *model.GPT, tok Vocabulary, prompt []int32, o Options) (string, error) {
	begin := prompt
	if t, ok := tok.(tokenizer.Tokenizer); ok {
		begin = tokenizer.Unframed(t, prompt)
	}
	text, err := tok.Decode(begin)
	if err != nil {
		return "", err
	}
	w, err := Stream(m, tok, prompt, o, func([]byte) bool { return true })
	return string(text) + string(w.Text), err
}

// pieces holds text back while it may be the beginning of a stop text or of a character.
type pieces struct {
	stop []string
	held []byte
}

// add appends text and returns the part that need not be held back. If a stop text was found, that is
// everything before it.
func (p *pieces) add(text []byte) (piece []byte, found bool) {
	p.held = append(p.held, text...)
	from, to := len(p.held), len(p.held)+1 // range of the stop text that ends first
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

// unfinished returns the number of bytes at the end of text that are the start of a character.
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
