package tokenizer

import "unicode/utf8"

// digits is the pre-tokenizer that parts numbers from other text, each by itself or in runs.
type digits struct{ each bool }

// regex matches a piece of numbers.
func (d digits) regex() string {
	if d.each {
		return `\p{N}`
	}
	return `\p{N}+`
}

func (d digits) stage(_ *cutter, next stage) stage {
	return &digitStage{digits: d, scanner: newScanner(), next: next}
}

type digitStage struct {
	digits
	scanner
	next stage
	open bool // the next stage has the beginning of a piece
}

func (d *digitStage) take(text []byte, final bool) (int, error) {
	done := 0
	for {
		at := d.number(text, done)
		n, err := d.hand(text[done:at], final || at < len(text))
		done += n
		if err != nil || at == len(text) {
			return done, err
		}
		_, n = d.classAt(text, at)
		end := at + n
		if !d.each {
			if end = d.runEnd(text, end, number); !final && end > len(text)-utf8.UTFMax {
				return done, nil
			}
		}
		if _, err := d.hand(text[at:end], true); err != nil {
			return done, err
		}
		done = end
	}
}

// hand hands a part of a piece on, unless nothing is new about it.
func (d *digitStage) hand(text []byte, final bool) (int, error) {
	if len(text) == 0 && !(final && d.open) {
		return 0, nil
	}
	d.open = !final
	return d.next.take(text, final)
}

// number returns the place of the first number in text[at:], or its end.
func (d *digitStage) number(text []byte, at int) int {
	for at < len(text) {
		b := text[at]
		if b < utf8.RuneSelf {
			if d.table[b] == number {
				return at
			}
			at++
			continue
		}
		c, n := d.classAt(text, at)
		if c == number {
			return at
		}
		at += n
	}
	return at
}
