package tokenizer

// A text becomes ids in stages: added tokens are cut out, what is between them is normalized, cut into words, and each
// word becomes tokens. For example, Qwen's tokenizer has the stages of added tokens, of NFC, of words, and of merges.
// Stages take a text of any length in parts, so that a stream needs little memory.

// A stage is one of these steps for one text. It hands what it makes of the text to the next.
type stage interface {
	// take takes the next part of a piece of text and returns the number of bytes that need not come again. The others
	// come again at the start of the next part, with more behind them. final ends the piece: all of it is taken, even if
	// text is empty, and the next part begins another piece.
	take(text []byte, final bool) (int, error)
}

// cutter turns one text into ids.
type cutter struct {
	b     *BPE
	s     *scratch
	ids   []int32
	first stage
	begun bool // the text has a piece or a token already
}

// cutter returns a cutter for one text, from a pool; close returns it there.
func (b *BPE) cutter() *cutter {
	c, _ := b.pool.Get().(*cutter)
	if c == nil {
		c = &cutter{b: b, s: newScratch()}
		c.first = c.stages()
	}
	c.b, c.ids, c.begun = b, nil, false
	return c
}

// close makes c free for the next text, and counts what was lost of this one. After an error c must not be used again,
// so that no stage goes on with half a piece.
func (c *cutter) close(err error) {
	if c.b.lost != nil {
		c.b.lost.Add(c.s.lost)
	}
	c.s.lost = 0
	if err == nil {
		c.b.pool.Put(c)
	}
}

// stages returns the first of the stages of b, which are made from the last on.
func (c *cutter) stages() stage {
	b := c.b
	var s stage = &modelStage{c}
	for i := len(b.pipe.words) - 1; i >= 0; i-- {
		s = b.pipe.words[i].stage(c, s)
	}
	if b.passes[1].longest > 0 {
		s = &passStage{c: c, level: 1, next: s}
	}
	for i := len(b.pipe.normal) - 1; i >= 0; i-- {
		s = b.pipe.normal[i].stage(c, s)
	}
	if b.passes[0].longest > 0 {
		s = &passStage{c: c, level: 0, next: s}
	}
	return s
}

// A step of the pipeline makes the stages of texts.
type step interface {
	stage(c *cutter, next stage) stage
}

// modelStage is the last: it makes tokens of whole words.
type modelStage struct{ c *cutter }

func (m *modelStage) take(text []byte, final bool) (int, error) {
	switch {
	case !final:
		return 0, nil
	case len(text) > MaxWord:
		return 0, longWord(text)
	}
	if len(text) > 0 {
		_ = m.word(text)
	}
	return len(text), nil
}

// word makes tokens of a word that is not empty.
func (m *modelStage) word(text []byte) error {
	m.c.begun = true
	m.c.ids = m.c.b.appendWord(m.c.ids, text, m.c.s)
	return nil
}

// wordStage cuts text into words.
type wordStage struct {
	splitter
	next func(word []byte) error
}

// newWordStage returns the stage that hands the words of s to next.
func newWordStage(s splitter, next stage) *wordStage {
	if m, ok := next.(*modelStage); ok {
		return &wordStage{s, m.word}
	}
	return &wordStage{s, func(word []byte) error {
		_, err := next.take(word, true)
		return err
	}}
}

func (w *wordStage) take(text []byte, final bool) (int, error) {
	return words(w.splitter, text, final, w.next)
}
