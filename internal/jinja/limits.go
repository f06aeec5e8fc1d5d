package jinja

import (
	"errors"
	"fmt"
	"strings"
)

// Limits of a rendering. What is allowed beside the fixed sizes is counted in bytes of input, the texts that the
// template is given, so that a long conversation has its share.
const (
	maxSource = 1 << 20  // bytes of a template
	maxDepth  = 200      // levels of nesting: of brackets and tags, of macros that call macros, of lists in lists
	maxSteps  = 16 << 20 // parts of the template that are evaluated
	maxMade   = 64 << 20 // bytes of values that are made
	maxOutput = 8 << 20  // bytes that are written
	perByte   = 64       // bytes of values for each byte of input; an eighth of it may be written
	maxRange  = 100_000  // numbers of a range, as in Jinja2's sandbox
)

// ErrLimit is wrapped by the error of a template that exceeds a limit.
var ErrLimit = errors.New("the template has no end, or wants more than any prompt has")

// LimitError is the error of a template that exceeds a limit. It is an ErrLimit.
type LimitError struct {
	What string // a plural
	Most int
}

// Error names the limit.
func (e *LimitError) Error() string {
	return fmt.Sprintf("%v: more than %d %s", ErrLimit, e.Most, e.What)
}

// Unwrap makes errors.Is(err, ErrLimit) true.
func (e *LimitError) Unwrap() error { return ErrLimit }

// Error is what is wrong with a template, or with what it is given.
type Error struct {
	Line   int    // of the template, from 1; 0: not known
	Text   string // what is wrong
	Raised bool   // the template itself said so, by raise_exception
}

// Error says what is wrong and where, in one line.
func (e *Error) Error() string {
	text := strings.Join(strings.Fields(e.Text), " ") // a template may raise anything
	if len(text) > maxError {
		text = strings.ToValidUTF8(text[:maxError], "") + ".."
	}
	if e.Line == 0 || e.Raised {
		return text
	}
	return fmt.Sprintf("line %d of the template: %s", e.Line, text)
}

// maxError is how many bytes of a text an error has.
const maxError = 200

// budget is what a rendering has left.
type budget struct {
	depth, steps, made, output      int
	mostSteps, mostMade, mostOutput int
}

// nested counts a level of nesting until the function that it returns is called, and a step.
func (b *budget) nested() (func(), error) {
	if b.depth++; b.depth > maxDepth {
		return nil, &LimitError{"levels of nesting", maxDepth}
	}
	return b.up, b.work(0)
}

func (b *budget) up() { b.depth-- }

// work counts a step, and further ones for going through n bytes.
func (b *budget) work(n int) error {
	if b.steps += 1 + n/64; b.steps > b.mostSteps {
		return &LimitError{"steps", b.mostSteps}
	}
	return nil
}

// take counts bytes of a value before it is made.
func (b *budget) take(n int) error {
	if n < 0 || n > b.mostMade-b.made {
		return &LimitError{"bytes of texts and lists", b.mostMade}
	}
	b.made += n
	return b.work(n)
}

// write counts bytes of the output.
func (b *budget) write(n int) error {
	if b.output += n; b.output > b.mostOutput {
		return &LimitError{"bytes of output", b.mostOutput}
	}
	return nil
}
