package train

import (
	"context"

	"github.com/bdia-go/bdia/backend"
)

// Host is what a run takes beside its arena, in bytes. Images are exact, the rest is an estimate.
type Host struct {
	Program    int64 // code, Go's runtime, buffers, figures
	Tokenizers int64
	Images     int64 // decoded ones, and archives that are unpacked
	Lists      int64 // of files and pairs, and what making them takes
}

// Total is all of h.
func (h Host) Total() int64 { return h.Program + h.Tokenizers + h.Images + h.Lists }

// Hoster is a Task with data in memory beside the arena.
type Hoster interface {
	// Host returns what the data take: after Prepare, Reopen or Open as far as they are known.
	Host() Host
}

// TokenBytes is about what a tokenizer takes for each of its tokens.
const TokenBytes = 512

// HostOf returns what a run of t takes beside its arena, as far as its data are known.
func HostOf(t Task) (h Host) {
	if m, ok := t.(Hoster); ok {
		h = m.Host()
	}
	h.Program += backend.ProgramBytes
	return h
}

// room plans the memory of the run and fails if the machine has not as much (backend.MemoryError).
func (r *Run) room() (backend.Usage, error) {
	u, err := r.Plan()
	if err != nil {
		return u, err
	}
	return u, backend.Fits(r.Common().Engine, u.Total, HostOf(r.Task).Total()-backend.ProgramBytes)
}

// planning is the key of a context of PlanOnly.
type planning struct{}

// PlanOnly returns a context with which Create only prepares: the run need not fit into the memory of this machine.
func PlanOnly(ctx context.Context) context.Context { return context.WithValue(ctx, planning{}, true) }

// least plans a run of t with usual samples. With PlanOnly, and with settings that cannot be planned, which is for
// others to say, it plans nothing.
func least(ctx context.Context, t Synthetic) (u backend.Usage) {
	if ctx.Value(planning{}) != nil {
		return u
	}
	t = t.Clone()
	Assume(t)
	u, err := PlanOf(t.Random, Options{Common: *t.Common()})
	if err != nil {
		return backend.Usage{}
	}
	return u
}

// Fits reports a run of t that this machine has not the memory for (backend.MemoryError), before its data are prepared.
// Its open settings have to be as small as the data may make them.
func Fits(ctx context.Context, t Synthetic) error {
	u := least(ctx, t)
	if u.Total == 0 {
		return nil
	}
	return backend.Fits(t.Common().Engine, u.Total, HostOf(t).Total()-backend.ProgramBytes)
}

// Beside returns a function that reports whether so many bytes of data fit into memory beside a run of t.
func Beside(ctx context.Context, t Synthetic) func(bytes int64) bool {
	arena, engine := least(ctx, t).Total, t.Common().Engine
	return func(bytes int64) bool { return backend.Fits(engine, arena, bytes) == nil }
}
