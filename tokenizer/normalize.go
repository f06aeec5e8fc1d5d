package tokenizer

import "bytes"

// A normalizer changes text before it is cut into words. For example, Llama 2's puts ▁ before each piece and in place
// of each space. Its steps change one part of a text after the other, and hold back the end of a part that depends on
// what follows.

// changer changes the text of one piece.
type changer interface {
	// change appends the new form of text to dst and returns the number of bytes of text that it has used. final ends
	// the piece: all of text is used, and another piece follows.
	change(dst, text []byte, final bool) ([]byte, int)
}

// changeStage hands changed text on.
type changeStage struct {
	changer
	next stage
	held []byte // changed, and not taken yet
	open bool   // the next stage has the beginning of a piece
}

// take changes text in pieces of chunk bytes at most, so that a long text is not there twice.
func (s *changeStage) take(text []byte, final bool) (int, error) {
	done, size := 0, chunk
	for {
		part := text[done:min(len(text), done+size)]
		last := done+len(part) == len(text)
		held, n := s.change(s.held, part, final && last)
		s.held = held
		done += n
		if n == 0 && !last {
			size *= 2
			continue
		}
		size = chunk
		if len(s.held) == 0 && !s.open {
			if last {
				return done, nil
			}
			continue
		}
		s.open = true
		used, err := s.next.take(s.held, final && last)
		if err != nil {
			return done, err
		}
		if used == 0 && len(s.held) > MaxWord+chunk {
			return done, longWord(s.held)
		}
		s.held = append(s.held[:0], s.held[used:]...)
		if last {
			if final {
				s.open, s.held = false, s.held[:0]
			}
			return done, nil
		}
	}
}

// prepend puts a text before each piece.
type prepend struct{ text string }

func (p prepend) stage(_ *cutter, next stage) stage {
	return &changeStage{changer: &prepending{text: p.text}, next: next}
}

type prepending struct {
	text  string
	begun bool
}

func (p *prepending) change(dst, text []byte, final bool) ([]byte, int) {
	if !p.begun && len(text) > 0 {
		dst = append(dst, p.text...)
	}
	p.begun = !final && (p.begun || len(text) > 0)
	return append(dst, text...), len(text)
}

// replace puts a text in place of another.
type replace struct{ from, to string }

func (r replace) stage(_ *cutter, next stage) stage { return &changeStage{changer: r, next: next} }

func (r replace) change(dst, text []byte, final bool) ([]byte, int) {
	done := 0
	for {
		at := bytes.Index(text[done:], []byte(r.from))
		if at < 0 {
			break
		}
		dst = append(append(dst, text[done:done+at]...), r.to...)
		done += at + len(r.from)
	}
	end := len(text)
	if !final {
		end = max(done, end-len(r.from)+1) // another may begin there
	}
	return append(dst, text[done:end]...), end
}

// metaspace is the pre-tokenizer that puts ▁ in place of spaces, and before a piece that does not begin with one.
type metaspace struct {
	mark   string // ▁
	before int    // which pieces
}

// Which pieces a metaspace comes before.
const (
	never  = iota
	first  // a piece at the start of the text
	always // every piece
)

func (m metaspace) stage(c *cutter, next stage) stage {
	return &changeStage{changer: &metaspacing{metaspace: m, c: c}, next: next}
}

type metaspacing struct {
	metaspace
	c     *cutter
	begun bool
}

func (m *metaspacing) change(dst, text []byte, final bool) ([]byte, int) {
	// A part of a few bytes may be the beginning of a mark.
	if !m.begun && !final && len(text) < len(m.mark) {
		return dst, 0
	}
	if !m.begun && len(text) > 0 {
		m.begun = true
		marked := text[0] == ' ' || bytes.HasPrefix(text, []byte(m.mark))
		if !marked && (m.before == always || m.before == first && !m.c.begun) {
			dst = append(dst, m.mark...)
		}
	}
	if final {
		m.c.begun = m.c.begun || m.begun
		m.begun = false
	}
	return replace{" ", m.mark}.change(dst, text, final)
}
