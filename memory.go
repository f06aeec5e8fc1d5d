package bdia

import "fmt"

// Memory is the mode of memory: the part of the forward pass that is kept for the
// backward pass.
type Memory uint8

const (
	// Reversible keeps two states and the side information, and rebuilds every
	// other state bit for bit (online back-propagation, paper section 4.3).
	Reversible Memory = iota
	// Store keeps every state and the intermediates of every block: ordinary
	// back-propagation.
	Store
	// Recompute keeps every state and computes a block's intermediates again:
	// activation recomputation.
	Recompute
)

var memoryNames = [...]string{"reversible", "store", "recompute"}

// ParseMemory reads one of the three names.
func ParseMemory(s string) (Memory, error) {
	for m, n := range memoryNames {
		if n == s {
			return Memory(m), nil
		}
	}
	return 0, fmt.Errorf("bdia: unknown memory mode %q; use reversible, store or recompute", s)
}

// String returns the name that ParseMemory reads.
func (m Memory) String() string { return memoryNames[m] }

// MarshalText and UnmarshalText are for flags and files.
func (m Memory) MarshalText() ([]byte, error) { return []byte(m.String()), nil }

func (m *Memory) UnmarshalText(text []byte) (err error) {
	*m, err = ParseMemory(string(text))
	return err
}

// slot returns the index of the buffer for state x_k, with K blocks of which the
// first F are frozen. States that the reverse walk rebuilds or does not need
// alternate between two buffers. x_K must not overwrite x_{K-2} if that is needed.
func (m Memory) slot(k, K, F int) int {
	switch {
	case m != Reversible && k >= F:
		return min(F, 2) + k - F
	case m == Reversible && k == K && F < K-1:
		return 2
	}
	return k % 2
}

// slots returns the number of state buffers.
func (m Memory) slots(K, F int) int {
	switch {
	case m != Reversible:
		return min(F, 2) + K + 1 - F
	case F < K-1:
		return 3
	}
	return 2
}

// restSlot returns the index of the buffer for the rest of x_k. The reverse walk of stored states has no use for it.
func (m Memory) restSlot(k, K, F int) int {
	if m == Reversible {
		return m.slot(k, K, F)
	}
	return k % 2
}

// keepsTape reports whether block k's intermediates are kept after the forward pass.
// The last block's always are: the backward pass starts with them.
func (m Memory) keepsTape(k, K int) bool { return m == Store || k == K-1 }

// rebuilds reports whether the reverse walk rebuilds x_{k-1} at block k.
func (m Memory) rebuilds(k, K, F int) bool { return m == Reversible && k > F && k < K-1 }

// Options are the three independent choices of the method.
type Options struct {
	Memory Memory `yaml:"memory"`
	Gamma  Gamma  `yaml:"gamma"`
	Grid   Grid   `yaml:"grid"`
	Ramp   Ramp   `yaml:"ramp,omitzero"` // on the way to Gamma
}

// DefaultOptions returns the paper's choices: reversible, gamma 0.5, grid 2^-9.
func DefaultOptions() Options {
	return Options{Memory: Reversible, Gamma: DefaultGamma, Grid: DefaultGrid}
}

// Validate returns an error for a value out of range or an impossible combination.
// Only Reversible restricts the others: it needs a grid and an invertible gamma.
func (o Options) Validate() error {
	if o.Memory > Recompute {
		return fmt.Errorf("bdia: there is no memory mode %d; use reversible, store or recompute", uint8(o.Memory))
	}
	if g := o.Gamma; !(g >= 0 && g < 1) {
		return fmt.Errorf("bdia: gamma is %v; it must be at least 0 and below 1", g)
	}
	if o.Grid != NoGrid && (o.Grid < 0 || o.Grid > maxGrid) {
		return fmt.Errorf("bdia: grid of %v bits; use none or 0 to %d bits", o.Grid, maxGrid)
	}
	if err := o.validateRamp(); err != nil {
		return err
	}
	if o.Ramp.From != 0 && o.Ramp.Steps == 0 {
		return fmt.Errorf("bdia: a ramp of gamma over 0 steps; say how many it takes")
	}
	if o.Memory != Reversible {
		return nil
	}
	for _, g := range []Gamma{o.Gamma, o.Ramp.From, o.Ramp.Lower} {
		if _, ok := g.Planes(); !ok && (g != 0 || o.Gamma == 0) || o.Grid == NoGrid {
			return &OptionsError{Options: o}
		}
	}
	return nil
}

// OptionsError says that Options exclude each other: reversible memory needs a grid and an
// invertible gamma, and two residual streams have neither.
type OptionsError struct {
	Options
	TwoStream bool // they were meant for two residual streams
}

// Error names the choices and what to choose instead.
func (e *OptionsError) Error() string {
	switch {
	case e.TwoStream:
		return fmt.Sprintf("bdia: two residual streams have neither gamma (%v) nor grid (%v); use gamma 0 and no grid", e.Gamma, e.Grid)
	case e.Grid == NoGrid:
		return "bdia: reversible memory needs a grid; use one of 9 bits, or memory store or recompute"
	}
	return fmt.Sprintf("bdia: reversible memory needs gamma 0.5, 0.25, ... (a power of two), not %s; memory store and recompute take other values", e.GammaText())
}
