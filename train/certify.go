package train

import (
	"strings"

	"github.com/bdia-go/bdia/metric"
	"github.com/bdia-go/bdia/tensor"
)

// Checker finds states that change in memory, and tells their digests (see bdia.Stack.SetCheck). Models are Checkers.
type Checker interface {
	SetCheck(on bool)
	AppendDigests(sums []uint64) []uint64
}

// Constant is a model with tensors that nothing changes and that are no parameters, such as a table of sinusoids.
// Checked steps see whether they have changed in memory.
type Constant interface {
	Constants() []*tensor.Param
}

// certifier makes the certificates of steps.
type certifier struct {
	metric.Certificate
	pass   []uint64 // digests of a micro-batch
	groups []int    // [i]: the block of the trainable parameter i
}

// newCertifier groups parameters by blocks.
func newCertifier(g *guard) *certifier {
	c := &certifier{}
	at := map[string]int{}
	for _, t := range g.tensors[:g.params] {
		name := blockOf(t.name)
		i, ok := at[name]
		if !ok {
			i = len(c.Blocks)
			at[name], c.Blocks = i, append(c.Blocks, metric.Digest{Name: name})
		}
		c.groups = append(c.groups, i)
	}
	return c
}

// blockOf is the block of a parameter's name, such as "enc.blocks.3" of "enc.blocks.3.mlp.fc.weight"; outside blocks it
// is the name itself.
func blockOf(name string) string {
	before, after, ok := strings.Cut(name, "blocks.")
	if !ok {
		return name
	}
	number, _, _ := strings.Cut(after, ".")
	return before + "blocks." + number
}

// begin starts the certificate of a step.
func (c *certifier) begin(step int) {
	c.Step, c.States = step, c.States[:0]
}

// add adds the digests of a micro-batch.
func (c *certifier) add(checkers []Checker) {
	c.pass = c.pass[:0]
	for _, m := range checkers {
		c.pass = m.AppendDigests(c.pass)
	}
	for k, sum := range c.pass {
		if k == len(c.States) {
			c.States = append(c.States, 0)
		}
		c.States[k] += sum
	}
}

// end completes the certificate with the digests of updated parameters. In a block their order counts.
func (c *certifier) end(loss float64, g *guard) {
	c.Loss = loss
	for i := range c.Blocks {
		c.Blocks[i].Sum = 0
	}
	i := 0
	g.sealed(func(_ string, sum uint64) {
		b := &c.Blocks[c.groups[i]]
		b.Sum = b.Sum*0x9e3779b97f4a7c15 + sum
		i++
	})
}

// checked reports whether a step is one to check.
func (s *Session) checked(step int) bool {
	return s.rehearsing || s.certify != nil || every(step, s.options.Loop.CheckEvery)
}

// check makes the passes of a step checked ones, or not.
func (s *Session) check(step int) {
	if s.guard == nil {
		return
	}
	on := s.checked(step)
	for _, m := range s.checkers {
		m.SetCheck(on)
	}
	if s.certify != nil {
		s.certify.begin(step)
	}
}

// forget breaks the seals of weights, which get other values.
func (s *Session) forget() {
	if s.guard != nil {
		s.guard.forget()
	}
}

// start seals weights that have just got their values.
func (s *Session) start() {
	if s.guard != nil {
		s.guard.start()
	}
}

// Certificate is the certificate of the latest step, valid until the next; nil if the settings do not ask for it.
func (s *Session) Certificate() *metric.Certificate {
	if s.certify == nil {
		return nil
	}
	return &s.certify.Certificate
}
