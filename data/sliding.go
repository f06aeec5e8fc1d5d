package data

import (
	"fmt"
	"math"
)

// Sliding gives evaluation windows that overlap, so that most tokens are predicted
// from a long context. Window i begins at token i*stride, and only tokens that no
// earlier window counted are counted in it. For example, with context 1024 and stride
// 512 each window after the first counts its last 512 tokens. This is how the
// perplexity of language models is usually reported ("Perplexity of fixed-length
// models" in the documentation of Hugging Face's transformers): windows of context
// tokens, with all but the first predicted. When the stride equals the context,
// windows do not overlap; each then has one token more, the first of the next window,
// so that every token but the very first is counted. The last window may be shorter.
type Sliding struct {
	tokens       Tokens
	span, stride int64 // span: tokens in a window
	n            int
}

// NewSliding returns the first maxWindows windows, or for 0 all. A stride beyond the
// context is an error, and a set of fewer than two tokens is ErrTooShort.
func NewSliding(tokens Tokens, context, stride, maxWindows int) (*Sliding, error) {
	if context < 1 {
		return nil, fmt.Errorf("data: windows of a context of %d tokens: give 1 or more", context)
	}
	if stride < 1 || stride > context {
		return nil, fmt.Errorf("data: windows that begin every %d tokens in a context of %d: give a stride of 1 to %d", stride, context, context)
	}
	if maxWindows < 0 {
		return nil, fmt.Errorf("data: %d evaluation windows: give 0 for all of them or a positive number", maxWindows)
	}
	if err := checkWindow(tokens, 1); err != nil {
		return nil, err
	}
	s := &Sliding{tokens: tokens, span: int64(context), stride: int64(stride)}
	if stride == context {
		s.span++
	}
	n := min(1+(max(tokens.Len()-s.span, 0)+s.stride-1)/s.stride, math.MaxInt)
	if maxWindows > 0 {
		n = min(n, int64(maxWindows))
	}
	s.n = int(n)
	return s, nil
}

// Len returns the number of windows.
func (s *Sliding) Len() int { return s.n }

// Size returns the number of targets in window i and how many of them count: the last
// ones.
func (s *Sliding) Size(i int) (targets, counted int) {
	begin := int64(i) * s.stride
	end := min(begin+s.span, s.tokens.Len())
	targets, counted = int(end-begin-1), int(end-begin-1)
	if i > 0 {
		counted = int(end - (begin - s.stride + s.span))
	}
	return targets, counted
}

// Window fills inputs and targets, as many as Size says, with window i.
func (s *Sliding) Window(i int, inputs, targets []int32) error {
	if T, _ := s.Size(i); i < 0 || i >= s.n || len(inputs) != T || len(targets) != T {
		return fmt.Errorf("data: window %d of %d into %d inputs and %d targets", i, s.n, len(inputs), len(targets))
	}
	return readWindow(s.tokens, int64(i)*s.stride, inputs, targets)
}
