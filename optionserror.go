package bdia

import "fmt"

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
	return fmt.Sprintf("bdia: reversible memory needs gamma 0.5, 0.25, ... (a power of two), not %v; memory store and recompute take other values", e.Gamma)
}
