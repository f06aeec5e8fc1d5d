package cpu

import (
	"fmt"

	"github.com/bdia-go/bdia/backend"
	"github.com/bdia-go/bdia/backend/plan"
	"github.com/bdia-go/bdia/internal/cpufeat"
	"github.com/bdia-go/bdia/kernel"
)

func init() { backend.Register("cpu", driver{}) }

// driver makes CPU backends by name; see backend.Open.
type driver struct{}

func (driver) Validate(o backend.Options) error {
	if err := checkThreads(o.Threads); err != nil {
		return err
	}
	_, err := parseISA(o.ISA)
	return err
}

func (driver) Plan(o backend.Options) backend.Backend {
	return plan.NewLimited(Options{Threads: o.Threads, Precision: o.Precision}.ScratchBytes(), limits, o.Precision)
}

// limits of the kernels: the width of a head, and 32 bits for the number of an attention
// weight under dropout.
var limits = backend.Limits{HeadWidth: kernel.MaxHeadDim, AttentionWeights: 1 << 32}

// Limits returns the largest sizes that the kernels work with.
func (b *Backend) Limits() backend.Limits { return limits }

// Precision returns the type that operands of matrix products are rounded to.
func (b *Backend) Precision() backend.Precision { return b.precision }

func (driver) Fits(o backend.Options, arena, beside int64) error { return fits(arena, beside) }

func (driver) Open(o backend.Options, bytes int64) (backend.Device, error) {
	b, err := New(Options{Threads: o.Threads, ISA: o.ISA, ArenaBytes: bytes, Precision: o.Precision})
	if err != nil {
		return nil, err // not a nil *Backend in an interface
	}
	return b, nil
}

// checkThreads returns an error for a number of threads that must be a mistake.
func checkThreads(n int) error {
	if n < 0 || n > MaxThreads {
		return fmt.Errorf("cpu: %d threads; give a number up to %d, or 0 for all processors", n, MaxThreads)
	}
	return nil
}

// parseISA returns the named instruction set, or this machine's best for "".
func parseISA(name string) (cpufeat.Level, error) {
	if name == "" {
		return cpufeat.Best(), nil
	}
	return cpufeat.Parse(name)
}

// Name describes the backend for people, for example "cpu (avx512, 8 threads)".
func (b *Backend) Name() string {
	if n := len(b.pool.scratch); n != 1 {
		return fmt.Sprintf("cpu (%s, %d threads)", b.ISA(), n)
	}
	return fmt.Sprintf("cpu (%s, 1 thread)", b.ISA())
}
