package backend

import "fmt"

// Precision is the type that operands of matrix products are rounded to. Everything else stays float32: the residual
// stream, norms' statistics, softmax, sums, gradients of parameters, moments and the weights that are updated.
type Precision uint8

const (
	Float32 Precision = iota // not at all
	BFloat16
)

// String returns the name that UnmarshalText reads.
func (p Precision) String() string { return [...]string{Float32: "float32", BFloat16: "bf16"}[p] }

// MarshalText and UnmarshalText let a Precision stand in flags and files.
func (p Precision) MarshalText() ([]byte, error) { return []byte(p.String()), nil }

func (p *Precision) UnmarshalText(text []byte) error {
	for _, known := range []Precision{Float32, BFloat16} {
		if known.String() == string(text) {
			*p = known
			return nil
		}
	}
	return fmt.Errorf("backend: unknown precision %q; use float32 or bf16", text)
}
