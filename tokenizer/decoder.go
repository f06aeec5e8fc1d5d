package tokenizer

import (
	"bytes"
	"errors"
	"fmt"
	"strconv"
	"unicode/utf8"
)

// decoder says how tokens become text. The text of a byte-level vocabulary is the bytes of its tokens, one after the
// other. Other vocabularies have ▁ in place of spaces, tokens such as <0x0A> of single bytes, and a space before the
// text that is not part of it.
type decoder struct {
	replace  []replace // in each token
	bytes    bool      // tokens <0xNN> are bytes
	strip    []byte    // characters to take off the start of the text, at most so many
	dropMark bool      // marks of the first token are left out
}

// plain reports a decoder that only joins the bytes of tokens.
func (d *decoder) plain() bool {
	return len(d.replace) == 0 && !d.bytes && len(d.strip) == 0 && !d.dropMark
}

// readDecoder reads the decoder.
func readDecoder(parts []component, level bool) (d decoder, err error) {
	if level {
		for _, c := range parts {
			if c.Type != "ByteLevel" {
				return d, fmt.Errorf("a decoder other than ByteLevel (%.80s) beside a ByteLevel pre-tokenizer is not supported", c.Type)
			}
		}
		return d, nil
	}
	if len(parts) == 0 {
		return d, errors.New("there is no decoder and no ByteLevel pre-tokenizer")
	}
	fused := false
	for _, c := range parts {
		known := true
		switch c.Type {
		case "Replace":
			from, regex, err := c.text()
			if err != nil {
				return d, err
			}
			known = regex == "" && !d.bytes && !fused
			d.replace = append(d.replace, replace{from, c.Content})
		case "ByteFallback":
			known = !fused
			d.bytes = true
		case "Fuse":
			fused = true
		case "Strip":
			known = fused && len(c.Content) == 1 && c.Stop == 0 && c.Start >= 0 && c.Start <= maxStrip
			if known {
				d.strip = bytes.Repeat([]byte(c.Content), c.Start)
			}
		case "Metaspace":
			known = len(parts) == 1 && (c.Replacement == nil || *c.Replacement == mark)
			d.dropMark = (c.Scheme == nil || *c.Scheme != "never") && (c.AddPrefixSpace == nil || *c.AddPrefixSpace)
			d.replace = []replace{{mark, " "}}
		case "ByteLevel":
			return d, errors.New("the decoder is ByteLevel, and the pre-tokenizer is not")
		default:
			known = false
		}
		if !known {
			return d, fmt.Errorf("a decoder with this %.80s is not supported", c.Type)
		}
	}
	return d, nil
}

// maxStrip is the largest number of characters that a decoder takes off.
const maxStrip = 64

// Decoder turns the tokens of one text into text as they come. For example
//
//	d := tokenizer.NewDecoder(tok)
//	for _, id := range ids {
//		text, err = d.Append(text, id)
//	}
//	text = d.Rest(text)
//
// gives the same text as tok.Decode(ids).
type Decoder struct {
	tok    vocabularyText
	b      *BPE      // nil: the text of several tokens is their texts joined
	n      int       // tokens so far
	strip  int       // characters that may still be taken off
	run    []byte    // of tokens of bytes, held back
	buffer [2][]byte // of a token in the making
}

// vocabularyText is the part of a Tokenizer that a Decoder needs.
type vocabularyText interface {
	Decode(ids []int32) ([]byte, error)
}

// NewDecoder returns a Decoder for the start of a text.
func NewDecoder(tok vocabularyText) *Decoder {
	d := &Decoder{tok: tok}
	if b, ok := tok.(*BPE); ok && !b.pipe.decoder.plain() {
		d.b, d.strip = b, len(b.pipe.decoder.strip)
	}
	return d
}

// Continue makes d decode what follows the given tokens. If they have text, as a prompt has, then nothing is taken off
// the start of the text that follows.
func (d *Decoder) Continue(ids []int32) {
	for _, id := range ids {
		if d.b != nil && !d.b.isSpecial(id) {
			d.n, d.strip = 1, 0
		}
	}
}

// DecodeAfter returns the text of ids that follow others, as a continuation follows a prompt.
func DecodeAfter(tok vocabularyText, before, ids []int32) ([]byte, error) {
	d := NewDecoder(tok)
	if d.b == nil {
		return tok.Decode(ids)
	}
	d.Continue(before)
	var text []byte
	for _, id := range ids {
		var err error
		if text, err = d.Append(text, id); err != nil {
			return nil, err
		}
	}
	return d.Rest(text), nil
}

// Append appends the text that is certain with the next token. Bytes that may be part of a character are held back.
func (d *Decoder) Append(text []byte, id int32) ([]byte, error) {
	if d.b == nil {
		more, err := d.tok.Decode([]int32{id})
		d.n++
		return append(text, more...), err
	}
	b := d.b
	if id < 0 || int(id) >= len(b.ends) {
		return text, idError(id, d.n, len(b.ends))
	}
	first := d.n == 0
	d.n++
	token := b.token(id)
	if b.pipe.dropMark && first {
		token = bytes.ReplaceAll(token, []byte(mark), nil)
	}
	for i, r := range b.pipe.replace {
		to := &d.buffer[i%2]
		*to, _ = r.change((*to)[:0], token, true)
		token = *to
	}
	if c, ok := byteOf(token); ok && b.pipe.decoder.bytes {
		d.run = append(d.run, c)
		return text, nil
	}
	text = d.Rest(text)
	return d.append(text, token), nil
}

// Rest appends what was held back; the text ends there.
func (d *Decoder) Rest(text []byte) []byte {
	if utf8.Valid(d.run) {
		text = d.append(text, d.run)
	} else {
		for range d.run {
			text = d.append(text, []byte("\ufffd"))
		}
	}
	d.run = d.run[:0]
	return text
}

// append appends more without the characters that are taken off the start.
func (d *Decoder) append(text, more []byte) []byte {
	for d.strip > 0 && len(more) > 0 {
		if more[0] != d.b.pipe.strip[0] {
			d.strip = 0
			break
		}
		more = more[1:]
		d.strip--
	}
	return append(text, more...)
}

// byteOf returns the byte of a token <0xNN>.
func byteOf(token []byte) (byte, bool) {
	if len(token) != 6 || string(token[:3]) != "<0x" || token[5] != '>' {
		return 0, false
	}
	c, err := strconv.ParseUint(string(token[3:5]), 16, 8)
	return byte(c), err == nil
}

// isSpecial reports whether id is a special token.
func (b *BPE) isSpecial(id int32) bool {
	t, ok := b.addedToken(id)
	return ok && t.Special
}

// Decode returns the text of ids, with the spelling of special tokens. In a
// vocabulary with tokens of bytes, ones that are not UTF-8 become U+FFFD.
func (b *BPE) Decode(ids []int32) ([]byte, error) {
	text := make([]byte, 0, 4*len(ids))
	if !b.pipe.decoder.plain() {
		d := NewDecoder(b)
		for _, id := range ids {
			var err error
			if text, err = d.Append(text, id); err != nil {
				return nil, err
			}
		}
		return d.Rest(text), nil
	}
	for i, id := range ids {
		if id < 0 || int(id) >= len(b.ends) {
			return nil, idError(id, i, len(b.ends))
		}
		text = append(text, b.token(id)...)
	}
	return text, nil
}
