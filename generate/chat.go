package generate

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/bdia-go/bdia/chat"
	"github.com/bdia-go/bdia/model"
)

// Chat is a conversation with a language model. It keeps the keys and values of what the model has read, so that each
// answer costs what is new in the conversation. FolderChat makes one for the model of a folder. For example:
//
//	c, err := generate.FolderChat(folder, generate.DefaultOptions())
//	...
//	m, err := folder.GPT(device, c.Rehearse)
//	...
//	err = c.Open(m.GPT)
//	...
//	defer c.Close()
//	c.Messages = append(c.Messages, chat.Message{Role: "user", Content: "Hello"})
//	answer, err := c.Answer(ctx, func(text []byte) error { _, err := os.Stdout.Write(text); return err })
type Chat struct {
	// Messages are what was said. A caller adds the user's, and may change or remove any of them between answers.
	Messages   []chat.Message
	Tools      []byte // that the assistant may call, a list in JSON; nil: none
	Form       Form
	Vocabulary Vocabulary
	Options    Options // of answers. Samples are the numbers of the answers, MaxTokens is the largest length of one
	Positions  int     // tokens of a conversation, at most the model's context: the cache has so many

	model   *model.GPT
	d       *model.GPTDecoding
	logits  []float32
	read    []int32        // tokens of which keys and values are kept
	from    int            // the first message after the system's that still fits
	gone    []chat.Message // the ones between
	answers int
}

// Form writes a conversation as the tokens after which the assistant answers. *chat.Template is one.
type Form interface {
	Prompt(talk []chat.Message, tools []byte) ([]int32, error)
}

// Answer is an answer of the assistant.
type Answer struct {
	Written
	Prompt  int // tokens of the conversation before it
	Kept    int // of these, the ones that had been read before
	LeftOut int // messages that the model does not see any more: the first ones, without what the system says
}

// LongTalkError is the error of a conversation that does not fit, even without its first messages.
type LongTalkError struct{ Tokens, Positions int }

// Error names both numbers.
func (e *LongTalkError) Error() string {
	return fmt.Sprintf("generate: the last message makes a conversation of %d tokens, and %d fit; shorten it", e.Tokens, e.Positions)
}

// readChunk is the largest number of tokens that is read between two looks at the context.
const readChunk = 128

// Open begins to use m, which does nothing else until Close.
func (c *Chat) Open(m *model.GPT) error {
	if err := c.Options.Validate(); err != nil {
		return err
	}
	var err error
	if c.d, err = m.Decode(1, c.Positions, c.Options.Grid); err != nil {
		return err
	}
	c.model, c.logits, c.read = m, make([]float32, m.Config.Vocab), nil
	return nil
}

// Close gives the model's memory back. The messages stay.
func (c *Chat) Close() {
	if c.d != nil {
		c.d.Close()
		c.d = nil
	}
}

// Rehearse allocates what conversations need. Run it on a planning backend.
func (c *Chat) Rehearse(m *model.GPT) error {
	if err := c.Open(m); err != nil {
		return err
	}
	defer c.Close()
	n := min(readChunk, c.Positions)
	if err := c.d.Extend(0, 0, c.logits, make([]int32, n)); err != nil {
		return err
	}
	if more := min(n, c.Positions-1); more > 0 {
		if err := c.d.Extend(0, 1, c.logits, make([]int32, more)); err != nil {
			return err
		}
	}
	if c.Positions == 1 {
		return nil
	}
	return cmp.Or(c.d.Extend(0, 0, nil, []int32{0}), c.d.Next(c.logits, []int32{0}))
}

// Answer lets the assistant answer and adds what it says to Messages. emit gets the text as it is made. A conversation
// that has become too long loses its first messages, for this answer and those after it; if that does not help, the
// error is a LongTalkError. A conversation that the form does not take is a chat.RefusedError. If emit fails or ctx is
// done, the answer is cut there, and the error is theirs; an answer of no tokens is not added.
func (c *Chat) Answer(ctx context.Context, emit func(text []byte) error) (Answer, error) {
	prompt, err := c.prompt()
	if err != nil {
		return Answer{}, err
	}
	a := Answer{Prompt: len(prompt), LeftOut: c.from - c.system()}
	o := c.Options
	o.Vocab, o.Answer = c.Vocabulary.VocabSize(), true
	c.answers++
	s := newSampler(o, prompt, c.model.Config.Vocab)
	s.sample = c.answers - 1
	if a.Kept, err = c.readOn(ctx, prompt); err != nil {
		return a, err
	}
	var failed error
	o.MaxTokens = min(o.MaxTokens, c.Positions-len(prompt)+1)
	w := newWriting(c.Vocabulary, prompt, o, func(text []byte) bool {
		failed = cmp.Or(emit(text), ctx.Err())
		return failed == nil
	})
	err = c.write(w, s, o)
	if err = cmp.Or(err, failed); err == nil {
		w.end()
		err = failed
	}
	a.Written = w.Written
	if len(a.IDs) > 0 || err == nil {
		c.Messages = append(c.Messages, chat.Message{Role: "assistant", Content: lossy(a.Text)})
	}
	return a, err
}

// write chooses tokens until the answer ends.
func (c *Chat) write(w *writing, s *sampler, o Options) error {
	for n := 0; ; n++ {
		id, err := s.choose(c.logits[:o.chosen(c.model)], n)
		if err != nil || slices.Contains(o.StopIDs, id) {
			return err
		}
		if goesOn, err := w.add(id); err != nil || !goesOn {
			return err
		}
		if err := c.d.Next(c.logits, []int32{id}); err != nil {
			return err
		}
		c.read = append(c.read, id)
	}
}

// readOn reads a prompt, except for its beginning that was read before, and returns the length of that.
func (c *Chat) readOn(ctx context.Context, prompt []int32) (kept int, err error) {
	for kept < min(len(c.read), len(prompt)-1) && c.read[kept] == prompt[kept] {
		kept++
	}
	c.read = c.read[:kept]
	for n := kept; n < len(prompt); n = len(c.read) {
		if err := ctx.Err(); err != nil {
			return kept, err
		}
		part := prompt[n:min(n+readChunk, len(prompt))]
		if err := c.d.Extend(0, n, c.logits, part); err != nil {
			return kept, err
		}
		c.read = append(c.read, part...)
	}
	return kept, nil
}

// prompt returns the tokens of the conversation, without as many of its first messages as it takes to leave room for an
// answer. If some are left out, half of the positions become free, so that the next answers lose none.
func (c *Chat) prompt() ([]int32, error) {
	head := c.system()
	if !c.goesOn(head) {
		c.from, c.gone = head, nil
	}
	most := c.Positions - min(c.Options.MaxTokens, c.Positions/4)
	for {
		ids, err := c.Form.Prompt(slices.Concat(c.Messages[:head], c.Messages[c.from:]), c.Tools)
		if err != nil {
			return nil, err
		}
		if len(ids) == 0 {
			return nil, errors.New("generate: a conversation of no tokens; say something")
		}
		next := c.later()
		switch {
		case len(ids) <= most, next == 0 && len(ids) <= c.Positions:
			return ids, nil
		case next == 0:
			return nil, &LongTalkError{len(ids), c.Positions}
		}
		c.from, c.gone, most = next, slices.Clone(c.Messages[head:next]), c.Positions/2
	}
}

// goesOn reports whether the messages that were left out still stand at the beginning, before a user's. A caller may
// have begun another conversation.
func (c *Chat) goesOn(head int) bool {
	return c.from == head+len(c.gone) && c.from < len(c.Messages) && c.Messages[c.from].Role == "user" &&
		slices.EqualFunc(c.Messages[head:c.from], c.gone, func(a, b chat.Message) bool {
			return a.Role == b.Role && a.Content == b.Content && bytes.Equal(a.JSON, b.JSON)
		})
}

// system is the number of messages at the beginning that are no one's who talks.
func (c *Chat) system() int {
	n := slices.IndexFunc(c.Messages, func(m chat.Message) bool { return m.Role == "user" || m.Role == "assistant" })
	return max(n, 0)
}

// later returns the next message of a user after the first one that is seen; 0: there is none.
func (c *Chat) later() int {
	for i := c.from + 1; i < len(c.Messages); i++ {
		if c.Messages[i].Role == "user" {
			return i
		}
	}
	return 0
}
