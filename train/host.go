package train

import (
	"context"
	"io"
	"runtime/debug"

	"github.com/bdia-go/bdia/backend"
	"github.com/bdia-go/bdia/tokenizer"
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

// muchLearned is what learning a tokenizer takes, in bytes, from which on it is given back at once.
const muchLearned = 32 << 20

// Learning makes tokenizers before a run has its arena. So they may take all the memory that is free, but for what is
// held.
type Learning struct {
	Engine   backend.Options
	Vocab    int          // tokens of a BPE
	Held     func() int64 // bytes of what the text is read from; nil: none
	Progress Progress
	Taken    int64 // by the tokenizer that is learned, as far as it is
}

// Learn makes a tokenizer of a kind from text. If there is too little memory, it is a tokenizer.ErrMemory. What
// learning took is given back to the system.
func (l *Learning) Learn(ctx context.Context, kind string, text io.Reader) (tokenizer.Tokenizer, error) {
	o := tokenizer.TrainOptions{VocabSize: l.Vocab}
	o.Progress = func(done, total int) { l.Progress("learning merges", int64(done), int64(total)) }
	o.Fits = func(bytes int64) bool {
		l.Taken = bytes
		if l.Held != nil {
			bytes += l.Held()
		}
		return backend.Fits(l.Engine, 0, bytes) == nil
	}
	tok, err := tokenizer.Learn(ctx, kind, text, o)
	if l.Taken >= muchLearned {
		debug.FreeOSMemory()
	}
	l.Taken = 0
	return tok, err
}
