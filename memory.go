package bdia

import "fmt"

// Memory says what of the forward pass is kept for the backward pass.
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

// MarshalText and UnmarshalText let a Memory stand in flags and files by name.
func (m Memory) MarshalText() ([]byte, error) { return []byte(m.String()), nil }

func (m *Memory) UnmarshalText(text []byte) (err error) {
	*m, err = ParseMemory(string(text))
	return err
}

// slot returns which state buffer holds x_k, of K blocks the first F of which are
// frozen. States that the reverse walk does not need, or rebuilds, alternate between
// two; x_K must not overwrite x_{K-2} where that is needed.
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

// keepsTape says whether block k's intermediates survive the forward pass. The
// last block's always do: the backward pass starts with them.
func (m Memory) keepsTape(k, K int) bool { return m == Store || k == K-1 }

// rebuilds says whether x_{k-1} has to be rebuilt at block k of the reverse walk.
func (m Memory) rebuilds(k, K, F int) bool { return m == Reversible && k > F && k < K-1 }

// Options are the three independent choices of the method.
type Options struct {
	Memory Memory `yaml:"memory"`
	Gamma  Gamma  `yaml:"gamma"`
	Grid   Grid   `yaml:"grid"`
}

// DefaultOptions returns the paper's: reversible, gamma 0.5, grid 2^-9.
func DefaultOptions() Options {
	return Options{Memory: Reversible, Gamma: DefaultGamma, Grid: DefaultGrid}
}

// Validate reports a value out of range, or a combination that cannot be: only
// Reversible makes demands.
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
	if o.Memory != Reversible {
		return nil
	}
	if o.Grid == NoGrid {
		return fmt.Errorf("bdia: reversible memory needs a grid; use --grid 9, or --memory store or recompute")
	}
	if _, ok := o.Gamma.Planes(); !ok {
		return fmt.Errorf("bdia: reversible memory needs gamma 0.5, 0.25, ... (a power of two), not %v; "+
			"use --memory store or recompute for other values", o.Gamma)
	}
	return nil
}
